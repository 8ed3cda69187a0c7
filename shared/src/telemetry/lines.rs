//! A bound on log lines that each name one thing, such as a page: a stranger who makes up pages must not fill the log.

use std::sync::atomic::{AtomicU64, Ordering};

/// Most lines of one flush, delivery, or run of another kind.
pub const MAX_LINES: u64 = 20;

/// The error lines of one run. When it is dropped, one more line says how many were left out.
#[derive(Debug, Default)]
pub struct Lines(AtomicU64);

impl Lines {
    /// Writes a line, unless [`MAX_LINES`] were written before.
    pub fn write(&self, line: impl FnOnce()) {
        if self.0.fetch_add(1, Ordering::Relaxed) < MAX_LINES {
            line();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let left_out = self.0.get_mut().saturating_sub(MAX_LINES);
        if left_out > 0 {
            tracing::error!(left_out, "further lines like the last ones were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_twenty_lines_are_written() {
        let (lines, mut written) = (Lines::default(), 0);
        (0..1_000).for_each(|_| lines.write(|| written += 1));
        assert_eq!(written, MAX_LINES);
    }
}
