//! The receiving end of logical replication, and how recovery reads ahead.

use super::query::{Column, MINUTE, Most, Query, Shape, Top, counter, gauge, sql, sql_of};

const fn conflict(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    counter(column, metric, help).since(18)
}

/// Only the worker that applies counts for positions and times, not those that copy tables at first. A standby has the
/// primary's subscriptions in its catalog, but runs none.
pub(super) const SUBSCRIPTIONS: Query = Query {
    name: "stat_subscription",
    why: "A subscription that stopped or fails again and again keeps WAL on the publisher's disk.",
    sql: &[sql_of(
        "pg_stat_subscription_stats",
        14,
        "select {db:d.datname} as datname, s.subname, min(s.subenabled::int) as enabled, sum(workers) as workers, \
         max(received - '0/0') as received, extract(epoch from max(late)) as late, \
         extract(epoch from clock_timestamp() - min(receipt)) as silent\
         {apply_error_count|, sum(apply_error_count) as apply_error_count}\
         {sync_error_count|, sum(sync_error_count) as sync_error_count}\
         {confl_insert_exists|, sum(confl_insert_exists) as confl_insert_exists}\
         {confl_update_origin_differs|, sum(confl_update_origin_differs) as confl_update_origin_differs}\
         {confl_update_exists|, sum(confl_update_exists) as confl_update_exists}\
         {confl_update_missing|, sum(confl_update_missing) as confl_update_missing}\
         {confl_delete_origin_differs|, sum(confl_delete_origin_differs) as confl_delete_origin_differs}\
         {confl_delete_missing|, sum(confl_delete_missing) as confl_delete_missing}\
         {confl_multiple_unique_conflicts|, sum(confl_multiple_unique_conflicts) as confl_multiple_unique_conflicts} \
         from pg_subscription s join pg_database d on d.oid = s.subdbid \
         left join (select subid, count(pid) as workers, max(received_lsn) filter (where relid is null) as received, \
         max(last_msg_receipt_time) filter (where relid is null) as receipt, \
         max(greatest(last_msg_receipt_time, last_msg_send_time) - last_msg_send_time) filter (where relid is null) as late \
         from pg_stat_subscription group by 1) as w on w.subid = s.oid \
         {apply_error_count|left join pg_stat_subscription_stats e on e.subid = s.oid} \
         where not pg_is_in_recovery() group by 1, 2",
    )],
    shape: Shape::Columns {
        labels: &["datname", "subname"],
        columns: &[
            gauge("enabled", "pg_subscription_enabled", "Whether the subscription is meant to run."),
            gauge(
                "workers",
                "pg_stat_subscription_workers",
                "Running workers of the subscription, those that copy tables included; 0 when it does not run.",
            ),
            gauge(
                "received",
                "pg_stat_subscription_received_lsn_bytes",
                "Position in the publisher's WAL of what was received last.",
            )
            .max(),
            gauge(
                "late",
                "pg_stat_subscription_lag_seconds",
                "Time from the sending of the last message to its receipt, which waits for the work before it; \
                 by the clocks of both servers.",
            )
            .max(),
            gauge(
                "silent",
                "pg_stat_subscription_last_msg_age_seconds",
                "Time since the last message of the publisher.",
            )
            .max(),
            counter(
                "apply_error_count",
                "pg_stat_subscription_apply_errors_total",
                "Errors while changes were applied.",
            )
            .since(15),
            counter(
                "sync_error_count",
                "pg_stat_subscription_sync_errors_total",
                "Errors while tables were copied at first.",
            )
            .since(15),
            conflict(
                "confl_insert_exists",
                "pg_stat_subscription_confl_insert_exists_total",
                "Inserted rows whose key was there already.",
            ),
            conflict(
                "confl_update_origin_differs",
                "pg_stat_subscription_confl_update_origin_differs_total",
                "Updated rows that another origin had changed before.",
            ),
            conflict(
                "confl_update_exists",
                "pg_stat_subscription_confl_update_exists_total",
                "Updated rows whose new key was there already.",
            ),
            conflict(
                "confl_update_missing",
                "pg_stat_subscription_confl_update_missing_total",
                "Updated rows that were not there.",
            ),
            conflict(
                "confl_delete_origin_differs",
                "pg_stat_subscription_confl_delete_origin_differs_total",
                "Deleted rows that another origin had changed before.",
            ),
            conflict(
                "confl_delete_missing",
                "pg_stat_subscription_confl_delete_missing_total",
                "Deleted rows that were not there.",
            ),
            conflict(
                "confl_multiple_unique_conflicts",
                "pg_stat_subscription_confl_multiple_unique_conflicts_total",
                "Rows that broke several unique constraints at once.",
            ),
        ],
    },
    top: Some(Top {
        most: Most::Fixed(20),
        by: &["silent", "late", "workers"],
        folds: &["datname", "subname"],
    }),
    ..MINUTE
};

/// On a standby, or while a crash is recovered from.
pub(super) const PREFETCH: Query = Query {
    name: "recovery_prefetch",
    why: "Whether replay waits for the disk, or recovery_prefetch reads far enough ahead.",
    sql: &[sql(
        15,
        "select prefetch, hit, skip_init, skip_new, skip_fpw, skip_rep, wal_distance, block_distance, io_depth \
         from pg_stat_recovery_prefetch where pg_is_in_recovery()",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            counter("prefetch", "pg_stat_recovery_prefetch_prefetch_total", "Blocks read ahead.").since(15),
            counter(
                "hit",
                "pg_stat_recovery_prefetch_hit_total",
                "Blocks not read ahead because they were in shared_buffers.",
            )
            .since(15),
            counter(
                "skip_init",
                "pg_stat_recovery_prefetch_skip_init_total",
                "Blocks not read ahead because replay makes them anew.",
            )
            .since(15),
            counter(
                "skip_new",
                "pg_stat_recovery_prefetch_skip_new_total",
                "Blocks not read ahead because they did not exist yet.",
            )
            .since(15),
            counter(
                "skip_fpw",
                "pg_stat_recovery_prefetch_skip_fpw_total",
                "Blocks not read ahead because the WAL has a full image.",
            )
            .since(15),
            counter(
                "skip_rep",
                "pg_stat_recovery_prefetch_skip_rep_total",
                "Blocks not read ahead because they were a moment ago.",
            )
            .since(15),
            gauge(
                "wal_distance",
                "pg_stat_recovery_prefetch_wal_distance_bytes",
                "How far ahead of replay the WAL is looked at.",
            )
            .since(15),
            gauge(
                "block_distance",
                "pg_stat_recovery_prefetch_block_distance",
                "Blocks ahead of replay that are being read.",
            )
            .since(15),
            gauge("io_depth", "pg_stat_recovery_prefetch_io_depth", "Reads under way.").since(15),
        ],
    },
    ..MINUTE
};
