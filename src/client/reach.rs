//! Whether a server can be reached, and if not, why: one word for a metric, from the driver's error.

use super::postgres::PgError;

/// What stands between us and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Up,
    /// It answers, but is starting, stopping or recovering.
    Starting,
    /// Nobody listens there.
    Refusing,
    AuthFailed,
    /// Every connection is taken.
    TooManyClients,
    NoDatabase,
    /// It does not answer in time.
    Timeout,
    /// The host's name has no address.
    Dns,
    Tls,
    /// The options name no server.
    Unconfigured,
    Other,
}

impl Reach {
    pub const ALL: [Self; 11] = [
        Self::Up,
        Self::Starting,
        Self::Refusing,
        Self::AuthFailed,
        Self::TooManyClients,
        Self::NoDatabase,
        Self::Timeout,
        Self::Dns,
        Self::Tls,
        Self::Unconfigured,
        Self::Other,
    ];

    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Starting => "starting",
            Self::Refusing => "refusing",
            Self::AuthFailed => "auth_failed",
            Self::TooManyClients => "too_many_clients",
            Self::NoDatabase => "no_database",
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Unconfigured => "unconfigured",
            Self::Other => "other",
        }
    }

    /// Why an attempt failed.
    pub fn of(error: &PgError) -> Self {
        match error {
            PgError::ConnectTimeout { .. } | PgError::Timeout { .. } => Self::Timeout,
            PgError::Tls { .. } => Self::Tls,
            PgError::NotTried => Self::Other,
            PgError::Connect { source, .. } | PgError::Statement { source, .. } => match &source.sqlstate {
                Some(code) => lookup(BY_CODE, |known| known == code),
                None => lookup(BY_WORDS, |known| source.message.contains(known)),
            },
        }
    }
}

fn lookup(table: &[(&str, Reach)], fits: impl Fn(&str) -> bool) -> Reach {
    table.iter().find(|(known, _)| fits(known)).map_or(Reach::Other, |(_, reach)| *reach)
}

/// SQLSTATE codes.
const BY_CODE: &[(&str, Reach)] = &[
    ("57P01", Reach::Starting),
    ("57P02", Reach::Starting),
    ("57P03", Reach::Starting),
    ("28P01", Reach::AuthFailed),
    ("28000", Reach::AuthFailed),
    ("53300", Reach::TooManyClients),
    ("3D000", Reach::NoDatabase),
];

/// The system's and the library's own words, which no locale changes.
const BY_WORDS: &[(&str, Reach)] = &[
    ("Connection refused", Reach::Refusing),
    ("No such file or directory", Reach::Refusing),
    ("Connection reset", Reach::Refusing),
    ("connection closed", Reach::Refusing),
    ("Broken pipe", Reach::Refusing),
    ("No route to host", Reach::Refusing),
    ("failed to lookup address", Reach::Dns),
    ("timed out", Reach::Timeout),
    ("certificate", Reach::Tls),
    ("TLS", Reach::Tls),
];

#[cfg(test)]
mod tests {
    use super::super::postgres::Cause;
    use super::*;

    #[test]
    fn a_failed_attempt_has_its_word() {
        let failed = |message: &str, code: Option<&str>| PgError::Connect {
            target: "a@db".to_owned(),
            source: Cause { message: message.to_owned(), sqlstate: code.map(ToOwned::to_owned), lost: true },
        };
        let rows = [
            (failed("das Datenbanksystem startet", Some("57P03")), Reach::Starting),
            (failed("password authentication failed", Some("28P01")), Reach::AuthFailed),
            (failed("Connection refused (os error 111)", None), Reach::Refusing),
            (failed("failed to lookup address information: Name or service not known", None), Reach::Dns),
            (failed("invalid peer certificate: UnknownIssuer", None), Reach::Tls),
            (failed("something else", None), Reach::Other),
            (failed("something else", Some("XX000")), Reach::Other),
        ];
        for (error, want) in rows {
            assert_eq!(Reach::of(&error), want, "{error:?}");
        }
    }
}
