//! Replication from both ends: how far behind standbys are as the sender sees it, and what a standby knows itself.

use super::query::{Column, FAST, Most, Query, Shape, Top, gauge, one, sql};

/// What is received and replayed in whole is no lag, even if the link to the primary broke an hour ago: hence
/// `pg_replication_wal_receiver_up` of [`RECEIVER`].
pub(super) const LAG: Query = Query {
    name: "replication",
    why: "How old the data is that a standby answers with.",
    sql: &[sql(
        14,
        "select case when not standby or pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() then 0 \
         else extract(epoch from greatest(clock_timestamp(), replayed) - replayed) end as lag, \
         case when standby then extract(epoch from greatest(clock_timestamp(), replayed) - replayed) end as last_replay, \
         case when standby then pg_is_wal_replay_paused() end as paused \
         from (select pg_is_in_recovery() as standby, pg_last_xact_replay_timestamp() as replayed) as s",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge(
                "lag",
                "pg_replication_lag_seconds",
                "Age of the transaction replayed last; 0 where all that was received is replayed, and on a primary.",
            ),
            gauge(
                "last_replay",
                "pg_replication_last_replay_seconds",
                "Age of the transaction replayed last, which grows while nothing is written; on a standby only.",
            ),
            gauge(
                "paused",
                "pg_in_recovery_paused",
                "Whether replay is paused, or asked to pause; on a standby only.",
            ),
        ],
    },
    ..FAST
};

const LABELS: &[&str] = &["application_name", "client_addr", "state", "slot_name"];

const fn behind(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    gauge(column, metric, help).only(LABELS).max()
}

/// Without the process id, so that a new connection is not a new series. Of standbys that cannot be told apart the
/// worst is shown, and the best state: its names happen to stand in the order of the alphabet.
///
/// The position may have been read a little before a standby's own, hence `greatest`, which ignores a NULL.
pub(super) const STANDBYS: Query = Query {
    name: "stat_replication",
    why: "Which standby is behind, and whether sending, writing or replaying keeps it back.",
    sql: &[sql(
        14,
        "select application_name, client_addr, state, slot_name, max(sync_state) as sync_state, max(lsn - '0/0') as lsn, \
         max(greatest(lsn, sent_lsn) - sent_lsn) as sent, max(greatest(lsn, write_lsn) - write_lsn) as written, \
         max(greatest(lsn, flush_lsn) - flush_lsn) as flushed, max(greatest(lsn, replay_lsn) - replay_lsn) as replayed, \
         extract(epoch from max(write_lag)) as write_lag, extract(epoch from max(flush_lag)) as flush_lag, \
         extract(epoch from max(replay_lag)) as replay_lag \
         from (select r.*, s.slot_name, w.lsn from pg_stat_replication r \
         left join pg_replication_slots s on s.active_pid = r.pid \
         cross join (select case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) \
         else pg_current_wal_lsn() end as lsn) as w) as r group by 1, 2, 3, 4",
    )],
    shape: Shape::Columns {
        labels: &["application_name", "client_addr", "state", "slot_name", "sync_state"],
        columns: &[
            behind(
                "lsn",
                "pg_stat_replication_pg_current_wal_lsn_bytes",
                "Position in the WAL up to which there is something to send.",
            ),
            behind(
                "replayed",
                "pg_stat_replication_pg_wal_lsn_diff",
                "WAL that the standby has not replayed, in bytes.",
            ),
            behind("sent", "pg_stat_replication_sent_lag_bytes", "WAL that is not sent yet."),
            behind(
                "written",
                "pg_stat_replication_write_lag_bytes",
                "WAL that the standby has not written to its disk.",
            ),
            behind(
                "flushed",
                "pg_stat_replication_flush_lag_bytes",
                "WAL that the standby has not synced to its disk.",
            ),
            behind(
                "replayed",
                "pg_stat_replication_replay_lag_bytes",
                "WAL that the standby has not replayed.",
            ),
            behind(
                "write_lag",
                "pg_stat_replication_write_lag_seconds",
                "Time that recent WAL took to be written by the standby; absent while there is none.",
            ),
            behind(
                "flush_lag",
                "pg_stat_replication_flush_lag_seconds",
                "Time that recent WAL took to be synced by the standby; absent while there is none.",
            ),
            behind(
                "replay_lag",
                "pg_stat_replication_replay_lag_seconds",
                "Time that recent WAL took to be replayed by the standby; absent while there is none.",
            ),
            one(
                "pg_stat_replication_sync_state",
                "1 for each standby, with what commits await of it: async, potential, quorum or sync.",
            ),
        ],
    },
    top: Some(Top {
        most: Most::Fixed(20),
        by: &["replayed", "sent"],
        folds: &["application_name", "client_addr", "state", "slot_name", "sync_state"],
    }),
    ..FAST
};

/// A standby has one row, with nothing but `up` while it is not connected.
pub(super) const RECEIVER: Query = Query {
    name: "stat_wal_receiver",
    why: "A standby that lost its primary looks healthy until somebody needs it.",
    sql: &[sql(
        14,
        "select sender_host as upstream_host, slot_name, status, pid is not null as up, \
         receive_start_lsn - '0/0' as receive_start_lsn, flushed_lsn - '0/0' as flushed_lsn, receive_start_tli, \
         received_tli, extract(epoch from last_msg_send_time) as last_msg_send_time, \
         extract(epoch from last_msg_receipt_time) as last_msg_receipt_time, \
         latest_end_lsn - '0/0' as latest_end_lsn, extract(epoch from latest_end_time) as latest_end_time, \
         substring(slot_name from 'repmgr_slot_([0-9]+)') as upstream_node \
         from (select where pg_is_in_recovery()) as standby left join pg_stat_wal_receiver on true",
    )],
    shape: Shape::Columns {
        labels: &["upstream_host", "slot_name", "status"],
        columns: &[
            gauge(
                "up",
                "pg_replication_wal_receiver_up",
                "Whether the standby is connected to its primary; on a standby only.",
            )
            .only(&[]),
            gauge(
                "receive_start_lsn",
                "pg_stat_wal_receiver_receive_start_lsn",
                "Position in the WAL from which the receiver started.",
            ),
            gauge(
                "flushed_lsn",
                "pg_stat_wal_receiver_flushed_lsn",
                "Position in the WAL up to which it is received and synced.",
            ),
            gauge(
                "receive_start_tli",
                "pg_stat_wal_receiver_receive_start_tli",
                "Timeline at which the receiver started.",
            ),
            gauge("received_tli", "pg_stat_wal_receiver_received_tli", "Timeline of what was received last."),
            gauge(
                "last_msg_send_time",
                "pg_stat_wal_receiver_last_msg_send_time",
                "When the last message was sent by the primary's clock, in seconds since 1970.",
            ),
            gauge(
                "last_msg_receipt_time",
                "pg_stat_wal_receiver_last_msg_receipt_time",
                "When the last message arrived, in seconds since 1970.",
            ),
            gauge(
                "latest_end_lsn",
                "pg_stat_wal_receiver_latest_end_lsn",
                "Position in the WAL that the primary reported last.",
            ),
            gauge(
                "latest_end_time",
                "pg_stat_wal_receiver_latest_end_time",
                "When the primary reported it, in seconds since 1970.",
            ),
            gauge(
                "upstream_node",
                "pg_stat_wal_receiver_upstream_node",
                "Number of the primary's node, where the slot has a name of repmgr's.",
            ),
        ],
    },
    ..FAST
};
