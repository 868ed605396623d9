//! Write-ahead log: how much, how it is written, and where it stands.

use super::query::{FAST, Query, Shape, counter, gauge, sql, sql_of};

pub(super) const WAL: Query = Query {
    name: "wal",
    why: "WAL volume sets the pace of checkpoints and of replicas; its share of full-page images tells how much of it \
          rarer checkpoints would save.",
    // 18 moved writes and syncs to pg_stat_io; its context `init`, new segments, was never among them.
    sql: &[sql_of(
        "pg_stat_wal",
        14,
        "select wal_records, wal_fpi, wal_bytes, wal_buffers_full, wal_write, wal_sync, wal_write_time, wal_sync_time \
         from pg_stat_wal{wal_write||, (select sum(writes) as wal_write, sum(fsyncs) as wal_sync, \
         sum(write_time) as wal_write_time, sum(fsync_time) as wal_sync_time from pg_stat_io \
         where object = 'wal' and context = 'normal') as io}",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            counter("wal_records", "pg_stat_wal_records_total", "WAL records generated."),
            counter("wal_fpi", "pg_stat_wal_fpi_total", "Full-page images written to the WAL."),
            counter("wal_bytes", "pg_stat_wal_bytes_total", "WAL generated."),
            counter(
                "wal_buffers_full",
                "pg_stat_wal_buffers_full_total",
                "Times that WAL was written because wal_buffers were full.",
            ),
            counter("wal_write", "pg_stat_wal_write_total", "Writes of WAL to disk."),
            counter("wal_sync", "pg_stat_wal_sync_total", "Syncs of WAL files."),
            counter(
                "wal_write_time",
                "pg_stat_wal_write_seconds_total",
                "Time spent writing WAL; 0 unless track_wal_io_timing is on.",
            )
            .times(1e-3),
            counter(
                "wal_sync_time",
                "pg_stat_wal_sync_seconds_total",
                "Time spent syncing WAL; 0 unless track_wal_io_timing is on.",
            )
            .times(1e-3),
        ],
    },
    ..FAST
};

/// Apart from [`WAL`], because some managed servers refuse the functions.
pub(super) const POSITION: Query = Query {
    name: "wal_position",
    why: "Its rate is the WAL throughput, on a standby too.",
    sql: &[sql(
        14,
        "select pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
               else pg_current_wal_lsn() end, '0/0') as lsn",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[gauge(
            "lsn",
            "pg_wal_lsn_bytes",
            "Position in the WAL: what is written, or what a standby has replayed.",
        )],
    },
    ..FAST
};
