//! TLS to a server. Its certificate and its name are always verified: there is no insecure mode.
//!
//! Roots and settings are built by the client for each connection that it opens, so a start costs nothing.

use crate::config::CaCertificates;
use redis::{Client, ConnectionInfo, RedisResult, TlsCertificates};
use rustls::crypto::ring;

/// A client that speaks TLS, and trusts these authorities or else the built-in ones.
pub(super) fn client(info: ConnectionInfo, authorities: Option<&CaCertificates>) -> RedisResult<Client> {
    match authorities {
        // Without this the client takes Mozilla's roots, which are compiled in.
        None => Client::open(info),
        Some(authorities) => {
            let root_cert = Some(authorities.pem().as_bytes().to_vec());
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        }
    }
}

/// Chooses the cryptography, before the first connection. The client takes what the process has chosen, and panics
/// where it would have to guess: that must not hang on whether some crate links a second one.
pub(super) fn choose_cryptography() {
    // An error says that a choice was made before.
    let _ = ring::default_provider().install_default();
}
