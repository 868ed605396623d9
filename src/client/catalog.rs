//! Typed reads of the views that say what a server is set to. Used where we look and where we write.

use std::collections::BTreeMap;

use super::postgres::{PgError, Session, TextRow};
use crate::model::setting::{Context, Setting, quote, split_list};

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
         enumvals::text AS enumvals, pending_restart FROM pg_settings WHERE name IN ({list})"
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
        enumvals: split_list(words.trim_start_matches('{').trim_end_matches('}')),
        pending_restart: row.is_true("pending_restart"),
    }
}

/// The entries of `postgresql.auto.conf`, the last one of each name, as the server reads the file now.
///
/// # Errors
/// When the server does not answer, or our role may not see `pg_file_settings`.
pub async fn auto_conf(session: &Session) -> Result<BTreeMap<String, String>, PgError> {
    let sql = "SELECT name, setting FROM pg_file_settings \
               WHERE sourcefile = current_setting('data_directory') || '/postgresql.auto.conf' AND name IS NOT NULL \
               ORDER BY seqno";
    let rows = session.rows("reading postgresql.auto.conf", sql).await?;
    Ok(rows.iter().map(|row| (row.text("name"), row.text("setting"))).collect())
}

/// Lines of the configuration files that would make the server refuse a reload as a whole.
///
/// A restart-only value that waits is an "error" of this view too, and does no harm.
///
/// # Errors
/// As [`auto_conf`].
pub async fn file_errors(session: &Session) -> Result<Vec<String>, PgError> {
    let sql = "SELECT sourcefile, sourceline, coalesce(name, '') AS name, error FROM pg_file_settings \
               WHERE error IS NOT NULL AND error <> 'setting could not be applied' ORDER BY seqno LIMIT 5";
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
