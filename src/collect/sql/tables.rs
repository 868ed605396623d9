//! Tables: what is read and written, how far vacuum is behind, and how big they are as far as that costs no lock.

use super::query::{Column, EACH_DATABASE, Most, Query, Shape, Top, counter, gauge, sql_of};

/// In one pass over the catalog, by functions that read shared memory and open nothing: so an ACCESS EXCLUSIVE lock
/// on a table keeps nobody waiting. Partitions and chunks of a hypertable are summed up as the table that they are of.
///
/// What a table's own options say of autovacuum outranks the settings. The thresholds are PostgreSQL's own, from its
/// chapter on routine vacuuming.
pub(super) const TABLES: Query = Query {
    name: "stat_user_tables",
    why: "Which tables are written, scanned without an index, or left behind by vacuum.",
    sql: &[sql_of(
        "pg_stat_all_tables",
        14,
        "with guc as (select name, setting::float8 as value from pg_settings where name like 'autovacuum%' \
         and vartype in ('integer', 'real')), \
         set as (select current_setting('block_size')::int8 as block, \
         max(value) filter (where name = 'autovacuum_vacuum_threshold') as vac_t, \
         max(value) filter (where name = 'autovacuum_vacuum_scale_factor') as vac_s, \
         coalesce(nullif(max(value) filter (where name = 'autovacuum_vacuum_max_threshold'), -1), 'infinity') as vac_m, \
         max(value) filter (where name = 'autovacuum_vacuum_insert_threshold') as ins_t, \
         max(value) filter (where name = 'autovacuum_vacuum_insert_scale_factor') as ins_s, \
         max(value) filter (where name = 'autovacuum_analyze_threshold') as ana_t, \
         max(value) filter (where name = 'autovacuum_analyze_scale_factor') as ana_s, \
         max(value) filter (where name = 'autovacuum_freeze_max_age') as freeze_at from guc), \
         idx as (select x.indrelid, sum(c.relpages) as pages, sum(pg_stat_get_numscans(c.oid)) as scans, \
         sum(pg_stat_get_tuples_fetched(c.oid)) as fetched, sum(pg_stat_get_blocks_hit(c.oid)) as hit, \
         sum(pg_stat_get_blocks_fetched(c.oid)) as asked from pg_index x join pg_class c on c.oid = x.indexrelid \
         group by 1), \
         one as (select case when c.relispartition then pg_partition_root(c.oid)::oid \
         when n.nspname = '_timescaledb_internal' then coalesce(h.inhparent, c.oid) else c.oid end as root, \
         greatest(c.reltuples, 0) as tuples, c.relpages as pages, c.relallvisible as visible\
         {pg_class.relallfrozen|, c.relallfrozen as frozen|, null::int as frozen}, \
         coalesce(t.relpages, 0) + coalesce(ti.pages, 0) as toast_pages, coalesce(i.pages, 0) as index_pages, \
         greatest(age(c.relfrozenxid), age(t.relfrozenxid)) as xids, \
         greatest(mxid_age(c.relminmxid), mxid_age(t.relminmxid)) as mxids, \
         i.scans, i.fetched, i.hit, i.asked, t.oid as toast, ti.hit as tihit, ti.asked as tiasked, \
         coalesce(o.vac_t, s.vac_t) as vac_t, coalesce(o.vac_s, s.vac_s) as vac_s, coalesce(case when o.vac_m = -1 then 'infinity' when o.vac_m >= 0 then o.vac_m end, s.vac_m) as vac_m, \
         coalesce(o.ins_t, s.ins_t) as ins_t, coalesce(o.ins_s, s.ins_s) as ins_s, coalesce(o.ana_t, s.ana_t) as ana_t, coalesce(o.ana_s, s.ana_s) as ana_s, \
         least(o.freeze_at, s.freeze_at) as freeze_at, s.block, c.oid \
         from set s, pg_class c join pg_namespace n on n.oid = c.relnamespace \
         left join pg_inherits h on h.inhrelid = c.oid and n.nspname = '_timescaledb_internal' \
         left join idx i on i.indrelid = c.oid left join pg_class t on t.oid = c.reltoastrelid \
         left join idx ti on ti.indrelid = t.oid \
         left join lateral (select max(option_value) filter (where option_name = 'autovacuum_vacuum_threshold') as vac_t, \
         max(option_value) filter (where option_name = 'autovacuum_vacuum_scale_factor') as vac_s, \
         max(option_value) filter (where option_name = 'autovacuum_vacuum_max_threshold') as vac_m, \
         max(option_value) filter (where option_name = 'autovacuum_vacuum_insert_threshold') as ins_t, \
         max(option_value) filter (where option_name = 'autovacuum_vacuum_insert_scale_factor') as ins_s, \
         max(option_value) filter (where option_name = 'autovacuum_analyze_threshold') as ana_t, \
         max(option_value) filter (where option_name = 'autovacuum_analyze_scale_factor') as ana_s, \
         max(option_value) filter (where option_name = 'autovacuum_freeze_max_age') as freeze_at \
         from (select option_name, option_value::float8 from pg_options_to_table(c.reloptions) \
         where option_name like 'autovacuum%' and option_name <> 'autovacuum_enabled') as own) o on c.reloptions is not null \
         where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema') \
         and n.nspname not like 'pg\\_toast%' and n.nspname not like 'pg\\_temp\\_%') \
         select current_database() as datname, n.nspname as schemaname, r.relname, \
         sum(pg_stat_get_numscans(o.oid)) as seq_scan, sum(pg_stat_get_tuples_returned(o.oid)) as seq_tup_read, \
         sum(scans) as idx_scan, sum(fetched + pg_stat_get_tuples_fetched(o.oid)) as idx_tup_fetch, \
         sum(pg_stat_get_tuples_inserted(o.oid)) as n_tup_ins, sum(pg_stat_get_tuples_updated(o.oid)) as n_tup_upd, \
         sum(pg_stat_get_tuples_deleted(o.oid)) as n_tup_del, \
         sum(pg_stat_get_tuples_hot_updated(o.oid)) as n_tup_hot_upd\
         {n_tup_newpage_upd|, sum(pg_stat_get_tuples_newpage_updated(o.oid)) as n_tup_newpage_upd}, \
         sum(pg_stat_get_live_tuples(o.oid)) as n_live_tup, sum(pg_stat_get_dead_tuples(o.oid)) as n_dead_tup, \
         sum(pg_stat_get_mod_since_analyze(o.oid)) as n_mod_since_analyze, \
         sum(pg_stat_get_ins_since_vacuum(o.oid)) as n_ins_since_vacuum, \
         extract(epoch from max(pg_stat_get_last_vacuum_time(o.oid))) as last_vacuum, \
         extract(epoch from max(pg_stat_get_last_autovacuum_time(o.oid))) as last_autovacuum, \
         extract(epoch from max(pg_stat_get_last_analyze_time(o.oid))) as last_analyze, \
         extract(epoch from max(pg_stat_get_last_autoanalyze_time(o.oid))) as last_autoanalyze, \
         count(*) filter (where pg_stat_get_last_autovacuum_time(o.oid) is null) as never_autovacuumed, \
         sum(pg_stat_get_vacuum_count(o.oid)) as vacuum_count, \
         sum(pg_stat_get_autovacuum_count(o.oid)) as autovacuum_count, \
         sum(pg_stat_get_analyze_count(o.oid)) as analyze_count, \
         sum(pg_stat_get_autoanalyze_count(o.oid)) as autoanalyze_count\
         {last_seq_scan|, extract(epoch from max(pg_stat_get_lastscan(o.oid))) as last_seq_scan}\
         {total_vacuum_time|, sum(pg_stat_get_total_vacuum_time(o.oid)) as total_vacuum_time, \
         sum(pg_stat_get_total_autovacuum_time(o.oid)) as total_autovacuum_time, \
         sum(pg_stat_get_total_analyze_time(o.oid)) as total_analyze_time, \
         sum(pg_stat_get_total_autoanalyze_time(o.oid)) as total_autoanalyze_time}, \
         sum(pg_stat_get_blocks_fetched(o.oid) - pg_stat_get_blocks_hit(o.oid)) as heap_blks_read, \
         sum(pg_stat_get_blocks_hit(o.oid)) as heap_blks_hit, sum(asked - hit) as idx_blks_read, sum(hit) as idx_blks_hit, \
         sum(pg_stat_get_blocks_fetched(toast) - pg_stat_get_blocks_hit(toast)) as toast_blks_read, \
         sum(pg_stat_get_blocks_hit(toast)) as toast_blks_hit, sum(tiasked - tihit) as tidx_blks_read, \
         sum(tihit) as tidx_blks_hit, \
         sum(pages + toast_pages) * max(block) as table_bytes, sum(index_pages) * max(block) as index_bytes, \
         sum(toast_pages) * max(block) as toast_bytes, sum(pg_stat_get_dead_tuples(toast)) as toast_dead, \
         greatest(count(*) filter (where o.oid <> o.root), 1) as parts, max(xids) as xid_age, max(mxids) as mxid_age, max(xids / freeze_at) as freeze_debt, \
         max(pg_stat_get_dead_tuples(o.oid) / greatest(least(vac_t + vac_s * tuples, vac_m), 1)) as dead_debt, \
         max(case when ins_t >= 0 then pg_stat_get_ins_since_vacuum(o.oid) \
         / greatest(ins_t + ins_s * tuples * (1 - coalesce(frozen::float8 / nullif(pages, 0), 0)), 1) end) as insert_debt, \
         max(pg_stat_get_mod_since_analyze(o.oid) / greatest(ana_t + ana_s * tuples, 1)) as analyze_debt, \
         sum(visible)::float8 / nullif(sum(pages), 0) as visible_ratio\
         {pg_class.relallfrozen|, sum(frozen)::float8 / nullif(sum(pages), 0) as frozen_ratio} \
         from one o join pg_class r on r.oid = o.root join pg_namespace n on n.oid = r.relnamespace group by 1, 2, 3",
    )],
    shape: Shape::Columns { labels: &["datname", "schemaname", "relname"], columns: COLUMNS },
    top: Some(Top {
        most: Most::Relations,
        by: &["table_bytes", "n_tup_ins", "n_dead_tup", "seq_tup_read", "idx_tup_fetch"],
        folds: &["schemaname", "relname"],
    }),
    cost: "about 40 µs a table",
    ..EACH_DATABASE
};

const fn seconds(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    counter(column, metric, help).times(1e-3).since(18)
}

const fn moment(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    gauge(column, metric, help).alone()
}

const COLUMNS: &[Column] = &[
    counter("seq_scan", "pg_stat_user_tables_seq_scan", "Sequential scans."),
    counter("seq_tup_read", "pg_stat_user_tables_seq_tup_read", "Rows that sequential scans read."),
    counter("idx_scan", "pg_stat_user_tables_idx_scan", "Index scans."),
    counter("idx_tup_fetch", "pg_stat_user_tables_idx_tup_fetch", "Rows that index scans fetched."),
    counter("n_tup_ins", "pg_stat_user_tables_n_tup_ins", "Rows inserted."),
    counter("n_tup_upd", "pg_stat_user_tables_n_tup_upd", "Rows updated."),
    counter("n_tup_del", "pg_stat_user_tables_n_tup_del", "Rows deleted."),
    counter("n_tup_hot_upd", "pg_stat_user_tables_n_tup_hot_upd", "Rows updated without a new index entry."),
    counter(
        "n_tup_newpage_upd",
        "pg_stat_user_tables_n_tup_newpage_upd_total",
        "Rows whose new version went to another page.",
    )
    .since(16),
    gauge("n_live_tup", "pg_stat_user_tables_n_live_tup", "Live rows, estimated."),
    gauge("n_dead_tup", "pg_stat_user_tables_n_dead_tup", "Dead rows, estimated."),
    gauge(
        "n_mod_since_analyze",
        "pg_stat_user_tables_n_mod_since_analyze",
        "Rows changed since the last analyze, estimated.",
    ),
    gauge(
        "n_ins_since_vacuum",
        "pg_stat_user_tables_n_ins_since_vacuum",
        "Rows inserted since the last vacuum, estimated.",
    ),
    moment(
        "last_vacuum",
        "pg_stat_user_tables_last_vacuum",
        "Last vacuum by hand, in seconds since 1970; absent if never.",
    ),
    moment(
        "last_autovacuum",
        "pg_stat_user_tables_last_autovacuum",
        "Last vacuum by autovacuum, in seconds since 1970; absent if never.",
    ),
    moment(
        "last_analyze",
        "pg_stat_user_tables_last_analyze",
        "Last analyze by hand, in seconds since 1970; absent if never.",
    ),
    moment(
        "last_autoanalyze",
        "pg_stat_user_tables_last_autoanalyze",
        "Last analyze by autovacuum, in seconds since 1970; absent if never.",
    ),
    gauge(
        "never_autovacuumed",
        "pg_stat_user_tables_never_autovacuumed",
        "Tables, or partitions of one, that autovacuum never vacuumed.",
    ),
    counter("vacuum_count", "pg_stat_user_tables_vacuum_count", "Vacuums by hand."),
    counter("autovacuum_count", "pg_stat_user_tables_autovacuum_count", "Vacuums by autovacuum."),
    counter("analyze_count", "pg_stat_user_tables_analyze_count", "Analyzes by hand."),
    counter("autoanalyze_count", "pg_stat_user_tables_autoanalyze_count", "Analyzes by autovacuum."),
    moment(
        "last_seq_scan",
        "pg_stat_user_tables_last_seq_scan_timestamp_seconds",
        "Last sequential scan, in seconds since 1970.",
    )
    .since(16),
    seconds("total_vacuum_time", "pg_stat_user_tables_vacuum_seconds_total", "Time spent in vacuum by hand."),
    seconds(
        "total_autovacuum_time",
        "pg_stat_user_tables_autovacuum_seconds_total",
        "Time that autovacuum spent vacuuming.",
    ),
    seconds(
        "total_analyze_time",
        "pg_stat_user_tables_analyze_seconds_total",
        "Time spent in analyze by hand.",
    ),
    seconds(
        "total_autoanalyze_time",
        "pg_stat_user_tables_autoanalyze_seconds_total",
        "Time that autovacuum spent analyzing.",
    ),
    counter(
        "heap_blks_read",
        "pg_statio_user_tables_heap_blocks_read",
        "Blocks of the table read from outside shared_buffers.",
    ),
    counter(
        "heap_blks_hit",
        "pg_statio_user_tables_heap_blocks_hit",
        "Blocks of the table found in shared_buffers.",
    ),
    counter(
        "idx_blks_read",
        "pg_statio_user_tables_idx_blocks_read",
        "Blocks of its indexes read from outside shared_buffers.",
    ),
    counter(
        "idx_blks_hit",
        "pg_statio_user_tables_idx_blocks_hit",
        "Blocks of its indexes found in shared_buffers.",
    ),
    counter(
        "toast_blks_read",
        "pg_statio_user_tables_toast_blocks_read",
        "Blocks of its TOAST table read from outside shared_buffers.",
    ),
    counter(
        "toast_blks_hit",
        "pg_statio_user_tables_toast_blocks_hit",
        "Blocks of its TOAST table found in shared_buffers.",
    ),
    counter(
        "tidx_blks_read",
        "pg_statio_user_tables_tidx_blocks_read",
        "Blocks of its TOAST index read from outside shared_buffers.",
    ),
    counter(
        "tidx_blks_hit",
        "pg_statio_user_tables_tidx_blocks_hit",
        "Blocks of its TOAST index found in shared_buffers.",
    ),
    gauge(
        "table_bytes",
        "pg_table_size_estimate_bytes",
        "Size of the table with TOAST as of its last vacuum, analyze or index build: read without a lock.",
    ),
    gauge(
        "index_bytes",
        "pg_table_index_size_estimate_bytes",
        "Size of its indexes, as of the same moments.",
    ),
    gauge(
        "toast_bytes",
        "pg_table_toast_size_estimate_bytes",
        "Size of TOAST and its index, as of the same moments.",
    ),
    gauge("toast_dead", "pg_table_toast_dead_rows", "Dead rows of the TOAST table, estimated."),
    gauge("parts", "pg_table_parts", "Tables that are summed up here: 1, or the partitions or chunks."),
    gauge(
        "xid_age",
        "pg_stat_user_tables_xid_age",
        "Transactions since the oldest unfrozen one, that of TOAST included.",
    )
    .max(),
    gauge(
        "mxid_age",
        "pg_stat_user_tables_mxid_age",
        "Multixacts since the oldest unfrozen one, that of TOAST included.",
    )
    .max(),
    gauge(
        "freeze_debt",
        "pg_stat_user_tables_freeze_debt_ratio",
        "Age against autovacuum_freeze_max_age: from 1 on a vacuum against wraparound is due.",
    )
    .max(),
    gauge(
        "dead_debt",
        "pg_stat_user_tables_autovacuum_debt_ratio",
        "Dead rows against the number at which autovacuum comes; well above 1 it is behind.",
    )
    .max(),
    gauge(
        "insert_debt",
        "pg_stat_user_tables_autovacuum_insert_debt_ratio",
        "Rows inserted since the last vacuum against the number at which autovacuum comes.",
    )
    .max(),
    gauge(
        "analyze_debt",
        "pg_stat_user_tables_analyze_debt_ratio",
        "Rows changed since the last analyze against the number at which autovacuum analyzes.",
    )
    .max(),
    gauge(
        "visible_ratio",
        "pg_stat_user_tables_all_visible_ratio",
        "Share of pages that index-only scans need not look at.",
    )
    .alone(),
    gauge(
        "frozen_ratio",
        "pg_stat_user_tables_all_frozen_ratio",
        "Share of pages that no vacuum need look at.",
    )
    .since(18)
    .alone(),
];
