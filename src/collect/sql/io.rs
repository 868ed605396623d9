//! Reads and writes by who does them and why.

use super::query::{Column, FAST, Query, Shape, counter, gauge, sql_of};

const fn seconds(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    counter(column, metric, help).times(1e-3)
}

/// Rows in which nothing ever happened are left out: 18 has 79 combinations, of which an indexer uses a dozen.
pub(super) const IO: Query = Query {
    name: "stat_io",
    why: "Whether sessions, checkpoints or vacuum wait for the disk, and which of them should.",
    // 16 and 17 count operations of one block each; 18 counts bytes, and has operations of several blocks.
    sql: &[sql_of(
        "pg_stat_io",
        16,
        "select backend_type, object, context, reads, writes, writebacks, extends, hits, evictions, reuses, fsyncs, \
         {read_bytes|read_bytes|reads * op_bytes as read_bytes}, \
         {write_bytes|write_bytes|writes * op_bytes as write_bytes}, \
         {extend_bytes|extend_bytes|extends * op_bytes as extend_bytes}, \
         read_time, write_time, writeback_time, extend_time, fsync_time, extract(epoch from stats_reset) as stats_reset \
         from pg_stat_io where coalesce(reads, 0) + coalesce(writes, 0) + coalesce(writebacks, 0) + coalesce(extends, 0) \
         + coalesce(hits, 0) + coalesce(evictions, 0) + coalesce(reuses, 0) + coalesce(fsyncs, 0) > 0",
    )],
    shape: Shape::Columns {
        labels: &["backend_type", "object", "context"],
        columns: &[
            counter("reads", "pg_stat_io_reads_total", "Read operations.").since(16),
            counter("writes", "pg_stat_io_writes_total", "Write operations.").since(16),
            counter(
                "writebacks",
                "pg_stat_io_writebacks_total",
                "Blocks that the kernel was asked to write out.",
            )
            .since(16),
            counter("extends", "pg_stat_io_extends_total", "Operations that made a relation longer.")
                .since(16),
            counter("hits", "pg_stat_io_hits_total", "Blocks found in shared buffers.").since(16),
            counter(
                "evictions",
                "pg_stat_io_evictions_total",
                "Blocks that had to leave shared buffers for others.",
            )
            .since(16),
            counter(
                "reuses",
                "pg_stat_io_reuses_total",
                "Buffers of a ring, such as vacuum's, that were used again.",
            )
            .since(16),
            counter("fsyncs", "pg_stat_io_fsyncs_total", "Syncs of files.").since(16),
            counter("read_bytes", "pg_stat_io_read_bytes_total", "Bytes read.").since(16),
            counter("write_bytes", "pg_stat_io_write_bytes_total", "Bytes written.").since(16),
            counter("extend_bytes", "pg_stat_io_extend_bytes_total", "Bytes by which relations grew.")
                .since(16),
            seconds(
                "read_time",
                "pg_stat_io_read_seconds_total",
                "Time spent reading; 0 unless track_io_timing is on.",
            )
            .since(16),
            seconds(
                "write_time",
                "pg_stat_io_write_seconds_total",
                "Time spent writing; 0 unless track_io_timing is on.",
            )
            .since(16),
            seconds(
                "writeback_time",
                "pg_stat_io_writeback_seconds_total",
                "Time spent asking the kernel to write out; 0 unless track_io_timing is on.",
            )
            .since(16),
            seconds(
                "extend_time",
                "pg_stat_io_extend_seconds_total",
                "Time spent making relations longer; 0 unless track_io_timing is on.",
            )
            .since(16),
            seconds(
                "fsync_time",
                "pg_stat_io_fsync_seconds_total",
                "Time spent syncing; 0 unless track_io_timing is on.",
            )
            .since(16),
            gauge(
                "stats_reset",
                "pg_stat_io_stats_reset_timestamp_seconds",
                "When these statistics were last reset, in seconds since 1970.",
            )
            .since(16),
        ],
    },
    ..FAST
};
