//! The log lines of a test's own thread, at every level and of every crate.

use std::io;
use std::sync::{Arc, Mutex};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt;

/// Lines logged on this thread while it lives.
#[derive(Debug)]
pub struct Logs {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

impl Logs {
    /// Captures from now on.
    pub fn capture() -> Self {
        let lines = Arc::default();
        let writer = Writer(Arc::clone(&lines));
        let make = move || writer.clone();
        let logs = fmt::Subscriber::builder().with_max_level(tracing::Level::TRACE).with_ansi(false).with_writer(make);
        Self { lines, _guard: tracing::subscriber::set_default(logs.finish()) }
    }

    /// Returns all lines so far.
    ///
    /// # Panics
    /// If they are not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8(self.lines.lock().unwrap().clone()).unwrap()
    }
}

#[derive(Clone, Debug)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
