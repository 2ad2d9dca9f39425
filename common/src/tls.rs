//! TLS towards RabbitMQ and PostgreSQL: whose certificates are believed, and what helps where none is.
//!
//! Always with the server's name and its whole chain held against what is trusted: the certificates of `ca_file` where
//! there is one, and nothing else, or else those that this machine trusts. Built with the feature `tls` only; a program
//! without it knows enough to say so. TLS towards vendors and callers is not this module's: see `providers::http`.

#[cfg(feature = "tls")]
pub(crate) use built::{Tls, TlsError, remedy};
#[cfg(not(feature = "tls"))]
pub(crate) use left_out::{Tls, TlsError, remedy};

/// What a program without the feature has instead: nothing that could exist, and a word about it.
#[cfg(not(feature = "tls"))]
mod left_out {
    use std::path::Path;

    #[derive(Debug, thiserror::Error)]
    #[error("this program was built without TLS; build it with --features tls")]
    pub(crate) struct TlsError;

    #[derive(Clone)]
    pub(crate) enum Tls {}

    impl Tls {
        pub(crate) fn read(_: Option<&Path>) -> Result<Self, TlsError> {
            Err(TlsError)
        }
    }

    pub(crate) fn remedy(_: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
        None
    }
}

#[cfg(feature = "tls")]
mod built {
    use std::error::Error as StdError;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use rustls::crypto::ring;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{CertificateError, ClientConfig, Error, RootCertStore};

    #[derive(Debug, thiserror::Error)]
    pub(crate) enum TlsError {
        #[error("ca_file {} cannot be read: {why}", path.display())]
        Unreadable { path: PathBuf, why: String },
        #[error("ca_file {} holds no certificate that can be trusted; it must be PEM", path.display())]
        NoCertificate { path: PathBuf },
        #[error("this machine trusts no certificate at all; install its ca-certificates, or set ca_file")]
        NoneTrusted,
    }

    /// How one server is spoken to.
    #[derive(Clone)]
    pub(crate) struct Tls(pub(crate) Arc<ClientConfig>);

    impl Tls {
        pub(crate) fn read(ca_file: Option<&Path>) -> Result<Self, TlsError> {
            let trusted = match ca_file {
                Some(path) => of_file(path)?,
                None => of_machine()?,
            };
            let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("ring speaks every version that rustls does")
                .with_root_certificates(trusted)
                .with_no_client_auth();
            Ok(Self(Arc::new(config)))
        }
    }

    fn of_file(path: &Path) -> Result<RootCertStore, TlsError> {
        let unreadable = |why: String| TlsError::Unreadable { path: path.to_owned(), why };
        let none = || TlsError::NoCertificate { path: path.to_owned() };
        let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let mut trusted = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&text) {
            trusted.add(certificate.map_err(|_| none())?).map_err(|_| none())?;
        }
        if trusted.is_empty() { Err(none()) } else { Ok(trusted) }
    }

    fn of_machine() -> Result<RootCertStore, TlsError> {
        let mut trusted = RootCertStore::empty();
        // Machines carry certificates that nobody can use any more; those that can be used count.
        trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if trusted.is_empty() { Err(TlsError::NoneTrusted) } else { Ok(trusted) }
    }

    /// What would help, where a connection failed for its TLS.
    pub(crate) fn remedy(error: &(dyn StdError + 'static)) -> Option<&'static str> {
        let inner = error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        let error = match inner {
            Some(inner) => inner.downcast_ref::<Error>(),
            None => error.downcast_ref::<Error>(),
        };
        error.map(of_tls)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors are many and grow; most have one remedy")]
    fn of_tls(error: &Error) -> &'static str {
        match error {
            Error::InvalidCertificate(certificate) => of_certificate(certificate),
            Error::InvalidMessage(_) => "is that its TLS port? What answers there speaks something else",
            _ => "the server must speak TLS 1.2 or 1.3 and have a certificate of its own",
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the library's errors are many and grow; most have one remedy")]
    fn of_certificate(error: &CertificateError) -> &'static str {
        match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "name the certificate of the authority that signed its own by ca_file"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "use a host in the url that its certificate is for"
            }
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => "renew its certificate, or set the clock of this machine",
            _ => "give it a certificate for servers that an authority signed; the authority's own is none",
        }
    }
}
