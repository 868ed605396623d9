//! Servers that make a scrape hard: locks, statements that hang, databases that go, thousands of sessions, odd names.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgpilot::client::postgres::Session;
use pgpilot::serve::{Bounds, Choice};
use support::pg::{MAJORS, Server};
use support::sql::{lane, run, run_until_ended, target};
use support::web::{FRESH_FOR, Reply, Web};

fn server(settings: &[&str]) -> Option<Server> {
    MAJORS.iter().rev().find_map(|major| Server::start(*major, settings))
}

/// Half of Prometheus' default, and more than a busy machine needs.
const IN_TIME: Duration = Duration::from_secs(5);

fn scrape(web: &Web) -> Reply {
    let since = Instant::now();
    let reply = web.get("/metrics", &[]);
    assert!(since.elapsed() < IN_TIME, "{:?}", since.elapsed());
    assert_eq!((reply.status, reply.value("pg_up")), (200, Some(1.0)), "{}", reply.text());
    reply
}

/// Collectors whose last round was not good.
fn failed(reply: &Reply) -> BTreeSet<&str> {
    let lines = reply.text().lines().filter(|line| line.ends_with(" 0"));
    lines
        .filter_map(|line| line.strip_prefix("pg_scrape_collector_success{collector=\"")?.split('"').next())
        .collect()
}

/// A session that stays open in a runtime of its own.
struct Holder {
    runtime: tokio::runtime::Runtime,
    session: Session,
}

impl Holder {
    fn new(server: &Server) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let session = runtime.block_on(target(&server.superuser_url()).connect(&lane())).unwrap();
        Self { runtime, session }
    }

    fn run(&self, sql: &str) {
        self.runtime.block_on(self.session.run("holding", sql)).unwrap();
    }
}

#[test]
fn a_locked_table_keeps_only_its_exact_size_back() {
    let Some(server) = server(&[]) else { return };
    run(
        &server.superuser_url(),
        &["create table public.free (a int primary key)", "create table public.locked (a int primary key)"],
    );
    let holder = Holder::new(&server);
    holder.run("begin");
    holder.run("lock table public.locked in access exclusive mode");
    let reply = scrape(&Web::start(Some(&server.url("monitor"))));
    assert_eq!(failed(&reply), BTreeSet::new());
    let sample = |family: &str, table: &str| {
        reply.value(&format!("{family}{{datname=\"postgres\",schemaname=\"public\",relname=\"{table}\"}}"))
    };
    for table in ["free", "locked"] {
        assert_eq!(sample("pg_stat_user_tables_n_tup_ins", table), Some(0.0), "{table}");
        assert!(sample("pg_table_size_estimate_bytes", table).is_some(), "{table}");
    }
    assert!(sample("pg_stat_user_tables_table_size_bytes", "free").is_some());
    assert_eq!(sample("pg_stat_user_tables_table_size_bytes", "locked"), None);
    // Whoever waits for such a lock is in front of us in the queue.
    let reader = Holder::new(&server);
    holder.run("commit");
    reader.run("begin");
    reader.run("lock table public.locked in access share mode");
    let url = server.superuser_url();
    let wait = "lock table public.locked in access exclusive mode";
    let waiting = std::thread::spawn(move || run_until_ended(&url, &["set lock_timeout = 0", "begin", wait]));
    std::thread::sleep(Duration::from_millis(300));
    let reply = scrape(&Web::start(Some(&server.url("monitor"))));
    assert_eq!(failed(&reply), BTreeSet::new());
    assert_eq!(reply.value("pg_blocked_backends"), Some(1.0));
    assert_eq!(reply.value("pg_blocking_backends"), Some(1.0));
    assert!(reply.value("pg_locks_oldest_wait_seconds").is_some_and(|wait| wait > 0.2));
    assert!(reply.text().contains("pg_blocking_backend_waiters{datname=\"postgres\",usename=\"postgres\""));
    reader.run("commit");
    assert_eq!(waiting.join().unwrap(), "");
}

#[test]
fn a_transaction_that_idles_after_a_write_holds_vacuum_back_and_is_named() {
    let Some(server) = server(&[]) else { return };
    let holder = Holder::new(&server);
    holder.run("begin");
    // A number of its own, and no snapshot any more.
    holder.run("select pg_current_xact_id()");
    run(&server.superuser_url(), &["select pg_current_xact_id()"; 50]);
    let reply = scrape(&Web::start(Some(&server.url("monitor"))));
    let age = reply.value("pg_xmin_horizon_age_xids{holder=\"backend\"}");
    assert!(age.is_some_and(|age| age >= 50.0), "{age:?}");
    let oldest = "pg_xmin_horizon_oldest_age_xids{holder=\"backend\",name=\"postgres a person\"}";
    assert_eq!(reply.value(oldest), age, "{}", reply.text());
}

/// A view of the system's, made to hang by a superuser who may.
fn hang(server: &Server, view: &str) {
    let definition = run(
        &server.superuser_url(),
        &[&format!("select pg_get_viewdef('pg_catalog.{view}'::regclass) as sql")],
    );
    let sql = definition[0].text("sql");
    let hung = format!(
        "create or replace view pg_catalog.{view} as with h as materialized (select pg_sleep(600)), v as ({}) select v.* from v, h",
        sql.trim_end_matches(';')
    );
    run(&server.superuser_url(), &[&hung]);
}

#[test]
fn a_statement_that_hangs_costs_its_limit_once_and_nothing_else() {
    let Some(server) = server(&["allow_system_table_mods = on"]) else { return };
    hang(&server, "pg_stat_wal");
    hang(&server, "pg_publication_tables");
    let web = Web::start(Some(&server.url("monitor")));
    let reply = web.get("/metrics", &[]);
    let want = BTreeSet::from(["wal", "publication_tables"]);
    assert_eq!(failed(&reply), want);
    assert_eq!(reply.value("pg_up"), Some(1.0));
    assert!(reply.value("pg_wal_lsn_bytes").is_some() && reply.value("pg_locks_fastpath_fraction").is_some());
    assert_eq!(reply.value("pgpilot_query_timeouts_total{collector=\"wal\",kind=\"statement\"}"), Some(1.0));
    // Now it is left alone for a while: the scrape is as quick as ever.
    std::thread::sleep(FRESH_FOR + Duration::from_millis(100));
    let since = Instant::now();
    assert_eq!(failed(&scrape(&web)), want);
    assert!(since.elapsed() < Duration::from_millis(900), "{:?}", since.elapsed());
}

#[test]
fn a_database_that_is_dropped_in_mid_scrape_is_nobodys_fault() {
    let Some(server) = server(&[]) else { return };
    let goes = server.superuser_url().replace("/postgres?", "/goes?");
    run(&server.superuser_url(), &["create table public.stays (a int)"]);
    for pause in [0, 10, 20, 40, 80] {
        run(&server.superuser_url(), &["create database goes"]);
        let fill = "do $$ begin for n in 1..400 loop execute format('create table public.t%s (a int primary key)', n); end loop; end $$";
        run(&goes, &[fill]);
        let web = Web::start(Some(&server.url("monitor")));
        let reply = std::thread::scope(|scope| {
            let scraping = scope.spawn(|| scrape(&web));
            std::thread::sleep(Duration::from_millis(pause));
            run(&server.superuser_url(), &["drop database goes with (force)"]);
            scraping.join().unwrap()
        });
        assert_eq!(failed(&reply), BTreeSet::new(), "{pause}");
        assert!(reply.value("pg_stat_user_tables_seq_scan{datname=\"postgres\",schemaname=\"public\",relname=\"stays\"}").is_some());
    }
}

#[test]
fn five_thousand_sessions_are_a_few_series() {
    let Some(server) = server(&["allow_system_table_mods = on"]) else { return };
    let definition = run(
        &server.superuser_url(),
        &["select pg_get_viewdef('pg_catalog.pg_stat_activity'::regclass) as sql"],
    );
    let copy = "create table public.activity as select (jsonb_populate_record(v, jsonb_build_object('pid', 100000 + n, \
                'state', 'idle', 'usename', 'role' || n % 300, \
                'application_name', 'app ' || chr(65 + n % 26) || repeat('x', n % 40)))).* \
                from (select a from pg_stat_activity a where backend_type = 'client backend' limit 1) one (v), \
                generate_series(1, 5000) as n";
    let sql = definition[0].text("sql");
    let both = format!(
        "create or replace view pg_catalog.pg_stat_activity as {} union all select * from public.activity",
        sql.trim_end_matches(';')
    );
    run(&server.superuser_url(), &[copy, &both]);
    let web = Web::choosing(Some(&server.url("monitor")), Choice { bounds: bounds(), ..Choice::all() });
    let reply = scrape(&web);
    assert_eq!(failed(&reply), BTreeSet::new());
    let idle = reply.value("pg_stat_activity_count{datname=\"postgres\",state=\"idle\"}");
    assert!(idle.is_some_and(|n| n >= 5000.0), "{idle:?}");
    let lines: Vec<_> =
        reply.text().lines().filter(|line| line.starts_with("pg_stat_activity_connections{")).collect();
    assert_eq!(lines.len(), 21, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("usename=\"other\"")));
    let all: f64 = lines.iter().map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
    assert!((5001.0..5020.0).contains(&all), "{all}");
}

fn bounds() -> Bounds {
    Bounds {
        databases: Some(5),
        relations: Some(10),
        statements: Some(10),
        series: Some(10_000),
        texts: true,
    }
}

#[test]
fn names_can_be_anything() {
    let Some(server) = server(&[]) else { return };
    let odd = "o\"\"dd' \\\\ \n {ü}日本 %s";
    let database = format!("create database \"{odd}\"");
    run(&server.superuser_url(), &[&database, &format!("create role \"{odd}\" login in role pg_monitor")]);
    let path = "/o%22dd%27%20%5C%5C%20%0A%20%7B%C3%BC%7D%E6%97%A5%E6%9C%AC%20%25s?";
    let elsewhere = server.superuser_url().replace("/postgres?", path);
    run(
        &elsewhere,
        &[
            &format!("create schema \"{odd}\""),
            &format!("create table \"{odd}\".\"{odd}\" (\"{odd}\" int primary key)"),
            &format!("create index \"{odd} again\" on \"{odd}\".\"{odd}\" (\"{odd}\")"),
        ],
    );
    let web = Web::choosing(Some(&server.url("monitor")), Choice { bounds: bounds(), ..Choice::all() });
    let reply = scrape(&web);
    assert_eq!(failed(&reply), BTreeSet::new());
    let label = "o\\\"dd' \\\\\\\\   {ü}日本 %s";
    let series = format!(
        "pg_stat_user_tables_n_tup_ins{{datname=\"{label}\",schemaname=\"{label}\",relname=\"{label}\"}}"
    );
    assert_eq!(reply.value(&series), Some(0.0), "{}", reply.text());
    assert_eq!(reply.value(&format!("pg_index_duplicate{{datname=\"{label}\"}}")), Some(1.0));
    let open = web.get("/metrics", &["Accept: application/openmetrics-text"]);
    assert!(open.text().contains(&series), "{}", open.text());
}

#[test]
fn many_databases_are_few_series_whose_sums_are_right() {
    let Some(server) = server(&[]) else { return };
    let create: Vec<_> = (0..40).map(|n| format!("create database db{n} strategy file_copy")).collect();
    let create: Vec<_> = create
        .iter()
        .map(|sql| if server.major < 15 { sql.split(" strategy").next().unwrap() } else { sql })
        .collect();
    run(&server.superuser_url(), &create);
    let web = Web::choosing(Some(&server.url("monitor")), Choice { bounds: bounds(), ..Choice::all() });
    scrape(&web);
    std::thread::sleep(FRESH_FOR + Duration::from_millis(100));
    let reply = scrape(&web);
    assert_eq!(failed(&reply), BTreeSet::new());
    let names = |family: &str| -> BTreeSet<String> {
        let lines = reply.text().lines().filter(|line| line.starts_with(&format!("{family}{{")));
        lines
            .filter_map(|line| Some(line.split_once("datname=\"")?.1.split('"').next()?.to_owned()))
            .collect()
    };
    let shown = names("pg_stat_database_xact_commit");
    assert_eq!(shown.len(), 6, "{shown:?}");
    assert!(shown.contains("other") && shown.contains("postgres"), "{shown:?}");
    for family in ["pg_stat_activity_count", "pg_locks_count", "pg_database_xid_age"] {
        // The shared objects have a row of their own, under a name that no database has.
        assert!(names(family).is_subset(&shown), "{family}: {:?}", names(family));
    }
    let sum: f64 = reply
        .text()
        .lines()
        .filter_map(|line| {
            line.strip_prefix("pg_database_size_bytes{")?.rsplit_once(' ')?.1.parse::<f64>().ok()
        })
        .sum();
    let want = run(&server.superuser_url(), &["select sum(pg_database_size(oid)) as bytes from pg_database"])
        [0]
    .number("bytes")
    .unwrap();
    assert!((sum / want - 1.0).abs() < 0.1, "{sum} against {want}");
}
