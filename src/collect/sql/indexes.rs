//! Indexes: which are used, and which are not worth their writes.

use super::query::{Cadence, EACH_DATABASE, Most, Query, Shape, Top, counter, gauge, sql, sql_of};

/// Indexes of partitions are summed up as the index that they are of; those of chunks, which have no such index, as
/// `*` of their hypertable.
pub(super) const INDEXES: Query = Query {
    name: "stat_user_indexes",
    why: "An index that is never read costs a write for each row, and cache.",
    sql: &[sql_of(
        "pg_stat_all_indexes",
        14,
        "select current_database() as datname, n.nspname as schemaname, t.relname, \
         case when h.inhparent is null then i.relname else '*' end as indexrelname, \
         sum(pg_stat_get_numscans(c.oid)) as idx_scan, sum(pg_stat_get_tuples_returned(c.oid)) as idx_tup_read, \
         sum(pg_stat_get_tuples_fetched(c.oid)) as idx_tup_fetch\
         {last_idx_scan|, extract(epoch from max(pg_stat_get_lastscan(c.oid))) as last_idx_scan}, \
         sum(pg_stat_get_blocks_fetched(c.oid) - pg_stat_get_blocks_hit(c.oid)) as idx_blks_read, \
         sum(pg_stat_get_blocks_hit(c.oid)) as idx_blks_hit, \
         sum(c.relpages::int8) * current_setting('block_size')::int8 as bytes \
         from pg_index x join pg_class c on c.oid = x.indexrelid and c.relkind = 'i' \
         join pg_class own on own.oid = x.indrelid join pg_namespace o on o.oid = own.relnamespace \
         left join pg_inherits h on h.inhrelid = own.oid and o.nspname = '_timescaledb_internal' \
         join pg_class i on i.oid = case when c.relispartition then pg_partition_root(c.oid)::oid else c.oid end \
         join pg_class t on t.oid = case when own.relispartition then pg_partition_root(own.oid)::oid \
         else coalesce(h.inhparent, own.oid) end join pg_namespace n on n.oid = t.relnamespace \
         where o.nspname not in ('pg_catalog', 'information_schema') and o.nspname not like 'pg\\_toast%' \
         and o.nspname not like 'pg\\_temp\\_%' group by 1, 2, 3, 4",
    )],
    shape: Shape::Columns {
        labels: &["datname", "schemaname", "relname", "indexrelname"],
        columns: &[
            counter("idx_scan", "pg_stat_user_indexes_idx_scan_total", "Scans of the index."),
            counter(
                "idx_tup_read",
                "pg_stat_user_indexes_idx_tup_read_total",
                "Entries that scans returned.",
            ),
            counter(
                "idx_tup_fetch",
                "pg_stat_user_indexes_idx_tup_fetch_total",
                "Rows that plain scans fetched.",
            ),
            gauge(
                "last_idx_scan",
                "pg_stat_user_indexes_last_idx_scan_timestamp_seconds",
                "Last scan, in seconds since 1970; absent if never.",
            )
            .since(16)
            .alone(),
            counter(
                "idx_blks_read",
                "pg_statio_user_indexes_idx_blks_read_total",
                "Blocks read from outside shared_buffers.",
            ),
            counter(
                "idx_blks_hit",
                "pg_statio_user_indexes_idx_blks_hit_total",
                "Blocks found in shared_buffers.",
            ),
            gauge(
                "bytes",
                "pg_index_size_estimate_bytes",
                "Size as of the last vacuum, analyze or build: read without a lock.",
            ),
        ],
    },
    top: Some(Top {
        most: Most::Relations,
        by: &["bytes", "idx_scan", "idx_blks_read"],
        folds: &["schemaname", "relname", "indexrelname"],
    }),
    cost: "about 10 µs an index",
    ..EACH_DATABASE
};

/// What CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY leave behind when they fail; one that is being built is
/// invalid too.
pub(super) const INVALID: Query = Query {
    name: "index_invalid",
    why: "An invalid index is written and never read: drop it or build it again.",
    sql: &[sql(
        14,
        "select current_database() as datname, n.nspname as schemaname, t.relname, c.relname as indexrelname, 1 as invalid \
         from pg_index x join pg_class c on c.oid = x.indexrelid join pg_class t on t.oid = x.indrelid \
         join pg_namespace n on n.oid = t.relnamespace where not x.indisvalid and c.relkind = 'i'",
    )],
    shape: Shape::Columns {
        labels: &["datname", "schemaname", "relname", "indexrelname"],
        columns: &[gauge("invalid", "pg_index_invalid", "1 for each index that is not valid.")],
    },
    top: Some(Top {
        most: Most::Fixed(20),
        by: &["invalid"],
        folds: &["schemaname", "relname", "indexrelname"],
    }),
    ..EACH_DATABASE
};

/// Unused: never scanned since the statistics were reset, and no constraint rests on it. Duplicate: another index of
/// the table has the same columns, operator classes, expressions and condition; the bytes are those of all but the
/// first.
pub(super) const WASTE: Query = Query {
    name: "index_waste",
    why: "Disk, cache and write time that could be had back.",
    cadence: Cadence::TenMinutes,
    sql: &[sql(
        14,
        "with own as (select x.*, c.relpages::int8 * current_setting('block_size')::int8 as bytes, \
         pg_stat_get_numscans(c.oid) as scans, exists (select from pg_constraint k where k.conindid = c.oid) as holds, \
         row_number() over (partition by x.indrelid, x.indkey::text, x.indclass::text, x.indcollation::text, \
         x.indoption::text, coalesce(x.indexprs::text, ''), coalesce(x.indpred::text, ''), c.relam \
         order by not x.indisunique, c.oid) as nth \
         from pg_index x join pg_class c on c.oid = x.indexrelid and c.relkind = 'i' \
         join pg_namespace n on n.oid = c.relnamespace where n.nspname not in ('pg_catalog', 'information_schema') \
         and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp\\_%') \
         select current_database() as datname, \
         coalesce(sum(bytes) filter (where scans = 0 and not indisunique and not holds), 0) as unused_bytes, \
         count(*) filter (where scans = 0 and not indisunique and not holds) as unused, \
         coalesce(sum(bytes) filter (where nth > 1), 0) as duplicate_bytes, count(*) filter (where nth > 1) as duplicate \
         from own",
    )],
    shape: Shape::Columns {
        labels: &["datname"],
        columns: &[
            gauge(
                "unused_bytes",
                "pg_index_unused_bytes",
                "Size of indexes that were never scanned and that no constraint needs.",
            ),
            gauge(
                "unused",
                "pg_index_unused",
                "Indexes that were never scanned and that no constraint needs.",
            ),
            gauge(
                "duplicate_bytes",
                "pg_index_duplicate_bytes",
                "Size of indexes that another one of the table makes superfluous.",
            ),
            gauge(
                "duplicate",
                "pg_index_duplicate",
                "Indexes that another one of the table makes superfluous.",
            ),
        ],
    },
    top: Some(Top { most: Most::Databases, by: &["unused_bytes", "duplicate_bytes"], folds: &["datname"] }),
    ..EACH_DATABASE
};
