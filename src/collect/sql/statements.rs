//! pg_stat_statements: which statements take the time, the WAL and the temporary files.

use super::query::{Column, MINUTE, Most, Query, Shape, Top, counter, gauge, sql_of};

const fn seconds(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    counter(column, metric, help).times(1e-3)
}

/// Without the texts, which the server would have to read from a file. Statements that run inside others are summed
/// up with those that do not. What differs only in the number of rows or of elements in a list becomes one statement
/// afterwards, in [`super::statement_groups`]; so does the same text that means tables of different schemas.
pub(super) const STATEMENTS: Query = Query {
    name: "stat_statements",
    why: "A statement that takes most of the time is worth an index, and one that writes temporary files more work_mem.",
    extension: Some("pg_stat_statements"),
    sql: &[sql_of(
        "pg_stat_statements",
        14,
        "select coalesce(r.rolname, s.userid::text) as \"user\", coalesce(d.datname, s.dbid::text) as datname, s.queryid, \
         sum(s.calls) as calls, sum(s.total_exec_time) as exec_time, sum(s.total_plan_time) as plan_time, sum(s.rows) as rows, \
         sum(s.shared_blks_hit) as shared_blks_hit, sum(s.shared_blks_read) as shared_blks_read, \
         sum(s.shared_blks_dirtied) as shared_blks_dirtied, sum(s.shared_blks_written) as shared_blks_written, \
         sum(s.temp_blks_read) as temp_blks_read, sum(s.temp_blks_written) as temp_blks_written, \
         {shared_blk_read_time|sum(s.shared_blk_read_time)|sum(s.blk_read_time)} as blk_read_time, \
         {shared_blk_write_time|sum(s.shared_blk_write_time)|sum(s.blk_write_time)} as blk_write_time, \
         sum(s.wal_bytes) as wal_bytes{jit_generation_time|, sum(s.jit_generation_time + s.jit_inlining_time \
         + s.jit_optimization_time + s.jit_emission_time) as jit_time} \
         from {schema:pg_stat_statements}.pg_stat_statements(false) s left join pg_roles r on r.oid = s.userid \
         left join pg_database d on d.oid = s.dbid where s.queryid is not null group by 1, 2, 3",
    )],
    shape: Shape::Columns {
        labels: &["user", "datname", "queryid"],
        columns: &[
            counter("calls", "pg_stat_statements_calls_total", "Times that the statement ran."),
            seconds("exec_time", "pg_stat_statements_seconds_total", "Time that it ran."),
            seconds(
                "plan_time",
                "pg_stat_statements_plan_seconds_total",
                "Time that it was planned; 0 unless pg_stat_statements.track_planning is on.",
            ),
            counter("rows", "pg_stat_statements_rows_total", "Rows that it returned or changed."),
            seconds(
                "blk_read_time",
                "pg_stat_statements_block_read_seconds_total",
                "Time that it read shared blocks; 0 unless track_io_timing is on.",
            ),
            seconds(
                "blk_write_time",
                "pg_stat_statements_block_write_seconds_total",
                "Time that it wrote shared blocks; 0 unless track_io_timing is on.",
            ),
            counter("wal_bytes", "pg_stat_statements_wal_bytes_total", "WAL that it generated."),
            counter(
                "shared_blks_hit",
                "pg_stat_statements_shared_blocks_hit_total",
                "Shared blocks that it found in shared_buffers.",
            ),
            counter(
                "shared_blks_read",
                "pg_stat_statements_shared_blocks_read_total",
                "Shared blocks that it read.",
            ),
            counter(
                "shared_blks_dirtied",
                "pg_stat_statements_shared_blocks_dirtied_total",
                "Shared blocks that it changed.",
            ),
            counter(
                "shared_blks_written",
                "pg_stat_statements_shared_blocks_written_total",
                "Shared blocks that it had to write itself.",
            ),
            counter(
                "temp_blks_read",
                "pg_stat_statements_temp_blocks_read_total",
                "Blocks of temporary files that it read.",
            ),
            counter(
                "temp_blks_written",
                "pg_stat_statements_temp_blocks_written_total",
                "Blocks of temporary files that it wrote.",
            ),
            seconds("jit_time", "pg_stat_statements_jit_seconds_total", "Time that it was compiled.")
                .since(15),
        ],
    },
    top: Some(Top {
        most: Most::Statements,
        by: &["exec_time", "calls", "temp_blks_written", "wal_bytes"],
        folds: &["user", "datname", "queryid"],
    }),
    cost: "10 µs a statement, of which there are at most pg_stat_statements.max",
    ..MINUTE
};

/// Exact whatever is shown one by one.
pub(super) const ALL: Query = Query {
    name: "stat_statements_all",
    why: "The whole of it, from which the share of one statement is told.",
    extension: Some("pg_stat_statements"),
    sql: &[sql_of(
        "pg_stat_statements",
        14,
        "select coalesce(d.datname, s.dbid::text) as datname, sum(s.calls) as calls, sum(s.total_exec_time) as exec_time, \
         sum(s.total_plan_time) as plan_time, sum(s.rows) as rows, sum(s.temp_blks_written) as temp_blks_written, \
         sum(s.shared_blks_read) as shared_blks_read, sum(s.shared_blks_dirtied) as shared_blks_dirtied, \
         sum(s.wal_bytes) as wal_bytes, count(*) as entries, count(*) filter (where s.queryid is null) as hidden \
         from {schema:pg_stat_statements}.pg_stat_statements(false) s left join pg_database d on d.oid = s.dbid group by 1",
    )],
    shape: Shape::Columns {
        labels: &["datname"],
        columns: &[
            counter("calls", "pg_stat_statements_all_calls_total", "Times that any statement ran."),
            seconds("exec_time", "pg_stat_statements_all_seconds_total", "Time that statements ran."),
            seconds(
                "plan_time",
                "pg_stat_statements_all_plan_seconds_total",
                "Time that statements were planned.",
            ),
            counter("rows", "pg_stat_statements_all_rows_total", "Rows that statements returned or changed."),
            counter(
                "temp_blks_written",
                "pg_stat_statements_all_temp_blocks_written_total",
                "Blocks of temporary files that statements wrote.",
            ),
            counter(
                "shared_blks_read",
                "pg_stat_statements_all_shared_blocks_read_total",
                "Shared blocks that statements read.",
            ),
            counter(
                "shared_blks_dirtied",
                "pg_stat_statements_all_shared_blocks_dirtied_total",
                "Shared blocks that statements changed.",
            ),
            counter("wal_bytes", "pg_stat_statements_all_wal_bytes_total", "WAL that statements generated."),
            gauge("entries", "pg_stat_statements_entries", "Entries that pg_stat_statements holds."),
            gauge(
                "hidden",
                "pg_stat_statements_hidden",
                "Entries of others that this role may not see into.",
            ),
        ],
    },
    top: Some(Top { most: Most::Databases, by: &["exec_time", "calls"], folds: &["datname"] }),
    evicts: true,
    cost: "as the one before",
    ..MINUTE
};

pub(super) const STATE: Query = Query {
    name: "stat_statements_info",
    why: "While entries are evicted, the statements that are shown are not those that count.",
    extension: Some("pg_stat_statements"),
    sql: &[sql_of(
        "pg_stat_statements_info",
        14,
        "select current_setting('pg_stat_statements.max', true) as most{dealloc|, dealloc}\
         {stats_reset|, extract(epoch from stats_reset) as stats_reset} from (values (1)) as always\
         {dealloc|, {schema:pg_stat_statements}.pg_stat_statements_info()}",
    )],
    shape: Shape::Columns {
        labels: &[],
        columns: &[
            gauge("most", "pg_stat_statements_max", "Entries that pg_stat_statements can hold."),
            counter(
                "dealloc",
                "pg_stat_statements_dealloc_total",
                "Times that the least used entries were evicted.",
            ),
            gauge(
                "stats_reset",
                "pg_stat_statements_stats_reset_timestamp_seconds",
                "When the statistics were last reset, in seconds since 1970.",
            ),
        ],
    },
    ..MINUTE
};
