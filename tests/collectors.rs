//! Every SQL collector against real servers of every major, as an ordinary member of `pg_monitor`.

mod support;

use std::collections::BTreeMap;

use pgpilot::client::postgres::Session;
use pgpilot::collect::sql::{Fields, QUERIES, Query};
use pgpilot::model::metric::Family;
use support::pg::{MAJORS, Server};
use support::sql::{lane, run, target};

/// Metrics that a healthy new server gives no sample of.
const MAY_BE_ABSENT: &[&str] = &[
    // NULL while checksums are off, or nothing ever failed, or nothing was ever reset.
    "pg_stat_database_checksum_failures_total",
    "pg_stat_database_checksum_last_failure_timestamp_seconds",
    "pg_stat_database_stats_reset",
    // Stands for all settings.
    "pg_settings_<name>",
    "pg_settings_pending_restart",
];

async fn collect(session: &Session, major: u32, query: &Query) -> Vec<Family> {
    let sql = query.statement(major).expect("a statement for every major");
    let rows = session.rows(query.name, sql).await;
    let rows = rows.unwrap_or_else(|error| panic!("{} on {major}: {error:?}", query.name));
    let mut found: Vec<&str> = rows.first().expect("a row").columns().collect();
    found.sort_unstable();
    assert_eq!(found, query.reads(major), "{} on {major}", query.name);
    let rows: Vec<&dyn Fields> = rows.iter().map(|row| row as &dyn Fields).collect();
    query.decode(major, &rows)
}

#[tokio::test]
async fn every_query_gives_what_it_declares_on_every_major() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, &[]) else { continue };
        let session = target(&server.url("monitor")).connect(&lane()).await.expect("the server is up");
        for query in QUERIES {
            let families = collect(&session, major, query).await;
            for (desc, since) in query.gives() {
                let found = families.iter().find(|family| family.name == desc.name);
                let expected = since <= major && !MAY_BE_ABSENT.contains(&desc.name);
                assert!(found.is_some() || !expected, "{} on {major}", desc.name);
                assert!(found.is_none() || since <= major, "{} on {major}", desc.name);
                let labels =
                    found.map(|family| family.samples[0].labels.iter().map(|(name, _)| name.as_ref()));
                assert!(labels.is_none_or(|found| found.eq(desc.labels.iter().copied())), "{}", desc.name);
            }
        }
    }
}

/// Values by series, for what a test looks at.
fn values(families: &[Family]) -> BTreeMap<String, f64> {
    let series = |family: &Family| {
        let name = family.name.clone();
        let one = move |(labels, value): (String, f64)| (format!("{name}{labels}"), value);
        let samples = family.samples.iter().map(|sample| {
            let labels: Vec<_> = sample.labels.iter().map(|(name, text)| format!("{name}={text}")).collect();
            (format!("{{{}}}", labels.join(",")), sample.value)
        });
        samples.map(one).collect::<Vec<_>>()
    };
    families.iter().flat_map(series).collect()
}

async fn read(server: &Server, name: &str) -> BTreeMap<String, f64> {
    let session = target(&server.url("monitor")).connect(&lane()).await.expect("the server is up");
    let query = QUERIES.iter().find(|query| query.name == name).expect("a collector of that name");
    values(&collect(&session, server.major, query).await)
}

#[test]
fn settings_are_those_of_the_server_and_not_of_our_session() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, &["shared_buffers = 64MB"]) else { continue };
        let alter = "alter system set shared_buffers = '80MB'";
        run(&server.superuser_url(), &[alter, "select pg_reload_conf()", "select pg_sleep(0.5)"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let found = runtime.block_on(read(&server, "settings"));
        // Our session has 30 s.
        assert_eq!(found["pg_settings_statement_timeout_seconds{}"], 0.0, "{major}");
        assert_eq!(found["pg_settings_shared_buffers_bytes{}"], 67_108_864.0, "{major}");
        assert_eq!((found["pg_settings_server_version_num{}"] / 10_000.0).floor(), f64::from(major));
        assert_eq!(found["pg_settings_pending_restart{name=shared_buffers}"], 1.0, "{major}");
        assert_eq!(found["pg_settings_pending_restart_count{}"], 1.0, "{major}");
    }
}

/// What sessions write themselves has the same meaning before 17, where PostgreSQL counts it, and after, where we do.
#[test]
fn work_done_shows_on_every_major() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, &["shared_buffers = 1MB", "checkpoint_timeout = 1h"]) else {
            continue;
        };
        let fill = "create table public.filled as select g, repeat('x', 500) as text from generate_series(1, 40000) as g";
        run(&server.superuser_url(), &[fill, "checkpoint", "select pg_sleep(1)"]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let bgwriter = runtime.block_on(read(&server, "bgwriter"));
        // 40 000 rows of 530 bytes are 2 850 blocks, which do not fit into 128.
        let written = bgwriter["pg_stat_bgwriter_buffers_backend_total{}"];
        assert!((1_000.0..20_000.0).contains(&written), "{major}: {written}");
        let wal = runtime.block_on(read(&server, "wal"));
        assert!(
            wal["pg_stat_wal_bytes_total{}"] > 1e6 && wal["pg_stat_wal_write_total{}"] > 0.0,
            "{major}: {wal:?}"
        );
        let checkpointer = runtime.block_on(read(&server, "checkpointer"));
        assert!(checkpointer["pg_stat_checkpointer_num_requested_total{}"] >= 1.0, "{major}");
    }
}
