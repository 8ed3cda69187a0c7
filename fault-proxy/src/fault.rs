//! What can go wrong between a client and its server.

use std::time::Duration;

/// A fault. As the standing fault ([`crate::FaultProxy::set`]), `Refuse`, `Mute`, `MuteLate` and `HalfOpen`
/// strike connections whatever is sent on them; the others strike commands. Chosen for one command
/// ([`crate::FaultProxy::fail_next`], [`crate::FaultProxy::plan`]), each strikes that command and, where it
/// ends the connection, whatever comes after it. Commands sent earlier on the connection get their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Everything is passed on.
    #[default]
    None,
    /// Nobody listens, and open connections are reset. For one command: its connection is reset before the
    /// command was passed on, and the proxy goes on listening.
    Refuse,
    /// Connections are accepted and read; nothing is passed on or answered. They are closed when the fault is
    /// lifted: what was sent never arrives.
    Mute,
    /// As `Mute`, but what was sent is passed on when the fault is lifted, also if the client has left since.
    /// The answers go nowhere. What came before on the connection has set it up, so a late command does what
    /// it would have done; it is lost if the server closed the connection in the meantime.
    MuteLate,
    /// Every command is passed on this much later than it came. Order is kept, and delays do not add up.
    Delay(Duration),
    /// The command is passed on, its answer is awaited completely and withheld, and the connection is closed.
    /// An answer may be an error, such as `NOSCRIPT`: then the command was not applied.
    CutAfterApply,
    /// The connection is closed when the command was read, before it is passed on.
    CutBeforeApply,
    /// The server's side of the connections that are open is gone, and the client is not told: they are silent
    /// for ever, also when the fault is lifted. New connections work.
    HalfOpen,
}

impl Fault {
    /// How many kinds there are, `None` included.
    pub(crate) const KINDS: usize = 8;

    /// Its kind as a number below [`Fault::KINDS`].
    pub(crate) fn kind(self) -> usize {
        match self {
            Self::None => 0,
            Self::Refuse => 1,
            Self::Mute => 2,
            Self::MuteLate => 3,
            Self::Delay(_) => 4,
            Self::CutAfterApply => 5,
            Self::CutBeforeApply => 6,
            Self::HalfOpen => 7,
        }
    }

    /// Whether it strikes commands, and not whole connections, when it stands.
    pub(crate) fn strikes_commands(self) -> bool {
        matches!(self, Self::Delay(_) | Self::CutAfterApply | Self::CutBeforeApply)
    }
}
