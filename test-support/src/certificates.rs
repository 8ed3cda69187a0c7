//! Certificates for tests of TLS: an authority of a test's own, and what it signs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// A certificate authority that only the test knows that made it.
pub struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

/// A server's certificate with its private key, both as PEM.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
    /// The certificate of the authority that signed it, if that is not itself.
    pub(crate) authority: Option<String>,
}

impl ServerCertificate {
    /// One that no authority signed but its own key, for these host names and addresses, valid now.
    ///
    /// # Panics
    /// If a host is not one.
    pub fn self_signed(hosts: &[&str]) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params(hosts).self_signed(&key).expect("a key signs");
        Self { certificate: certificate.pem(), key: key.serialize_pem(), authority: None }
    }

    /// The certificate, as PEM.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// Its private key, as PEM.
    pub fn key_pem(&self) -> &str {
        &self.key
    }
}

impl CertificateAuthority {
    /// An authority with a new key.
    ///
    /// # Panics
    /// If the system gives no random bytes.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        // No two have the same name: of a namesake, only the signature would be wrong.
        let name = format!("Authority {:02x?}", &key.public_key_raw()[..16]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority signs its own certificate"))
    }

    /// Its own certificate, as PEM: who is given it trusts what this authority signs.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these host names and addresses, valid now.
    ///
    /// # Panics
    /// If a host is not one.
    pub fn certificate(&self, hosts: &[&str]) -> ServerCertificate {
        self.sign(&params(hosts))
    }

    /// A certificate for these hosts that expired years ago.
    ///
    /// # Panics
    /// If a host is not one.
    pub fn expired_certificate(&self, hosts: &[&str]) -> ServerCertificate {
        let mut params = params(hosts);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> ServerCertificate {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0).expect("an authority signs");
        let (certificate, key) = (certificate.pem(), key.serialize_pem());
        ServerCertificate { certificate, key, authority: Some(self.pem()) }
    }
}

fn params(hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("hosts have names that a certificate can hold");
    params.distinguished_name.push(DnType::CommonName, "A server of a test");
    params
}
