//! Databases: what is done in them, and how big they are.

use super::query::{FAST, MINUTE, Most, Query, Shape, Top, counter, gauge, sql, sql_of};

/// The row without a name, of shared relations, is called `unknown`, as peers call it.
pub(super) const DATABASE: Query = Query {
    name: "database",
    why: "Commits and rows are the ingest rate; reads beside hits say whether the cache is big enough for it.",
    sql: &[sql_of(
        "pg_stat_database",
        14,
        "select datid, coalesce(datname, 'unknown') as datname, numbackends, xact_commit, xact_rollback, blks_read, \
         blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, \
         deadlocks, blk_read_time, blk_write_time, checksum_failures, \
         extract(epoch from checksum_last_failure) as checksum_last_failure, extract(epoch from stats_reset) as stats_reset\
         {session_time}{active_time}{idle_in_transaction_time}{sessions}{sessions_abandoned}{sessions_fatal}\
         {sessions_killed}{parallel_workers_to_launch}{parallel_workers_launched} from pg_stat_database",
    )],
    shape: Shape::Columns {
        labels: &["datid", "datname"],
        columns: &[
            gauge("numbackends", "pg_stat_database_numbackends", "Sessions connected to the database."),
            counter("xact_commit", "pg_stat_database_xact_commit", "Transactions committed."),
            counter("xact_rollback", "pg_stat_database_xact_rollback", "Transactions rolled back."),
            counter("blks_read", "pg_stat_database_blks_read", "Blocks read from outside shared_buffers."),
            counter("blks_hit", "pg_stat_database_blks_hit", "Blocks found in shared_buffers."),
            counter(
                "tup_returned",
                "pg_stat_database_tup_returned",
                "Live rows that sequential scans fetched, and index entries that index scans returned.",
            ),
            counter("tup_fetched", "pg_stat_database_tup_fetched", "Live rows that index scans fetched."),
            counter("tup_inserted", "pg_stat_database_tup_inserted", "Rows inserted."),
            counter("tup_updated", "pg_stat_database_tup_updated", "Rows updated."),
            counter("tup_deleted", "pg_stat_database_tup_deleted", "Rows deleted."),
            counter(
                "conflicts",
                "pg_stat_database_conflicts",
                "Queries cancelled because they conflict with recovery; on a standby only.",
            ),
            counter("temp_files", "pg_stat_database_temp_files", "Temporary files created by queries."),
            counter(
                "temp_bytes",
                "pg_stat_database_temp_bytes",
                "Bytes written to temporary files by queries.",
            ),
            counter("deadlocks", "pg_stat_database_deadlocks", "Deadlocks detected."),
            counter(
                "blk_read_time",
                "pg_stat_database_blk_read_time",
                "Time spent reading blocks, in milliseconds; 0 unless track_io_timing is on.",
            ),
            counter(
                "blk_write_time",
                "pg_stat_database_blk_write_time",
                "Time spent writing blocks, in milliseconds; 0 unless track_io_timing is on.",
            ),
            counter(
                "blk_read_time",
                "pg_stat_database_blk_read_seconds_total",
                "Time spent reading blocks; 0 unless track_io_timing is on.",
            )
            .times(1e-3),
            counter(
                "blk_write_time",
                "pg_stat_database_blk_write_seconds_total",
                "Time spent writing blocks; 0 unless track_io_timing is on.",
            )
            .times(1e-3),
            counter(
                "session_time",
                "pg_stat_database_session_seconds_total",
                "Time that sessions spent in the database, idle or not.",
            )
            .times(1e-3),
            counter(
                "active_time",
                "pg_stat_database_active_time_seconds_total",
                "Time that sessions spent running statements.",
            )
            .times(1e-3),
            counter(
                "idle_in_transaction_time",
                "pg_stat_database_idle_in_transaction_seconds_total",
                "Time that sessions spent idle in a transaction.",
            )
            .times(1e-3),
            counter("sessions", "pg_stat_database_sessions_total", "Sessions established."),
            counter(
                "sessions_abandoned",
                "pg_stat_database_sessions_abandoned_total",
                "Sessions ended because the connection to the client was lost.",
            ),
            counter(
                "sessions_fatal",
                "pg_stat_database_sessions_fatal_total",
                "Sessions ended by a fatal error.",
            ),
            counter(
                "sessions_killed",
                "pg_stat_database_sessions_killed_total",
                "Sessions ended by an operator.",
            ),
            counter(
                "checksum_failures",
                "pg_stat_database_checksum_failures_total",
                "Pages that failed their checksum; absent where checksums are off.",
            ),
            gauge(
                "checksum_last_failure",
                "pg_stat_database_checksum_last_failure_timestamp_seconds",
                "When a page last failed its checksum, in seconds since 1970.",
            )
            .max(),
            counter(
                "parallel_workers_to_launch",
                "pg_stat_database_parallel_workers_to_launch_total",
                "Parallel workers that queries planned to launch.",
            )
            .since(18),
            counter(
                "parallel_workers_launched",
                "pg_stat_database_parallel_workers_launched_total",
                "Parallel workers that queries launched.",
            )
            .since(18),
            gauge(
                "stats_reset",
                "pg_stat_database_stats_reset",
                "When these statistics were last reset, in seconds since 1970.",
            )
            .alone(),
        ],
    },
    top: Some(Top {
        most: Most::Databases,
        by: &["xact_commit", "tup_returned", "tup_inserted"],
        folds: &["datid", "datname"],
    }),
    ..FAST
};

pub(super) const SIZE: Query = Query {
    name: "database_size",
    why: "Its growth tells the day on which the disk is full.",
    sql: &[sql(
        14,
        "select {db:datname} as datname, sum(pg_database_size(oid)) as bytes from pg_database \
         where has_database_privilege(oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage') group by 1",
    )],
    cost: "2 µs for each file of the databases",
    shape: Shape::Columns {
        labels: &["datname"],
        columns: &[gauge(
            "bytes",
            "pg_database_size_bytes",
            "Disk space of the database, read once a minute.",
        )],
    },
    ..MINUTE
};
