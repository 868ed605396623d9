//! pg_stat_statements on real servers: what differs only in its number of rows is one series, and sums stay right.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::BTreeMap;

use pgpilot::serve::{Bounds, Choice};
use support::pg::{MAJORS, Server};
use support::sql::run;
use support::web::{Reply, Web};

fn server(major: u32) -> Option<Server> {
    let preload = ["shared_preload_libraries = pg_stat_statements", "pg_stat_statements.max = 1000"];
    let server = Server::start(major, &preload)?;
    let make = "create table public.t (a int, b text default now()::text)";
    run(&server.superuser_url(), &["create extension pg_stat_statements schema public", make]);
    Some(server)
}

/// Samples of a family: label `queryid` and value.
fn samples(reply: &Reply, family: &str) -> BTreeMap<String, f64> {
    let label = |line: &str| Some(line.split_once("queryid=\"")?.1.split('"').next()?.to_owned());
    let lines = reply.text().lines().filter(|line| line.starts_with(&format!("{family}{{")));
    lines.filter_map(|line| Some((label(line)?, line.rsplit_once(' ')?.1.parse().ok()?))).collect()
}

/// The label `queryid` of the statement whose text has these words.
fn id_of(reply: &Reply, words: &str) -> Vec<String> {
    let texts = reply.text().lines().filter(|line| line.starts_with("pg_stat_statements_query_id{"));
    let found = texts.filter(|line| line.contains(words));
    found.filter_map(|line| Some(line.split_once("queryid=\"")?.1.split('"').next()?.to_owned())).collect()
}

#[test]
fn an_insert_of_many_lengths_is_one_series_with_the_sum_of_its_calls() {
    for &major in MAJORS {
        let Some(server) = server(major) else { continue };
        let values = |rows: usize| vec!["(1, now()::text)"; rows].join(", ");
        let inserts: Vec<String> = (1..=40)
            .map(|rows| format!("insert into public.t values {} on conflict do nothing", values(rows)))
            .collect();
        // Longer than what is read of a text.
        let long = format!("insert into public.t values {} on conflict do nothing", values(3000));
        let other = "insert into public.t values (1, 'x') returning a";
        let lists =
            ["select a from public.t where a in (1, 2, 3)", "select a from public.t where a in (1, 2)"];
        let mut statements: Vec<&str> = inserts.iter().map(String::as_str).collect();
        statements.extend([long.as_str(), other]);
        statements.extend(lists);
        run(&server.superuser_url(), &statements);
        let reply = Web::start(Some(&server.url("monitor"))).get("/metrics", &[]);
        let calls = samples(&reply, "pg_stat_statements_calls_total");
        let inserted = id_of(&reply, "on conflict do nothing");
        assert_eq!(inserted.len(), 1, "{major}: {inserted:?}");
        assert_eq!(calls[&inserted[0]], 41.0, "{major}");
        let returning = id_of(&reply, "returning a");
        assert_eq!(
            (returning.len(), calls[&returning[0]]),
            (1, 1.0),
            "{major}: another statement is another series"
        );
        let listed = id_of(&reply, "where a in (");
        assert_eq!((listed.len(), calls[&listed[0]]), (1, 2.0), "{major}");
        let rows = samples(&reply, "pg_stat_statements_rows_total");
        assert_eq!(rows[&inserted[0]], (1..=40).sum::<i32>() as f64 + 3000.0, "{major}");
    }
}

#[test]
fn long_texts_are_told_apart_by_all_of_what_they_say() {
    let Some(server) = MAJORS.iter().rev().find_map(|major| server(*major)) else { return };
    let list = |most: usize| (0..most).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let by = |what: &str, most: usize| {
        format!("select count(*) as found from public.t where a in (1) and {what} in ({})", list(most))
    };
    let statements = [by("a", 3000), by("a", 2000), by("length(b)", 3000)];
    run(&server.superuser_url(), &statements.iter().map(String::as_str).collect::<Vec<_>>());
    let reply = Web::start(Some(&server.url("monitor"))).get("/metrics", &[]);
    let calls = samples(&reply, "pg_stat_statements_calls_total");
    let ids: Vec<_> =
        id_of(&reply, "count(*) as found").into_iter().filter(|id| calls.contains_key(id)).collect();
    let mut counted: Vec<_> = ids.iter().map(|id| calls[id]).collect();
    counted.sort_by(f64::total_cmp);
    assert_eq!(counted, [1.0, 2.0], "{ids:?}");
}

#[test]
fn beyond_the_bound_the_rest_is_one_row_and_the_sum_is_that_of_the_view() {
    let Some(server) = MAJORS.iter().rev().find_map(|major| server(*major)) else { return };
    let many: Vec<String> = (0..60).map(|n| format!("select 1 as c{n}")).collect();
    run(&server.superuser_url(), &many.iter().map(String::as_str).collect::<Vec<_>>());
    let bounds = Bounds { statements: Some(10), texts: false, ..Choice::all().bounds };
    let web = Web::choosing(Some(&server.url("monitor")), Choice { bounds, ..Choice::all() });
    let reply = web.get("/metrics", &[]);
    let calls = samples(&reply, "pg_stat_statements_calls_total");
    assert_eq!(calls.len(), 11, "{calls:?}");
    assert!(calls["other"] >= 50.0);
    assert!(!reply.text().contains("pg_stat_statements_query_id{"), "texts are off");
    let all: f64 = reply
        .text()
        .lines()
        .filter(|line| line.starts_with("pg_stat_statements_all_calls_total{"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum();
    // Statements of our own run between the two readings, a handful.
    let shown: f64 = calls.values().sum();
    assert!((all - shown).abs() < 20.0, "{all} against {shown}");
}

#[test]
fn the_extension_is_found_in_whatever_database_and_schema_it_is() {
    let Some(server) = MAJORS.iter().rev().find_map(|major| server(*major)) else { return };
    run(&server.superuser_url(), &["drop extension pg_stat_statements", "create database elsewhere"]);
    let elsewhere = server.superuser_url().replace("/postgres?", "/elsewhere?");
    run(
        &elsewhere,
        &[
            "create schema \"a.b \"\"c\"",
            "grant usage on schema \"a.b \"\"c\" to public",
            "create extension pg_stat_statements schema \"a.b \"\"c\"",
        ],
    );
    let reply = Web::start(Some(&server.url("monitor"))).get("/metrics", &[]);
    assert!(!samples(&reply, "pg_stat_statements_calls_total").is_empty(), "{}", reply.text());
    assert_eq!(reply.value("pg_scrape_collector_success{collector=\"stat_statements\"}"), Some(1.0));
    run(&elsewhere, &["revoke usage on schema \"a.b \"\"c\" from public"]);
    let reply = Web::start(Some(&server.url("monitor"))).get("/metrics", &[]);
    let missing = "pgpilot_missing_privilege{privilege=\"extension_schema\",collector=\"stat_statements\"}";
    assert_eq!(reply.value(missing), Some(1.0), "{}", reply.text());
}
