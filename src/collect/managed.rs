//! Signs that someone else decides this server's settings.

use crate::client::postgres::{PgError, Session};

/// Roles that providers make, and where settings are changed there.
const PROVIDERS: &[(&str, &str)] = &[
    ("rds_superuser", "Amazon RDS: settings are changed in its parameter group"),
    ("azure_pg_admin", "Azure Database for PostgreSQL: settings are changed in its server parameters"),
    ("cloudsqlsuperuser", "Google Cloud SQL: settings are changed in its database flags"),
    ("alloydbsuperuser", "Google AlloyDB: settings are changed in its database flags"),
    ("neon_superuser", "Neon: settings are changed by its control plane"),
];

/// Sessions of programs that write the configuration themselves, by the beginning of their name.
const MANAGERS: &[(&str, &str)] = &[
    ("Patroni", "Patroni: settings are changed with `patronictl edit-config`"),
    ("cnpg", "CloudNativePG: settings are changed in the Cluster resource"),
];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signs {
    pub roles: Vec<String>,
    pub applications: Vec<String>,
    /// `allow_alter_system` of 17 and later; none before.
    pub alter_system: Option<bool>,
    /// How many of `PATRONIS` stand on the command line.
    pub on_command_line: usize,
}

/// Patroni always gives these five on the command line; nobody else gives all of them.
const PATRONIS: &str =
    "('cluster_name', 'wal_level', 'max_prepared_transactions', 'track_commit_timestamp', 'wal_log_hints')";
const PATRONIS_COUNT: usize = 5;

pub async fn read(session: &Session) -> Result<Signs, PgError> {
    let sql = format!(
        "SELECT pg_catalog.array_to_string(ARRAY(SELECT rolname FROM pg_catalog.pg_roles), ',') AS roles, \
         pg_catalog.array_to_string(ARRAY(SELECT DISTINCT application_name FROM pg_catalog.pg_stat_activity \
           WHERE application_name LIKE 'Patroni%' OR application_name LIKE 'cnpg%'), ',') AS applications, \
         (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'allow_alter_system') AS alter_system, \
         (SELECT count(*) FROM pg_catalog.pg_settings WHERE source = 'command line' AND name IN {PATRONIS}) AS fixed"
    );
    let row = session.row("looking for who manages this server", &sql).await?;
    let list = |column: &str| row.text(column).split(',').map(ToOwned::to_owned).collect();
    Ok(Signs {
        roles: list("roles"),
        applications: list("applications"),
        alter_system: row.get("alter_system").map(|text| text == "on"),
        on_command_line: row.text("fixed").parse().unwrap_or_default(),
    })
}

/// Why ALTER SYSTEM is not to be had here; none where nothing speaks against it.
///
/// A provider's role in the hands of a superuser came with a dump: providers give nobody superuser.
pub fn sentence(signs: &Signs, superuser: bool) -> Option<String> {
    let provider =
        PROVIDERS.iter().find(|(role, _)| !superuser && signs.roles.iter().any(|found| found == role));
    let manager = MANAGERS
        .iter()
        .find(|(name, _)| signs.applications.iter().any(|found| found.starts_with(name)))
        .or_else(|| MANAGERS.first().filter(|_| signs.on_command_line == PATRONIS_COUNT));
    if let Some((_, who)) = provider.or(manager) {
        return Some(format!("this server is managed by {who}"));
    }
    (signs.alter_system == Some(false)).then(|| {
        "allow_alter_system is off: whoever runs this server wants its settings in its own configuration"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_counts() {
        let signs = Signs { alter_system: Some(true), ..Signs::default() };
        let roles =
            |role: &str| Signs { roles: vec!["postgres".to_owned(), role.to_owned()], ..signs.clone() };
        let rows = [
            ("a plain server", signs.clone(), false, None),
            ("before 17", Signs::default(), false, None),
            (
                "forbidden",
                Signs { alter_system: Some(false), ..Signs::default() },
                true,
                Some("allow_alter_system"),
            ),
            ("RDS", roles("rds_superuser"), false, Some("parameter group")),
            ("a dump of RDS", roles("rds_superuser"), true, None),
            (
                "a session",
                Signs { applications: vec!["Patroni heartbeat".to_owned()], ..signs.clone() },
                true,
                Some("patronictl"),
            ),
            ("all five", Signs { on_command_line: 5, ..signs.clone() }, true, Some("patronictl")),
            ("some by hand", Signs { on_command_line: 2, ..signs.clone() }, true, None),
        ];
        for (case, signs, superuser, want) in rows {
            let found = sentence(&signs, superuser);
            assert_eq!(found.is_some(), want.is_some(), "{case}: {found:?}");
            assert!(found.unwrap_or_default().contains(want.unwrap_or_default()), "{case}");
        }
    }
}
