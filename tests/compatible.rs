//! Dashboards and rules that were made for postgres_exporter find what they ask for, on every major.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use support::pg::{MAJORS, Server};
use support::sql::run;
use support::web::{Reply, Web};

const NAMES: &str = include_str!("fixtures/compatible-names");

/// A line of the list: whether it must be there, the name, the labels.
fn wanted() -> impl Iterator<Item = (bool, &'static str, BTreeSet<&'static str>)> {
    let lines = NAMES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (always, line) = line.strip_prefix("? ").map_or((true, line), |line| (false, line));
        let mut words = line.split(' ');
        (always, words.next().unwrap(), words.collect())
    })
}

/// The labels of the first series of each name.
fn labels(reply: &Reply) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found = BTreeMap::new();
    for line in reply.text().lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let names = rest.split("=\"").map(|part| part.rsplit(['{', ',', '"']).next().unwrap());
        let count = rest.matches("=\"").count();
        let labels = if line.contains('{') { names.take(count).collect() } else { BTreeSet::new() };
        found.entry(name).or_insert(labels);
    }
    found
}

#[test]
fn every_name_with_every_label_is_there() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, &["shared_preload_libraries = pg_stat_statements"]) else {
            continue;
        };
        run(
            &server.superuser_url(),
            &[
                "create extension pg_stat_statements schema public",
                "create table public.t (a int primary key, b text)",
                "insert into public.t select n, repeat('x', 3000) from generate_series(1, 50) as n",
                "vacuum (analyze) public.t",
                "select pg_sleep(1.1)",
                "select 1",
            ],
        );
        let reply = Web::start(Some(&server.url("monitor"))).get("/metrics", &[]);
        let found = labels(&reply);
        let declared = include_str!("../docs/metrics.md");
        let mut missing = vec![];
        for (always, name, labels) in wanted() {
            match found.get(name) {
                Some(known) if labels.is_subset(known) => {}
                Some(known) => missing.push(format!("{name} has {known:?}, and not all of {labels:?}")),
                None if always => missing.push(name.to_owned()),
                None if declared.contains(&format!("| `{name}` |")) => {}
                None => missing.push(format!("{name}, not even declared")),
            }
        }
        assert!(missing.is_empty(), "{major}: {missing:#?}");
    }
}
