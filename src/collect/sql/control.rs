//! The control file: where recovery would begin.

use super::query::{MINUTE, Query, Shape, gauge, sql};

pub(super) const CHECKPOINT: Query = Query {
    name: "control_checkpoint",
    why: "What lies between the last checkpoint and now is what a crash makes the server read again before it answers.",
    sql: &[sql(
        14,
        "select extract(epoch from checkpoint_time) as at, pg_wal_lsn_diff(checkpoint_lsn, redo_lsn) as distance, \
         pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, redo_lsn) \
         as since_redo, timeline_id from pg_control_checkpoint()",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge(
                "at",
                "pg_checkpoint_last_timestamp_seconds",
                "When the last checkpoint was made, in seconds since 1970.",
            ),
            gauge(
                "distance",
                "pg_checkpoint_redo_distance_bytes",
                "WAL that was written while the last checkpoint was made.",
            ),
            gauge(
                "since_redo",
                "pg_checkpoint_wal_since_redo_bytes",
                "WAL that recovery would have to read now.",
            ),
            gauge(
                "timeline_id",
                "pg_timeline_id",
                "The timeline; another one means that a standby was promoted or a backup restored.",
            ),
        ],
    },
    ..MINUTE
};
