//! The options of a server, and its first start.

use super::{RedisServer, SOCKET};
use crate::{ReservedPort, ServerCertificate, redis_program};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Starts that may fail because another process was faster with the port.
const ATTEMPTS: usize = 5;

/// Options of a [`RedisServer`].
#[derive(Clone, Debug, Default)]
pub struct RedisServerBuilder {
    program: Option<PathBuf>,
    append_only: bool,
    tls: Option<ServerCertificate>,
    options: Vec<String>,
}

impl RedisServerBuilder {
    /// Starts this server program in place of [`redis_program`].
    #[must_use]
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// Whether it keeps an append-only file, synced every second. By default it keeps nothing.
    #[must_use]
    pub fn append_only(mut self, append_only: bool) -> Self {
        self.append_only = append_only;
        self
    }

    /// One more option, as in `redis.conf`: `("maxmemory", "1mb")`.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.options.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    /// Has its port speak TLS, and nothing else, and show this certificate. It asks its clients for none.
    #[must_use]
    pub fn tls(mut self, certificate: ServerCertificate) -> Self {
        self.tls = Some(certificate);
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Panics
    /// If there is no server program, or it does not start.
    pub fn start(self) -> RedisServer {
        let mut failed = String::new();
        let program = self.program.clone().unwrap_or_else(redis_program);
        for _ in 0..ATTEMPTS {
            let port = ReservedPort::new();
            let data = TempDir::with_prefix("visits-redis-").expect("a temporary folder can be made");
            let options = self.arguments(port.number(), data.path());
            let (program, tls) = (program.clone(), self.tls.is_some());
            let mut server = RedisServer { program, port, data, options, tls, process: None };
            match server.try_start() {
                Ok(()) => return server,
                Err(reason) => failed = reason,
            }
        }
        panic!("{failed}");
    }

    fn arguments(&self, port: u16, data: &Path) -> Vec<String> {
        let append_only = if self.append_only { "yes" } else { "no" };
        let port = port.to_string();
        let mut arguments = match &self.tls {
            None => vec!["--port", &port],
            Some(certificate) => {
                let write = |name: &str, pem: &str| fs::write(data.join(name), pem).expect("its folder can be written");
                write("server.crt", &certificate.certificate);
                write("server.key", &certificate.key);
                let files = ["--tls-cert-file", "server.crt", "--tls-key-file", "server.key"];
                let authority: &[&str] = match &certificate.authority {
                    None => &[],
                    Some(pem) => {
                        write("ca.crt", pem);
                        &["--tls-ca-cert-file", "ca.crt"]
                    }
                };
                let only_tls = ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"];
                [&files[..], authority, &only_tls, &["--unixsocket", SOCKET]].concat()
            }
        };
        arguments.extend(["--bind", "127.0.0.1", "--save", "", "--appendfsync", "everysec"]);
        arguments.extend(["--appendonly", append_only]);
        arguments.into_iter().map(str::to_owned).chain(self.options.iter().cloned()).collect()
    }
}
