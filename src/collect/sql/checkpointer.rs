//! Checkpoints. Named as `pg_stat_checkpointer` (17 and later) names them, on every major.

use super::query::{FAST, Query, Shape, counter, sql, sql_of};

pub(super) const CHECKPOINTER: Query = Query {
    name: "checkpointer",
    why: "Checkpoints forced by WAL volume mean that max_wal_size is too small for the write rate.",
    sql: &[
        sql_of(
            "pg_stat_checkpointer",
            17,
            "select num_timed, num_requested{num_done}, restartpoints_timed, restartpoints_req, restartpoints_done, \
             write_time, sync_time, buffers_written{slru_written} from pg_stat_checkpointer",
        ),
        sql(
            14,
            "select checkpoints_timed as num_timed, checkpoints_req as num_requested, checkpoint_write_time as write_time, \
             checkpoint_sync_time as sync_time, buffers_checkpoint as buffers_written from pg_stat_bgwriter",
        ),
    ],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            counter(
                "num_timed",
                "pg_stat_checkpointer_num_timed_total",
                "Checkpoints due by checkpoint_timeout.",
            ),
            counter(
                "num_requested",
                "pg_stat_checkpointer_num_requested_total",
                "Checkpoints asked for by WAL volume or by command.",
            ),
            counter("num_done", "pg_stat_checkpointer_num_done_total", "Checkpoints completed.").since(18),
            counter(
                "restartpoints_timed",
                "pg_stat_checkpointer_restartpoints_timed_total",
                "Restartpoints of a standby due by time.",
            )
            .since(17),
            counter(
                "restartpoints_req",
                "pg_stat_checkpointer_restartpoints_req_total",
                "Restartpoints of a standby that were asked for.",
            )
            .since(17),
            counter(
                "restartpoints_done",
                "pg_stat_checkpointer_restartpoints_done_total",
                "Restartpoints of a standby that were completed.",
            )
            .since(17),
            counter(
                "write_time",
                "pg_stat_checkpointer_write_time_total",
                "Time spent writing in checkpoints, in milliseconds.",
            ),
            counter(
                "write_time",
                "pg_stat_checkpointer_write_seconds_total",
                "Time spent writing in checkpoints.",
            )
            .times(1e-3),
            counter(
                "sync_time",
                "pg_stat_checkpointer_sync_time_total",
                "Time spent syncing files in checkpoints, in milliseconds.",
            ),
            counter(
                "sync_time",
                "pg_stat_checkpointer_sync_seconds_total",
                "Time spent syncing files in checkpoints.",
            )
            .times(1e-3),
            counter(
                "buffers_written",
                "pg_stat_checkpointer_buffers_written_total",
                "Buffers written by checkpoints.",
            ),
            counter(
                "slru_written",
                "pg_stat_checkpointer_slru_written_total",
                "SLRU buffers written by checkpoints.",
            )
            .since(18),
        ],
    },
    ..FAST
};
