//! The background writer, and the names that moved out of its view in 17: dashboards still ask for them.

use super::query::{FAST, Query, Shape, counter, sql};

pub(super) const BGWRITER: Query = Query {
    name: "bgwriter",
    why: "Buffers that sessions write themselves are waits that checkpoints and the background writer did not spare them.",
    sql: &[
        // 18 counts operations, which may be of several blocks; so bytes are divided by the block's size.
        sql(
            18,
            "select num_timed as checkpoints_timed, num_requested as checkpoints_req, \
                   write_time as checkpoint_write_time, sync_time as checkpoint_sync_time, \
                   buffers_written as buffers_checkpoint, buffers_clean, maxwritten_clean, buffers_alloc, \
                   buffers_backend, buffers_backend_fsync from pg_stat_bgwriter, pg_stat_checkpointer, \
                   (select trunc(sum(coalesce(write_bytes, 0) + coalesce(extend_bytes, 0)) \
                   / current_setting('block_size')::int) as buffers_backend, \
                   sum(coalesce(fsyncs, 0)) as buffers_backend_fsync from pg_stat_io where object = 'relation' \
                   and backend_type not in ('checkpointer', 'background writer')) as sessions",
        ),
        sql(
            17,
            "select num_timed as checkpoints_timed, num_requested as checkpoints_req, \
                   write_time as checkpoint_write_time, sync_time as checkpoint_sync_time, \
                   buffers_written as buffers_checkpoint, buffers_clean, maxwritten_clean, buffers_alloc, \
                   buffers_backend, buffers_backend_fsync from pg_stat_bgwriter, pg_stat_checkpointer, \
                   (select sum(coalesce(writes, 0) + coalesce(extends, 0)) as buffers_backend, \
                   sum(coalesce(fsyncs, 0)) as buffers_backend_fsync from pg_stat_io where object = 'relation' \
                   and backend_type not in ('checkpointer', 'background writer')) as sessions",
        ),
        sql(
            14,
            "select checkpoints_timed, checkpoints_req, checkpoint_write_time, checkpoint_sync_time, \
                   buffers_checkpoint, buffers_clean, maxwritten_clean, buffers_alloc, buffers_backend, \
                   buffers_backend_fsync from pg_stat_bgwriter",
        ),
    ],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            counter(
                "checkpoints_timed",
                "pg_stat_bgwriter_checkpoints_timed_total",
                "Checkpoints due by checkpoint_timeout.",
            ),
            counter(
                "checkpoints_req",
                "pg_stat_bgwriter_checkpoints_req_total",
                "Checkpoints asked for by WAL volume or by command.",
            ),
            counter(
                "checkpoint_write_time",
                "pg_stat_bgwriter_checkpoint_write_time_total",
                "Time spent writing in checkpoints, in milliseconds.",
            ),
            counter(
                "checkpoint_sync_time",
                "pg_stat_bgwriter_checkpoint_sync_time_total",
                "Time spent syncing files in checkpoints, in milliseconds.",
            ),
            counter(
                "buffers_checkpoint",
                "pg_stat_bgwriter_buffers_checkpoint_total",
                "Buffers written by checkpoints.",
            ),
            counter(
                "buffers_clean",
                "pg_stat_bgwriter_buffers_clean_total",
                "Buffers written by the background writer.",
            ),
            counter(
                "maxwritten_clean",
                "pg_stat_bgwriter_maxwritten_clean_total",
                "Rounds that the background writer ended early at bgwriter_lru_maxpages.",
            ),
            counter("buffers_alloc", "pg_stat_bgwriter_buffers_alloc_total", "Buffers allocated."),
            counter(
                "buffers_backend",
                "pg_stat_bgwriter_buffers_backend_total",
                "Buffers written by sessions themselves; from 17 on derived from pg_stat_io.",
            ),
            counter(
                "buffers_backend_fsync",
                "pg_stat_bgwriter_buffers_backend_fsync_total",
                "Files synced by sessions themselves; from 17 on derived from pg_stat_io.",
            ),
        ],
    },
    ..FAST
};
