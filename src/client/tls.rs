//! TLS with libpq's five meanings, on rustls with ring.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::target::TlsFiles;
use crate::config::values::TlsMode;

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("reading certificates from {path}")]
    Read { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("{path}: expected certificates in PEM form, found none")]
    Empty { path: PathBuf },
    #[error("using the certificates")]
    Use(#[from] Error),
    #[error("no root certificate was found on this system; name one with PGSSLROOTCERT")]
    NoRoots,
    #[error(
        "verify-ca needs PGSSLROOTCERT: any public authority would vouch for any server; or use verify-full"
    )]
    NoAuthority,
    #[error("PGSSLCERT and PGSSLKEY go together: one of them is missing")]
    HalfPair,
}

/// What to trust and what to show, for a mode that encrypts.
pub(super) fn client_config(mode: TlsMode, files: &TlsFiles) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    // libpq: `require` with a root certificate at hand verifies as `verify-ca` does.
    let verifies = match mode {
        TlsMode::VerifyCa | TlsMode::VerifyFull => true,
        TlsMode::Require => files.root.is_some(),
        TlsMode::Prefer | TlsMode::Disable => false,
    };
    if mode == TlsMode::VerifyCa && files.root.is_none() {
        return Err(TlsError::NoAuthority);
    }
    let inner = if verifies {
        let roots = Arc::new(roots(files.root.as_deref())?);
        let built = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        Some(built.map_err(|error| Error::General(error.to_string()))?)
    } else {
        None
    };
    let pinned = files.root.as_deref().map(read_certs).transpose()?.unwrap_or_default();
    let verifier = Verifier { provider, inner, names_host: mode == TlsMode::VerifyFull, pinned };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => Ok(builder.with_client_auth_cert(read_certs(cert)?, read_key(key)?)?),
        (None, None) => Ok(builder.with_no_client_auth()),
        _ => Err(TlsError::HalfPair),
    }
}

/// Believes whoever answers, and shows a certificate where it is asked for one: for talking to ourselves.
pub(super) fn trusting(
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { provider: provider.clone(), inner: None, names_host: false, pinned: vec![] };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match own {
        Some((certs, key)) => builder.with_client_auth_cert(certs, key),
        None => Ok(builder.with_no_client_auth()),
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let certs = match file {
        Some(path) => read_certs(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    store.add_parsable_certificates(certs);
    if store.is_empty() { Err(TlsError::NoRoots) } else { Ok(store) }
}

fn read_certs(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read { path: path.to_owned(), source };
    let certs: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(read)?.collect();
    match certs.map_err(read)? {
        certs if certs.is_empty() => Err(TlsError::Empty { path: path.to_owned() }),
        certs => Ok(certs),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

/// Asks as much of the server's certificate as the mode does.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// None: whoever answers is believed.
    inner: Option<Arc<WebPkiServerVerifier>>,
    names_host: bool,
    /// What the root file has. A server's own self-signed certificate in it vouches for that server, as with libpq;
    /// the library wants an authority that is not the server.
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.names_host => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.pinned.iter().any(|own| own == end_entity) =>
            {
                if self.names_host {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
