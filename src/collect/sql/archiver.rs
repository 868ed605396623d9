//! The archiver of WAL.

use super::query::{MINUTE, Query, Shape, counter, gauge, sql};

pub(super) const ARCHIVER: Query = Query {
    name: "stat_archiver",
    why: "WAL that cannot be archived stays until the disk is full, and a restore ends where the archive does.",
    sql: &[sql(
        14,
        "select archived_count, failed_count, extract(epoch from clock_timestamp() - last_archived_time) as age, \
         extract(epoch from last_archived_time) as archived, extract(epoch from last_failed_time) as failed \
         from pg_stat_archiver",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            counter("archived_count", "pg_stat_archiver_archived_count", "WAL files archived."),
            counter(
                "failed_count",
                "pg_stat_archiver_failed_count",
                "Failed attempts to archive a WAL file.",
            ),
            gauge(
                "age",
                "pg_stat_archiver_last_archive_age",
                "Time since a WAL file was last archived, in seconds; absent if never.",
            ),
            gauge(
                "archived",
                "pg_stat_archiver_last_archived_timestamp_seconds",
                "When a WAL file was last archived, in seconds since 1970.",
            ),
            gauge(
                "failed",
                "pg_stat_archiver_last_failed_timestamp_seconds",
                "When an attempt last failed, in seconds since 1970.",
            ),
        ],
    },
    ..MINUTE
};
