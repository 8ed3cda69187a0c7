//! Instructions that a function executes, counted by valgrind: the same each time, however busy the machine is.

use crate::runtime_api::Events;
use crate::subject::Subject;
use std::fs;
use std::time::Duration;
use tempfile::TempDir;
use test_support::Signal;

/// Instructions of a function.
#[derive(Clone, Copy, Debug)]
pub struct Instructions {
    /// From the start of the process, for the first event and what follows it, to the end of the process.
    pub start: u64,
    /// For each further event.
    pub event: u64,
}

/// Counts over `count` events; `None` where there is no valgrind.
///
/// # Panics
/// If valgrind does not tell what it counted.
pub fn count(subject: &Subject, events: &Events, wanted: &'static str, count: u64) -> Option<Instructions> {
    std::process::Command::new("valgrind").arg("--version").output().ok().filter(|output| output.status.success())?;
    let [few, many] = [1, 1 + count].map(|events_run| total(subject, events, wanted, events_run));
    Some(Instructions { start: few, event: (many - few) / count })
}

fn total(subject: &Subject, events: &Events, wanted: &'static str, count: u64) -> u64 {
    let folder = TempDir::new().expect("a temporary folder can be made");
    let file = folder.path().join("callgrind");
    let tool =
        ["valgrind".to_owned(), "--tool=callgrind".to_owned(), format!("--callgrind-out-file={}", file.display())];
    let mut environment = subject.clone().under(&tool).start();
    environment.run(events, wanted, usize::try_from(count).unwrap_or(usize::MAX));
    environment.process().signal(Signal::Terminate);
    environment.process().wait(Duration::from_secs(30));
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"));
    line.and_then(|number| number.trim().parse().ok()).expect("callgrind tells the total")
}
