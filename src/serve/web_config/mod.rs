//! The web config file: how the listener protects itself. The format is that of Prometheus' exporter-toolkit, which its
//! exporters share; `bearer_tokens` is ours.

mod client_auth;
mod files;
mod headers;
mod rate;
mod tls;
mod users;
mod yaml;

use std::path::{Path, PathBuf};

use hyper::header::HeaderMap;

pub(super) use files::Files;
pub(super) use rate::Rate;
pub use tls::Identity;
pub(super) use tls::Tls;
pub(super) use users::{TokenDigest, User};
use yaml::Bad;

const KEYS: &[&str] =
    &["tls_server_config", "http_server_config", "basic_auth_users", "bearer_tokens", "rate_limit"];

/// What a web config file says.
#[derive(Default)]
pub(super) struct WebConfig {
    pub(super) tls: Option<Tls>,
    pub(super) headers: HeaderMap,
    pub(super) users: Vec<User>,
    pub(super) tokens: Vec<TokenDigest>,
    pub(super) rate: Option<Rate>,
}

impl WebConfig {
    pub(super) fn asks_who(&self) -> bool {
        !self.users.is_empty() || !self.tokens.is_empty()
    }
}

/// A web config file that cannot be used. It never holds a value that may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}", path = path.display())]
pub struct WebConfigError {
    path: PathBuf,
    what: String,
}

/// Reads the file and every file that it names; the second tells later whether one of them has changed.
pub(super) fn read(path: &Path) -> (Result<WebConfig, WebConfigError>, Files) {
    let mut files = Files::beside(path);
    let config = parse(path, &mut files)
        .map_err(|bad| WebConfigError { path: path.to_owned(), what: bad.to_string() });
    (config, files)
}

fn parse(path: &Path, files: &mut Files) -> Result<WebConfig, Bad> {
    let mut top = yaml::read(&text(path, files)?)?;
    let config = WebConfig {
        tls: tls::read(&mut top, files)?,
        headers: headers::read(&mut top)?,
        users: users::read_users(&mut top)?,
        tokens: users::read_tokens(&mut top, files)?,
        rate: rate::read(&mut top)?,
    };
    top.end(KEYS)?;
    Ok(config)
}

fn text(path: &Path, files: &mut Files) -> Result<String, Bad> {
    files.read(path).map_err(|error| Bad::new("reading it", error.to_string()))
}

/// The certificate and key that a listener with this file shows, where it speaks TLS.
///
/// # Errors
/// When they cannot be read; the rest of the file is not judged.
pub fn identity(path: &Path) -> Result<Option<Identity>, WebConfigError> {
    let mut files = Files::beside(path);
    let read = |files: &mut Files| -> Result<_, Bad> {
        let mut section = yaml::read(&text(path, files)?)?.take_map("tls_server_config")?;
        if section.is_empty() { Ok(None) } else { tls::read_identity(&mut section, files).map(Some) }
    };
    read(&mut files).map_err(|bad| WebConfigError { path: path.to_owned(), what: bad.to_string() })
}
