//! From options to a server to connect to. The `ssl…` keys are ours, since the driver knows only three modes.

use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::{Config, Host, SslMode};

use crate::config::values::{Secret, Text, TlsMode};

/// A server, a role and how to protect the way there.
#[derive(Clone)]
pub struct Target {
    pub(super) config: Config,
    pub(super) tls: TlsMode,
    pub(super) files: TlsFiles,
    pub(super) connect_timeout: Duration,
    label: String,
}

/// Certificates on disk; none of them is needed unless the mode or the server asks.
#[derive(Debug, Clone, Default)]
pub(super) struct TlsFiles {
    pub(super) root: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// A connection string that cannot be used. It never holds the string itself: that has the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PGPILOT_DATABASE_URL: {0}; for example {EXAMPLE}")]
pub struct TargetError(String);

const EXAMPLE: &str = "postgresql://pgpilot:secret@postgres:5432/postgres";

impl TargetError {
    /// The same, where another variable gave the string.
    pub fn of(&self, variable: &str) -> String {
        format!("{variable}: {}; for example {EXAMPLE}", self.0)
    }
}

/// What the options say of the connection.
pub struct Wanted<'a> {
    pub url: Option<&'a Secret>,
    pub host: Option<&'a Text>,
    pub port: Option<&'a Text>,
    pub user: Option<&'a Text>,
    pub password: Option<&'a Secret>,
    pub database: Option<&'a Text>,
    pub tls: Option<TlsMode>,
    pub root: Option<&'a Text>,
    pub cert: Option<&'a Text>,
    pub key: Option<&'a Text>,
    pub connect_timeout: Duration,
}

impl Target {
    /// Reads the connection string, or the separate variables where there is none.
    ///
    /// # Errors
    /// When the string is not one, names no host, or has an unknown `sslmode`.
    pub fn new(wanted: &Wanted<'_>) -> Result<Self, TargetError> {
        let (text, own) = split_ssl(wanted.url.map_or("", Secret::expose))?;
        let mut config: Config = text.parse().map_err(|_| unreadable())?;
        fill(&mut config, wanted)?;
        let mode = own.iter().find(|(key, _)| key == "sslmode").map(|(_, mode)| mode.clone());
        let mode =
            mode.map(TlsMode::try_from).transpose().map_err(|what| TargetError(format!("sslmode {what}")))?;
        let file = |key: &str, given: Option<&Text>| {
            let stated = own.iter().find(|(known, _)| known == key).map(|(_, path)| path.clone());
            given.map(|path| path.0.clone()).or(stated).filter(|path| path != "system").map(PathBuf::from)
        };
        let files = TlsFiles {
            root: file("sslrootcert", wanted.root),
            cert: file("sslcert", wanted.cert),
            key: file("sslkey", wanted.key),
        };
        let tls = wanted.tls.or(mode).unwrap_or(TlsMode::Prefer);
        config.ssl_mode(match tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
        });
        let label = label(&config);
        Ok(Self { config, tls, files, connect_timeout: wanted.connect_timeout, label })
    }

    /// `role@host:port/database`, without the password.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.label)
    }
}

fn unreadable() -> TargetError {
    TargetError("is no connection string".to_owned())
}

/// The separate variables fill what the string leaves open.
fn fill(config: &mut Config, wanted: &Wanted<'_>) -> Result<(), TargetError> {
    if config.get_hosts().is_empty() {
        let host = wanted.host.ok_or_else(|| TargetError("is not set, and neither is PGHOST".to_owned()))?;
        config.host(&host.0);
    }
    if config.get_ports().is_empty() {
        let port = wanted.port.map_or("5432", |port| &port.0);
        config.port(port.parse().map_err(|_| TargetError(format!("PGPORT: `{port}` is no port")))?);
    }
    if config.get_user().is_none() {
        config.user(wanted.user.map_or("postgres", |user| &user.0));
    }
    if let (None, Some(password)) = (config.get_password(), wanted.password) {
        config.password(password.expose());
    }
    if config.get_dbname().is_none() {
        let user = config.get_user().unwrap_or("postgres").to_owned();
        config.dbname(wanted.database.map_or(user.as_str(), |database| &database.0));
    }
    Ok(())
}

type Pairs = Vec<(String, String)>;

/// Takes the keys `sslmode`, `sslrootcert`, `sslcert` and `sslkey` out of a connection string of either form.
fn split_ssl(text: &str) -> Result<(String, Pairs), TargetError> {
    const OURS: &[&str] = &["sslmode", "sslrootcert", "sslcert", "sslkey"];
    let is_url = text.starts_with("postgresql://") || text.starts_with("postgres://");
    if !is_url && !text.is_empty() && !text.contains('=') {
        return Err(unreadable());
    }
    let (head, tail, separator) = match (is_url, text.split_once('?')) {
        (true, Some((head, query))) => (format!("{head}?"), query, '&'),
        (true, None) => return Ok((text.to_owned(), vec![])),
        (false, _) => (String::new(), text, ' '),
    };
    let (mut rest, mut ours) = (vec![], vec![]);
    for part in tail.split(separator).filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((key, value)) if OURS.contains(&key) => ours.push((key.to_owned(), unescape(value))),
            _ => rest.push(part),
        }
    }
    let rest = rest.join(&separator.to_string());
    Ok((format!("{head}{rest}").trim_end_matches('?').to_owned(), ours))
}

/// Paths come percent-encoded in a URL and quoted in the other form; of both only the common cases occur in paths.
fn unescape(text: &str) -> String {
    text.replace("%2F", "/").replace("%2f", "/").trim_matches('\'').to_owned()
}

fn label(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or_default();
    format!("{user}@{host}:{port}/{}", config.get_dbname().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(url: Option<&Secret>) -> Wanted<'_> {
        Wanted {
            url,
            host: None,
            port: None,
            user: None,
            password: None,
            database: None,
            tls: None,
            root: None,
            cert: None,
            key: None,
            connect_timeout: Duration::from_secs(3),
        }
    }

    fn read(url: &str) -> Result<Target, TargetError> {
        Target::new(&wanted(Some(&Secret::new(url))))
    }

    #[test]
    fn both_forms_are_read_and_the_ssl_keys_are_ours() {
        let rows = [
            (
                "postgresql://a:pw@db:5433/kaspa?sslmode=verify-full&sslrootcert=%2Fc%2Froot.crt",
                "a@db:5433/kaspa",
                TlsMode::VerifyFull,
            ),
            ("postgres://a@db/kaspa?connect_timeout=5&sslmode=require", "a@db:5432/kaspa", TlsMode::Require),
            (
                "host=db user=a dbname=kaspa password='p w' sslmode=verify-ca",
                "a@db:5432/kaspa",
                TlsMode::VerifyCa,
            ),
            ("postgres://a@db/kaspa", "a@db:5432/kaspa", TlsMode::Prefer),
            ("postgres://a@%2Frun%2Fpg/kaspa", "a@/run/pg:5432/kaspa", TlsMode::Prefer),
            (
                "postgresql://a%40b:p%2Fw@/kaspa?host=/run/pg&port=5433",
                "a@b@/run/pg:5433/kaspa",
                TlsMode::Prefer,
            ),
        ];
        for (url, label, tls) in rows {
            let target = read(url).unwrap();
            assert_eq!((target.label(), target.tls), (label, tls), "{url}");
        }
    }

    #[test]
    fn a_bad_string_is_refused_without_being_repeated() {
        for bad in ["hunter2", "postgres://a:hunter2@db/x?sslmode=maybe", "postgres://a:hunter2@[db/x"] {
            let said = format!("{:?} {}", read(bad), read(bad).unwrap_err());
            assert!(!said.contains("hunter2") && said.contains("PGPILOT_DATABASE_URL"), "{said}");
        }
    }

    #[test]
    fn without_a_string_the_separate_variables_count() {
        let (host, password) = (Text("db".to_owned()), Secret::new("pw"));
        let target =
            Target::new(&Wanted { host: Some(&host), password: Some(&password), ..wanted(None) }).unwrap();
        assert_eq!(target.label(), "postgres@db:5432/postgres");
        assert!(Target::new(&wanted(None)).unwrap_err().to_string().contains("PGHOST"));
    }
}
