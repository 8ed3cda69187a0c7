//! How a command ends: its exit code, and one sentence on standard error if it failed.

use crate::output::printable;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;
use visits_core::config::ConfigError;
use visits_core::store::StoreError;
use visits_core::store::redis::InvalidEndpoint;

/// The command line or the settings are wrong. clap's own code for it.
pub(crate) const USAGE: u8 = 2;

/// How a command came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// Everything was done, and something was found that wants attention.
    Warned,
    /// A part could not be done, as was told.
    Incomplete,
}

impl Outcome {
    /// The outcome of a command that was done with these warnings.
    pub(crate) fn with(warnings: &[impl Display]) -> Self {
        if warnings.is_empty() { Self::Done } else { Self::Warned }
    }

    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Incomplete => 1,
            Self::Warned => 3,
        }
    }
}

/// Why a command could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A setting is wrong.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// An argument is wrong in a way that clap cannot see.
    #[error("{0}")]
    Usage(String),
    /// An address that the Redis client does not understand.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// A shard did not answer as it should.
    #[error(transparent)]
    Shard(#[from] StoreError),
    /// Something else stands in the way: a sentence that says what.
    #[error("{0}")]
    Refused(String),
    /// The runtime could not start.
    #[error("the program cannot start: {0}")]
    Start(#[source] io::Error),
    /// Standard output or the file asked for took no more.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Usage(_) | Self::Endpoint(_) => USAGE,
            Self::Shard(_) | Self::Refused(_) | Self::Start(_) | Self::Output(_) => Outcome::Incomplete.code(),
        }
    }
}

/// Says why a command failed, if it did, and with which code to end. A reader that wants no more, as in
/// `visits top | head`, is no failure.
pub(crate) fn code(ended: Result<Outcome, Failure>) -> ExitCode {
    match ended {
        Ok(outcome) => outcome.code().into(),
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            tell("error", &failure);
            failure.code().into()
        }
    }
}

/// A sentence on standard error, made [`printable`]. Not by `eprintln!`, which panics where standard error is closed.
pub(crate) fn tell(kind: &str, text: &impl Display) {
    let _ = writeln!(io::stderr(), "{kind}: {}", printable(&text.to_string()));
}
