//! All settings: numbers as `pg_settings_<name>`, the words that matter as `pg_settings_info`.

use super::query::{MINUTE, Query, Shape, sql};
use super::row::Fields;
use crate::model::metric::{Desc, Family, Kind, Labels, Sample};
use crate::model::units::Unit;

pub(super) const SETTINGS: Query = Query {
    name: "settings",
    why: "A setting that differs from yesterday's, or that waits for a restart, is the first suspect after a change.",
    sql: &[sql(
        // Our session SETs statement_timeout and others, so what others get is reset_val; internal settings have
        // their value in `setting` only.
        14,
        "select name, case when context = 'internal' or name in ('log_file_mode', 'unix_socket_permissions') then setting else reset_val end as value, unit, vartype, \
               context, source, pending_restart from pg_settings",
    )],
    shape: Shape::Rows {
        reads: &["context", "name", "pending_restart", "source", "unit", "value", "vartype"],
        gives: &[NUMBER, INFO, PENDING, PENDING_COUNT, CHECKSUM],
        decode,
    },
    ..MINUTE
};

/// On the reference page, for all of them; `<name>` has `_` for a dot.
const NUMBER: Desc = Desc {
    name: "pg_settings_<name>",
    kind: Kind::Gauge,
    labels: &[],
    help: "Each setting of type bool, integer or real, with `_bytes` or `_seconds` where it has such a unit; -1 stays -1.",
};

const INFO: Desc = Desc {
    name: "pg_settings_info",
    kind: Kind::Info,
    labels: &["name", "setting", "unit", "source", "context"],
    help: "Settings whose value is a word, as labels.",
};

const PENDING: Desc = Desc {
    name: "pg_settings_pending_restart",
    kind: Kind::Gauge,
    labels: &["name"],
    help: "1 for each setting whose new value waits for a restart.",
};

const PENDING_COUNT: Desc = Desc {
    name: "pg_settings_pending_restart_count",
    kind: Kind::Gauge,
    labels: &[],
    help: "Settings whose new value waits for a restart.",
};

const CHECKSUM: Desc = Desc {
    name: "pg_settings_checksum",
    kind: Kind::Gauge,
    labels: &[],
    help: "A number that changes when any setting does: made of all values that are not defaults.",
};

/// Words that decide durability, WAL volume or speed. None of them can hold a secret.
const WORDS: &[&str] = &[
    "archive_mode",
    "autovacuum",
    "backslash_quote",
    "compute_query_id",
    "constraint_exclusion",
    "debug_parallel_query",
    "default_toast_compression",
    "default_transaction_isolation",
    "dynamic_shared_memory_type",
    "file_copy_method",
    "huge_pages",
    "huge_pages_status",
    "io_method",
    "lc_messages",
    "log_min_messages",
    "password_encryption",
    "plan_cache_mode",
    "recovery_init_sync_method",
    "recovery_prefetch",
    "server_encoding",
    "session_preload_libraries",
    "shared_memory_type",
    "shared_preload_libraries",
    "ssl_min_protocol_version",
    "stats_fetch_consistency",
    "synchronous_commit",
    "synchronous_standby_names",
    "TimeZone",
    "timescaledb.license",
    "track_functions",
    "wal_compression",
    "wal_level",
    "wal_sync_method",
];

fn decode(rows: &[&dyn Fields]) -> Vec<Family> {
    let pending: Vec<&str> = rows.iter().filter(|row| is_pending(**row)).map(|row| name(*row)).collect();
    let words = rows.iter().filter(|row| WORDS.contains(&name(**row)));
    let mut families: Vec<Family> = rows.iter().filter_map(|row| number(*row)).collect();
    families.push(INFO.family(words.map(|row| word(*row)).collect()));
    families.push(PENDING.family(pending.iter().map(|name| PENDING.sample(&[name], 1.0)).collect()));
    families.push(PENDING_COUNT.single(pending.len() as f64));
    families.push(CHECKSUM.single(f64::from(checksum(rows))));
    families
}

/// FNV-1a over names and values, whose order the view does not promise; 32 bits, which a float holds exactly.
fn checksum(rows: &[&dyn Fields]) -> u32 {
    let one = |row: &&dyn Fields| {
        let text = [name(*row), "=", row.get("value").unwrap_or_default()].concat();
        text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    };
    let set = rows.iter().filter(|row| !matches!(row.get("source"), Some("default" | "session" | "client")));
    set.map(one).fold(0, u32::wrapping_add)
}

fn name(row: &dyn Fields) -> &str {
    row.get("name").unwrap_or_default()
}

fn is_pending(row: &dyn Fields) -> bool {
    row.get("pending_restart") == Some("t")
}

fn word(row: &dyn Fields) -> Sample {
    let text = |column| row.get(column).unwrap_or_default();
    INFO.sample(&["name", "value", "unit", "source", "context"].map(text), 1.0)
}

/// A setting's own family, named and scaled as postgres_exporter does it.
fn number(row: &dyn Fields) -> Option<Family> {
    let text = row.get("value")?;
    let raw = match row.get("vartype")? {
        "bool" => f64::from(u8::from(text == "on")),
        "integer" | "real" => text.parse().ok()?,
        _ => return None,
    };
    let (suffix, words, factor) = match Unit::from_pg(row.get("unit")) {
        Unit::Plain => ("", "", 1.0),
        Unit::Size(bytes) => ("_bytes", ", in bytes", bytes as f64),
        Unit::Time(millis) => ("_seconds", ", in seconds", millis as f64 / 1000.0),
    };
    // -1 is a word for "off", "none" or "as the other one".
    let value = if raw < 0.0 { raw } else { raw * factor };
    let setting = row.get("name")?;
    let metric = setting.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    Some(Family {
        name: format!("pg_settings_{metric}{suffix}").into(),
        kind: Kind::Gauge,
        help: format!("Setting {setting}{words}.").into(),
        samples: vec![Sample { labels: Labels::default(), value }],
        histograms: vec![],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn setting(row: [&str; 4]) -> BTreeMap<&str, &str> {
        ["name", "value", "unit", "vartype"]
            .into_iter()
            .zip(row)
            .filter(|(_, text)| !text.is_empty())
            .collect()
    }

    #[test]
    fn numbers_are_named_and_scaled_as_dashboards_expect() {
        let rows = [
            (
                ["shared_buffers", "16384", "8kB", "integer"],
                Some(("pg_settings_shared_buffers_bytes", 134_217_728.0)),
            ),
            (
                ["wal_keep_size", "64", "MB", "integer"],
                Some(("pg_settings_wal_keep_size_bytes", 67_108_864.0)),
            ),
            (
                ["checkpoint_timeout", "300", "s", "integer"],
                Some(("pg_settings_checkpoint_timeout_seconds", 300.0)),
            ),
            (
                ["wal_writer_delay", "200", "ms", "integer"],
                Some(("pg_settings_wal_writer_delay_seconds", 0.2)),
            ),
            (
                ["log_rotation_age", "1440", "min", "integer"],
                Some(("pg_settings_log_rotation_age_seconds", 86_400.0)),
            ),
            (
                ["autovacuum_work_mem", "-1", "kB", "integer"],
                Some(("pg_settings_autovacuum_work_mem_bytes", -1.0)),
            ),
            (
                ["autovacuum_vacuum_cost_delay", "-1", "ms", "real"],
                Some(("pg_settings_autovacuum_vacuum_cost_delay_seconds", -1.0)),
            ),
            (["jit", "on", "", "bool"], Some(("pg_settings_jit", 1.0))),
            (
                ["timescaledb.max_background_workers", "16", "", "integer"],
                Some(("pg_settings_timescaledb_max_background_workers", 16.0)),
            ),
            (["wal_level", "replica", "", "enum"], None),
        ];
        for (row, want) in rows {
            let found = number(&setting(row));
            let found = found.as_ref().map(|family| (family.name.as_ref(), family.samples[0].value));
            assert_eq!(found, want, "{row:?}");
        }
    }

    #[test]
    fn what_waits_for_a_restart_is_named_and_counted() {
        let mut row = setting(["shared_buffers", "16384", "8kB", "integer"]);
        row.insert("pending_restart", "t");
        let other = setting(["wal_level", "replica", "", "enum"]);
        let families = decode(&[&row, &other]);
        let get = |name: &str| families.iter().find(|family| family.name == name).unwrap();
        assert_eq!(get("pg_settings_pending_restart").samples, [PENDING.sample(&["shared_buffers"], 1.0)]);
        assert_eq!(get("pg_settings_pending_restart_count").samples[0].value, 1.0);
        assert_eq!(get("pg_settings_info").samples[0].labels[1].1, "replica");
        let other = setting(["wal_level", "logical", "", "enum"]);
        assert_ne!(
            checksum(&[&row, &other]),
            checksum(&[&row, &setting(["wal_level", "replica", "", "enum"])])
        );
        assert_eq!(checksum(&[&row, &other]), checksum(&[&other, &row]));
    }
}
