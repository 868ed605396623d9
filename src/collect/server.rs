//! The PostgreSQL server, through one session: two round trips, and a third where TimescaleDB is installed.

use std::collections::BTreeMap;

use super::{auto_conf, managed, role};
use crate::client::catalog;
use crate::client::postgres::{PgError, Session, TextRow};
use crate::model::error::chain;
use crate::model::facts::Seen;
use crate::model::postgres::{Application, Extension, Override, Postgres, Timescale};
use crate::model::setting::{Setting, quote};
use crate::model::units::Bytes;

/// The oldest major whose views and settings we know.
pub const OLDEST_MAJOR: u32 = 14;

/// Why a server could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Read(#[from] PgError),
    #[error("PostgreSQL {0} is older than {OLDEST_MAJOR}, the first version that pgpilot knows")]
    TooOld(String),
    #[error("{what}: the server gave `{text}`")]
    Strange { what: &'static str, text: String },
}

/// Reads what a plan needs. What was not read counts as not read, and never as none: a plan without the values that
/// roles have of their own would be another plan.
///
/// # Errors
/// When version, system identifier or settings cannot be read, or the server is too old.
pub async fn read(session: &Session, names: &[&str]) -> Result<Postgres, ServerError> {
    let version = session.row("reading the server's version", VERSION).await?;
    let version_num = number(&version, "version_num")?;
    let major = version_num / 10_000;
    if major < OLDEST_MAJOR {
        return Err(ServerError::TooOld(version.text("version")));
    }
    let list = array(names);
    let (identity, settings, role, auto_conf, overrides, extensions, applications, managed, data_size) = tokio::join!(
        session.row("reading the server's identity", IDENTITY),
        catalog::settings(session, names),
        role::read(session, major, &list),
        auto_conf::read(session, names),
        overrides(session, &list),
        extensions(session),
        session.rows("reading who is connected", APPLICATIONS),
        managed::read(session),
        // Last, since it is the one that may be slow and the others would wait behind it.
        data_size(session),
    );
    let (identity, role) = (identity?, role?);
    let extensions = extensions?;
    let installed = extensions.get("timescaledb").is_some_and(|found| found.installed.is_some());
    let beside: Vec<_> = applications.unwrap_or_default().iter().filter_map(application).collect();
    Ok(Postgres {
        version_num,
        version: version.text("version"),
        system_identifier: identity.text("system_identifier"),
        started_at: identity.number("started_at").unwrap_or_default(),
        in_recovery: identity.is_true("in_recovery"),
        data_directory: identity.text("data_directory"),
        managed: managed::sentence(&managed?, role.superuser),
        role,
        settings: settings?.into_iter().map(shown).collect(),
        auto_conf,
        overrides: overrides?,
        timescale: if installed { Some(timescale(session).await?) } else { None },
        extensions,
        databases: identity.number("databases").map_or(0, whole),
        data_size,
        sessions: beside.iter().map(|application| application.sessions).sum(),
        beside: beside.into_iter().take(SHOWN).collect(),
        replication_slots: identity.number("slots").map_or(0, whole),
        slots_retain: Bytes(identity.text("slots_retain").parse().unwrap_or_default()),
    })
}

/// How many kinds of clients are named.
const SHOWN: usize = 10;

const VERSION: &str = "SELECT pg_catalog.current_setting('server_version_num') AS version_num, \
     pg_catalog.current_setting('server_version') AS version";

/// `pg_settings` hides `data_directory` from a role without `pg_read_all_settings`; `current_setting` would fail.
const IDENTITY: &str = "SELECT (pg_catalog.pg_control_system()).system_identifier, \
     pg_catalog.pg_is_in_recovery() AS in_recovery, \
     extract(epoch FROM pg_catalog.pg_postmaster_start_time()) AS started_at, \
     (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'data_directory') AS data_directory, \
     (SELECT count(*) FROM pg_catalog.pg_database WHERE datallowconn) AS databases, \
     (SELECT count(*) FROM pg_catalog.pg_replication_slots WHERE NOT temporary) AS slots, \
     (SELECT max(pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() \
       THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_lsn() END, restart_lsn)) \
       FROM pg_catalog.pg_replication_slots WHERE NOT temporary)::bigint AS slots_retain";

/// A role without `pg_monitor` sees no `backend_type` of others: then every session in a database counts.
const APPLICATIONS: &str = "SELECT application_name AS name, count(*) AS sessions FROM pg_catalog.pg_stat_activity \
     WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend' \
     AND pid <> pg_catalog.pg_backend_pid() AND application_name NOT LIKE 'pgpilot%' \
     GROUP BY application_name ORDER BY count(*) DESC, application_name";

/// A text array as a literal.
fn array(names: &[&str]) -> String {
    let items: Vec<_> = names.iter().map(|name| format!("\"{}\"", name.replace(['"', '\\'], ""))).collect();
    format!("{}::pg_catalog.text[]", quote(&format!("{{{}}}", items.join(","))))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of objects")]
fn whole(count: f64) -> u32 {
    count as u32
}

fn number(row: &TextRow, what: &'static str) -> Result<u32, ServerError> {
    row.text(what).parse().map_err(|_| ServerError::Strange { what, text: row.text(what) })
}

fn shown((name, row): (String, Setting)) -> (String, Setting) {
    let setting = auto_conf::shown(&name, row.setting);
    (name, Setting { setting, ..row })
}

async fn overrides(session: &Session, list: &str) -> Result<Vec<Override>, PgError> {
    let sql = format!(
        "SELECT name, value, rolname, datname FROM (SELECT pg_catalog.split_part(entry, '=', 1) AS name, \
         pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1) AS value, rolname, datname \
         FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS entry \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
         LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase) AS entries \
         WHERE name = ANY ({list}) ORDER BY name, rolname, datname"
    );
    let rows = session.rows("reading settings of roles and databases", &sql).await?;
    Ok(rows.iter().map(override_).collect())
}

fn override_(row: &TextRow) -> Override {
    Override {
        name: row.text("name"),
        value: auto_conf::shown(&row.text("name"), row.text("value")),
        role: row.get("rolname").map(ToOwned::to_owned),
        database: row.get("datname").map(ToOwned::to_owned),
    }
}

async fn extensions(session: &Session) -> Result<BTreeMap<String, Extension>, PgError> {
    const SQL: &str = "SELECT name, installed_version FROM pg_catalog.pg_available_extensions \
         WHERE name IN ('pg_stat_statements', 'timescaledb')";
    let rows = session.rows("reading the extensions", SQL).await?;
    let extension = |row: &TextRow| Extension {
        available: true,
        installed: row.get("installed_version").map(ToOwned::to_owned),
    };
    Ok(rows.iter().map(|row| (row.text("name"), extension(row))).collect())
}

async fn timescale(session: &Session) -> Result<Timescale, PgError> {
    const SQL: &str = "SELECT count(*) AS hypertables, coalesce(max(num_chunks), 0) AS max_chunks, \
         (SELECT count(*) FROM timescaledb_information.jobs WHERE scheduled) AS jobs \
         FROM timescaledb_information.hypertables";
    let row = session.row("counting hypertables and jobs", SQL).await?;
    let count = |name| row.number(name).map_or(0, whole);
    Ok(Timescale { hypertables: count("hypertables"), max_chunks: count("max_chunks"), jobs: count("jobs") })
}

async fn data_size(session: &Session) -> Seen<Bytes> {
    const SQL: &str = "SELECT sum(pg_catalog.pg_database_size(oid)) AS size FROM pg_catalog.pg_database \
         WHERE pg_catalog.has_database_privilege(oid, 'connect') \
         OR pg_catalog.pg_has_role('pg_read_all_stats', 'usage')";
    match session.row("adding up the sizes of the databases", SQL).await {
        Ok(row) => row.text("size").parse().map_or_else(
            |_| Seen::Not("there is no database that we may measure".to_owned()),
            |size| Seen::Now(Bytes(size)),
        ),
        Err(error) => Seen::Not(chain(&error)),
    }
}

fn application(row: &TextRow) -> Option<Application> {
    Some(Application { name: row.text("name"), sessions: whole(row.number("sessions")?) })
}
