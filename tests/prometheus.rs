//! A real Prometheus takes what we expose, without a word of complaint; both forms say the same; many scrapers cost the
//! server what one costs.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::pg::{MAJORS, Server, cache, free_port, skip};
use support::sql::run;
use support::web::{Reply, Web};

fn server(settings: &[&str]) -> Option<Server> {
    MAJORS.iter().rev().find_map(|major| Server::start(*major, settings))
}

struct Prometheus {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Prometheus {
    fn start(program: &Path, target: &Web) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n  - job_name: pgpilot\n    \
             static_configs: [{{targets: ['{}']}}]\n",
            target.address
        );
        File::create(&config).unwrap().write_all(text.as_bytes()).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=debug");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { child, port, folder }
    }

    /// The value of an instant query; none while there is none.
    fn ask(&self, query: &str) -> Option<f64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET /api/v1/query?query={query} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let body: serde_json::Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()?;
        body["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }

    fn wait_for(&self, query: &str, holds: impl Fn(f64) -> bool) -> f64 {
        let since = Instant::now();
        loop {
            match self.ask(query) {
                Some(value) if holds(value) => return value,
                _ => assert!(since.elapsed() < Duration::from_secs(30), "{query}: {}", self.said()),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What it says of a scrape that it is not content with, at whatever level.
    fn complaints(&self) -> Vec<String> {
        let words = [
            "level=warn",
            "level=error",
            "scrape manager",
            "out-of-order",
            "duplicate",
            "append failed",
            "scrape failed",
        ];
        let is_one = |line: &&str| {
            let line = line.to_lowercase();
            words.iter().any(|word| line.contains(word)) && line.contains("scrape")
        };
        // Both generations say at the start that there is nothing to do yet.
        let idle =
            |line: &&str| line.contains("Starting scrape manager") || line.contains("Loading configuration");
        self.said().lines().filter(is_one).filter(|line| !idle(line)).map(ToOwned::to_owned).collect()
    }
}

fn programs() -> Vec<PathBuf> {
    let bin = cache().join("bin");
    ["prometheus-newest", "prometheus"]
        .map(|name| bin.join(name))
        .into_iter()
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn prometheus_takes_every_sample_without_a_complaint() {
    let Some(server) = server(&["shared_preload_libraries = pg_stat_statements"]) else { return };
    run(
        &server.superuser_url(),
        &["create extension pg_stat_statements schema public", "create table public.t (a int primary key)"],
    );
    let web = Web::start(Some(&server.url("monitor")));
    let series = web.get("/metrics", &[]).value("pgpilot_scrape_series").unwrap();
    let programs = programs();
    if programs.is_empty() {
        skip("no Prometheus to scrape with");
    }
    for program in programs {
        let prometheus = Prometheus::start(&program, &web);
        prometheus.wait_for("pg_up", |up| up == 1.0);
        prometheus.wait_for("count_over_time(up%5B1m%5D)", |times| times >= 3.0);
        assert_eq!(prometheus.ask("min_over_time(up%5B1m%5D)"), Some(1.0), "{}", prometheus.said());
        let samples = prometheus.wait_for("scrape_samples_post_metric_relabeling", |_| true);
        assert!((samples - series).abs() < 0.1 * series, "{samples} of {series}");
        let added = prometheus.ask("sum(scrape_series_added)").unwrap();
        assert!(added < 0.05 * series, "series come and go: {added}");
        assert_eq!(prometheus.complaints(), Vec::<String>::new(), "{}", program.display());
    }
}

/// Series with their values, whatever the form.
fn series(reply: &Reply) -> BTreeMap<String, f64> {
    let lines = reply.text().lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let parts = lines.map(|line| line.rsplit_once(' ').unwrap());
    parts.map(|(series, value)| (canonical(series), value.parse().unwrap())).collect()
}

/// The forms differ in the order of a bucket's labels and in how they write a whole number.
fn canonical(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{').filter(|(name, _)| name.ends_with("_bucket")) else {
        return series.to_owned();
    };
    let mut labels: Vec<_> = labels.trim_end_matches("\"}").split("\",").collect();
    labels.sort_unstable();
    format!("{name}{{{}", labels.join(",").replace(".0", ""))
}

/// Types by family, as far as both forms have a word for them.
fn types(reply: &Reply) -> BTreeSet<(String, String)> {
    let lines = reply.text().lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    lines.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

#[test]
fn both_forms_say_the_same() {
    for &major in MAJORS {
        let Some(server) = Server::start(major, &[]) else { continue };
        let web = Web::start(Some(&server.url("monitor")));
        web.get("/metrics", &[]);
        // Both within the time that scrapes share a reading.
        std::thread::sleep(support::web::FRESH_FOR);
        let classic = web.get("/metrics", &[]);
        let open = web.get("/metrics", &["Accept: application/openmetrics-text;version=1.0.0"]);
        let (left, right) = (series(&classic), series(&open));
        assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>(), "{major}");
        let own = |name: &str| {
            ["pgpilot_", "process_", "pg_exporter_", "pg_scrape_"].iter().any(|own| name.starts_with(own))
        };
        let differ: Vec<_> = left
            .iter()
            .filter(|(name, value)| !own(name) && right[*name] != **value)
            .map(|(name, _)| name)
            .collect();
        assert!(differ.is_empty(), "{major}: {differ:?}");
        let open = types(&open);
        for (name, kind) in types(&classic) {
            let stem = name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(&name).to_owned();
            let known = ["counter", "gauge", "info", "unknown", "histogram"]
                .iter()
                .filter(|kind| open.contains(&(stem.clone(), (**kind).to_owned())));
            let known: Vec<_> = known.collect();
            let agree = match (kind.as_str(), known.first()) {
                // A counter whose old name lacks `_total` cannot be one there.
                ("counter", Some(&&found)) => found == "counter" || (found == "unknown" && stem == name),
                ("gauge", Some(&&found)) => found == "gauge" || found == "info",
                (kind, Some(&&found)) => kind == found,
                (_, None) => false,
            };
            assert!(agree, "{major}: {name} is {kind} and {known:?}");
        }
    }
}

#[test]
fn fifty_scrapers_send_the_server_what_one_sends() {
    let Some(server) = server(&["log_statement = all", "log_line_prefix = '%a: '", "log_duration = off"])
    else {
        return;
    };
    let web = Web::start(Some(&server.url("monitor")));
    // The first scrape also opens the sessions.
    web.get("/metrics", &[]);
    let count = || {
        server
            .said()
            .lines()
            .filter(|line| line.starts_with("pgpilot scrape") && line.contains("statement: "))
            .count()
    };
    let sent = |scrapers: usize| {
        std::thread::sleep(support::web::FRESH_FOR + Duration::from_millis(100));
        let before = count();
        std::thread::scope(|scope| {
            (0..scrapers)
                .for_each(|_| drop(scope.spawn(|| assert_eq!(web.get("/metrics", &[]).status, 200))));
        });
        std::thread::sleep(Duration::from_millis(100));
        count() - before
    };
    let (one, fifty) = (sent(1), sent(50));
    assert!(one > 10, "{one}");
    assert_eq!(fifty, one);
}
