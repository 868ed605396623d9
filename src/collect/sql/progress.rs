//! How far long commands are. Rows with the same labels, such as sessions that copy into one table, are summed up.

use super::query::{Column, Most, Query, Shape, TEN_SECONDS, Top, gauge, sql, sql_of};

/// A progress view with `datname` and `relname`: the relation as postgres_exporter names it, without its schema where
/// that is `public`. What is not in our database has no name that could be read from here, only a number.
macro_rules! named {
    ($view:literal) => {
        concat!(
            "(select p.*, coalesce(case when p.datname = current_database() then (select case n.nspname when 'public' \
             then c.relname::text else concat(n.nspname, '.', c.relname) end from pg_class c \
             join pg_namespace n on n.oid = c.relnamespace where c.oid = p.relid) end, \
             case when p.relid <> 0 then concat('relid ', p.relid) end) as relname from ",
            $view,
            " p) as p"
        )
    };
}

const fn top(by: &'static [&'static str]) -> Option<Top> {
    Some(Top { most: Most::Fixed(20), by, folds: &["datname", "relname"] })
}

const VACUUMED: &[&str] = &["datname", "relname"];

const fn vacuumed(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    gauge(column, metric, help).only(VACUUMED)
}

/// 17 counts dead rows in bytes and by number; the number goes on under its old name.
pub(super) const VACUUM: Query = Query {
    name: "progress_vacuum",
    why: "A vacuum that goes over the indexes again and again has too little maintenance_work_mem.",
    sql: &[sql_of(
        "pg_stat_progress_vacuum",
        14,
        concat!(
            "select {db:datname} as datname, relname, phase, 1 as running, sum(heap_blks_total) as heap_blks, \
             sum(heap_blks_scanned) as heap_blks_scanned, sum(heap_blks_vacuumed) as heap_blks_vacuumed, \
             sum(index_vacuum_count) as index_vacuums{max_dead_tuples|, sum(max_dead_tuples) as max_dead_tuples}, \
             sum({num_dead_item_ids|num_dead_item_ids|num_dead_tuples}) as dead_tuples\
             {dead_tuple_bytes|, sum(dead_tuple_bytes) as dead_tuple_bytes}\
             {max_dead_tuple_bytes|, sum(max_dead_tuple_bytes) as max_dead_tuple_bytes}\
             {indexes_total|, sum(indexes_total) as indexes}{indexes_processed|, sum(indexes_processed) as indexes_processed}\
             {delay_time|, sum(delay_time) as delay_time} from ",
            named!("pg_stat_progress_vacuum"),
            " group by 1, 2, 3"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "relname", "phase"],
        columns: &[
            gauge(
                "running",
                "pg_stat_progress_vacuum_phase",
                "1 for each vacuum, with the phase that it is in.",
            ),
            vacuumed("heap_blks", "pg_stat_progress_vacuum_heap_blks", "Blocks of the table."),
            vacuumed(
                "heap_blks_scanned",
                "pg_stat_progress_vacuum_heap_blks_scanned",
                "Blocks scanned so far.",
            ),
            vacuumed(
                "heap_blks_vacuumed",
                "pg_stat_progress_vacuum_heap_blks_vacuumed",
                "Blocks vacuumed so far.",
            ),
            vacuumed(
                "index_vacuums",
                "pg_stat_progress_vacuum_index_vacuums",
                "Times that all indexes were gone over so far.",
            ),
            vacuumed(
                "max_dead_tuples",
                "pg_stat_progress_vacuum_max_dead_tuples",
                "Dead rows that fit into the memory of the vacuum.",
            )
            .until(16),
            vacuumed(
                "dead_tuples",
                "pg_stat_progress_vacuum_num_dead_tuples",
                "Dead rows found since the indexes were last gone over.",
            ),
            vacuumed(
                "dead_tuple_bytes",
                "pg_stat_progress_vacuum_dead_tuple_bytes",
                "Memory that the dead rows found since then take.",
            )
            .since(17),
            vacuumed(
                "max_dead_tuple_bytes",
                "pg_stat_progress_vacuum_max_dead_tuple_bytes",
                "Memory that they may take before the indexes are gone over.",
            )
            .since(17),
            vacuumed(
                "indexes",
                "pg_stat_progress_vacuum_indexes",
                "Indexes to go over in the present round; 0 outside of one.",
            )
            .since(17),
            vacuumed(
                "indexes_processed",
                "pg_stat_progress_vacuum_indexes_processed",
                "Indexes gone over in the present round.",
            )
            .since(17),
            vacuumed(
                "delay_time",
                "pg_stat_progress_vacuum_delay_seconds",
                "Time spent waiting as vacuum_cost_delay says; 0 unless track_cost_delay_timing is on.",
            )
            .since(18)
            .times(1e-3),
        ],
    },
    top: Some(Top {
        most: Most::Fixed(20),
        by: &["heap_blks", "dead_tuples"],
        folds: &["datname", "relname", "phase"],
    }),
    ..TEN_SECONDS
};

pub(super) const ANALYZE: Query = Query {
    name: "progress_analyze",
    why: "How long plans will still rest on old statistics.",
    sql: &[sql_of(
        "pg_stat_progress_analyze",
        14,
        concat!(
            "select {db:datname} as datname, relname, phase, sum(sample_blks_total) as sample_blks, \
             sum(sample_blks_scanned) as sample_blks_scanned, sum(ext_stats_total) as ext_stats, \
             sum(ext_stats_computed) as ext_stats_computed, sum(child_tables_total) as child_tables, \
             sum(child_tables_done) as child_tables_done{delay_time|, sum(delay_time) as delay_time} from ",
            named!("pg_stat_progress_analyze"),
            " group by 1, 2, 3"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "relname", "phase"],
        columns: &[
            gauge("sample_blks", "pg_stat_progress_analyze_sample_blks", "Blocks to sample."),
            gauge(
                "sample_blks_scanned",
                "pg_stat_progress_analyze_sample_blks_scanned",
                "Blocks sampled so far.",
            ),
            gauge("ext_stats", "pg_stat_progress_analyze_ext_stats", "Extended statistics to compute."),
            gauge(
                "ext_stats_computed",
                "pg_stat_progress_analyze_ext_stats_computed",
                "Extended statistics computed so far.",
            ),
            gauge("child_tables", "pg_stat_progress_analyze_child_tables", "Partitions to sample."),
            gauge(
                "child_tables_done",
                "pg_stat_progress_analyze_child_tables_done",
                "Partitions sampled so far.",
            ),
            gauge(
                "delay_time",
                "pg_stat_progress_analyze_delay_seconds",
                "Time spent waiting as vacuum_cost_delay says; 0 unless track_cost_delay_timing is on.",
            )
            .since(18)
            .times(1e-3),
        ],
    },
    top: top(&["sample_blks", "child_tables"]),
    ..TEN_SECONDS
};

pub(super) const CREATE_INDEX: Query = Query {
    name: "progress_create_index",
    why: "When the index will be there, or on whom its building waits.",
    sql: &[sql(
        14,
        concat!(
            "select {db:datname} as datname, relname, phase, sum(lockers_total) as lockers, \
             sum(lockers_done) as lockers_done, sum(blocks_total) as blocks, sum(blocks_done) as blocks_done, \
             sum(tuples_total) as tuples, sum(tuples_done) as tuples_done, sum(partitions_total) as partitions, \
             sum(partitions_done) as partitions_done from ",
            named!("pg_stat_progress_create_index"),
            " group by 1, 2, 3"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "relname", "phase"],
        columns: &[
            gauge(
                "lockers",
                "pg_stat_progress_create_index_lockers",
                "Transactions to wait for in this phase.",
            ),
            gauge(
                "lockers_done",
                "pg_stat_progress_create_index_lockers_done",
                "Transactions already waited for.",
            ),
            gauge("blocks", "pg_stat_progress_create_index_blocks", "Blocks to read in this phase."),
            gauge("blocks_done", "pg_stat_progress_create_index_blocks_done", "Blocks read so far."),
            gauge("tuples", "pg_stat_progress_create_index_tuples", "Rows to write in this phase."),
            gauge("tuples_done", "pg_stat_progress_create_index_tuples_done", "Rows written so far."),
            gauge("partitions", "pg_stat_progress_create_index_partitions", "Partitions to index."),
            gauge(
                "partitions_done",
                "pg_stat_progress_create_index_partitions_done",
                "Partitions indexed so far.",
            ),
        ],
    },
    top: top(&["blocks", "tuples", "partitions"]),
    ..TEN_SECONDS
};

pub(super) const CLUSTER: Query = Query {
    name: "progress_cluster",
    why: "CLUSTER and VACUUM FULL keep everybody out of the table until they end.",
    sql: &[sql(
        14,
        concat!(
            "select {db:datname} as datname, relname, phase, sum(heap_blks_total) as heap_blks, \
             sum(heap_blks_scanned) as heap_blks_scanned, sum(heap_tuples_scanned) as heap_tuples_scanned, \
             sum(heap_tuples_written) as heap_tuples_written, sum(index_rebuild_count) as index_rebuilds from ",
            named!("pg_stat_progress_cluster"),
            " group by 1, 2, 3"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "relname", "phase"],
        columns: &[
            gauge(
                "heap_blks",
                "pg_stat_progress_cluster_heap_blks",
                "Blocks of the table; 0 when it is read by an index.",
            ),
            gauge("heap_blks_scanned", "pg_stat_progress_cluster_heap_blks_scanned", "Blocks read so far."),
            gauge("heap_tuples_scanned", "pg_stat_progress_cluster_heap_tuples_scanned", "Rows read so far."),
            gauge(
                "heap_tuples_written",
                "pg_stat_progress_cluster_heap_tuples_written",
                "Rows written so far.",
            ),
            gauge("index_rebuilds", "pg_stat_progress_cluster_index_rebuilds", "Indexes built again so far."),
        ],
    },
    top: top(&["heap_blks", "heap_tuples_scanned"]),
    ..TEN_SECONDS
};

/// Of a copy from or to a client only what is done is known.
pub(super) const COPY: Query = Query {
    name: "progress_copy",
    why: "How fast bulk loads are, and whether one stands still.",
    sql: &[sql_of(
        "pg_stat_progress_copy",
        14,
        concat!(
            "select {db:datname} as datname, relname, command, nullif(sum(bytes_total), 0) as bytes, \
             sum(bytes_processed) as bytes_processed, sum(tuples_processed) as tuples_processed, \
             sum(tuples_excluded) as tuples_excluded{tuples_skipped|, sum(tuples_skipped) as tuples_skipped} from ",
            named!("pg_stat_progress_copy"),
            " group by 1, 2, 3"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "relname", "command"],
        columns: &[
            gauge(
                "bytes",
                "pg_stat_progress_copy_bytes",
                "Size of the file that is read; absent if it is none.",
            ),
            gauge("bytes_processed", "pg_stat_progress_copy_bytes_processed", "Bytes copied so far."),
            gauge("tuples_processed", "pg_stat_progress_copy_tuples_processed", "Rows copied so far."),
            gauge(
                "tuples_excluded",
                "pg_stat_progress_copy_tuples_excluded",
                "Rows that the WHERE of the command left out so far.",
            ),
            gauge(
                "tuples_skipped",
                "pg_stat_progress_copy_tuples_skipped",
                "Malformed rows left out so far.",
            )
            .since(17),
        ],
    },
    top: top(&["bytes_processed", "tuples_processed"]),
    ..TEN_SECONDS
};

pub(super) const BASEBACKUP: Query = Query {
    name: "progress_basebackup",
    why: "When the backup, or the new standby, will be ready.",
    sql: &[sql(
        14,
        "select phase, sum(backup_total) as backup, sum(backup_streamed) as streamed, \
         sum(tablespaces_total) as tablespaces, sum(tablespaces_streamed) as tablespaces_streamed \
         from pg_stat_progress_basebackup group by 1",
    )],
    shape: Shape::Columns {
        labels: &["phase"],
        columns: &[
            gauge(
                "backup",
                "pg_stat_progress_basebackup_backup_bytes",
                "Size of what is to be sent, as estimated at the start; absent if it was not.",
            ),
            gauge("streamed", "pg_stat_progress_basebackup_streamed_bytes", "Bytes sent so far."),
            gauge("tablespaces", "pg_stat_progress_basebackup_tablespaces", "Tablespaces to send."),
            gauge(
                "tablespaces_streamed",
                "pg_stat_progress_basebackup_tablespaces_streamed",
                "Tablespaces sent so far.",
            ),
        ],
    },
    ..TEN_SECONDS
};

/// Of the present phase, since only some phases know how much there is to do; those that do not have no ratio.
///
/// When an index is loaded, the blocks of the scan before still stand there: the phase decides which counts.
pub(super) const RATIO: Query = Query {
    name: "progress",
    why: "Whether what holds a lock or loads the disk will end soon.",
    sql: &[sql_of(
        "pg_stat_progress_vacuum",
        14,
        concat!(
            "select command, {db:datname} as datname, relname, sum(done) / sum(total) as ratio from ",
            named!(
                "(select 'VACUUM' as command, datname, relid, case phase when 'scanning heap' then heap_blks_scanned \
                 when 'vacuuming heap' then heap_blks_vacuumed {indexes_total|else indexes_processed} end as done, \
                 case phase when 'scanning heap' then heap_blks_total when 'vacuuming heap' then heap_blks_total \
                 {indexes_total|else indexes_total} end as total from pg_stat_progress_vacuum \
                 union all select 'ANALYZE', datname, relid, \
                 case phase when 'computing extended statistics' then ext_stats_computed else sample_blks_scanned end, \
                 case phase when 'computing extended statistics' then ext_stats_total else sample_blks_total end \
                 from pg_stat_progress_analyze \
                 union all select command, datname, relid, case when phase like 'waiting%' then lockers_done \
                 when phase like '%loading%' then tuples_done when phase not like '%sorting%' then blocks_done end, \
                 case when phase like 'waiting%' then lockers_total when phase like '%loading%' then tuples_total \
                 when phase not like '%sorting%' then blocks_total end from pg_stat_progress_create_index \
                 union all select command, datname, relid, case phase when 'seq scanning heap' then heap_blks_scanned end, \
                 heap_blks_total from pg_stat_progress_cluster \
                 union all select command, datname, relid, bytes_processed, bytes_total from pg_stat_progress_copy \
                 union all select 'BASE_BACKUP', null, 0::oid, backup_streamed, backup_total \
                 from pg_stat_progress_basebackup)"
            ),
            " where done is not null and total > 0 group by 1, 2, 3"
        ),
    )],
    shape: Shape::Columns {
        labels: &["command", "datname", "relname"],
        columns: &[gauge(
            "ratio",
            "pg_progress_ratio",
            "Done share of the command's present phase, 0 to 1; absent in phases that do not know how much there is.",
        )
        .alone()],
    },
    top: top(&["ratio"]),
    ..TEN_SECONDS
};
