//! TimescaleDB as its image starts it: tuned like any other server, and its preload is kept.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::cli::free_port;
use support::families::{Values, missing, read, read_until};
use support::pg::skip;
use support::sql;
use support::way::whole_way;

const IMAGE: &str = "timescale/timescaledb:2.22.1-pg17";

/// A first start runs initdb and the image's own scripts.
const UP: Duration = Duration::from_secs(90);

/// A container that is removed, volume and all, when it is dropped.
struct Container {
    name: String,
    port: u16,
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

fn docker(arguments: &[&str]) -> (bool, String) {
    let out = Command::new("docker").args(arguments).stdin(Stdio::null()).output();
    out.map_or((false, String::new()), |out| {
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    })
}

impl Container {
    fn start() -> Option<Self> {
        let has = docker(&["image", "inspect", IMAGE]).0
            || (docker(&["info"]).0 && docker(&["pull", "--quiet", IMAGE]).0);
        if !has {
            skip(&format!("TimescaleDB: no Docker engine, or no image {IMAGE}"));
            return None;
        }
        let port = free_port();
        let this = Self { name: format!("pgpilot-timescale-{port}"), port };
        let publish = format!("127.0.0.1:{port}:5432");
        let run = [
            "run",
            "--detach",
            "--name",
            &this.name,
            "--publish",
            &publish,
            "--env",
            "POSTGRES_HOST_AUTH_METHOD=trust",
        ];
        let (started, said) = docker(&[&run[..], &["--env", "NO_TS_TUNE=true", IMAGE]].concat());
        assert!(started, "{said}");
        this.wait();
        Some(this)
    }

    fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Over TCP and for good: the server of initdb listens on its socket only.
    fn wait(&self) {
        let since = Instant::now();
        while !docker(&["exec", &self.name, "pg_isready", "-q", "-h", "127.0.0.1"]).0 {
            assert!(
                since.elapsed() < UP,
                "the container does not answer: {}",
                docker(&["logs", &self.name]).1
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn restart(&self) {
        assert!(docker(&["restart", "--time", "60", &self.name]).0);
        self.wait();
    }
}

#[test]
fn the_whole_way_with_the_preload_kept() {
    let Some(container) = Container::start() else { return };
    let url = container.url();
    sql::run(&url, &["CREATE EXTENSION IF NOT EXISTS timescaledb"]);
    let preloaded = || sql::show(&url, "shared_preload_libraries");
    assert_eq!(preloaded(), "timescaledb");
    let mut restarts = 0;
    whole_way(&url, &url, || {
        container.restart();
        restarts += 1;
        if restarts == 1 {
            assert_eq!(preloaded(), "timescaledb, pg_stat_statements", "what was there comes first");
            sql::run(
                &url,
                &[
                    "CREATE TABLE public.blocks (at timestamptz NOT NULL, hash bytea)",
                    "SELECT public.create_hypertable('public.blocks', 'at')",
                    "INSERT INTO public.blocks SELECT now() - n * interval '1 day', '\\x00' FROM generate_series(1, 30) n",
                    "DROP TABLE public.blocks",
                ],
            );
        }
    });
    assert_eq!((preloaded(), restarts), ("timescaledb".to_owned(), 2));
}

/// One hypertable by time and one by height, in another schema; both with rows in every chunk.
const HYPERTABLES: &[&str] = &[
    "CREATE EXTENSION IF NOT EXISTS timescaledb",
    "CREATE ROLE monitor LOGIN",
    "GRANT pg_monitor TO monitor",
    "CREATE TABLE public.blocks (at timestamptz NOT NULL, hash text)",
    "SELECT public.create_hypertable('public.blocks', 'at', chunk_time_interval => interval '1 day')",
    "INSERT INTO public.blocks SELECT '2026-01-01 00:00Z'::timestamptz + n * interval '1 hour', md5(n::text) \
     FROM generate_series(0, 119) AS n",
    "CREATE SCHEMA chain",
    "CREATE TABLE chain.logs (height bigint NOT NULL, data text)",
    "SELECT public.create_hypertable('chain.logs', 'height', chunk_time_interval => 1000)",
    "INSERT INTO chain.logs SELECT n, md5(n::text) FROM generate_series(0, 2999) AS n",
];

/// What only builds under the Timescale license can do.
const LICENSED: &[&str] = &[
    "ALTER TABLE public.blocks SET (timescaledb.compress)",
    "SELECT public.compress_chunk(chunk) FROM public.show_chunks('public.blocks') AS chunk",
    "CREATE MATERIALIZED VIEW public.days WITH (timescaledb.continuous) AS \
     SELECT public.time_bucket('1 day', at) AS day, count(*) FROM public.blocks GROUP BY 1 WITH NO DATA",
    "CALL public.refresh_continuous_aggregate('public.days', NULL, NULL)",
];

/// 2026-01-01.
const FIRST: f64 = 1_767_225_600.0;

#[test]
fn hypertables_are_summed_up() {
    let Some(container) = Container::start() else { return };
    let person = container.url();
    sql::run(&person, HYPERTABLES);
    // In a session of its own: what one counts reaches the others when it ends.
    sql::run(&person, &["ANALYZE"]);
    let monitor = person.replace("postgres@", "monitor@");

    let said =
        sql::run(&person, &["SELECT extversion AS version FROM pg_extension WHERE extname = 'timescaledb'"]);
    let license = sql::show(&person, "timescaledb.license");
    let labels = format!("{{datname=postgres,version={},license={license}}}", said[0].text("version"));
    assert_eq!(read(&monitor, "timescaledb")[&format!("pg_timescaledb_info{labels}")], 1.0);

    chunks(&read(&monitor, "timescaledb_hypertables"));
    sizes(&person, &read(&monitor, "timescaledb_sizes"));
    summed_up(&read(&monitor, "stat_user_tables"), &read(&monitor, "stat_user_indexes"));
    jobs(&read_until(&monitor, "timescaledb_jobs", |found| runs(found) > 0.0));
    if license == "timescale" {
        licensed(&person, &monitor);
    } else {
        skip(&format!("compression and continuous aggregates: the license is {license}"));
        assert_eq!(read(&monitor, "timescaledb_caggs").len(), 0);
    }
}

fn runs(found: &Values) -> f64 {
    let runs = |(name, _): &(&String, &f64)| name.starts_with("pg_timescaledb_job_runs_total{");
    found.iter().filter(runs).map(|(_, n)| n).sum()
}

/// Each build brings a job that clears away its own history; an Apache build cannot run it. A run that the restart at
/// the end of initdb cuts short has neither an end nor a success, which must not read as a time.
fn jobs(found: &Values) {
    let open = [
        "last_success_timestamp_seconds",
        "last_duration_seconds",
        "next_start_timestamp_seconds",
        "last_run_failed",
    ];
    let lacks = missing(found, "timescaledb_jobs", 17);
    assert!(lacks.iter().all(|name| open.iter().any(|end| name.ends_with(end))), "{lacks:?} {found:#?}");
    assert!(found.iter().all(|(name, n)| n.is_finite() && name.ends_with(",hypertable=}")), "{found:#?}");
    let sum = |name: &str| found.iter().filter(|(key, _)| key.contains(name)).map(|(_, n)| n).sum::<f64>();
    assert!(sum("_successes_total{") + sum("_failures_total{") <= runs(found), "{found:#?}");
    assert!(sum("_scheduled{") >= 1.0, "{found:#?}");
}

fn chunks(found: &Values) {
    let of = |name: &str, table: &str| {
        found
            .get(&format!("pg_timescaledb_hypertable_{name}{{datname=postgres,hypertable={table}}}"))
            .copied()
    };
    assert_eq!(
        (of("chunks", "blocks"), of("compressed_chunks", "blocks")),
        (Some(5.0), Some(0.0)),
        "{found:#?}"
    );
    let times =
        (of("oldest_chunk_timestamp_seconds", "blocks"), of("newest_chunk_timestamp_seconds", "blocks"));
    assert_eq!(times, (Some(FIRST), Some(FIRST + 5.0 * 86_400.0)));
    assert_eq!(of("chunk_interval_seconds", "blocks"), Some(86_400.0));
    assert_eq!(of("oldest_chunk_number", "blocks"), None);
    let numbers = (of("oldest_chunk_number", "chain.logs"), of("newest_chunk_number", "chain.logs"));
    assert_eq!(numbers, (Some(0.0), Some(3000.0)));
    assert_eq!(
        (of("chunks", "chain.logs"), of("chunk_interval_number", "chain.logs")),
        (Some(3.0), Some(1000.0))
    );
    assert_eq!(of("oldest_chunk_timestamp_seconds", "chain.logs"), None);
}

fn sizes(person: &str, found: &Values) {
    for (table, label) in [("public.blocks", "blocks"), ("chain.logs", "chain.logs")] {
        let size = sql::run(person, &[&format!("SELECT public.hypertable_size('{table}') AS bytes")]);
        let series = format!("pg_timescaledb_hypertable_size_bytes{{datname=postgres,hypertable={label}}}");
        assert_eq!(found[&series].to_string(), size[0].text("bytes"), "{table}");
    }
}

/// Chunks are not shown, only what they are chunks of.
fn summed_up(tables: &Values, indexes: &Values) {
    for (labels, rows, chunks) in
        [("schemaname=public,relname=blocks", 120.0, 5.0), ("schemaname=chain,relname=logs", 3000.0, 3.0)]
    {
        let of = |name: &str| tables[&format!("{name}{{datname=postgres,{labels}}}")];
        assert_eq!((of("pg_stat_user_tables_n_tup_ins"), of("pg_stat_user_tables_n_live_tup")), (rows, rows));
        assert_eq!(of("pg_table_parts"), chunks, "{labels}");
        assert!(of("pg_table_size_estimate_bytes") >= chunks * 8192.0, "{labels}");
        let all = format!("pg_index_size_estimate_bytes{{datname=postgres,{labels},indexrelname=*}}");
        assert!(indexes[&all] >= chunks * 16_384.0, "{labels}: {indexes:#?}");
    }
    assert!(tables.keys().chain(indexes.keys()).all(|series| !series.contains("_hyper_")));
}

fn licensed(person: &str, monitor: &str) {
    sql::run(person, LICENSED);
    let found = read(monitor, "timescaledb_hypertables");
    let of = |name: &str| {
        found[&format!("pg_timescaledb_hypertable_{name}{{datname=postgres,hypertable=blocks}}")]
    };
    assert_eq!(of("compressed_chunks"), 5.0);
    assert!(of("before_compression_bytes") > 0.0 && of("after_compression_bytes") > 0.0);
    let found = read(monitor, "timescaledb_caggs");
    let lag =
        found["pg_timescaledb_cagg_watermark_lag_seconds{datname=postgres,hypertable=blocks,view=days}"];
    let now = "SELECT extract(epoch FROM clock_timestamp()) AS now";
    let now: f64 = sql::run(person, &[now])[0].text("now").parse().unwrap();
    assert!((lag - (now - FIRST - 5.0 * 86_400.0)).abs() < 60.0, "{lag}");
}
