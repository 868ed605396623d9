//! TimescaleDB: hypertables by their chunks, jobs, continuous aggregates.
//!
//! Only views and tables that every build has are read; what a build or version lacks is found out, not assumed. An
//! Apache build has neither policies nor compression: its views are there and empty.

use super::query::{
    Cadence, Column, EACH_DATABASE, Most, Query, Shape, Top, counter, gauge, info, sql, sql_of,
};

const EXTENSION: Option<&str> = Some("timescaledb");

/// A hypertable as other collectors name relations: without its schema where that is `public`. Of a job that has none
/// there is no name.
macro_rules! hypertable {
    ($of:literal) => {
        concat!(
            "case ",
            $of,
            ".hypertable_schema when 'public' then ",
            $of,
            ".hypertable_name::text else ",
            $of,
            ".hypertable_schema || '.' || ",
            $of,
            ".hypertable_name end as hypertable"
        )
    };
}

pub(super) const INFO: Query = Query {
    name: "timescaledb",
    why: "The license decides whether compression and policies can work at all.",
    extension: EXTENSION,
    sql: &[sql(
        14,
        "select current_database() as datname, extversion as version, \
         current_setting('timescaledb.license', true) as license from pg_extension where extname = 'timescaledb'",
    )],
    shape: Shape::Columns {
        labels: &["datname", "version", "license"],
        columns: &[info("pg_timescaledb_info", "Version and license of TimescaleDB, as labels.")],
    },
    ..EACH_DATABASE
};

const fn chunk(column: &'static str, metric: &'static str, help: &'static str) -> Column {
    gauge(column, metric, help).alone()
}

/// Time may be a number, such as the height of a block: that range has metrics of its own.
pub(super) const HYPERTABLES: Query = Query {
    name: "timescaledb_hypertables",
    why: "Too many small chunks slow down every plan; too big ones do not fit into memory.",
    extension: EXTENSION,
    sql: &[sql_of(
        "compressed_chunk_stats",
        14,
        concat!(
            "select current_database() as datname, ",
            hypertable!("h"),
            ", h.num_chunks as chunks, coalesce(c.compressed, 0) as compressed, extract(epoch from c.oldest) as oldest, \
             extract(epoch from c.newest) as newest, c.lowest, c.highest, \
             extract(epoch from d.time_interval) as width, d.integer_interval as steps, \
             {uncompressed_total_size|s.before|null} as before, {uncompressed_total_size|s.after|null} as after \
             from timescaledb_information.hypertables h \
             left join (select hypertable_schema, hypertable_name, count(*) filter (where is_compressed) as compressed, \
             min(range_start) filter (where isfinite(range_start)) as oldest, \
             max(range_end) filter (where isfinite(range_end)) as newest, min(range_start_integer) as lowest, \
             max(range_end_integer) as highest from timescaledb_information.chunks group by 1, 2) as c \
             using (hypertable_schema, hypertable_name) \
             left join (select hypertable_schema, hypertable_name, time_interval, integer_interval \
             from timescaledb_information.dimensions where dimension_number = 1) as d using (hypertable_schema, hypertable_name) \
             {uncompressed_total_size|left join (select hypertable_schema, hypertable_name, \
             sum(uncompressed_total_size) as before, sum(compressed_total_size) as after \
             from _timescaledb_internal.compressed_chunk_stats group by 1, 2) as s using (hypertable_schema, hypertable_name)}"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "hypertable"],
        columns: &[
            gauge("chunks", "pg_timescaledb_hypertable_chunks", "Chunks of the hypertable."),
            gauge(
                "compressed",
                "pg_timescaledb_hypertable_compressed_chunks",
                "Chunks of the hypertable that are compressed.",
            ),
            chunk(
                "oldest",
                "pg_timescaledb_hypertable_oldest_chunk_timestamp_seconds",
                "Start of the oldest chunk, in seconds since 1970.",
            ),
            chunk(
                "newest",
                "pg_timescaledb_hypertable_newest_chunk_timestamp_seconds",
                "End of the newest chunk, in seconds since 1970.",
            ),
            chunk(
                "width",
                "pg_timescaledb_hypertable_chunk_interval_seconds",
                "Time that a new chunk spans.",
            ),
            chunk(
                "lowest",
                "pg_timescaledb_hypertable_oldest_chunk_number",
                "Start of the first chunk, where the hypertable is divided by a number, such as a height.",
            ),
            chunk(
                "highest",
                "pg_timescaledb_hypertable_newest_chunk_number",
                "End of the last chunk, where the hypertable is divided by a number.",
            ),
            chunk(
                "steps",
                "pg_timescaledb_hypertable_chunk_interval_number",
                "Numbers that a new chunk spans, where the hypertable is divided by a number.",
            ),
            gauge(
                "before",
                "pg_timescaledb_hypertable_before_compression_bytes",
                "Size that the compressed chunks had before.",
            )
            .untried(),
            gauge(
                "after",
                "pg_timescaledb_hypertable_after_compression_bytes",
                "Size of the compressed chunks when they were compressed.",
            )
            .untried(),
        ],
    },
    top: Some(Top { most: Most::Relations, by: &["chunks", "before"], folds: &["hypertable"] }),
    cost: "about 10 µs a chunk",
    ..EACH_DATABASE
};

/// Opens every chunk, and so waits for whoever has locked one: hypertables with a locked chunk are left out.
pub(super) const SIZES: Query = Query {
    name: "timescaledb_sizes",
    why: "What hypertables take of the disk, which the sizes of ordinary tables leave out.",
    cadence: Cadence::TenMinutes,
    extension: EXTENSION,
    sql: &[sql(
        14,
        concat!(
            "select current_database() as datname, ",
            hypertable!("h"),
            ", {hypertable_approximate_size(c.oid)} as bytes from timescaledb_information.hypertables h \
             join pg_namespace n on n.nspname = h.hypertable_schema \
             join pg_class c on c.relnamespace = n.oid and c.relname = h.hypertable_name \
             where not exists (select from pg_locks l left join pg_inherits i on i.inhrelid = l.relation \
             where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and c.oid in (l.relation, i.inhparent))"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "hypertable"],
        columns: &[gauge(
            "bytes",
            "pg_timescaledb_hypertable_size_bytes",
            "Size of the hypertable with indexes, TOAST and compressed chunks; from TimescaleDB 2.14 on.",
        )],
    },
    top: Some(Top { most: Most::Relations, by: &["bytes"], folds: &["hypertable"] }),
    cost: "about 40 µs a chunk",
    ..EACH_DATABASE
};

/// What never happened is `-infinity` there. An Apache build has one job of its own, which fails each time.
pub(super) const JOBS: Query = Query {
    name: "timescaledb_jobs",
    why: "A policy that fails leaves chunks uncompressed, undropped or unaggregated, and says so in the log only.",
    extension: EXTENSION,
    sql: &[sql(
        14,
        concat!(
            "select current_database() as datname, j.job_id, j.proc_name, ",
            hypertable!("j"),
            ", s.total_runs, s.total_successes, s.total_failures, \
             case when isfinite(s.last_successful_finish) then extract(epoch from s.last_successful_finish) end as last_success, \
             extract(epoch from s.last_run_duration) as last_duration, \
             case when isfinite(s.next_start) then extract(epoch from s.next_start) end as next_start, j.scheduled, \
             s.last_run_status = 'Failed' as last_failed \
             from timescaledb_information.jobs j left join timescaledb_information.job_stats s on s.job_id = j.job_id"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "job_id", "proc_name", "hypertable"],
        columns: &[
            counter("total_runs", "pg_timescaledb_job_runs_total", "Runs of the job."),
            counter("total_successes", "pg_timescaledb_job_successes_total", "Runs that ended well."),
            counter("total_failures", "pg_timescaledb_job_failures_total", "Runs that failed."),
            gauge(
                "last_success",
                "pg_timescaledb_job_last_success_timestamp_seconds",
                "When a run last ended well, in seconds since 1970; absent if none ever did.",
            )
            .untried()
            .alone(),
            gauge("last_duration", "pg_timescaledb_job_last_duration_seconds", "How long the last run took.")
                .max(),
            gauge(
                "next_start",
                "pg_timescaledb_job_next_start_timestamp_seconds",
                "When the job is to run next, in seconds since 1970.",
            )
            .alone(),
            gauge("scheduled", "pg_timescaledb_job_scheduled", "Whether the job is to run at all."),
            gauge("last_failed", "pg_timescaledb_job_last_run_failed", "Whether the last run failed."),
        ],
    },
    top: Some(Top {
        most: Most::Fixed(50),
        by: &["total_failures", "last_duration"],
        folds: &["job_id", "proc_name", "hypertable"],
    }),
    ..EACH_DATABASE
};

/// Watermarks are in microseconds since 1970, or in the numbers that the view is divided by, which have no lag; the
/// least of all stands for nothing yet.
pub(super) const CAGGS: Query = Query {
    name: "timescaledb_caggs",
    why: "How far continuous aggregates are behind, and so what queries must add up themselves.",
    extension: EXTENSION,
    sql: &[sql_of(
        "continuous_aggs_watermark",
        14,
        concat!(
            "select current_database() as datname, ",
            hypertable!("a"),
            ", case a.view_schema when 'public' then a.view_name::text else concat(a.view_schema, '.', a.view_name) end \
             as view, {watermark|case when d.time_interval is not null and w.watermark > -210000000000000000 \
             then extract(epoch from clock_timestamp()) - w.watermark / 1e6 end|null} as lag \
             from timescaledb_information.continuous_aggregates a \
             join _timescaledb_catalog.hypertable h on h.schema_name = a.materialization_hypertable_schema \
             and h.table_name = a.materialization_hypertable_name \
             left join timescaledb_information.dimensions d on d.hypertable_schema = h.schema_name \
             and d.hypertable_name = h.table_name and d.dimension_number = 1 \
             {watermark|left join _timescaledb_catalog.continuous_aggs_watermark w on w.mat_hypertable_id = h.id}"
        ),
    )],
    shape: Shape::Columns {
        labels: &["datname", "hypertable", "view"],
        columns: &[gauge(
            "lag",
            "pg_timescaledb_cagg_watermark_lag_seconds",
            "Time between now and the end of what is aggregated.",
        )
        .untried()
        .max()],
    },
    top: Some(Top { most: Most::Relations, by: &["lag"], folds: &["hypertable", "view"] }),
    ..EACH_DATABASE
};
