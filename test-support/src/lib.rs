//! Tools that the tests share: Redis servers of their own, free ports, and waiting with a bound.
//!
//! Everything is safe to use from any number of tests at once, in any number of processes. What is started
//! here is stopped when its handle is dropped, also by a test that fails.

mod certificates;
pub mod hostile;
mod logs;
mod port;
mod process;
mod program;
mod redis_cluster;
mod redis_server;
mod release;
mod sentinel;
mod wait;

pub use certificates::{CertificateAuthority, ServerCertificate};
pub use logs::Logs;
pub use port::ReservedPort;
pub use process::{Process, Signal};
pub use program::{need_program, redis_program, redis_program_of_version};
pub use redis_cluster::{Migration, RedisCluster};
pub use redis_server::{Database, RedisServer, RedisServerBuilder};
pub use release::release_program;
pub use sentinel::Sentinels;
pub use wait::wait_for;
