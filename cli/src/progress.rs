//! A bar on standard error for what takes long; nothing is shown where that is no terminal.

use crate::output::counted;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Steps of the bar for each shard.
pub(crate) const STEPS: u64 = 1000;

/// How far a walk over the shards' pages has come.
pub(crate) struct Progress {
    bar: ProgressBar,
    pages: u64,
}

/// A bar of this many steps with a message behind it. `shown`: unless standard error is no terminal.
pub(crate) fn bar(steps: u64, shown: bool) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(steps), target);
    // A template that does not parse would be our mistake; the default bar serves then.
    match ProgressStyle::with_template("{bar:30} {percent:>3}%  {wide_msg}") {
        Ok(style) => bar.with_style(style.progress_chars("## ")),
        Err(_) => bar,
    }
}

impl Progress {
    /// A walk over this many shards.
    pub(crate) fn of_walk(shards: usize, shown: bool) -> Self {
        Self { bar: bar(shards as u64 * STEPS, shown), pages: 0 }
    }

    /// The walk found `pages` more on the shard number `shard` and has `cursor` to go on from (0: the shard is read).
    pub(crate) fn walked(&mut self, shard: usize, pages: usize, cursor: u64) {
        self.pages += pages as u64;
        let steps = shard as u64 * STEPS + scanned(cursor);
        // A shard's table that grows makes the share smaller.
        self.bar.set_position(self.bar.position().max(steps));
        self.bar.set_message(counted(self.pages, "page", "pages"));
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// How much of a Redis server's keys a `SCAN` has been through, in steps. Its cursor counts through the table's
/// buckets with the highest bit as the least, so that its bits in reverse order are the share of what is done.
pub(crate) fn scanned(cursor: u64) -> u64 {
    if cursor == 0 {
        return STEPS;
    }
    // As if it were a binary fraction: the bits of the product above the point.
    let (_, steps) = cursor.reverse_bits().carrying_mul(STEPS, 0);
    steps
}

#[cfg(test)]
mod tests {
    use super::scanned;

    #[test]
    fn a_cursor_tells_the_share_of_the_table() {
        // A table of 8 buckets is read in the order 0, 4, 2, 6, 1, 5, 3, 7.
        let shares = [4, 2, 6, 1, 5, 3, 7, 0].map(scanned);
        assert_eq!(shares, [125, 250, 375, 500, 625, 750, 875, 1000]);
    }
}
