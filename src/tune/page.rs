//! The reference page of all settings, as a function of the table.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::knobs::{Group, KNOBS, Kind, Knob, Restart};
use super::plan::{Policy, plan};
use crate::model::facts::{Declared, Facts, Host, Limits, Media, Origin, Ours, Seen, Storage};
use crate::model::plan::Plan;
use crate::model::postgres::{Extension, Postgres, Role};
use crate::model::setting::{Context, Setting};
use crate::model::units::{Bytes, Unit};

/// (title, memory, CPUs, storage): the machines whose values the page shows.
const HOSTS: &[(&str, Bytes, u32, Media)] = &[
    ("4GB, 2 CPUs, SSD", Bytes::gib(4), 2, Media::Ssd),
    ("8GB, 4 CPUs, disk", Bytes::gib(8), 4, Media::Hdd),
    ("16GB, 8 CPUs, NVMe", Bytes::gib(16), 8, Media::Nvme),
    ("64GB, 16 CPUs, NVMe", Bytes::gib(64), 16, Media::Nvme),
];

const GROUPS: &[Group] = &[
    Group::Memory,
    Group::Wal,
    Group::Io,
    Group::Parallel,
    Group::Vacuum,
    Group::Connections,
    Group::Observe,
];

/// The major of the example values; a setting that it does not have is shown as the next one plans it.
const MAJOR: u32 = 17;

const INTRODUCTION: &str = "\
# Settings

Every setting that pgpilot moves, with its rule and, as an example, what it plans for four machines that are
PostgreSQL's alone (a container with that limit), with 600 GB of 1 TB free, Docker's /dev/shm of 64 MB and clients that
did not say how large their pools are. `pgpilot plan` shows the values for yours, with the reason for each.

*Near enough*: a present value within this distance of the wanted one is kept. *–*: left as it is, or not there.
";

/// `docs/settings.md`.
pub fn page() -> String {
    let plans: Vec<[Option<Plan>; 2]> = HOSTS.iter().map(example).collect();
    let mut page = INTRODUCTION.to_owned();
    for group in GROUPS {
        let knobs: Vec<&Knob> = KNOBS.iter().filter(|knob| knob.group == *group).collect();
        let sections =
            [format!("\n## {}\n\n", group.title()), rules(&knobs), "\n".to_owned(), values(&knobs, &plans)];
        page.extend(sections);
    }
    page
}

fn rules(knobs: &[&Knob]) -> String {
    let mut table =
        "| Setting | Unit | Takes effect | Versions | Rule | Near enough |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for knob in knobs {
        let card = knob.card.map_or_else(String::new, |card| {
            format!(" *{}.*", card.remark.replacen("the card", "The design card", 1))
        });
        let near = match knob.dead_band_percent {
            0 => "–".to_owned(),
            percent => format!("{percent} %"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{}` | {} | {} | {} | {}.{card} | {near} |",
            knob.name,
            unit(knob),
            effect(knob),
            versions(knob),
            sentence(knob.rule),
        );
    }
    table
}

/// With a capital, unless it starts with a name or a value.
fn sentence(rule: &str) -> String {
    let first = rule.split([' ', ',']).next().unwrap_or_default();
    if first.contains(|c: char| c == '_' || c.is_ascii_digit()) {
        return rule.to_owned();
    }
    let mut letters = rule.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn unit(knob: &Knob) -> &'static str {
    match knob.kind {
        Kind::Whole | Kind::Real if knob.unit != Unit::Plain => knob.unit.as_pg(),
        Kind::Whole => "whole number",
        Kind::Real => "number",
        Kind::Switch => "on or off",
        Kind::Word => "word",
        Kind::List => "list",
    }
}

fn effect(knob: &Knob) -> String {
    match knob.restart {
        Restart::Always => "restart".to_owned(),
        Restart::Never => "reload".to_owned(),
        Restart::Until(last) => format!("restart up to {last}, then reload"),
    }
}

fn versions(knob: &Knob) -> String {
    match knob.until {
        Some(last) if last == knob.since => format!("{last} only"),
        Some(last) => format!("{} to {last}", knob.since),
        None => format!("{} and later", knob.since),
    }
}

fn values(knobs: &[&Knob], plans: &[[Option<Plan>; 2]]) -> String {
    let titles: Vec<&str> = HOSTS.iter().map(|(title, ..)| *title).collect();
    let mut table = format!("| | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
    for knob in knobs {
        let cells: Vec<String> = plans.iter().map(|plans| planned(knob, plans)).collect();
        let _ = writeln!(table, "| `{}` | {} |", knob.name, cells.join(" | "));
    }
    table
}

fn planned(knob: &Knob, plans: &[Option<Plan>; 2]) -> String {
    let row = plans.iter().flatten().find_map(|plan| plan.row(knob.name));
    row.and_then(|row| row.planned.as_ref()).map_or_else(|| "–".to_owned(), ToString::to_string)
}

/// The plans of the example's major and of the next one.
fn example(host: &(&str, Bytes, u32, Media)) -> [Option<Plan>; 2] {
    [MAJOR, MAJOR + 1].map(|major| plan(&facts(host, major), &Policy::default()).ok())
}

/// Present values that a rule looks at; the other rules do not depend on what is there.
///
/// Shared memory for parallel queries is in force, as it is once the first plan was applied and the server restarted.
const PRESENT: &[(&str, &str)] = &[
    ("max_connections", "100"),
    ("max_locks_per_transaction", "64"),
    ("max_worker_processes", "8"),
    ("min_dynamic_shared_memory", "512"),
    ("shared_preload_libraries", ""),
];

fn facts((_, memory, cpus, media): &(&str, Bytes, u32, Media), major: u32) -> Facts {
    let from = Origin::Postgres;
    Facts {
        at: jiff::Timestamp::UNIX_EPOCH,
        pgpilot: String::new(),
        declared: Declared::default(),
        host: Seen::Now(Host {
            memory_total: *memory,
            memory_available: None,
            cpus: *cpus,
            arc: None,
            clocksource: Some("tsc".to_owned()),
            from,
        }),
        limits: Seen::Now(Limits { memory: Some(*memory), cpus: None, cgroup: Some(2), from }),
        own_limits: Seen::Not(String::new()),
        shm: Seen::Now(Bytes::mib(64)),
        storage: Seen::Now(Storage {
            media: *media,
            filesystem: "ext4".to_owned(),
            source: String::new(),
            size: Some(Bytes::gib(1000)),
            free: Some(Bytes::gib(600)),
            how: String::new(),
            from,
        }),
        postgres: Seen::Now(server(major)),
        ours: Ours::default(),
    }
}

fn server(major: u32) -> Postgres {
    let knobs = KNOBS.iter().filter(|knob| !knob.name.contains('.') && knob.is_for(major));
    let statements = Extension { available: true, installed: None };
    Postgres {
        version_num: major * 10_000,
        version: major.to_string(),
        system_identifier: String::new(),
        started_at: 0.0,
        in_recovery: false,
        data_directory: String::new(),
        role: Role { superuser: true, ..Role::default() },
        managed: None,
        settings: knobs.map(|knob| (knob.name.to_owned(), setting(knob, major))).collect(),
        auto_conf: Seen::Now(BTreeMap::new()),
        overrides: vec![],
        extensions: BTreeMap::from([("pg_stat_statements".to_owned(), statements)]),
        timescale: None,
        databases: 1,
        data_size: Seen::Not(String::new()),
        sessions: 0,
        beside: vec![],
        replication_slots: 0,
        slots_retain: Bytes(0),
    }
}

fn setting(knob: &Knob, major: u32) -> Setting {
    let present = PRESENT.iter().find(|(name, _)| *name == knob.name);
    let (vartype, words) = match knob.kind {
        Kind::Whole => ("integer", vec![]),
        Kind::Real => ("real", vec![]),
        Kind::Switch => ("bool", vec![]),
        Kind::Word => ("enum", vec!["pglz".to_owned(), "lz4".to_owned()]),
        Kind::List => ("string", vec![]),
    };
    Setting {
        setting: present.map_or("0", |(_, text)| *text).to_owned(),
        unit: Some(knob.unit.as_pg().to_owned()).filter(|unit| !unit.is_empty()),
        vartype: vartype.to_owned(),
        context: if knob.needs_restart(major) { Context::Restart } else { Context::Reload },
        source: "default".to_owned(),
        min: None,
        max: None,
        enumvals: words,
        pending_restart: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_setting_twice_and_values_of_the_worked_example() {
        let page = page();
        for knob in KNOBS {
            assert_eq!(page.matches(&format!("| `{}` |", knob.name)).count(), 2, "{}", knob.name);
        }
        let value = |line: &str| assert!(page.contains(line), "{line} in\n{page}");
        value("| `shared_buffers` | 1GB | 2GB | 4GB | 16GB |");
        value("| `effective_cache_size` | 3GB | 6GB | 12GB | 48GB |");
        value("| `max_wal_size` | 4GB | 8GB | 16GB | 16GB |");
        value("| `min_dynamic_shared_memory` | 0 | 256MB | 512MB | 512MB |");
        value("| `random_page_cost` | 2 | 4 | 1.5 | 1.5 |");
        value("| `io_workers` | 3 | 3 | 3 | 4 |");
    }

    #[test]
    fn groups_are_complete() {
        assert!(KNOBS.iter().all(|knob| GROUPS.contains(&knob.group)));
    }
}
