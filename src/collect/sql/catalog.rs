//! What only each database knows of itself: sequences, extensions, publications, functions.

use super::query::{Cadence, EACH_DATABASE, Most, Query, Shape, Top, counter, gauge, sql};
use super::rights::READ_ALL_DATA;

/// From half on; a sequence that goes round never ends.
pub(super) const SEQUENCES: Query = Query {
    name: "sequences",
    why: "At its end a sequence refuses every insert.",
    cadence: Cadence::TenMinutes,
    needs: &[&READ_ALL_DATA],
    sql: &[sql(
        14,
        "select current_database() as datname, schemaname, sequencename, used from (select schemaname, sequencename, \
         case when increment_by > 0 then (last_value::numeric - min_value) / nullif(max_value::numeric - min_value, 0) \
         else (max_value - last_value::numeric) / nullif(max_value::numeric - min_value, 0) end as used \
         from pg_sequences where not cycle) as s where used >= 0.5",
    )],
    shape: Shape::Columns {
        labels: &["datname", "schemaname", "sequencename"],
        columns: &[
            gauge("used", "pg_sequence_used_ratio", "How much of the sequence is used, from 0.5 on.").max()
        ],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["used"], folds: &["schemaname", "sequencename"] }),
    ..EACH_DATABASE
};

pub(super) const EXTENSIONS: Query = Query {
    name: "extension_updates",
    why: "After an upgrade an extension stays what it was until ALTER EXTENSION … UPDATE.",
    cadence: Cadence::Hour,
    sql: &[sql(
        14,
        "select current_database() as datname, name as extname, (installed_version <> default_version)::int as behind \
         from pg_available_extensions where installed_version is not null",
    )],
    shape: Shape::Columns {
        labels: &["datname", "extname"],
        columns: &[gauge(
            "behind",
            "pg_extension_update_available",
            "Whether the server has another version than the database.",
        )
        .max()],
    },
    top: Some(Top { most: Most::Fixed(100), by: &["behind"], folds: &["datname", "extname"] }),
    cost: "reads the control file of each extension that the server has",
    ..EACH_DATABASE
};

pub(super) const PUBLICATIONS: Query = Query {
    name: "publication_tables",
    why: "A table that is not published is not replicated, and nothing says so.",
    sql: &[sql(
        14,
        "select current_database() as datname, pubname, count(*) as tables from pg_publication_tables group by 2",
    )],
    shape: Shape::Columns {
        labels: &["datname", "pubname"],
        columns: &[gauge("tables", "pg_publication_tables", "Tables of a publication.")],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["tables"], folds: &["datname", "pubname"] }),
    ..EACH_DATABASE
};

/// Empty unless track_functions is on.
pub(super) const FUNCTIONS: Query = Query {
    name: "stat_user_functions",
    why: "A trigger's function is where the time of an insert may go.",
    sql: &[sql(
        14,
        "select current_database() as datname, schemaname, funcname, sum(calls) as calls, sum(total_time) as total_time, \
         sum(self_time) as self_time from pg_stat_user_functions group by 2, 3",
    )],
    shape: Shape::Columns {
        labels: &["datname", "schemaname", "funcname"],
        columns: &[
            counter("calls", "pg_stat_user_functions_calls_total", "Calls of the function."),
            counter(
                "total_time",
                "pg_stat_user_functions_total_seconds_total",
                "Time spent in it and in what it calls.",
            )
            .times(1e-3),
            counter("self_time", "pg_stat_user_functions_self_seconds_total", "Time spent in it alone.")
                .times(1e-3),
        ],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["self_time", "calls"], folds: &["schemaname", "funcname"] }),
    ..EACH_DATABASE
};
