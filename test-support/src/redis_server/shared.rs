//! One server for all tests of a process.

use super::RedisServer;
use redis::{Client, Connection, RedisResult};
use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// Databases of the shared server: far more than a test program uses at once.
const DATABASES: u32 = 20_000;

/// Databases that were given back, the first one first.
static FREE: Mutex<VecDeque<u32>> = Mutex::new(VecDeque::new());

/// A database of its own on the server that all tests of this process share. Emptied when dropped.
///
/// The server is started by the first test that asks for it and keeps nothing on disk. A test that changes its
/// settings, or counts its commands, needs a [`RedisServer`] of its own.
///
/// ```
/// use test_support::Database;
///
/// let database = Database::new();
/// let _: () = redis::cmd("SET").arg("key").arg(1).query(&mut database.connect())?;
/// let others: usize = redis::cmd("DBSIZE").query(&mut Database::new().connect())?;
/// assert_eq!(others, 0);
/// # Ok::<(), redis::RedisError>(())
/// ```
#[derive(Debug)]
pub struct Database {
    number: u32,
}

impl Database {
    /// Takes a database that no other test has.
    ///
    /// # Panics
    /// If the server does not start, or all of its databases are in use.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        /// The first one that was never taken.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if number < DATABASES {
            return Self { number };
        }
        let number = lock().pop_front().expect("a database is free");
        Self { number }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}/{}", Shared::get().server.url(), self.number)
    }

    /// A connection of the test's own, to look inside.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn connect(&self) -> Connection {
        self.try_connect().unwrap_or_else(|error| panic!("{}: {error}", self.url()))
    }

    fn try_connect(&self) -> RedisResult<Connection> {
        Client::open(self.url())?.get_connection()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It fails only for a server that is gone with all its data.
        let _ = self.try_connect().and_then(|mut redis| redis::cmd("FLUSHDB").query::<()>(&mut redis));
        lock().push_back(self.number);
    }
}

fn lock() -> MutexGuard<'static, VecDeque<u32>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server, and the process that ends it: what a static holds is never dropped.
#[derive(Debug)]
struct Shared {
    server: RedisServer,
    _ends_it: Child,
}

impl Shared {
    fn get() -> &'static Self {
        static SHARED: LazyLock<Shared> = LazyLock::new(|| {
            let server = RedisServer::builder().option("databases", &DATABASES.to_string()).start();
            let id = server.process.as_ref().expect("the server runs").id();
            // Its input ends with this process, however that ends.
            let mut command = Command::new("sh");
            command.args(["-c", "read _; kill -9 \"$1\"; rm -rf \"$2\"", "sh", &id.to_string()]).arg(server.data());
            let ends_it = command.stdin(Stdio::piped()).spawn().expect("sh runs");
            Shared { server, _ends_it: ends_it }
        });
        &SHARED
    }
}
