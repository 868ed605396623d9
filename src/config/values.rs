//! The types of options: each reads its text and says, when it cannot, what a good one looks like.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::model::facts::{Media, Reserve};
use crate::model::units::{Bytes, Millis};

/// A secret: it has no way to be printed.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What pgpilot may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Mode {
    /// Nothing is written.
    Observe,
    /// Plans are shown; a person applies them.
    Recommend,
    /// `serve` writes what needs no restart.
    Apply,
}

/// How the connection to PostgreSQL is protected, with libpq's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TlsMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Which bounds the formulas get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ProfileName {
    Auto,
    LowMemory,
    Standard,
    HighPerformance,
    Custom,
}

/// A type whose values are words of a table.
macro_rules! words {
    ($type:ident : $($word:literal => $value:expr),+ $(,)?) => {
        impl $type {
            pub const WORDS: &[(&str, Self)] = &[$(($word, $value)),+];

            pub fn as_label(self) -> &'static str {
                Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
            }
        }

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let known = Self::WORDS.iter().find(|(word, _)| *word == text.trim());
                known.map(|(_, value)| *value).ok_or_else(|| {
                    let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
                    format!("`{text}` is not one of {}", words.join(", "))
                })
            }
        }
    };
}

words!(Mode: "observe" => Self::Observe, "recommend" => Self::Recommend, "apply" => Self::Apply);
words!(TlsMode:
    "disable" => Self::Disable, "prefer" => Self::Prefer, "require" => Self::Require,
    "verify-ca" => Self::VerifyCa, "verify-full" => Self::VerifyFull,
);
words!(ProfileName:
    "auto" => Self::Auto, "low-memory" => Self::LowMemory, "standard" => Self::Standard,
    "high-performance" => Self::HighPerformance, "custom" => Self::Custom,
);

/// A size with its unit, such as `8GB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub Bytes);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// Nothing that pgpilot waits for takes longer than a day; PostgreSQL's own timeouts end at 24.
const MOST_MILLIS: u64 = 24 * 3_600_000;

/// A length of time with its unit, such as `15s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(pub Duration);

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.parse()? {
            Millis(0) => Err(format!("`{text}` is no length of time to wait: write at least 1ms")),
            Millis(millis) if millis > MOST_MILLIS => Err(format!("`{text}` is longer than a day")),
            Millis(millis) => Ok(Self(Duration::from_millis(millis))),
        }
    }
}

/// A whole number from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Count(pub u32);

impl TryFrom<String> for Count {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.trim().parse() {
            Ok(n) if n >= 1 => Ok(Self(n)),
            _ => Err(format!("`{text}` is not a whole number from 1 on")),
        }
    }
}

/// `50%`, or a size such as `6GB`, or `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ReserveText(pub Reserve);

impl TryFrom<String> for ReserveText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is neither a share such as 50% (at most 95%) nor a size such as 6GB nor 0");
        if text.trim() == "0" {
            return Ok(Self(Reserve::Size(Bytes(0))));
        }
        match text.trim().strip_suffix('%') {
            Some(share) => match share.trim().parse() {
                Ok(share) if share <= 95 => Ok(Self(Reserve::Percent(share))),
                _ => Err(bad()),
            },
            None => text.parse().map(|size| Self(Reserve::Size(size))).map_err(|_| bad()),
        }
    }
}

/// What the data lies on; `zfs` says the file system and leaves the disks unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StorageName {
    pub media: Media,
    /// The file system is ZFS, whatever lies below it.
    pub zfs: bool,
}

const STORAGES: &[(&str, StorageName)] = &[
    ("hdd", StorageName { media: Media::Hdd, zfs: false }),
    ("ssd", StorageName { media: Media::Ssd, zfs: false }),
    ("nvme", StorageName { media: Media::Nvme, zfs: false }),
    ("network", StorageName { media: Media::Network, zfs: false }),
    ("zfs", StorageName { media: Media::Unknown, zfs: true }),
];

impl TryFrom<String> for StorageName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = STORAGES.iter().find(|(name, ..)| *name == text.trim());
        known
            .map(|(_, storage)| *storage)
            .ok_or_else(|| format!("`{text}` is not one of hdd, ssd, nvme, network, zfs"))
    }
}

/// Names of settings, or all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Names {
    #[default]
    None,
    These(Vec<String>),
    All,
}

impl TryFrom<String> for Names {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        match names.as_slice() {
            [word] if word == "none" => Ok(Self::None),
            [word] if word == "all" => Ok(Self::All),
            _ if names.iter().all(|name| is_name(name)) => Ok(Self::These(names)),
            _ => Err(format!("`{text}` is not a list of settings, `all` or `none`")),
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.".contains(c))
}

/// Addresses and ports to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(pub Vec<Address>);

/// An address, or the name of a host, and a port. Prints as it is dialled: `host:port`, `[::1]:9187`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let addresses: Option<Vec<_>> = text.split(',').map(|part| address(part.trim())).collect();
        addresses.map(Self).ok_or_else(|| format!("`{text}` is no address and port, and no list of them"))
    }
}

fn address(text: &str) -> Option<Address> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok()?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_name = |host: &str| host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    let host = match bracketed {
        Some(host) => host.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
        // `:9187` is how postgres_exporter's users write "every address".
        None if host.is_empty() => "0.0.0.0".to_owned(),
        None if is_name(host) => host.to_owned(),
        None => return None,
    };
    Some(Address { host, port })
}

/// Where the metrics are found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct UrlPath(pub String);

/// What the HTTP server has at other paths.
pub const TAKEN_PATHS: &[&str] = &["/plan", "/facts", "/healthz", "/readyz"];

impl TryFrom<String> for UrlPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if !text.starts_with('/') || !text.chars().all(is_plain) {
            return Err(format!(
                "`{text}` is no path: write a slash, then letters, digits, - _ . ~ and slashes"
            ));
        }
        if TAKEN_PATHS.contains(&text.as_str()) {
            return Err(format!("`{text}` is taken by another page"));
        }
        Ok(Self(text))
    }
}

/// Names of collectors that are not to run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CollectorNames(pub Vec<String>);

impl TryFrom<String> for CollectorNames {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Names::try_from(text.clone()) {
            Ok(Names::None) => Ok(Self(vec![])),
            Ok(Names::These(names)) => Ok(Self(names)),
            Ok(Names::All) | Err(_) => Err(format!("`{text}` is not a list of collectors, and not `none`")),
        }
    }
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// For people: a sentence, then `name=value`.
    Text,
    /// For programs: one object a line.
    Json,
}

words!(LogFormat: "text" => Self::Text, "json" => Self::Json);

/// What is logged: a level, or a comma list of levels and `target=level`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct LogFilter(pub String);

const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

impl TryFrom<String> for LogFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_level = |word: &str| LEVELS.contains(&word.trim());
        let is_target = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
        };
        // A bare word that is no level would be a target for the log library, and silence all others.
        let good = |part: &str| match part.split_once('=') {
            Some((target, level)) => is_target(target.trim()) && is_level(level),
            None => is_level(part),
        };
        if text.split(',').all(good) {
            Ok(Self(text))
        } else {
            Err(format!("`{text}` is no level ({}) and no list of them", LEVELS.join(", ")))
        }
    }
}

/// A text that must not be empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(pub String);

impl TryFrom<String> for Text {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('\0') { Err("`…` has a NUL character".to_owned()) } else { Ok(Self(text)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserve_is_a_share_or_a_size_and_zero_means_alone() {
        let read = |text: &str| ReserveText::try_from(text.to_owned()).map(|reserve| reserve.0);
        assert_eq!(read("50%"), Ok(Reserve::Percent(50)));
        assert_eq!(read("6GB"), Ok(Reserve::Size(Bytes::gib(6))));
        assert_eq!(read("0"), Ok(Reserve::Size(Bytes(0))));
        for bad in ["100%", "6", "half", "-1%"] {
            assert!(read(bad).unwrap_err().contains("50%"), "{bad}");
        }
    }

    #[test]
    fn names_are_settings_all_or_none() {
        let read = |text: &str| Names::try_from(text.to_owned());
        assert_eq!(read("all"), Ok(Names::All));
        assert_eq!(read("work_mem, jit"), Ok(Names::These(vec!["work_mem".to_owned(), "jit".to_owned()])));
        assert!(read("work mem").is_err());
    }

    #[test]
    fn addresses_are_a_list_and_a_bare_port_listens_everywhere() {
        let rows = [
            (":9187", Some("0.0.0.0:9187")),
            ("127.0.0.1:9187", Some("127.0.0.1:9187")),
            ("[::]:9187", Some("[::]:9187")),
            ("localhost:9187", Some("localhost:9187")),
            (":9187, [::1]:9188", Some("0.0.0.0:9187 [::1]:9188")),
            ("9187", None),
            ("::1:9187", None),
            ("[localhost]:9187", None),
            (":99999", None),
            (":9187,", None),
            ("http://x:9187", None),
        ];
        for (text, want) in rows {
            let read = Listen::try_from(text.to_owned()).ok();
            let found = read.map(|list| list.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
            assert_eq!(found.as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_path_is_plain_and_not_taken() {
        let is_good = |text: &str| UrlPath::try_from(text.to_owned()).is_ok();
        assert!(["/metrics", "/", "/a/b-c_d.e"].into_iter().all(is_good));
        assert!(!["metrics", "/a?b", "/a b", "/healthz", "/ä"].into_iter().any(is_good));
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        assert!(!format!("{:?}", Secret::new("hunter2")).contains("hunter2"));
    }
}
