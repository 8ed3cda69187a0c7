//! Loopback ports that no other process takes while a test needs them.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::PathBuf;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which systems take the ports of outgoing connections (32768 and up on Linux, 49152
/// on others): a server that restarts must not find that one of those has its port.
const PORTS: Range<u16> = 20_000..32_000;

/// A free port on 127.0.0.1. Tests in other processes leave it alone as long as this lives, also while
/// no server listens on it.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    /// Holds an advisory lock, which ends with the process at the latest.
    _lock: File,
}

impl ReservedPort {
    /// Reserves a port that is free now.
    ///
    /// # Panics
    /// If there is none.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        /// Where the next search begins.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let count = PORTS.end - PORTS.start;
        // Processes begin at different places, so that they seldom meet.
        let begin = u16::try_from(process::id() % u32::from(count)).unwrap_or_default();
        let folder = folder();
        fs::create_dir_all(&folder).expect("the folder of the port locks can be made");
        (0..count)
            .find_map(|_| {
                let offset = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
                let number = PORTS.start + offset;
                let lock = File::create(folder.join(number.to_string())).ok()?;
                lock.try_lock().ok()?;
                is_free(number).then_some(Self { number, _lock: lock })
            })
            .expect("a loopback port is free")
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The socket address on the loopback interface.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }
}

/// The folder of the locks.
fn folder() -> PathBuf {
    env::temp_dir().join(format!("visits-test-ports-{}", env::var("USER").unwrap_or_default()))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_port_is_given_twice() {
        let ports: Vec<ReservedPort> = (0..50).map(|_| ReservedPort::new()).collect();
        assert_eq!(ports.iter().map(ReservedPort::number).collect::<HashSet<_>>().len(), 50);
    }

    #[test]
    fn a_reserved_port_is_locked_until_it_is_dropped() {
        let port = ReservedPort::new();
        let lock = File::create(folder().join(port.number().to_string())).unwrap();
        assert!(lock.try_lock().is_err());
        drop(port);
        assert!(lock.try_lock().is_ok());
    }
}
