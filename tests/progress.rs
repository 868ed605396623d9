//! Progress of long commands, made long here by work that waits: on real servers of every major.

mod support;

use std::io::Write as _;
use std::net::TcpStream;
use std::thread::{JoinHandle, spawn};

use support::families::{Values, missing, read_until};
use support::pg::{MAJORS, Server};
use support::sql::{run, run_until_ended};

/// Slow tables: vacuum and analyze wait at every page, an index and a copy at every row.
const TABLES: &[&str] = &[
    "create table public.slow with (autovacuum_enabled = off) as select n as id, repeat('x', 500) as text \
     from generate_series(1, 3000) as n",
    "alter table public.slow add primary key (id)",
    "delete from public.slow where id % 10 = 0",
    "create function public.wait(int) returns int immutable language plpgsql as \
     'begin perform pg_sleep(0.02); return $1; end'",
    "create function public.wait() returns trigger language plpgsql as \
     'begin perform pg_sleep(0.05); return new; end'",
    "create schema side",
    "create table side.copied (id int)",
    "create trigger wait before insert on side.copied for each row execute function public.wait()",
    "create table public.full with (autovacuum_enabled = off) as select n as id from generate_series(1, 1000) as n",
    "create index on public.full (public.wait(id)) where id <= 50",
    "copy (select n from generate_series(1, 40000) as n) to '/tmp/FILE'",
];

const PATIENT: [&str; 2] = ["set vacuum_cost_delay = 100", "set vacuum_cost_limit = 1"];

/// A command in a session of its own, which ends with the server.
struct Running(Option<JoinHandle<String>>);

impl Running {
    fn start(url: String, statements: Vec<String>) -> Self {
        let all = move || run_until_ended(&url, &statements.iter().map(String::as_str).collect::<Vec<_>>());
        Self(Some(spawn(all)))
    }

    /// Stops it, and everything else that runs.
    fn stop(mut self, person: &str) {
        let all = "select pg_cancel_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and state = 'active'";
        while self.0.as_ref().is_some_and(|it| !it.is_finished()) {
            run(person, &[all, "select pg_sleep(0.05)"]);
        }
        drop(self.0.take().map(JoinHandle::join));
    }
}

fn blocks(server: &Server) -> f64 {
    let size = "select pg_relation_size('public.slow') / 8192 as blocks";
    run(&server.superuser_url(), &[size])[0].text("blocks").parse().expect("a number")
}

/// What a collector gives while a command runs, and how far `progress` says that it is.
fn watch(
    server: &Server,
    name: &str,
    statements: &[&str],
    holds: impl Fn(&Values) -> bool,
) -> (Values, Values) {
    let (url, person) = (server.url("monitor"), server.superuser_url());
    let running = Running::start(person.clone(), statements.iter().map(|it| (*it).to_owned()).collect());
    let found = read_until(&url, name, holds);
    let ratio = read_until(&url, "progress", |_| true);
    running.stop(&person);
    (found, ratio)
}

fn start(major: u32) -> Option<Server> {
    let server = Server::start(major, &["track_cost_delay_timing = on"][..usize::from(major >= 18)])?;
    let file = server.data().join("copied");
    let file = file.to_str().expect("a path in ASCII");
    let tables: Vec<String> = TABLES.iter().map(|it| it.replace("/tmp/FILE", file)).collect();
    run(&server.superuser_url(), &tables.iter().map(String::as_str).collect::<Vec<_>>());
    Some(server)
}

#[test]
fn vacuum_and_analyze_show_how_far_they_are() {
    for &major in MAJORS {
        let Some(server) = start(major) else { continue };
        let blocks = blocks(&server);
        let scanned = "pg_stat_progress_vacuum_heap_blks_scanned{datname=postgres,relname=slow}";
        let vacuum = [&PATIENT[..], &["vacuum public.slow"]].concat();
        let (found, ratio) = watch(&server, "progress_vacuum", &vacuum, |it| it.get(scanned) > Some(&5.0));
        assert_eq!(missing(&found, "progress_vacuum", major), [""; 0], "{major}");
        assert_eq!(
            found["pg_stat_progress_vacuum_heap_blks{datname=postgres,relname=slow}"], blocks,
            "{major}"
        );
        let phase = "pg_stat_progress_vacuum_phase{datname=postgres,relname=slow,phase=scanning heap}";
        assert_eq!(found[phase], 1.0, "{major}");
        assert!(
            found["pg_stat_progress_vacuum_num_dead_tuples{datname=postgres,relname=slow}"] > 5.0,
            "{major}"
        );
        let share = ratio["pg_progress_ratio{command=VACUUM,datname=postgres,relname=slow}"];
        assert!((found[scanned] / blocks..0.5).contains(&share), "{major}: {share}");
        if major >= 18 {
            assert!(
                found["pg_stat_progress_vacuum_delay_seconds{datname=postgres,relname=slow}"] > 0.1,
                "{found:?}"
            );
        }
        // From another database there is no name.
        let (person, number) = (server.superuser_url(), "select 'public.slow'::regclass::oid as number");
        let number = run(&person, &["create database other", number])[0].text("number");
        let running = Running::start(person.clone(), vacuum.iter().map(|it| (*it).to_owned()).collect());
        let other = server.url("monitor").replace("/postgres?", "/other?");
        let nameless =
            format!("pg_stat_progress_vacuum_heap_blks{{datname=postgres,relname=relid {number}}}");
        read_until(&other, "progress_vacuum", |it| it.get(&nameless) == Some(&blocks));
        running.stop(&person);

        let scanned = "pg_stat_progress_analyze_sample_blks_scanned{datname=postgres,relname=slow,phase=acquiring sample rows}";
        let analyze = [&PATIENT[..], &["analyze public.slow"]].concat();
        let (found, ratio) = watch(&server, "progress_analyze", &analyze, |it| it.get(scanned) > Some(&5.0));
        assert_eq!(missing(&found, "progress_analyze", major), [""; 0], "{major}");
        let share = ratio["pg_progress_ratio{command=ANALYZE,datname=postgres,relname=slow}"];
        assert!((found[scanned] / blocks..0.5).contains(&share), "{major}: {share}");
    }
}

#[test]
fn builds_and_loads_show_how_far_they_are() {
    for &major in MAJORS {
        let Some(server) = start(major) else { continue };
        let blocks = blocks(&server);
        let build = "create index concurrently waited on public.slow (public.wait(id))";
        let phase = "{datname=postgres,relname=slow,phase=building index: scanning table}";
        let done = format!("pg_stat_progress_create_index_blocks_done{phase}");
        // In the first block all of them count as done.
        let begun = |it: &Values| it.get(&done).is_some_and(|done| (1.0..100.0).contains(done));
        let (found, ratio) = watch(&server, "progress_create_index", &[build], begun);
        assert_eq!(missing(&found, "progress_create_index", major), [""; 0], "{major}");
        assert_eq!(found[&format!("pg_stat_progress_create_index_blocks{phase}")], blocks, "{major}");
        let share =
            ratio["pg_progress_ratio{command=CREATE INDEX CONCURRENTLY,datname=postgres,relname=slow}"];
        assert!((found[&done] / blocks..0.5).contains(&share), "{major}: {share}");

        let written = "pg_stat_progress_cluster_heap_tuples_written{datname=postgres,relname=full,phase=rebuilding index}";
        let (found, ratio) =
            watch(&server, "progress_cluster", &["vacuum full public.full"], |it| it.contains_key(written));
        assert_eq!(missing(&found, "progress_cluster", major), [""; 0], "{major}");
        assert_eq!(found[written], 1000.0, "{major}");
        assert!(ratio.keys().all(|series| !series.contains("VACUUM FULL")), "{major}: an index has no share");

        let file = server.data().join("copied");
        let load = format!("copy side.copied from '{}'", file.display());
        let labels = "{datname=postgres,relname=side.copied,command=COPY FROM}";
        let rows = format!("pg_stat_progress_copy_tuples_processed{labels}");
        let (found, ratio) = watch(&server, "progress_copy", &[&load], |it| it.get(&rows) > Some(&3.0));
        assert_eq!(missing(&found, "progress_copy", major), [""; 0], "{major}");
        let size = std::fs::metadata(&file).expect("the file is there").len();
        assert_eq!(
            found[&format!("pg_stat_progress_copy_bytes{labels}")],
            f64::from(u32::try_from(size).expect("small")),
            "{major}"
        );
        let share = ratio["pg_progress_ratio{command=COPY FROM,datname=postgres,relname=side.copied}"];
        assert!(share > 0.0 && share < 1.0, "{major}: {share}");
    }
}

/// Takes a backup over the replication protocol, slowly, until it is dropped.
fn backup(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("the server is up");
    let mut message = |kind: &[u8], body: &[u8]| {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        stream.write_all(&[kind, &length, body].concat()).expect("the server listens");
    };
    message(b"", b"\0\x03\0\0user\0postgres\0replication\0true\0\0");
    let options: &[u8] = if server.major >= 15 {
        b"BASE_BACKUP (LABEL 'slow', PROGRESS, CHECKPOINT 'fast', MAX_RATE 32)\0"
    } else {
        b"BASE_BACKUP LABEL 'slow' PROGRESS FAST MAX_RATE 32\0"
    };
    message(b"Q", options);
    stream
}

#[test]
fn a_backup_shows_how_far_it_is() {
    for &major in MAJORS {
        let Some(server) = start(major) else { continue };
        let url = server.url("monitor");
        let stream = backup(&server);
        let phase = "{phase=streaming database files}";
        let streamed = format!("pg_stat_progress_basebackup_streamed_bytes{phase}");
        let found = read_until(&url, "progress_basebackup", |it| it.get(&streamed) > Some(&0.0));
        assert_eq!(missing(&found, "progress_basebackup", major), [""; 0], "{major}");
        assert!(
            found[&format!("pg_stat_progress_basebackup_backup_bytes{phase}")] > 1e7,
            "{major}: {found:?}"
        );
        let share = read_until(&url, "progress", |it| {
            it.contains_key("pg_progress_ratio{command=BASE_BACKUP,datname=,relname=}")
        });
        let share = share["pg_progress_ratio{command=BASE_BACKUP,datname=,relname=}"];
        assert!(share > 0.0 && share < 1.0, "{major}: {share}");
        drop(stream);
    }
}
