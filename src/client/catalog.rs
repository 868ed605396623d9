//! Typed reads of the views that say what a server is set to. Used where we look and where we write.

use std::collections::BTreeMap;

use super::postgres::{PgError, Session, TextRow};
use crate::model::setting::{Context, Setting, quote};

/// Rows of `pg_settings` by name, for those names that the server has.
///
/// `reset_val` and not `setting`: our own session has guards set, and `reset_val` is what it would have without.
///
/// # Errors
/// When the server does not answer.
pub async fn settings(session: &Session, names: &[&str]) -> Result<BTreeMap<String, Setting>, PgError> {
    let list = names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT name, coalesce(reset_val, setting) AS setting, unit, vartype, context, source, min_val, max_val, \
         array_to_string(enumvals, ',') AS enumvals, pending_restart FROM pg_catalog.pg_settings WHERE name IN ({list})"
    );
    let rows = session.rows("reading pg_settings", &sql).await?;
    Ok(rows.iter().map(|row| (row.text("name"), setting(row))).collect())
}

fn setting(row: &TextRow) -> Setting {
    let words = row.text("enumvals");
    Setting {
        setting: row.text("setting"),
        unit: row.get("unit").map(ToOwned::to_owned),
        vartype: row.text("vartype"),
        context: Context::from_pg(&row.text("context")),
        source: row.text("source"),
        min: row.number("min_val"),
        max: row.number("max_val"),
        enumvals: words.split(',').filter(|word| !word.is_empty()).map(ToOwned::to_owned).collect(),
        pending_restart: row.is_true("pending_restart"),
    }
}

/// The entries of `postgresql.auto.conf`, the last one of each name, as the server reads the file now.
///
/// # Errors
/// When the server does not answer, or our role may not see `pg_file_settings`.
pub async fn auto_conf(session: &Session) -> Result<BTreeMap<String, String>, PgError> {
    let sql = "SELECT name, setting FROM pg_catalog.pg_file_settings \
               WHERE sourcefile LIKE '%/postgresql.auto.conf' AND name IS NOT NULL \
               ORDER BY seqno";
    let rows = session.rows("reading postgresql.auto.conf", sql).await?;
    Ok(rows.iter().map(|row| (row.text("name"), row.text("setting"))).collect())
}

/// Lines of the configuration files that would make the server refuse a reload as a whole: those that cannot be read
/// and those that name no setting.
///
/// A value of a known setting that cannot be applied, or waits for a restart, is an "error" of this view too; the
/// server then takes everything else. A row without a file tells of an entry that went away and waits for a restart.
///
/// # Errors
/// As [`auto_conf`].
pub async fn file_errors(session: &Session) -> Result<Vec<String>, PgError> {
    let sql = "SELECT sourcefile, sourceline, coalesce(name, '') AS name, error FROM pg_catalog.pg_file_settings f \
               WHERE error IS NOT NULL AND sourcefile IS NOT NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings s \
               WHERE s.name = lower(f.name) OR s.name = f.name) ORDER BY seqno LIMIT 5";
    let rows = session.rows("looking for errors in the configuration files", sql).await?;
    let line = |row: &TextRow| {
        format!(
            "{}:{} {}: {}",
            row.text("sourcefile"),
            row.text("sourceline"),
            row.text("name"),
            row.text("error")
        )
    };
    Ok(rows.iter().map(line).collect())
}

/// `pg_postmaster_start_time()` in whole milliseconds since 1970: another value means another start.
///
/// # Errors
/// When the server does not answer.
pub async fn started_ms(session: &Session) -> Result<i64, PgError> {
    let sql = "SELECT round(extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint AS ms";
    let row = session.row("reading the server's start time", sql).await?;
    Ok(row.text("ms").parse().unwrap_or_default())
}

/// Tells this data directory from every other one.
///
/// # Errors
/// When the server does not answer, or our role is not in `pg_monitor`.
pub async fn system_identifier(session: &Session) -> Result<String, PgError> {
    let sql = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
    Ok(session.row("reading the system identifier", sql).await?.text("system_identifier"))
}
