//! A child process that does not outlive its handle.

use crate::wait_for;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// A request to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// End in order.
    Terminate,
    /// Stand still, as an environment that Lambda froze.
    Stop,
    /// Go on.
    Continue,
}

/// A child process, killed when dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal; nothing happens if the process has ended.
    ///
    /// # Panics
    /// If there is no shell to send it.
    pub fn signal(&mut self, signal: Signal) {
        // Not waited for yet, an ended child keeps its id: no other process can be hit.
        if self.ended().is_some() {
            return;
        }
        let name = match signal {
            Signal::Interrupt => "INT",
            Signal::Terminate => "TERM",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        // The standard library sends SIGKILL only, and `kill` is a program on its own not everywhere.
        let command = format!("kill -{name} {}", self.id());
        Command::new("sh").args(["-c", &command]).status().expect("sh runs");
    }

    /// Returns its exit status, if it has ended.
    ///
    /// # Panics
    /// If the system does not tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("the state of a child process can be read")
    }

    /// Waits until it has ended, for at most `bound`.
    pub fn wait(&mut self, bound: Duration) -> Option<ExitStatus> {
        let _ = wait_for(bound, || self.ended().is_some());
        self.ended()
    }

    /// Kills it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        // It fails only for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_ends_with_its_handle() {
        let process = Process::start(Command::new("sleep").arg("600")).unwrap();
        let id = process.id().to_string();
        let lives = || Command::new("sh").args(["-c", &format!("kill -0 {id} 2>&-")]).status().unwrap().success();
        assert!(lives());
        drop(process);
        assert!(!lives());
    }

    #[test]
    fn a_process_is_asked_to_end() {
        let mut process = Process::start(Command::new("sleep").arg("600")).unwrap();
        process.signal(Signal::Terminate);
        assert!(process.wait(Duration::from_secs(10)).is_some_and(|status| !status.success()));
        process.signal(Signal::Terminate);
    }
}
