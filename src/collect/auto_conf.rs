//! `postgresql.auto.conf` as `pg_file_settings` shows it, without what may be secret.

use std::collections::BTreeMap;

use crate::client::catalog;
use crate::client::postgres::Session;
use crate::model::error::chain;
use crate::model::facts::Seen;

/// Parts of names whose values may hold a password or a path to one.
const SECRET: &[&str] = &["conninfo", "password", "passphrase", "command", "secret", "token", "key"];

/// What is shown in the place of such a value.
pub const MASK: &str = "(not shown)";

/// Reads the entries; the values of those that we have no business with are masked, whatever they are called.
pub async fn read(session: &Session, names: &[&str]) -> Seen<BTreeMap<String, String>> {
    match catalog::auto_conf(session).await {
        Ok(entries) => {
            let known = |name: &str| names.contains(&name);
            let entry = |(name, value): (String, String)| {
                let value = if known(&name) { shown(&name, value) } else { MASK.to_owned() };
                (name, value)
            };
            Seen::Now(entries.into_iter().map(entry).collect())
        }
        Err(error) => Seen::Not(chain(&error)),
    }
}

/// The value, or the mask where the name suggests a secret.
pub fn shown(name: &str, value: String) -> String {
    if SECRET.iter().any(|part| name.contains(part)) { MASK.to_owned() } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_masked() {
        for name in
            ["primary_conninfo", "archive_command", "ssl_passphrase_command", "my.api_key", "x.password"]
        {
            assert_eq!(shown(name, "hunter2".to_owned()), MASK, "{name}");
        }
        for name in ["shared_buffers", "tcp_keepalives_idle", "pg_stat_statements.max"] {
            assert_eq!(shown(name, "1".to_owned()), "1", "{name}");
        }
    }
}
