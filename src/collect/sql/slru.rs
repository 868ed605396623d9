//! The small caches of transaction status, subtransactions, multixacts and notifications.

use super::query::{MINUTE, Query, Shape, counter, sql};

/// 17 gave them other names; those are used for all.
pub(super) const SLRU: Query = Query {
    name: "stat_slru",
    why: "Reads here mean that many subtransactions, row locks or old transactions do not fit into their small caches.",
    sql: &[sql(
        14,
        "select case name when 'CommitTs' then 'commit_timestamp' when 'MultiXactMember' then 'multixact_member' \
         when 'MultiXactOffset' then 'multixact_offset' when 'Notify' then 'notify' when 'Serial' then 'serializable' \
         when 'Subtrans' then 'subtransaction' when 'Xact' then 'transaction' else name end as name, \
         blks_hit, blks_read, blks_written, blks_zeroed, blks_exists, flushes, truncates from pg_stat_slru",
    )],
    shape: Shape::Columns {
        labels: &["name"],
        columns: &[
            counter("blks_hit", "pg_stat_slru_blks_hit_total", "Pages found in the cache."),
            counter("blks_read", "pg_stat_slru_blks_read_total", "Pages read from disk."),
            counter("blks_written", "pg_stat_slru_blks_written_total", "Pages written to disk."),
            counter("blks_zeroed", "pg_stat_slru_blks_zeroed_total", "Pages begun empty."),
            counter("blks_exists", "pg_stat_slru_blks_exists_total", "Pages asked for whether they exist."),
            counter("flushes", "pg_stat_slru_flushes_total", "Times that the whole cache was written out."),
            counter("truncates", "pg_stat_slru_truncates_total", "Times that old pages were cut off."),
        ],
    },
    ..MINUTE
};
