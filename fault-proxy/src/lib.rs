//! A proxy between a client and a Redis server that fails on demand, for tests.
//!
//! It tells commands and answers apart, also pipelined ones, so a fault can strike between the two: after the
//! server has applied a command and before the client knows. A client's connection keeps its order, and each has a
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
//! - A connection on which something else than commands comes (inline commands, TLS) is passed on as it is, with the
//!   faults that strike connections only.
//! - A command is passed on when it is complete: each is in memory as a whole. So is all that a `MuteLate` collects.

mod connection;
mod control;
mod counters;
mod end;
mod fault;
mod finish;
mod flow;
mod listener;
mod plan;
mod proxy;
mod replies;
mod requests;
mod scanner;

pub use counters::Counters;
pub use fault::Fault;
pub use plan::Rates;
pub use proxy::FaultProxy;
