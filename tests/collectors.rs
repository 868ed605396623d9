//! Every SQL collector against real servers of every major, as an ordinary member of `pg_monitor`.

mod support;

use std::sync::Arc;

use pgpilot::client::postgres::Session;
use pgpilot::collect::Absence;
use pgpilot::collect::sql::{Given, Ground, MONITOR, QUERIES, Query};
use pgpilot::model::metric::Family;
use support::families::{collect, read};
use support::pg::{MAJORS, Server};
use support::sql::{lane, run, target};

/// Metrics that a healthy new server gives no sample of.
const MAY_BE_ABSENT: &[&str] = &[
    // NULL while checksums are off, or nothing ever failed, or nothing was ever reset.
    "pg_stat_database_checksum_failures_total",
    "pg_stat_database_checksum_last_failure_timestamp_seconds",
    "pg_stat_database_stats_reset",
    // Nothing of the kind is there, or has happened.
    "pg_blocking_backend_waiters",
    "pg_stat_activity_xact_age_seconds",
    "pg_file_settings_errors",
    "pg_stat_activity_autovacuum_timestamp_seconds",
    "pg_wal_archive_ready_files",
    "pg_xmin_horizon_oldest_age_xids",
    // A standby has them.
    "pg_stat_database_conflicts_confl_tablespace",
    "pg_stat_database_conflicts_confl_lock",
    "pg_stat_database_conflicts_confl_snapshot",
    "pg_stat_database_conflicts_confl_bufferpin",
    "pg_stat_database_conflicts_confl_deadlock",
    "pg_stat_database_conflicts_confl_active_logicalslot",
    "pg_index_invalid",
    "pg_stat_user_tables_last_vacuum",
    "pg_stat_user_tables_last_autovacuum",
    "pg_stat_user_tables_last_analyze",
    "pg_stat_user_tables_last_autoanalyze",
    "pg_stat_user_tables_last_seq_scan_timestamp_seconds",
    "pg_stat_user_indexes_last_idx_scan_timestamp_seconds",
    // On a standby, or with one connected: tests/replication.rs.
    "pg_replication_last_replay_seconds",
    "pg_in_recovery_paused",
    "pg_replication_wal_receiver_up",
    "pg_stat_wal_receiver_*",
    "pg_stat_recovery_prefetch_*",
    "pg_stat_replication_*",
    "pg_replication_slots_xmin_age_xids",
    "pg_stat_subscription_received_lsn_bytes",
    "pg_stat_subscription_lag_seconds",
    "pg_stat_subscription_last_msg_age_seconds",
    // While a long command runs: tests/progress.rs.
    "pg_progress_ratio",
    "pg_stat_progress_*",
    // With the extension: tests/timescale.rs.
    "pg_timescaledb_*",
    // Stands for all settings.
    "pg_settings_<name>",
    "pg_settings_pending_restart",
];

/// What shows only when it is asked for. The first attempt to archive fails.
const SETTINGS: &[&str] = &[
    "max_prepared_transactions = 2",
    "track_functions = all",
    "shared_preload_libraries = pg_stat_statements",
    "wal_level = logical",
    "max_slot_wal_keep_size = 1GB",
    "archive_mode = on",
    "archive_command = 'test -e tried || ! touch tried'",
];

/// What makes every collector have something to show.
const PEOPLED: &[&str] = &[
    "create table public.people (id int primary key, name text not null) with (autovacuum_vacuum_scale_factor = 0.05)",
    "insert into public.people select n, repeat('x', 3000) from generate_series(1, 100) as n",
    "create table public.parts (id int primary key) partition by range (id)",
    "create table public.part_1 partition of public.parts for values from (0) to (10)",
    "vacuum analyze public.people",
    "create role limited connection limit 3",
    "create sequence public.nearly_used maxvalue 10 start 9",
    "select nextval('public.nearly_used')",
    "create schema \"my schema\"",
    "grant usage on schema \"my schema\" to public",
    "create extension pg_stat_statements schema \"my schema\"",
    "create extension pg_buffercache schema \"my schema\"",
    "create table public.wide (id int primary key, word text)",
    "insert into public.wide select n, repeat('x', 100) from generate_series(1, 60000) as n",
    "delete from public.wide where id > 100",
    "vacuum (analyze, truncate off) public.wide",
    "create publication people for table public.people",
    "create function public.one() returns int language plpgsql as 'begin return 1; end'",
    "select public.one()",
    // Statistics are handed in no more often than every half a second before 15, every second since.
    "select pg_sleep(1.2)",
    "select 1",
    "select pg_create_physical_replication_slot('held', true)",
    "select pg_create_logical_replication_slot('read', 'pgoutput')",
    "create subscription taken connection 'host=nowhere' publication none with (connect = false)",
    "select pg_switch_wal()",
    "do $$ begin for n in 1..300 loop perform pg_sleep(0.1), pg_stat_clear_snapshot(); \
     exit when (select last_archived_time is not null from pg_stat_archiver); end loop; end $$",
];

/// Whether a name is on a list, in which a `*` at the end stands for any rest.
fn is_on(list: &[&str], name: &str) -> bool {
    list.iter().any(|it| *it == name || it.strip_suffix('*').is_some_and(|start| name.starts_with(start)))
}

/// A session of a role that has `pg_monitor` and what the query declares to need, no more.
async fn reader(server: &Server, person: &Session, query: &'static Query) -> Session {
    let role = format!("reads_{}", query.name);
    person
        .run("making a role", &format!("create role {role} login in role pg_monitor"))
        .await
        .expect("a role");
    let bare = target(&server.url(&role)).connect(&lane()).await.expect("the server is up");
    let ground = Ground::read(&bare, &[query]).await.expect("the server is up");
    let first = query.needs.iter().map(|right| right.name).find(|name| *name != MONITOR.name);
    match ground.statement(query, None) {
        Err(Absence::MissingRight(name)) => assert_eq!(Some(name), first, "{}", query.name),
        Ok(_) => assert_eq!(first, None, "{} does without what it needs", query.name),
        Err(_) => {}
    }
    for right in query.needs {
        person.run("granting", &right.grant(&role)).await.expect("the grant is right");
    }
    target(&server.url(&role)).connect(&lane()).await.expect("the server is up")
}

#[tokio::test]
async fn every_query_gives_what_it_declares_on_every_major() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, SETTINGS) else { continue };
        let person = target(&server.superuser_url()).connect(&lane()).await.expect("the server is up");
        for statement in PEOPLED {
            person.run(statement, statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        }
        let mut missing = vec![];
        for query in QUERIES {
            let session = reader(&server, &person, query).await;
            let families = collect(&session, query).await;
            for Given { desc, since, until, .. } in query.gives() {
                let found = families.iter().find(|family| family.name == desc.name);
                let has = (since..=until).contains(&major);
                if found.is_none() && has && !is_on(MAY_BE_ABSENT, desc.name) {
                    missing.push(desc.name);
                }
                assert!(found.is_none() || has, "{} on {major}", desc.name);
                let first = |family: &Arc<Family>| match family.samples.first() {
                    Some(sample) => sample.labels.clone(),
                    None => family.histograms[0].labels.clone(),
                };
                let labels = found.map(first);
                let labels = labels.as_ref().map(|set| set.iter().map(|(name, _)| name.as_ref()));
                assert!(labels.is_none_or(|found| found.eq(desc.labels.iter().copied())), "{}", desc.name);
            }
        }
        assert!(missing.is_empty(), "{major}: {missing:?}");
    }
}

#[test]
fn settings_are_those_of_the_server_and_not_of_our_session() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, &["shared_buffers = 64MB"]) else { continue };
        let alter = "alter system set shared_buffers = '80MB'";
        run(&server.superuser_url(), &[alter, "select pg_reload_conf()", "select pg_sleep(0.5)"]);
        let found = read(&server.url("monitor"), "settings");
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
        let bgwriter = read(&server.url("monitor"), "bgwriter");
        // 40 000 rows of 530 bytes are 2 850 blocks, which do not fit into 128.
        let written = bgwriter["pg_stat_bgwriter_buffers_backend_total{}"];
        assert!((1_000.0..20_000.0).contains(&written), "{major}: {written}");
        let wal = read(&server.url("monitor"), "wal");
        assert!(
            wal["pg_stat_wal_bytes_total{}"] > 1e6 && wal["pg_stat_wal_write_total{}"] > 0.0,
            "{major}: {wal:?}"
        );
        let checkpointer = read(&server.url("monitor"), "checkpointer");
        assert!(checkpointer["pg_stat_checkpointer_num_requested_total{}"] >= 1.0, "{major}");
    }
}
