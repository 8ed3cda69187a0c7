//! How the relaying on a connection ends.

use std::time::Duration;
use tokio::time::Instant;

/// Longer than any test: 30 years.
const FOREVER: Duration = Duration::from_hours(30 * 365 * 24);

/// `delay` from now, for any delay.
pub(crate) fn after(delay: Duration) -> Instant {
    Instant::now() + delay.min(FOREVER)
}

/// Why nothing more is relayed on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The client is done, or the server.
    Closed,
    /// The client's side is closed.
    Cut,
    /// The client's side is reset.
    Reset,
    /// The client gets nothing for ever.
    Silent,
    /// The client gets nothing until the lift; `late`: what it has sent is delivered then.
    Muted { late: bool, lift: Lift },
}

/// When a silence ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lift {
    /// When so many standing faults have been set and one more.
    pub(crate) set: usize,
    /// At this time at the latest.
    pub(crate) until: Option<Instant>,
}
