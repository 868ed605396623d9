//! Whole scrapes of real servers: up, down, silent, forbidden; and what Prometheus' own tool says of them.

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::pg::{MAJORS, Server, cache, free_port, skip};
use support::sql::run;
use support::web::{FRESH_FOR, Reply, Web};

/// The newest major that can be had.
fn any_server() -> Option<Server> {
    MAJORS.iter().rev().find_map(|major| Server::start(*major, &[]))
}

/// Past what scrapes share.
fn let_it_age() {
    std::thread::sleep(FRESH_FOR + Duration::from_millis(100));
}

/// Scrapes until it holds, as Prometheus would.
fn wait_for(web: &Web, within: Duration, holds: impl Fn(&Reply) -> bool) -> Reply {
    let since = Instant::now();
    loop {
        let reply = web.get("/metrics", &[]);
        if holds(&reply) {
            return reply;
        }
        assert!(since.elapsed() < within, "{}", reply.text());
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn promtool(text: &str) -> Option<String> {
    let cached = cache().join("bin/promtool");
    let program = if cached.exists() { cached } else { "promtool".into() };
    let mut tool = Command::new(program);
    tool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tool.spawn().ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let out = child.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&out.stderr).into_owned())
}

/// Names that are kept for existing dashboards and that the tool's rules do not like: exact, but for a star at the end.
fn is_de_facto(finding: &str) -> bool {
    let name = finding.split(' ').next().unwrap_or_default();
    let mut known = include_str!("fixtures/de-facto-names").lines().filter(|line| !line.starts_with('#'));
    known.any(|known| known.strip_suffix('*').map_or(name == known, |prefix| name.starts_with(prefix)))
}

#[test]
fn a_scrape_of_every_major_is_whole_and_well_formed() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, &[]) else { continue };
        let web = Web::start(Some(&server.url("monitor")));
        let reply = web.get("/metrics", &[]);
        assert_eq!(reply.value("pg_up"), Some(1.0), "{major}");
        assert_eq!(reply.value("pg_exporter_last_scrape_error"), Some(0.0), "{major}: {}", reply.text());
        assert_eq!(reply.value("pgpilot_scrape_duplicates_total"), Some(0.0), "{major}");
        assert!(reply.value("pg_database_size_bytes{datname=\"postgres\"}").is_some(), "{major}");
        let series = reply.text().lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(reply.value("pgpilot_scrape_series"), Some(series as f64), "{major}");
        match promtool(reply.text()) {
            Some(findings) => {
                let bad: Vec<_> = findings.lines().filter(|line| !is_de_facto(line)).collect();
                assert!(bad.is_empty(), "{major}: {bad:?}");
            }
            None => skip("no promtool to check the text with"),
        }
    }
}

#[test]
fn a_server_that_goes_and_comes_back_is_followed() {
    let Some(mut server) = any_server() else { return };
    let web = Web::start(Some(&server.url("monitor")));
    assert_eq!(web.get("/metrics", &[]).value("pg_up"), Some(1.0));
    server.stop();
    let_it_age();
    let since = Instant::now();
    let reply = web.get("/metrics", &[]);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert_eq!((reply.status, reply.value("pg_up")), (200, Some(0.0)));
    assert_eq!(reply.value("pg_up_state{state=\"refusing\"}"), Some(1.0), "{}", reply.text());
    assert_eq!(reply.value("pg_wal_lsn_bytes"), None, "no old value of a server that is down");
    assert_eq!(reply.value("pg_scrape_collector_success{collector=\"wal\"}"), Some(0.0));
    server.boot();
    let reply = wait_for(&web, Duration::from_secs(20), |reply| reply.value("pg_up") == Some(1.0));
    assert!(reply.value("pg_wal_lsn_bytes").is_some());
    // A session that died unseen between two scrapes costs none of them.
    server.restart();
    let_it_age();
    assert_eq!(web.get("/metrics", &[]).value("pg_up"), Some(1.0));
}

#[test]
fn why_a_server_cannot_be_had_is_told() {
    let Some(server) = any_server() else { return };
    let port = server.port;
    let rows = [
        (format!("postgresql://nobody@127.0.0.1:{port}/postgres?sslmode=disable"), "auth_failed"),
        (format!("postgresql://monitor@127.0.0.1:{port}/nowhere?sslmode=disable"), "no_database"),
        (format!("postgresql://monitor@no-such-host.invalid:{port}/postgres?sslmode=disable"), "dns"),
        (format!("postgresql://monitor@127.0.0.1:{port}/postgres?sslmode=require"), "tls"),
        (format!("postgresql://monitor@127.0.0.1:{}/postgres?sslmode=disable", free_port()), "refusing"),
    ];
    for (url, state) in rows {
        let reply = Web::start(Some(&url)).get("/metrics", &[]);
        let states: Vec<_> = reply.text().lines().filter(|line| line.starts_with("pg_up_state")).collect();
        assert_eq!(reply.value(&format!("pg_up_state{{state=\"{state}\"}}")), Some(1.0), "{url}: {states:?}");
    }
}

#[test]
fn a_server_that_falls_silent_costs_the_deadline_and_no_more() {
    let Some(server) = any_server() else { return };
    let web = Web::start(Some(&server.url("monitor")));
    assert_eq!(web.get("/metrics", &[]).value("pg_up"), Some(1.0));
    let pids = run(
        &server.superuser_url(),
        &["select pid from pg_stat_activity where application_name = 'pgpilot scrape'"],
    );
    let pid = pids[0].text("pid");
    let signal =
        // The shell's own kill: a small system has no other.
        |name: &str| {
            let command = format!("kill {name} {pid}");
            assert!(Command::new("sh").args(["-c", &command]).status().is_ok_and(|it| it.success()));
        };
    signal("-STOP");
    let_it_age();
    let since = Instant::now();
    let reply = web.get("/metrics", &["X-Prometheus-Scrape-Timeout-Seconds: 1.5"]);
    let took = since.elapsed();
    signal("-CONT");
    assert!((Duration::from_millis(900)..Duration::from_millis(1500)).contains(&took), "{took:?}");
    assert_eq!((reply.status, reply.value("pg_up")), (200, Some(0.0)));
    assert_eq!(reply.value("pg_up_state{state=\"timeout\"}"), Some(1.0));
    assert_eq!(reply.value("pg_scrape_collector_success{collector=\"wal\"}"), Some(0.0));
    assert!(reply.value("pg_wal_lsn_bytes").is_some(), "the last value, for a minute");
    assert!(reply.value("pgpilot_collector_age_seconds{collector=\"wal\"}").is_some_and(|age| age > 0.5));
    wait_for(&web, Duration::from_secs(10), |reply| reply.value("pg_up") == Some(1.0));
}

#[test]
fn many_scrapers_cost_what_one_costs() {
    let Some(server) = any_server() else { return };
    let web = Web::start(Some(&server.url("monitor")));
    let first = web.get("/metrics", &[]);
    std::thread::scope(|scope| {
        (0..10).for_each(|_| drop(scope.spawn(|| assert_eq!(web.get("/metrics", &[]).status, 200))));
    });
    let sql =
        "select count(*) as sessions from pg_stat_activity where application_name like 'pgpilot scrape%'";
    assert_eq!(run(&server.superuser_url(), &[sql])[0].text("sessions"), "1");
    let_it_age();
    let last = web.get("/metrics", &[]);
    let oid = run(&server.superuser_url(), &["select oid from pg_database where datname = 'postgres'"])[0]
        .text("oid");
    let commits = &format!("pg_stat_database_xact_commit{{datid=\"{oid}\",datname=\"postgres\"}}");
    let (before, after) = (first.value(commits).unwrap(), last.value(commits).unwrap());
    // At most three rounds of some thirty statements, and the test's own.
    assert!(after - before < 120.0, "{before} to {after}");
}

#[test]
fn a_role_without_rights_gets_what_it_may_see() {
    let Some(server) = any_server() else { return };
    run(
        &server.superuser_url(),
        &["create role plain login", "revoke execute on function pg_control_system() from public"],
    );
    let reply = Web::start(Some(&server.url("plain"))).get("/metrics", &[]);
    assert_eq!(reply.value("pg_up"), Some(1.0));
    assert_eq!(reply.value("pg_exporter_last_scrape_error"), Some(1.0));
    assert_eq!(reply.value("pgpilot_collector_outcome{collector=\"identity\",outcome=\"error\"}"), Some(1.0));
    for collector in ["all", "wal_files"] {
        let missing =
            format!("pgpilot_missing_privilege{{privilege=\"pg_monitor\",collector=\"{collector}\"}}");
        assert_eq!(reply.value(&missing), Some(1.0), "{}", reply.text());
    }
    let failed = reply
        .text()
        .lines()
        .filter(|line| line.starts_with("pg_scrape_collector_success") && line.ends_with(" 0"));
    assert_eq!(failed.count(), 1, "{}", reply.text());
    assert!(reply.value("pg_stat_database_numbackends{datid=\"0\",datname=\"unknown\"}").is_some());
}

#[test]
fn a_standby_gives_a_whole_scrape_too() {
    let Some(mut primary) = any_server() else { return };
    run(
        &primary.superuser_url(),
        &[
            "create table public.t (a int primary key)",
            "select pg_create_physical_replication_slot('standby')",
        ],
    );
    let standby = primary.standby();
    let reply = Web::start(Some(&standby.url("monitor"))).get("/metrics", &[]);
    assert_eq!(reply.value("pg_replication_is_replica"), Some(1.0));
    assert_eq!(reply.value("pg_exporter_last_scrape_error"), Some(0.0), "{}", reply.text());
    assert!(reply.text().contains("pg_stat_database_conflicts_confl_lock{"), "{}", reply.text());
    let table = "pg_stat_user_tables_n_tup_ins{datname=\"postgres\",schemaname=\"public\",relname=\"t\"}";
    assert!(reply.value(table).is_some());
}
