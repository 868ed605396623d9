//! `tls_server_config`: what the listener shows and asks for.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CipherSuite, NamedGroup, ServerConfig, SupportedProtocolVersion, version};

use super::client_auth::{self, Clients};
use super::files::Files;
use super::yaml::{Bad, Map, Node};

const KEYS: &[&str] = &[
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

/// What a TLS listener needs for each handshake.
pub(in crate::serve) struct Tls {
    pub(in crate::serve) config: Arc<ServerConfig>,
    /// Who may connect, where certificates are verified.
    pub(in crate::serve) clients: Option<Arc<Clients>>,
}

/// A chain of certificates and the key to its first one.
pub struct Identity {
    pub certs: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

pub(super) fn read(top: &mut Map, files: &mut Files) -> Result<Option<Tls>, Bad> {
    let mut section = top.take_map("tls_server_config")?;
    if section.is_empty() {
        return Ok(None);
    }
    let at = section.path("cert_file");
    let Identity { certs, key } = read_identity(&mut section, files)?;
    let provider = Arc::new(provider(&mut section)?);
    let versions = versions(&mut section)?;
    let prefer_ours = section.take("prefer_server_cipher_suites").map_or(Ok(true), Node::flag)?;
    let clients = client_auth::read(&mut section, files, &provider, &certs)?;
    section.end(KEYS)?;
    let cannot = |error: rustls::Error| Bad::new(&at, format!("using the certificate and its key: {error}"));
    let builder =
        ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions).map_err(cannot)?;
    let builder = match clients.clone() {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(certs, key).map_err(cannot)?;
    config.ignore_client_order = prefer_ours;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would not be asked for its certificate again, though that may have run out meanwhile.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Some(Tls { config: Arc::new(config), clients: clients.filter(|clients| clients.verify_who()) }))
}

pub(super) fn read_identity(section: &mut Map, files: &mut Files) -> Result<Identity, Bad> {
    let (at, text) = pem(section, files, "cert")?.ok_or_else(|| missing(section, "cert_file"))?;
    let certs = certificates(&at, &text)?;
    let (at, text) = pem(section, files, "key")?.ok_or_else(|| missing(section, "key_file"))?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| Bad::new(&at, "expected a private key in PEM form, without a password"))?;
    Ok(Identity { certs, key })
}

fn missing(section: &Map, key: &str) -> Bad {
    Bad::new(&section.path(key), "is not set, and TLS needs it")
}

/// A text that stands in the file itself or in the one that `…_file` names, and the key that gave it.
pub(super) fn pem(section: &mut Map, files: &mut Files, key: &str) -> Result<Option<(String, String)>, Bad> {
    let by_file = format!("{key}_file");
    let (inline_at, file_at) = (section.path(key), section.path(&by_file));
    match (section.take_text(key)?, section.take_text(&by_file)?) {
        (Some(_), Some(_)) => {
            Err(Bad::new(&inline_at, format!("is set, and so is {by_file}: one is enough")))
        }
        (Some(text), None) => Ok(Some((inline_at, text))),
        (None, Some(path)) => files.text(&file_at, &path).map(|text| Some((file_at, text))),
        (None, None) => Ok(None),
    }
}

pub(super) fn certificates(at: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, Bad> {
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match certs {
        Ok(certs) if !certs.is_empty() => Ok(certs),
        _ => Err(Bad::new(at, "expected certificates in PEM form")),
    }
}

/// Go's names, from the oldest on; what none stands for is too old for the library.
const VERSIONS: &[(&str, Option<&SupportedProtocolVersion>)] =
    &[("TLS10", None), ("TLS11", None), ("TLS12", Some(&version::TLS12)), ("TLS13", Some(&version::TLS13))];

fn versions(section: &mut Map) -> Result<Vec<&'static SupportedProtocolVersion>, Bad> {
    let (min_at, max_at) = (section.path("min_version"), section.path("max_version"));
    let min = section.take_text("min_version")?.map_or(Ok(2), |name| version_place(&min_at, &name))?;
    let max = section.take_text("max_version")?.map_or(Ok(3), |name| version_place(&max_at, &name))?;
    if min > max {
        return Err(Bad::new(&max_at, "is below min_version"));
    }
    Ok(VERSIONS[min..=max].iter().filter_map(|(_, version)| *version).collect())
}

fn version_place(at: &str, name: &str) -> Result<usize, Bad> {
    match VERSIONS.iter().position(|(known, _)| *known == name) {
        Some(place) if VERSIONS[place].1.is_some() => Ok(place),
        Some(_) => Err(Bad::new(at, format!("`{name}` is too old to be spoken here; write TLS12 or TLS13"))),
        None => Err(Bad::new(at, format!("expected TLS12 or TLS13, found `{name}`"))),
    }
}

/// Go's names and the suites behind them; TLS 1.3's stand first, as they do in a handshake.
const SUITES: &[(&str, CipherSuite)] = &[
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

const CURVES: &[(&str, NamedGroup)] = &[
    ("X25519", NamedGroup::X25519),
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
];

/// The library's algorithms, cut down and ordered as the lists say.
fn provider(section: &mut Map) -> Result<CryptoProvider, Bad> {
    let mut provider = ring::default_provider();
    let suites = choose(section, "cipher_suites", SUITES)?;
    let is_13 = |suite: &CipherSuite| SUITES[..3].iter().any(|(_, known)| known == suite);
    if !suites.is_empty() {
        let all = std::mem::take(&mut provider.cipher_suites);
        let chosen = suites.iter().filter_map(|name| all.iter().find(|suite| suite.suite() == *name));
        // As in Go, a list of older suites says nothing of TLS 1.3, whose suites are all good.
        let thirteen = all.iter().filter(|suite| is_13(&suite.suite()) && !suites.iter().any(is_13));
        provider.cipher_suites = chosen.chain(thirteen).copied().collect();
    }
    let curves = choose(section, "curve_preferences", CURVES)?;
    if !curves.is_empty() {
        let all = std::mem::take(&mut provider.kx_groups);
        let chosen = curves.iter().filter_map(|name| all.iter().find(|group| group.name() == *name));
        provider.kx_groups = chosen.copied().collect();
    }
    Ok(provider)
}

fn choose<T: Copy>(section: &mut Map, key: &str, table: &[(&str, T)]) -> Result<Vec<T>, Bad> {
    section.take_list(key)?.into_iter().map(|node| word(node, table)).collect()
}

/// One of a table's words; others may be good elsewhere, and are refused rather than left out.
pub(super) fn word<T: Copy>(node: Node, table: &[(&str, T)]) -> Result<T, Bad> {
    let at = node.at.clone();
    let found = node.text()?;
    let known = table.iter().find(|(name, _)| *name == found).map(|(_, value)| *value);
    known.ok_or_else(|| {
        let words: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        Bad::new(&at, format!("`{found}` cannot be had here; there are {}", words.join(", ")))
    })
}
