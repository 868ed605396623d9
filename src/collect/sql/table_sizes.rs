//! Exact sizes, which only the file system knows: so the relations have to be opened.

use super::query::{Cadence, EACH_DATABASE, Most, Query, Shape, Top, gauge, sql};

/// Of the 500 biggest by estimate; opening tens of thousands would leave as many entries in the session's caches.
///
/// Whoever holds or awaits an ACCESS EXCLUSIVE lock keeps us waiting, and everyone who comes after a waiter: such
/// tables are left out, and the lock timeout covers those that come in between.
pub(super) const SIZES: Query = Query {
    name: "table_sizes",
    why: "What takes the disk, to the byte.",
    cadence: Cadence::TenMinutes,
    sql: &[sql(
        14,
        "with big as (select c.oid, case when c.relispartition then pg_partition_root(c.oid)::oid else c.oid end as root \
         from pg_class c join pg_namespace n on n.oid = c.relnamespace \
         where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', '_timescaledb_internal') \
         and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp\\_%' \
         and not exists (select from pg_locks l where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' \
         and (l.relation in (c.oid, c.reltoastrelid) or l.relation in (select indexrelid from pg_index where indrelid = c.oid))) \
         order by c.relpages desc, pg_stat_get_live_tuples(c.oid) desc limit 500) \
         select current_database() as datname, n.nspname as schemaname, r.relname, sum(pg_table_size(big.oid)) as table_size, \
         sum(pg_indexes_size(big.oid)) as index_size from big join pg_class r on r.oid = big.root \
         join pg_namespace n on n.oid = r.relnamespace group by 1, 2, 3",
    )],
    shape: Shape::Columns {
        labels: &["datname", "schemaname", "relname"],
        columns: &[
            gauge("table_size", "pg_stat_user_tables_table_size_bytes", "Size of the table with TOAST."),
            gauge("index_size", "pg_stat_user_tables_index_size_bytes", "Size of its indexes."),
        ],
    },
    top: Some(Top {
        most: Most::Relations,
        by: &["table_size", "index_size"],
        folds: &["schemaname", "relname"],
    }),
    cost: "about 40 µs for each of at most 500 tables",
    ..EACH_DATABASE
};
