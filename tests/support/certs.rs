//! Certificates made for a test, and a client that speaks TLS over a real socket.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses its own part")]

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::web::{Reply, parse};

pub type Authority = CertifiedIssuer<'static, KeyPair>;

pub fn authority() -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key in PEM form.
#[derive(Clone)]
pub struct Pair {
    pub cert: String,
    pub key: String,
}

/// For a host of this name.
pub fn signed(name: &str, by: &Authority) -> Pair {
    signed_for(vec![SanType::DnsName(name.try_into().unwrap())], by)
}

pub fn signed_for(names: Vec<SanType>, by: &Authority) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.subject_alt_names = names;
    params.distinguished_name.push(DnType::CommonName, "x");
    Pair { cert: params.signed_by(&key, by).unwrap().pem(), key: key.serialize_pem() }
}

/// Vouched for by nobody but itself, and made as `openssl req -x509` does.
pub fn self_signed() -> Pair {
    let own = authority();
    Pair { cert: own.pem(), key: own.key().serialize_pem() }
}

/// Writes `<name>.crt` and `<name>.key`.
pub fn write_pair(folder: &Path, name: &str, pair: &Pair) {
    std::fs::write(folder.join(format!("{name}.crt")), &pair.cert).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), &pair.key).unwrap();
}

/// A client that trusts one authority.
pub struct Client {
    pub trusts: String,
    pub shows: Option<Pair>,
    pub speaks: &'static [&'static rustls::SupportedProtocolVersion],
    pub offers: &'static [&'static [u8]],
}

impl Client {
    pub fn trusting(authority: &Authority) -> Self {
        Self { trusts: authority.pem(), shows: None, speaks: rustls::ALL_VERSIONS, offers: &[] }
    }

    #[must_use]
    pub fn showing(self, pair: &Pair) -> Self {
        Self { shows: Some(pair.clone()), ..self }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.speaks)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.shows {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![cert], key).unwrap()
            }
        };
        config.alpn_protocols = self.offers.iter().map(|name| name.to_vec()).collect();
        config
    }

    /// A connection whose handshake is done, as far as the client can tell.
    pub fn connect(&self, address: SocketAddr) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::new(self.config()), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| error.to_string())?;
        }
        Ok(stream)
    }

    /// The answer to a GET, or what the other side's refusal comes to.
    pub fn get(&self, address: SocketAddr, path: &str, headers: &[&str]) -> Result<Reply, String> {
        use std::io::Read as _;
        let mut stream = self.connect(address)?;
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n")
            .map_err(|error| error.to_string())?;
        let mut all = vec![];
        let read = stream.read_to_end(&mut all).map_err(|error| error.to_string());
        if all.is_empty() {
            read?;
        }
        Ok(parse(&all))
    }
}
