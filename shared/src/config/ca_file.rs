//! `REDIS_CA_FILE`: whose signature on a server's certificate is believed.

use super::text_file::{self, TextFileError};
use super::variables::BUILT_IN_ROOTS;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Largest file, in bytes. All of Mozilla's roots take 220 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// The certificates of the authorities that are trusted instead of the built-in ones, checked. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificates(Arc<str>);

impl CaCertificates {
    /// The file as it was read: at least one certificate, as PEM, and each of them is one.
    pub fn pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CaCertificates {
    /// Without the text: where somebody put it there, a private key is a part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaCertificates").finish_non_exhaustive()
    }
}

/// What is wrong with the file. Nothing of what it holds is repeated: it may be a private key.
#[derive(Debug, thiserror::Error)]
pub(super) enum CaFileError {
    #[error(transparent)]
    File(#[from] TextFileError),
    #[error("it holds PEM itself; the path of a file with it is wanted")]
    Pem,
    #[error("the file has no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    #[error("certificate {0} of the file is broken: {1}")]
    Broken(usize, String),
}

/// None: the built-in roots. No file is touched then.
pub(super) fn read(value: &str) -> Result<Option<CaCertificates>, CaFileError> {
    if value == BUILT_IN_ROOTS {
        return Ok(None);
    }
    if value.contains("-----BEGIN") {
        return Err(CaFileError::Pem);
    }
    let pem = text_file::read(Path::new(value), MAX_BYTES)?;
    check(&pem)?;
    Ok(Some(CaCertificates(pem.into())))
}

/// As the Redis client will read it, so that it never fails there.
fn check(pem: &str) -> Result<(), CaFileError> {
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(pem.as_bytes())) {
        let broken = |error: &dyn ToString| CaFileError::Broken(number, error.to_string());
        let certificate = certificate.map_err(|error| broken(&error))?;
        roots.add(certificate).map_err(|error| broken(&error))?;
    }
    if roots.is_empty() { Err(CaFileError::NoCertificate) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_support::CertificateAuthority;

    fn of(content: impl AsRef<[u8]>) -> Result<Option<CaCertificates>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, content).unwrap();
        read(file.path().to_str().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_with_certificates_and_text_around_them_is_taken_as_it_is() {
        let (one, two) = (CertificateAuthority::new().pem(), CertificateAuthority::new().pem());
        for content in [one.clone(), format!("# The first\n{one}\n# The second\n{two}"), one.replace('\n', "\r\n")] {
            assert_eq!(of(&content).unwrap().unwrap().pem(), content);
        }
    }

    #[test]
    fn without_a_file_the_built_in_roots_hold() {
        assert_eq!(read(BUILT_IN_ROOTS).unwrap(), None);
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        for content in ["", "\n", "no certificate", key] {
            assert!(of(content).unwrap_err().contains("no certificate in PEM"), "{content}");
        }
        assert_eq!(of([0x30, 0x82, 0xff]).unwrap_err(), "the file is not text");
    }

    #[test]
    fn one_broken_certificate_spoils_the_file_and_is_told_by_its_number() {
        let pem = CertificateAuthority::new().pem();
        let no_end = &pem[..pem.len() / 2];
        let no_certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let no_base64 = pem.replacen("\nM", "\n*", 1);
        for broken in [no_end, no_certificate, &no_base64] {
            let reason = of(format!("{pem}{broken}")).unwrap_err();
            assert!(reason.starts_with("certificate 2 of the file is broken: "), "{broken}: {reason}");
        }
    }

    #[test]
    fn what_is_no_file_of_a_sensible_size_is_refused() {
        assert!(read("/no/such/file").unwrap_err().to_string().starts_with("the file cannot be read: No such file"));
        assert_eq!(read("/").unwrap_err().to_string(), "it is not a file");
        assert_eq!(of("#".repeat((1 << 20) + 1)).unwrap_err(), "the file is longer than 1048576 bytes");
        assert!(read(&CertificateAuthority::new().pem()).unwrap_err().to_string().contains("the path of a file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_named_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read(pipe.to_str().unwrap()).unwrap_err().to_string(), "it is not a file");
    }

    #[test]
    fn what_the_file_holds_is_never_shown() {
        let pem = CertificateAuthority::new().pem();
        let secret = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        let shown = format!("{:?}", of(format!("{pem}{secret}")).unwrap());
        assert_eq!(shown, "Some(CaCertificates { .. })");
    }
}
