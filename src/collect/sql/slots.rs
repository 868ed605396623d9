//! Replication slots: what they hold back, and for whom.

use super::query::{MINUTE, Most, Query, Shape, TEN_SECONDS, Top, counter, gauge, sql, sql_of};

const BY_DATABASE: &[&str] = &["slot_name", "database"];
const BY_TYPE: &[&str] = &["slot_name", "slot_type"];

/// Two spellings of some, as peers had them.
///
/// Before 17 there is no reason; a slot is lost all the same when its WAL is gone, and on 16 in conflict with recovery.
/// What is lost retains nothing, though its position stands still.
pub(super) const SLOTS: Query = Query {
    name: "replication_slots",
    why: "A slot that nobody reads keeps WAL until the disk is full, and vacuum from its work.",
    sql: &[sql_of(
        "pg_replication_slots",
        14,
        "select slot_name, database, slot_type, wal_status, active, lsn - '0/0' as lsn, \
         greatest(lsn, restart_lsn) - restart_lsn as behind, confirmed_flush_lsn - '0/0' as confirmed, \
         case wal_status when 'lost' then 0 else greatest(lsn, restart_lsn) - restart_lsn end as retained, safe_wal_size, \
         case when wal_status is not null then 1 end as has_status, age(xmin) as xmin, age(catalog_xmin) as catalog_xmin, \
         reason, reason is not null as invalidated\
         {inactive_since|, case when active then 0 else extract(epoch from clock_timestamp() - inactive_since) end as inactive} \
         from (select *, coalesce({invalidation_reason|invalidation_reason|null}, \
         {conflicting|case when conflicting then 'conflict' end|null}, case wal_status when 'lost' then 'wal_removed' end) as reason from pg_replication_slots) as s cross join \
         (select case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) \
         else pg_current_wal_lsn() end as lsn) as w",
    )],
    shape: Shape::Columns {
        labels: &["slot_name", "database", "slot_type", "wal_status", "reason"],
        columns: &[
            gauge("active", "pg_replication_slots_active", "Whether somebody reads from the slot.")
                .only(BY_DATABASE),
            gauge(
                "behind",
                "pg_replication_slots_pg_wal_lsn_diff",
                "WAL between the slot's restart position and now, in bytes.",
            )
            .only(BY_DATABASE),
            gauge(
                "lsn",
                "pg_replication_slots_slot_current_wal_lsn",
                "Position in the WAL that the server is at.",
            )
            .only(BY_TYPE)
            .max(),
            gauge(
                "confirmed",
                "pg_replication_slots_slot_confirmed_flush_lsn",
                "Position in the WAL up to which a logical slot's reader has confirmed.",
            )
            .only(BY_TYPE)
            .alone(),
            gauge("active", "pg_replication_slots_slot_is_active", "Whether somebody reads from the slot.")
                .only(BY_TYPE),
            gauge(
                "safe_wal_size",
                "pg_replication_slots_safe_wal_size_bytes",
                "WAL that can be written before the slot may be lost; absent without max_slot_wal_keep_size.",
            )
            .only(BY_TYPE)
            .alone(),
            gauge(
                "has_status",
                "pg_replication_slots_wal_status",
                "1 for each slot, with whether its WAL is there still: reserved, extended, unreserved or lost.",
            )
            .only(&["slot_name", "slot_type", "wal_status"])
            .alone(),
            gauge("retained", "pg_replication_slots_retained_bytes", "WAL that the slot keeps on the disk.")
                .only(BY_TYPE),
            gauge(
                "inactive",
                "pg_replication_slots_inactive_seconds",
                "Time since somebody read from the slot; 0 while somebody does.",
            )
            .since(17)
            .only(BY_TYPE)
            .max(),
            gauge(
                "invalidated",
                "pg_replication_slots_invalidated",
                "Whether the slot is of no more use, with the reason.",
            )
            .only(&["slot_name", "slot_type", "reason"]),
            gauge(
                "xmin",
                "pg_replication_slots_xmin_age_xids",
                "Transactions since the oldest one that vacuum must keep rows for on behalf of the slot.",
            )
            .only(BY_TYPE)
            .max(),
            gauge(
                "catalog_xmin",
                "pg_replication_slots_catalog_xmin_age_xids",
                "The same for rows of the system catalogs.",
            )
            .only(BY_TYPE)
            .max(),
        ],
    },
    top: Some(Top {
        most: Most::Fixed(20),
        by: &["retained", "behind", "invalidated"],
        folds: &["slot_name", "database", "slot_type", "wal_status", "reason"],
    }),
    ..TEN_SECONDS
};

pub(super) const DECODED: Query = Query {
    name: "stat_replication_slots",
    why: "What logical decoding spills to disk says that logical_decoding_work_mem is too small.",
    sql: &[sql(
        14,
        "select slot_name, spill_txns, spill_bytes, stream_txns, stream_bytes, total_txns, total_bytes \
         from pg_stat_replication_slots",
    )],
    shape: Shape::Columns {
        labels: &["slot_name"],
        columns: &[
            counter(
                "spill_txns",
                "pg_stat_replication_slots_spill_txns_total",
                "Transactions that decoding spilled to disk.",
            ),
            counter(
                "spill_bytes",
                "pg_stat_replication_slots_spill_bytes_total",
                "Decoded data spilled to disk.",
            ),
            counter(
                "stream_txns",
                "pg_stat_replication_slots_stream_txns_total",
                "Transactions streamed to the reader before they ended.",
            ),
            counter(
                "stream_bytes",
                "pg_stat_replication_slots_stream_bytes_total",
                "Decoded data streamed before its transaction ended.",
            ),
            counter(
                "total_txns",
                "pg_stat_replication_slots_total_txns_total",
                "Transactions sent to the decoding plugin.",
            ),
            counter(
                "total_bytes",
                "pg_stat_replication_slots_total_bytes_total",
                "Data sent to the decoding plugin.",
            ),
        ],
    },
    top: Some(Top { most: Most::Fixed(20), by: &["total_bytes", "spill_bytes"], folds: &["slot_name"] }),
    ..MINUTE
};
