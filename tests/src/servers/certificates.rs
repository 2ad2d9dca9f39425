//! Certificates of private servers: an authority that nobody but the test believes, and what it signs.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// An authority, and the file that names it to those who shall believe it.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

/// What a server is given: PEM files.
pub struct ServerCertificate {
    pub certificate: String,
    pub key: String,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of one test");
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("an authority signs itself");
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("a new file");
        Self { issuer, directory }
    }
}

impl Authority {
    /// For the setting `ca_file`.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// For a server that is reached by this name or address.
    pub fn sign(&self, name: &str) -> ServerCertificate {
        let key = key();
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name of a host");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        ServerCertificate { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl ServerCertificate {
    /// Beside each other in this directory; their paths.
    pub fn write(&self, directory: &Path) -> [PathBuf; 2] {
        let [certificate, key] = ["server.pem", "server.key"].map(|name| directory.join(name));
        std::fs::write(&certificate, &self.certificate).expect("a new file");
        std::fs::write(&key, &self.key).expect("a new file");
        [certificate, key]
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a new key")
}
