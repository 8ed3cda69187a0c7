//! Freezing and thawing a process, and the account of how long it was frozen.

use crate::process::Process;
use rustix::process::Signal;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Digits in the file: as many as the largest 64-bit number has.
const DIGITS: usize = 20;

/// Whether an environment is frozen, and for how long it has been in all.
#[derive(Debug)]
pub(crate) struct Freezer {
    file: File,
    since: Option<Instant>,
    /// Frozen time up to the last thaw.
    total: Duration,
}

impl Freezer {
    /// A freezer that keeps its account in the file at `path`, from zero.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let freezer = Self { file: File::create(path)?, since: None, total: Duration::ZERO };
        freezer.write()?;
        Ok(freezer)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.since.is_some()
    }

    /// Frozen time so far, up to `now` if it is frozen.
    pub(crate) fn total(&self, now: Instant) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Stops `process`; nothing happens if it is frozen.
    pub(crate) fn freeze(&mut self, process: &Process) {
        if self.since.is_none() {
            process.signal(Signal::STOP);
            // After the signal: what the process still did belongs to the time in which it ran.
            self.since = Some(Instant::now());
        }
    }

    /// Lets `process` go on; nothing happens if it is not frozen.
    pub(crate) fn thaw(&mut self, process: &Process) {
        if self.is_frozen() {
            self.total = self.total(Instant::now());
            self.since = None;
            // Before the signal: the first look of the thawed process must find the new total.
            self.write().expect("a file of the simulator can be written");
            process.signal(Signal::CONT);
        }
    }

    fn write(&self) -> io::Result<()> {
        let digits = format!("{:0DIGITS$}", self.total.as_nanos());
        self.file.write_all_at(digits.as_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_file_holds_the_total_of_all_freezes_in_twenty_digits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frozen");
        let mut freezer = Freezer::new(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0".repeat(DIGITS));
        for _ in 0..2 {
            freezer.freeze(&Process::default());
            assert!(freezer.is_frozen());
            freezer.thaw(&Process::default());
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.len(), DIGITS);
            assert_eq!(text.parse::<u128>().unwrap(), freezer.total(Instant::now()).as_nanos());
        }
    }
}
