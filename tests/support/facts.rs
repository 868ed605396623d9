//! Facts for tests of the planner: a healthy server of any major on a machine that the test describes.
//!
//! Settings come from `tests/fixtures/pg_settings`, dumped from real servers, at initdb's defaults.

#![allow(dead_code, unreachable_pub, reason = "each test binary takes what it needs")]

use std::collections::BTreeMap;

use pgpilot::model::facts::{Arc, Declared, Facts, Host, Limits, Media, Origin, Ours, Seen, Storage};
use pgpilot::model::plan::{Plan, Verdict};
use pgpilot::model::postgres::{Extension, Postgres, Role};
use pgpilot::model::setting::{Context, Setting, Value, split_list};
use pgpilot::model::units::Bytes;

const DUMPS: &[(u32, &str)] = &[
    (14, include_str!("../fixtures/pg_settings/14.tsv")),
    (15, include_str!("../fixtures/pg_settings/15.tsv")),
    (16, include_str!("../fixtures/pg_settings/16.tsv")),
    (17, include_str!("../fixtures/pg_settings/17.tsv")),
    (18, include_str!("../fixtures/pg_settings/18.tsv")),
];
const TIMESCALEDB: &str = include_str!("../fixtures/pg_settings/timescaledb.tsv");

/// The settings of a fresh server of this major.
pub fn settings(major: u32) -> BTreeMap<String, Setting> {
    let (_, dump) = DUMPS.iter().find(|(known, _)| *known == major).expect("majors 14 to 18 have a dump");
    parse(dump)
}

fn parse(dump: &str) -> BTreeMap<String, Setting> {
    dump.lines().skip(1).map(parse_row).collect()
}

fn parse_row(line: &str) -> (String, Setting) {
    let cells: Vec<&str> = line.split('\t').collect();
    let [name, setting, unit, vartype, context, min, max, enumvals, ..] = cells[..] else {
        panic!("a row has nine cells: {line}")
    };
    let setting = Setting {
        setting: setting.to_owned(),
        unit: Some(unit.to_owned()).filter(|unit| !unit.is_empty()),
        vartype: vartype.to_owned(),
        context: Context::from_pg(context),
        source: "default".to_owned(),
        min: min.parse().ok(),
        max: max.parse().ok(),
        enumvals: split_list(enumvals.trim_matches(['{', '}'])),
        pending_restart: false,
    };
    (name.to_owned(), setting)
}

/// A superuser's view of a fresh 17 on a machine that it shares, without a container limit.
pub fn host(memory: Bytes, cpus: u32, media: Media) -> Facts {
    Facts {
        at: "2026-03-01T12:00:00Z".parse().expect("a time"),
        pgpilot: "0.1.0".to_owned(),
        declared: Declared::default(),
        host: Seen::Now(Host {
            memory_total: memory,
            memory_available: None,
            cpus,
            arc: None,
            clocksource: Some("tsc".to_owned()),
            from: Origin::Own,
        }),
        limits: Seen::Now(Limits { memory: None, cpus: None, cgroup: Some(2), from: Origin::Postgres }),
        own_limits: Seen::Not("not looked for".to_owned()),
        shm: Seen::Now(Bytes::gib(1)),
        storage: Seen::Now(Storage {
            media,
            filesystem: "ext4".to_owned(),
            source: "/dev/disk".to_owned(),
            size: Some(Bytes::gib(1000)),
            free: Some(Bytes::gib(600)),
            how: "the test says so".to_owned(),
            from: Origin::Postgres,
        }),
        postgres: Seen::Now(postgres(17)),
        ours: Ours::default(),
    }
}

/// The same on a machine, or in a container, that is PostgreSQL's alone.
pub fn dedicated(memory: Bytes, cpus: u32, media: Media) -> Facts {
    let mut facts = host(memory, cpus, media);
    facts.limits =
        Seen::Now(Limits { memory: Some(memory), cpus: None, cgroup: Some(2), from: Origin::Postgres });
    facts
}

pub fn postgres(major: u32) -> Postgres {
    let available = Extension { available: true, installed: None };
    Postgres {
        version_num: major * 10_000 + 5,
        version: format!("{major}.5"),
        system_identifier: "7400000000000000001".to_owned(),
        started_at: 1_772_000_000.0,
        in_recovery: false,
        data_directory: "/var/lib/postgresql/data".to_owned(),
        role: Role {
            name: "postgres".to_owned(),
            superuser: true,
            may_set: vec![],
            may_reload: true,
            sees_file_settings: true,
            monitors: true,
            reads_host: true,
        },
        managed: None,
        settings: settings(major),
        auto_conf: Seen::Now(BTreeMap::new()),
        overrides: vec![],
        extensions: BTreeMap::from([("pg_stat_statements".to_owned(), available)]),
        timescale: None,
        databases: 2,
        data_size: Seen::Now(Bytes::gib(300)),
        sessions: 0,
        beside: vec![],
        replication_slots: 0,
        slots_retain: Bytes(0),
    }
}

/// The server, to change it.
pub fn server(facts: &mut Facts) -> &mut Postgres {
    match &mut facts.postgres {
        Seen::Now(server) => server,
        Seen::Not(reason) => panic!("{reason}"),
    }
}

pub fn storage(facts: &mut Facts, change: impl FnOnce(&mut Storage)) {
    if let Seen::Now(storage) = &mut facts.storage {
        change(storage);
    }
}

pub fn on_zfs(facts: &mut Facts, arc: Arc) {
    storage(facts, |storage| storage.filesystem = "zfs".to_owned());
    if let Seen::Now(host) = &mut facts.host {
        host.arc = Some(arc);
    }
}

/// TimescaleDB is loaded and installed.
pub fn with_timescaledb(facts: &mut Facts, chunks: u32, jobs: u32) {
    let server = server(facts);
    server.settings.extend(parse(TIMESCALEDB));
    let installed = Extension { available: true, installed: Some("2.22.1".to_owned()) };
    server.extensions.insert("timescaledb".to_owned(), installed);
    server.timescale = Some(pgpilot::model::postgres::Timescale { hypertables: 1, max_chunks: chunks, jobs });
    in_force(facts, "shared_preload_libraries", "timescaledb", "configuration file");
}

/// A value in force, in the setting's base unit or PostgreSQL's notation.
pub fn in_force(facts: &mut Facts, name: &str, text: &str, source: &str) {
    let setting = server(facts).settings.get_mut(name).unwrap_or_else(|| panic!("{name} is a setting"));
    setting.setting = bare(setting, &setting.parse(text));
    setting.source = source.to_owned();
}

/// An entry in `postgresql.auto.conf`; in force too where no restart is needed, or after one.
pub fn entry(facts: &mut Facts, name: &str, text: &str, restarted: bool) {
    if let Seen::Now(entries) = &mut server(facts).auto_conf {
        entries.insert(name.to_owned(), text.to_owned());
    }
    let setting = &server(facts).settings[name];
    if setting.context == Context::Restart && !restarted {
        server(facts).settings.get_mut(name).expect("it was there").pending_restart = true;
    } else {
        in_force(facts, name, text, "configuration file");
    }
}

/// As `pg_settings.setting` shows a value: a bare number in the setting's unit.
fn bare(setting: &Setting, value: &Value) -> String {
    match (setting.vartype.as_str(), setting.in_unit(value)) {
        ("integer" | "real", Some(number)) => number.to_string(),
        _ => value.to_string(),
    }
}

/// The facts after everything that the plan sets was written by us, reloaded, and perhaps restarted.
pub fn applied(facts: &Facts, plan: &Plan, restarted: bool) -> Facts {
    let mut after = facts.clone();
    for row in plan.rows.iter().filter(|row| row.verdict == Verdict::Set) {
        let text = row.planned.as_ref().expect("a row to set has a value").to_string();
        entry(&mut after, &row.name, &text, restarted);
        after.ours.written.insert(row.name.clone(), Some(text));
    }
    after
}
