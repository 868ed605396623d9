//! Which clients may connect: `client_auth_type`, `client_ca` and `client_allowed_sans`.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::files::Files;
use super::tls::{certificates, pem, word};
use super::yaml::{Bad, Map, Node};

/// What is asked of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Demand {
    asks: bool,
    must_have: bool,
    verifies: bool,
}

const fn demand(asks: bool, must_have: bool, verifies: bool) -> Demand {
    Demand { asks, must_have, verifies }
}

/// Go's five words, and an older one that the format still takes.
const TYPES: &[(&str, Demand)] = &[
    ("NoClientCert", demand(false, false, false)),
    ("RequestClientCert", demand(true, false, false)),
    ("RequireAnyClientCert", demand(true, true, false)),
    ("VerifyClientCertIfGiven", demand(true, false, true)),
    ("RequireAndVerifyClientCert", demand(true, true, true)),
    ("RequireClientCert", demand(true, true, false)),
];

/// Asks as much of a client's certificate as the file does.
#[derive(Debug)]
pub(in crate::serve) struct Clients {
    demand: Demand,
    provider: Arc<CryptoProvider>,
    /// None: any certificate is believed.
    inner: Option<Arc<dyn ClientCertVerifier>>,
    /// What the authorities' file has. A self-signed certificate in it vouches for its owner, as it does in Go.
    pinned: Vec<CertificateDer<'static>>,
    allowed_sans: Vec<String>,
    /// The listener's own certificate: only who has its key can show it, and that is `pgpilot healthcheck`.
    own: Option<CertificateDer<'static>>,
}

pub(super) fn read(
    section: &mut Map,
    files: &mut Files,
    provider: &Arc<CryptoProvider>,
    own: &[CertificateDer<'static>],
) -> Result<Option<Arc<Clients>>, Bad> {
    let type_at = section.path("client_auth_type");
    let demand = section.take("client_auth_type").map_or(Ok(TYPES[0].1), |node| word(node, TYPES))?;
    let authority = pem(section, files, "client_ca")?;
    let allowed_sans: Result<Vec<_>, _> =
        section.take_list("client_allowed_sans")?.into_iter().map(Node::text).collect();
    let allowed_sans = allowed_sans?;
    if !demand.asks {
        let idle = authority.is_some() || !allowed_sans.is_empty();
        let said = "NoClientCert asks for no certificate, and client_ca or client_allowed_sans is set";
        return if idle { Err(Bad::new(&type_at, said)) } else { Ok(None) };
    }
    let pinned = authority.as_ref().map_or(Ok(vec![]), |(at, text)| certificates(at, text))?;
    let inner = match (demand.verifies, &authority) {
        (false, _) => None,
        (true, Some((at, _))) => Some(verifier(at, &pinned, provider)?),
        (true, None) => {
            return Err(Bad::new(
                &type_at,
                "needs client_ca_file: any public authority would vouch for anybody",
            ));
        }
    };
    let own = own.first().cloned();
    let clients = Clients { demand, provider: provider.clone(), inner, pinned, allowed_sans, own };
    Ok(Some(Arc::new(clients)))
}

fn verifier(
    at: &str,
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Bad> {
    let cannot = |error: String| Bad::new(at, format!("using the authorities: {error}"));
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| cannot(error.to_string()))?;
    }
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    built.map(|built| built as _).map_err(|error| cannot(error.to_string()))
}

impl Clients {
    /// Whether a certificate that is shown must be a good one.
    pub(super) fn verify_who(&self) -> bool {
        self.demand.verifies || !self.allowed_sans.is_empty()
    }

    /// Whether these may see everything; the listener's own certificate may not, unless it is one of them.
    pub(in crate::serve) fn vouches(&self, shown: Option<&[CertificateDer<'_>]>) -> bool {
        let Some([first, rest @ ..]) = shown else { return true };
        self.own.as_ref() != Some(first) || self.verify(first, rest, UnixTime::now()).is_ok()
    }

    fn verify(
        &self,
        first: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if let Some(inner) = &self.inner {
            match inner.verify_client_cert(first, rest, now) {
                Err(Error::InvalidCertificate(CertificateError::Other(_)))
                    if self.pinned.iter().any(|known| known == first) => {}
                verdict => {
                    verdict?;
                }
            }
        }
        if self.allowed_sans.is_empty() || names(first)?.iter().any(|name| self.allowed_sans.contains(name)) {
            return Ok(());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }
}

/// The names that a certificate is for: hosts, mail addresses, addresses and URIs, as they are compared.
fn names(cert: &CertificateDer<'_>) -> Result<Vec<String>, Error> {
    let unreadable = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let cert = x509_cert::Certificate::from_der(cert).map_err(unreadable)?;
    let found = cert.tbs_certificate.get::<SubjectAltName>().map_err(unreadable)?;
    Ok(found.map_or(vec![], |(_, names)| names.0.iter().filter_map(name).collect()))
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
        GeneralName::IpAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(bytes.as_bytes()).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes.as_bytes()).map(IpAddr::from);
            v4.or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::RegisteredId(_) => None,
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.demand.asks
    }

    fn client_auth_mandatory(&self) -> bool {
        self.demand.must_have
    }

    /// None: a client with several certificates is left to choose, and one with one shows it.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.as_ref().map_or(&[], |inner| inner.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.own.as_ref() != Some(end_entity) {
            self.verify(end_entity, intermediates, now)?;
        }
        Ok(ClientCertVerified::assertion())
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
