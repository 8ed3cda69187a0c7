//! The log lines of a test's own thread, at every level and of every crate.

use std::fs;
use std::sync::Arc;
use tempfile::NamedTempFile;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt;

/// Lines logged on this thread while it lives.
#[derive(Debug)]
pub struct Logs {
    file: NamedTempFile,
    _guard: DefaultGuard,
}

impl Logs {
    /// Captures from now on.
    ///
    /// # Panics
    /// If there is no room for a temporary file.
    pub fn capture() -> Self {
        let file = NamedTempFile::new().unwrap();
        let writer = Arc::new(file.reopen().unwrap());
        let logs = fmt::Subscriber::builder().with_max_level(tracing::Level::TRACE).with_ansi(false);
        Self { file, _guard: tracing::subscriber::set_default(logs.with_writer(writer).finish()) }
    }

    /// Returns all lines so far.
    ///
    /// # Panics
    /// If they are not UTF-8.
    pub fn text(&self) -> String {
        fs::read_to_string(self.file.path()).unwrap()
    }
}
