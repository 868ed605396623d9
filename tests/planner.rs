//! Laws of the planner, for any facts: on servers of all majors, healthy or not, in machines of all sizes.

#[path = "support/facts.rs"]
mod facts;

use facts::{applied, entry, host, in_force, on_zfs, postgres, server, storage, with_timescaledb};
use pgpilot::model::facts::{Arc, Facts, Hold, Limits, Media, Origin, Reserve, Seen};
use pgpilot::model::plan::{Plan, Verdict};
use pgpilot::model::postgres::Override;
use pgpilot::model::setting::{Setting, Value};
use pgpilot::model::units::Bytes;
use pgpilot::tune::{Choice, Custom, KNOBS, Policy, TakeOver, plan};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const CARD: &str = include_str!("../docs/profiles/design-card.toml");

const MEDIA: &[Media] = &[Media::Hdd, Media::Ssd, Media::Nvme, Media::Network, Media::Unknown];

/// From 64 MB to 1 TB, as many small ones as large ones.
fn size() -> impl Strategy<Value = Bytes> {
    (26_u32..40, 0_u64..1 << 20).prop_map(|(power, rest)| Bytes((1 << power) + rest * (1 << (power - 20))))
}

/// The machine and what the operator says of it.
fn machine() -> impl Strategy<Value = Facts> {
    let declared = (
        option::weighted(0.2, size()),
        prop_oneof![
            (0_u8..=100).prop_map(Reserve::Percent),
            size().prop_map(Reserve::Size),
            Just(Reserve::Percent(50))
        ],
        1_u32..4,
        option::weighted(0.2, 1_u32..200),
        option::of(0_u32..1000),
        option::of(prop_oneof![Just(Bytes::mib(64)), size()]),
    );
    let seen = (
        size(),
        1_u32..200,
        select(MEDIA),
        select(vec!["ext4", "zfs", "btrfs", ""]),
        option::of(size()),
        option::of(size()),
        option::weighted(0.7, option::of(size())),
        option::weighted(0.1, Just(())),
    );
    (declared, seen).prop_map(|((memory, reserve, servers, cpus, pools, shm), seen)| {
        let (total, count, media, filesystem, free, disk, limit, blind) = seen;
        let mut facts = host(total, count, media);
        facts.declared.memory = memory;
        facts.declared.reserve = reserve;
        facts.declared.servers = servers;
        facts.declared.cpus = cpus;
        facts.declared.client_connections = pools;
        facts.shm = shm.map_or_else(|| Seen::Not("not mounted".to_owned()), Seen::Now);
        facts.limits = limit.map_or_else(
            || Seen::Not("no way to see it".to_owned()),
            |memory| Seen::Now(Limits { memory, cpus: None, cgroup: Some(1), from: Origin::Postgres }),
        );
        if filesystem == "zfs" {
            let arc =
                Arc { min: Bytes::mib(64), max: Bytes(total.0 / 2), size: Bytes(0), configured_max: disk };
            on_zfs(&mut facts, arc);
        }
        storage(&mut facts, |storage| {
            storage.filesystem = filesystem.to_owned();
            storage.free = free;
            storage.size = disk;
        });
        if blind.is_some() {
            facts.host = Seen::Not("/proc is hidden".to_owned());
        }
        facts
    })
}

/// What happened to a setting before we came.
#[derive(Debug, Clone)]
struct Past {
    what: What,
    name: Index,
    value: Index,
    restarted: bool,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Conf,
    CommandLine,
    ByHand,
    Ours,
    Reset,
    RoleSet,
    Held,
}

fn past() -> impl Strategy<Value = Past> {
    use What::{ByHand, CommandLine, Conf, Held, Ours, Reset, RoleSet};
    let what = select(vec![Conf, Conf, Conf, CommandLine, ByHand, Ours, Ours, Reset, RoleSet, Held]);
    (what, any::<Index>(), any::<Index>(), any::<bool>()).prop_map(|(what, name, value, restarted)| Past {
        what,
        name,
        value,
        restarted,
    })
}

/// A knob of this server and a text that it accepts.
fn pick(facts: &mut Facts, name: Index, value: Index) -> (String, String) {
    let settings = &server(facts).settings;
    let known: Vec<_> = KNOBS.iter().filter_map(|knob| settings.get_key_value(knob.name)).collect();
    let (name, setting) = name.get(&known);
    ((*name).clone(), accepted(setting, value))
}

fn accepted(setting: &Setting, value: Index) -> String {
    let words = |words: &[&str]| value.get(words).to_string();
    match setting.vartype.as_str() {
        "bool" => words(&["on", "off"]),
        "enum" => value.get(&setting.enumvals).clone(),
        "real" => words(&["0", "0.01", "0.5", "0.9", "1"])
            .replace("0.5", if setting.min > Some(0.5) { "2" } else { "0.5" }),
        "string" => words(&["", "auto_explain", "timescaledb, auto_explain", "pg_stat_statements"]),
        _ => {
            let (min, max) = (setting.min.unwrap_or(0.0), setting.max.unwrap_or(1e6));
            // The special -1, the bounds, and powers of two between them.
            let power = 1_u64 << value.index(32);
            let number = if value.index(40) == 39 { min } else { (power as f64).clamp(min, max) };
            number.to_string()
        }
    }
}

fn happen(facts: &mut Facts, past: &Past) {
    let (name, text) = pick(facts, past.name, past.value);
    let outranked = server(facts).settings[&name].source == "command line";
    match past.what {
        What::Conf => in_force(facts, &name, &text, "configuration file"),
        What::CommandLine => in_force(facts, &name, &text, "command line"),
        What::ByHand if !outranked => entry(facts, &name, &text, past.restarted),
        What::Ours if !outranked => {
            entry(facts, &name, &text, past.restarted);
            facts.ours.written.insert(name, Some(text));
        }
        What::ByHand | What::Ours => {}
        What::Reset => drop(facts.ours.written.insert(name, Some(text))),
        What::RoleSet => {
            let role = Some("indexer".to_owned());
            server(facts).overrides.push(Override { name, value: text, role, database: None });
        }
        What::Held => facts.ours.held.push(Hold { name, until: None, why: "memory pressure".to_owned() }),
    }
}

fn any_facts() -> impl Strategy<Value = Facts> {
    let condition = (
        select(vec![14_u32, 15, 16, 17, 18]),
        option::of((0_u32..5000, 0_u32..50)),
        option::of(size()),
        0_u32..3,
        // Now and then a role without rights, a replica, a managed server.
        0_u8..20,
    );
    (machine(), condition, vec(past(), 0..8)).prop_map(|(mut facts, condition, past)| {
        let (major, timescaledb, data, slots, trouble) = condition;
        facts.postgres = Seen::Now(postgres(major));
        if let Some((chunks, jobs)) = timescaledb {
            with_timescaledb(&mut facts, chunks, jobs);
        }
        for event in &past {
            happen(&mut facts, event);
        }
        let server = server(&mut facts);
        server.data_size = data.map_or_else(|| Seen::Not("not asked".to_owned()), Seen::Now);
        server.replication_slots = slots;
        match trouble {
            0 => server.in_recovery = true,
            1 => server.managed = Some("allow_alter_system is off".to_owned()),
            2 => server.auto_conf = Seen::Not("no right".to_owned()),
            3..=6 => {
                server.role.superuser = false;
                server.role.may_set =
                    KNOBS.iter().skip(usize::from(trouble)).step_by(2).map(|k| k.name.to_owned()).collect();
            }
            _ => {}
        }
        facts
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let card = Custom::parse(CARD).expect("the card is a good profile");
    let bounds = Custom::parse("[settings]\nwork_mem = { min = '16MB' }\nmax_wal_size = { max = '3GB' }")
        .expect("good");
    let profile = prop_oneof![
        4 => Just((Choice::Auto, None)),
        1 => Just((Choice::LowMemory, None)),
        1 => Just((Choice::Standard, None)),
        1 => Just((Choice::HighPerformance, None)),
        1 => Just((Choice::Custom, Some(card))),
        1 => Just((Choice::Custom, Some(bounds))),
    ];
    let take_over = prop_oneof![
        Just(TakeOver::None),
        Just(TakeOver::Names(vec!["work_mem".to_owned(), "shared_buffers".to_owned()])),
        Just(TakeOver::All),
    ];
    (profile, take_over, any::<bool>()).prop_map(|((profile, custom), take_over, named)| Policy {
        profile,
        custom,
        take_over,
        named: if named { vec!["work_mem".to_owned()] } else { vec![] },
    })
}

fn set_names(plan: &Plan) -> Vec<String> {
    plan.rows.iter().filter(|row| row.verdict == Verdict::Set).map(|row| row.name.clone()).collect()
}

/// A plan, where there is one: too little memory or no figure at all is an answer too.
fn planned(facts: &Facts, policy: &Policy) -> Result<Plan, TestCaseError> {
    plan(facts, policy).map_err(|error| {
        assert!(!error.to_string().is_empty());
        TestCaseError::reject("no plan")
    })
}

const MEMORY_PARTS: &[&str] = &[
    "shared_buffers",
    "wal_buffers",
    "min_dynamic_shared_memory",
    "max_connections",
    "max_locks_per_transaction",
    "work_mem",
    "hash_mem_multiplier",
    "maintenance_work_mem",
    "autovacuum_max_workers",
];

/// Settings whose size is a cache.
const CACHES: &[&str] =
    &["shared_buffers", "effective_cache_size", "maintenance_work_mem", "autovacuum_work_mem"];

/// What the plan leaves of a setting: the planned value where it is set, else what is there.
fn outcome(facts: &Facts, plan: &Plan, name: &str) -> f64 {
    let after = applied(facts, plan, true);
    let Seen::Now(server) = &after.postgres else { unreachable!("the plan had a server") };
    server.settings.get(name).and_then(|row| row.value().as_number()).unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 10_000, ..ProptestConfig::default() })]

    #[test]
    fn planning_twice_gives_the_same(facts in any_facts(), policy in any_policy()) {
        prop_assert_eq!(planned(&facts, &policy)?, planned(&facts, &policy)?);
    }

    #[test]
    fn an_applied_plan_leaves_nothing_before_the_restart(facts in any_facts(), policy in any_policy()) {
        let first = planned(&facts, &policy)?;
        let second = planned(&applied(&facts, &first, false), &policy)?;
        prop_assert!(second.is_empty(), "{first:#}\n{second:#}");
    }

    /// With one exception, which is made for safety: while /dev/shm is small, work_mem may grow only once
    /// min_dynamic_shared_memory is in force.
    #[test]
    fn an_applied_plan_leaves_nothing_after_the_restart(facts in any_facts(), policy in any_policy()) {
        let first = planned(&facts, &policy)?;
        let restarted = applied(&facts, &first, true);
        let second = planned(&restarted, &policy)?;
        let gave_shm = first.row("min_dynamic_shared_memory").is_some_and(|row| row.verdict == Verdict::Set);
        let late: Vec<String> = if gave_shm { vec!["work_mem".to_owned()] } else { vec![] };
        let left = set_names(&second);
        prop_assert!(left.iter().all(|name| late.contains(name)), "{first:#}\n{second:#}");
        let third = planned(&applied(&restarted, &second, true), &policy)?;
        prop_assert!(third.is_empty(), "{second:#}\n{third:#}");
    }

    #[test]
    fn no_plan_exceeds_its_budget_or_makes_it_worse(facts in any_facts(), policy in any_policy()) {
        let plan = planned(&facts, &policy)?;
        if plan.budget.planned <= plan.budget.limit {
            return Ok(());
        }
        for row in plan.rows.iter().filter(|row| row.verdict == Verdict::Set) {
            let (before, after) = (row.current.as_number(), row.planned.as_ref().and_then(Value::as_number));
            let pending = facts.postgres.get().and_then(|server| server.entry(&row.name)).is_some();
            prop_assert!(!MEMORY_PARTS.contains(&row.name.as_str()) || pending || after <= before, "{row:?}");
        }
    }

    #[test]
    fn every_value_lies_within_the_servers_bounds(facts in any_facts(), policy in any_policy()) {
        let plan = planned(&facts, &policy)?;
        let server = facts.postgres.get().expect("the plan had a server");
        for row in plan.rows.iter().filter(|row| row.verdict == Verdict::Set) {
            let value = row.planned.as_ref().expect("a row to set has a value");
            let setting = &server.settings[&row.name];
            prop_assert!(setting.accepts(value), "{row:?}");
            prop_assert!(value.to_sql().is_some(), "{row:?}");
            // What is written reads back as what was meant, or the plan would never come to rest.
            prop_assert_eq!(&setting.parse(&value.to_string()).to_string(), &value.to_string(), "{}", row.name);
            prop_assert!(server.role.may_alter(&row.name) && !server.in_recovery && server.managed.is_none());
        }
    }

    #[test]
    fn every_row_has_a_reason_of_one_line(facts in any_facts(), policy in any_policy()) {
        let plan = planned(&facts, &policy)?;
        for row in &plan.rows {
            prop_assert!(!row.why.is_empty() && !row.why.contains('\n'), "{row:?}");
        }
        let text = plan.to_string();
        prop_assert!(text.lines().count() <= plan.rows.len() + plan.notes.len() + 12);
    }

    /// Where nothing had to give way. Where something had, a few MB may have gone to what another profile adds
    /// (a vacuum worker, shared memory for parallel queries); twice the memory always outweighs that.
    #[test]
    fn more_memory_never_lowers_a_cache(major in 14_u32..=18, small in size(), more in 0_u64..200, cpus in 1_u32..64, media in select(MEDIA), policy in any_policy()) {
        let machine = |memory| {
            let mut facts = facts::dedicated(memory, cpus, media);
            facts.postgres = Seen::Now(postgres(major));
            facts
        };
        let (less, larger) = (machine(small), machine(Bytes(small.0 + small.percent(more).0)));
        let (first, second) = (planned(&less, &policy)?, planned(&larger, &policy)?);
        let gave_way = first.rows.iter().chain(&second.rows).any(|row| row.why.starts_with("lowered from"));
        for name in CACHES.iter().filter(|_| more >= 100 || !gave_way) {
            let (before, after) = (outcome(&less, &first, name), outcome(&larger, &second, name));
            prop_assert!(before <= after, "{name}: {before} with {small}, {after} with {more} % more");
        }
    }
}
