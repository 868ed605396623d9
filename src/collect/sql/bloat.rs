//! How much of tables and indexes is air, estimated from what ANALYZE knows of their columns.
//!
//! A row takes the sum of its columns' average widths, a header of 24 bytes and an item pointer of 4; an index entry
//! a header of 8 and a pointer of 4, with pages filled to 90 %; a page has a header of 24 bytes, an index page 16 more
//! (src/include/storage/bufpage.h and access/{htup_details,itup,nbtree}.h of PostgreSQL). What a relation is bigger
//! than that is bloat, or padding, or an estimate that is off: trust it where it is large. A B-tree that stores equal
//! keys once is smaller than estimated, and shows no bloat.

use super::query::{Cadence, Column, EACH_DATABASE, Most, Query, Shape, Top, gauge, sql};
use super::rights::READ_ALL_DATA;

/// Below 128 pages, 1 MB, air is worth nobody's time.
pub(super) const TABLES: Query = Query {
    name: "bloat_table",
    why: "Space that a table keeps and does not use: vacuum makes it usable again, VACUUM FULL or pg_repack gives it back.",
    cadence: Cadence::Hour,
    needs: &[&READ_ALL_DATA],
    sql: &[sql(
        14,
        "with t as (select n.nspname, c.relname, c.reltuples, c.relpages, current_setting('block_size')::float8 as block, \
         coalesce((select option_value::float8 from pg_options_to_table(c.reloptions) where option_name = 'fillfactor'), 100) \
         / 100 as fill, (select sum((1 - s.null_frac) * s.avg_width) from pg_stats s where s.schemaname = n.nspname \
         and s.tablename = c.relname and not s.inherited) as width from pg_class c \
         join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'm') and c.relpages > 128 \
         and c.reltuples > 0 and n.nspname not in ('pg_catalog', 'information_schema')), \
         e as (select *, least(ceil(reltuples * (ceil((24 + width) / 8) * 8 + 4) / ((block - 24) * fill)), relpages) as need \
         from t where width is not null) \
         select current_database() as datname, nspname as schemaname, relname, (relpages - need) * block as bloat, \
         (relpages - need) / relpages as ratio, 100 * (relpages - need) / relpages as percent, relpages * block as real_size \
         from e",
    )],
    shape: Shape::Columns {
        labels: &["datname", "schemaname", "relname"],
        columns: &[
            gauge(
                "bloat",
                "pg_bloat_table_bytes",
                "Space that the rows do not need, estimated; without TOAST.",
            ),
            ratio("ratio", "pg_bloat_table_ratio", "The same as a share of the table."),
            ratio(
                "percent",
                "pg_bloat_table_bloat_pct",
                "The same in per cent, under the name that some alert rules have.",
            ),
            gauge(
                "real_size",
                "pg_bloat_table_real_size",
                "Size of the table without TOAST, in bytes, under the name that some alert rules have.",
            ),
        ],
    },
    top: Some(Top { most: Most::Relations, by: &["bloat"], folds: &["schemaname", "relname"] }),
    cost: "reads pg_stats for every table above 1 MB",
    ..EACH_DATABASE
};

pub(super) const BTREES: Query = Query {
    name: "bloat_btree",
    why: "Space that an index keeps and does not use: REINDEX CONCURRENTLY gives it back.",
    cadence: Cadence::Hour,
    needs: &[&READ_ALL_DATA],
    sql: &[sql(
        14,
        "with i as (select n.nspname, t.relname, c.relname as indexrelname, c.reltuples, c.relpages, \
         current_setting('block_size')::float8 as block, \
         coalesce((select option_value::float8 from pg_options_to_table(c.reloptions) where option_name = 'fillfactor'), 90) \
         / 100 as fill, (select case when bool_and(s.avg_width is not null) then sum((1 - s.null_frac) * s.avg_width) end \
         from pg_attribute a left join pg_attribute own on own.attrelid = x.indrelid \
         and own.attnum = x.indkey[a.attnum - 1] and own.attnum > 0 \
         left join pg_stats s on s.schemaname = n.nspname and not s.inherited \
         and s.tablename = case when own.attnum is null then c.relname else t.relname end \
         and s.attname = coalesce(own.attname, a.attname) where a.attrelid = c.oid and a.attnum > 0) as width \
         from pg_index x join pg_class c on c.oid = x.indexrelid join pg_am m on m.oid = c.relam and m.amname = 'btree' \
         join pg_class t on t.oid = x.indrelid join pg_namespace n on n.oid = t.relnamespace \
         where c.relkind = 'i' and c.relpages > 128 and c.reltuples > 0 \
         and n.nspname not in ('pg_catalog', 'information_schema')), \
         e as (select *, least(1 + ceil(reltuples * (ceil((8 + width) / 8) * 8 + 4) / ((block - 40) * fill)), relpages) as need \
         from i where width is not null) \
         select current_database() as datname, nspname as schemaname, relname, indexrelname, \
         (relpages - need) * block as bloat, (relpages - need) / relpages as ratio, \
         100 * (relpages - need) / relpages as percent, relpages * block as real_size from e",
    )],
    shape: Shape::Columns {
        labels: &["datname", "schemaname", "relname", "indexrelname"],
        columns: &[
            gauge("bloat", "pg_bloat_btree_bytes", "Space that the entries do not need, estimated."),
            ratio("ratio", "pg_bloat_btree_ratio", "The same as a share of the index."),
            ratio(
                "percent",
                "pg_bloat_btree_bloat_pct",
                "The same in per cent, under the name that some alert rules have.",
            ),
            gauge(
                "real_size",
                "pg_bloat_btree_real_size",
                "Size of the index, in bytes, under the name that some alert rules have.",
            ),
        ],
    },
    top: Some(Top {
        most: Most::Relations,
        by: &["bloat"],
        folds: &["schemaname", "relname", "indexrelname"],
    }),
    cost: "reads pg_stats for every index above 1 MB",
    ..EACH_DATABASE
};

const fn ratio(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    gauge(column, metric, help).max()
}
