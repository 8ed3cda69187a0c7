//! A proxy between a client and a Redis server that fails on demand, for tests.
//!
//! The proxy tells commands and answers apart, also pipelined ones, so a fault can strike between the two: after
//! the server has applied a command and before the client knows. A client's connection keeps its order, and each has a
//! connection of its own to the server.
//!
//! ```
//! use fault_proxy::{Fault, FaultProxy};
//! use test_support::RedisServer;
//!
//! let server = RedisServer::start();
//! let proxy = FaultProxy::start(([127, 0, 0, 1], server.port()).into());
//! let mut redis = redis::Client::open(proxy.url())?.get_connection()?;
//!
//! proxy.only(&["INCR"]);
//! proxy.fail_next(1, Fault::CutAfterApply);
//! assert!(redis::cmd("INCR").arg("visits").query::<i64>(&mut redis).is_err());
//! assert_eq!(redis::cmd("GET").arg("visits").query::<i64>(&mut server.connect())?, 1);
//! # Ok::<(), redis::RedisError>(())
//! ```
//!
//! # Limits
//! - Every command must have exactly one answer: `SUBSCRIBE` with RESP2, `MONITOR` and `CLIENT REPLY` shift the
//!   answers, and `CutAfterApply` then waits for the wrong one.
//! - A connection on which something else than commands and answers comes (inline commands, TLS, replication) is
//!   passed on as it is, with the faults that strike connections only.
//! - A command is passed on when it is complete, and so is an answer: each is in memory as a whole. So is all that a
//!   `MuteLate` collects.

mod connection;
mod frame;
mod proxy;

pub use proxy::FaultProxy;

use std::time::Duration;

/// A fault. As the standing fault ([`FaultProxy::set`]), `Refuse`, `Mute`, `MuteLate` and `HalfOpen` strike
/// connections, no matter what is sent on them; the others strike commands. Chosen for one command
/// ([`FaultProxy::fail_next`], [`FaultProxy::plan`]), each strikes that command and, where it ends the connection,
/// all that comes after it. Commands sent earlier on the connection get their answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Everything is passed on.
    #[default]
    None,
    /// The port is closed, and open connections are reset. For one command: its connection is reset before the
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
    /// Returns whether it is a silence that the next standing fault lifts.
    fn is_mute(self) -> bool {
        matches!(self, Self::Mute | Self::MuteLate)
    }

    /// Returns whether it strikes whole connections when it stands.
    fn strikes_connections(self) -> bool {
        self.is_mute() || matches!(self, Self::Refuse | Self::HalfOpen)
    }
}
