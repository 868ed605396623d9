//! What is in shared buffers, where the extension pg_buffercache tells.

use super::query::{Column, MINUTE, Query, Shape, gauge, sql};

const fn summary(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    gauge(column, metric, help).since(16)
}

/// The function came with version 1.4 of the extension; one that was not updated lacks it.
pub(super) const SUMMARY: Query = Query {
    name: "buffercache",
    why: "Buffers that are never used mean that shared_buffers is larger than it need be.",
    extension: Some("pg_buffercache"),
    sql: &[sql(
        16,
        "select s ->> 'buffers_used' as buffers_used, s ->> 'buffers_unused' as buffers_unused, \
         s ->> 'buffers_dirty' as buffers_dirty, s ->> 'buffers_pinned' as buffers_pinned, \
         s ->> 'usagecount_avg' as usagecount_avg \
         from (select jsonb_build_object('s', {pg_buffercache_summary()}) -> 's' as s) as summary \
         where jsonb_typeof(s) = 'object'",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            summary(
                "buffers_used",
                "pg_buffercache_summary_buffers_used",
                "Shared buffers that hold a page.",
            ),
            summary(
                "buffers_unused",
                "pg_buffercache_summary_buffers_unused",
                "Shared buffers that hold none.",
            ),
            summary(
                "buffers_dirty",
                "pg_buffercache_summary_buffers_dirty",
                "Shared buffers that are yet to be written.",
            ),
            summary(
                "buffers_pinned",
                "pg_buffercache_summary_buffers_pinned",
                "Shared buffers in use at this moment.",
            ),
            summary(
                "usagecount_avg",
                "pg_buffercache_summary_usagecount_avg",
                "Average usage count of shared buffers, 0 to 5.",
            ),
        ],
    },
    cost: "looks at every buffer's header, without a lock: some milliseconds a gigabyte",
    ..MINUTE
};
