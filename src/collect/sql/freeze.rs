//! Transaction numbers: how far each database is from running out of them, and who works against it.

use super::query::{MINUTE, Most, Query, Shape, TEN_SECONDS, Top, gauge, sql};

/// 2^31 is where a server refuses to write; the failsafe is where vacuum stops being polite (14 and later).
pub(super) const WRAPAROUND: Query = Query {
    name: "database_wraparound",
    why: "Out of transaction numbers, a server takes no more writes until somebody vacuums it by hand.",
    sql: &[sql(
        14,
        "select {db:datname} as datname, max(age(datfrozenxid)) as xids, max(mxid_age(datminmxid)) as mxids, \
         max(age(datfrozenxid)) / 2147483648.0 as ratio, \
         max(age(datfrozenxid)) / current_setting('autovacuum_freeze_max_age')::float8 as freeze_ratio, \
         max(age(datfrozenxid)) / current_setting('vacuum_failsafe_age')::float8 as failsafe_ratio \
         from pg_database group by 1",
    )],
    shape: Shape::Columns {
        labels: &["datname"],
        columns: &[
            gauge(
                "xids",
                "pg_database_wraparound_age_datfrozenxid_seconds",
                "Age of the oldest unfrozen transaction, in transactions whatever the name says.",
            ),
            gauge(
                "mxids",
                "pg_database_wraparound_age_datminmxid_seconds",
                "Age of the oldest multixact, in multixacts whatever the name says.",
            ),
            gauge("xids", "pg_database_xid_age", "Transactions since the oldest unfrozen one."),
            gauge("mxids", "pg_database_mxid_age", "Multixacts since the oldest one."),
            gauge(
                "ratio",
                "pg_database_xid_wraparound_ratio",
                "The same against the end, 2^31: at 1 nothing is written any more.",
            ),
            gauge(
                "freeze_ratio",
                "pg_database_freeze_max_age_ratio",
                "The same against autovacuum_freeze_max_age: from 1 on autovacuum comes for this alone.",
            ),
            gauge(
                "failsafe_ratio",
                "pg_database_failsafe_age_ratio",
                "The same against vacuum_failsafe_age: from 1 on vacuum drops everything else.",
            ),
        ],
    },
    ..MINUTE
};

pub(super) const CURRENT: Query = Query {
    name: "xid",
    why: "Its rate is how fast transaction numbers are used, and with the age the day on which they end.",
    sql: &[sql(14, "select pg_snapshot_xmax(pg_current_snapshot())::text as xid")],
    shape: Shape::Columns {
        labels: &[],
        columns: &[gauge("xid", "pg_xid_current", "The next transaction number, with its epoch.")],
    },
    ..MINUTE
};

/// Both kinds have a sample, 0 too.
pub(super) const WORKERS: Query = Query {
    name: "autovacuum_workers",
    why: "When all of them are at work all the time, autovacuum is too slow or too few.",
    sql: &[sql(
        14,
        "select k.kind, count(a.pid) as workers from unnest(array['normal', 'wraparound']) as k (kind) \
         left join pg_stat_activity a on a.backend_type = 'autovacuum worker' \
         and (a.query like '%(to prevent wraparound)%') = (k.kind = 'wraparound') group by 1",
    )],
    shape: Shape::Columns {
        labels: &["kind"],
        columns: &[gauge(
            "workers",
            "pg_autovacuum_workers",
            "Autovacuum workers at work; those against wraparound cannot be put off.",
        )],
    },
    ..TEN_SECONDS
};

pub(super) const RUNNING: Query = Query {
    name: "stat_activity_autovacuum",
    why: "Which table it is that autovacuum is at, and since when.",
    sql: &[sql(
        14,
        "select split_part(query, '.', 2) as relname, max(extract(epoch from xact_start)) as started \
         from pg_stat_activity where backend_type = 'autovacuum worker' and query like 'autovacuum:%' group by 1",
    )],
    shape: Shape::Columns {
        labels: &["relname"],
        columns: &[gauge(
            "started",
            "pg_stat_activity_autovacuum_timestamp_seconds",
            "When autovacuum began with the table, in seconds since 1970.",
        )
        .alone()],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["started"], folds: &["relname"] }),
    ..TEN_SECONDS
};
