//! From facts and a policy to a plan. Pure: the same facts give the same plan, and an applied plan leaves nothing.

use super::budget::{self, NoPlan};
use super::checks::CHECKS;
use super::custom::{Custom, Rule};
use super::drafts::Drafts;
use super::fit::USABLE_PERCENT;
use super::inputs::{Inputs, media};
use super::knobs::KNOBS;
use super::notes;
use super::profile::{self, Choice};
use crate::model::facts::Facts;
use crate::model::plan::{Budget, Plan};
use crate::model::postgres::Postgres;

/// The first major whose settings are planned.
const OLDEST: u32 = 14;

/// What the operator wants of the planner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    pub profile: Choice,
    /// The parsed file of the profile `custom`.
    pub custom: Option<Custom>,
    pub take_over: TakeOver,
    /// Settings that a person asked for by name: they are not held back.
    pub named: Vec<String>,
}

/// Whose values may be moved although they were set by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TakeOver {
    #[default]
    None,
    Names(Vec<String>),
    All,
}

impl TakeOver {
    pub fn covers(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Names(names) => names.iter().any(|covered| covered == name),
            Self::All => true,
        }
    }
}

impl Policy {
    /// The custom profile's row for a setting, where that profile is chosen.
    pub(super) fn rule(&self, name: &str) -> Option<&Rule> {
        let custom = self.custom.as_ref().filter(|_| self.profile == Choice::Custom)?;
        custom.rules.get(name)
    }

    /// The profile whose bounds hold.
    fn base(&self) -> Result<Choice, NoPlan> {
        match (self.profile, &self.custom) {
            (Choice::Custom, Some(custom)) => Ok(custom.base),
            (Choice::Custom, None) => Err(NoPlan::NoProfileFile),
            (choice, _) => Ok(choice),
        }
    }
}

/// What should be, one row for each setting that the server has and pgpilot moves.
pub fn plan(facts: &Facts, policy: &Policy) -> Result<Plan, NoPlan> {
    let inputs = inputs(facts, policy)?;
    let mut drafts = Drafts::new(&inputs);
    for check in CHECKS {
        check(&mut drafts);
    }
    Ok(finish(drafts))
}

pub(super) fn inputs<'a>(facts: &'a Facts, policy: &'a Policy) -> Result<Inputs<'a>, NoPlan> {
    let server = server(facts)?;
    let share = budget::share(facts)?;
    let profile = profile::bounds(policy.base()?, share.has, media(facts));
    Ok(Inputs::new(facts, server, policy, profile, share))
}

/// What a setting's formula says, before bounds, dead band, barriers and checks.
#[cfg(test)]
pub(super) fn proposed(facts: &Facts, name: &str) -> super::inputs::Proposal {
    let policy = Policy::default();
    let inputs = inputs(facts, &policy).expect("facts that can be planned");
    let knob = KNOBS.iter().find(|knob| knob.name == name).expect("a knob");
    (knob.formula)(&inputs)
}

/// The value of a proposal as text; what it says instead, where it has none.
#[cfg(test)]
pub(super) fn proposed_text(facts: &Facts, name: &str) -> String {
    match proposed(facts, name) {
        super::inputs::Proposal::Set(value, _) => value.to_string(),
        super::inputs::Proposal::Leave(_) => "leave".to_owned(),
        super::inputs::Proposal::Wait(_) => "wait".to_owned(),
    }
}

fn server(facts: &Facts) -> Result<&Postgres, NoPlan> {
    let reason = facts.postgres.reason().unwrap_or_default();
    let server = facts.postgres.get().ok_or_else(|| NoPlan::NoServer(reason.to_owned()))?;
    if server.major() < OLDEST {
        return Err(NoPlan::TooOld(server.version.clone()));
    }
    Ok(server)
}

fn finish(drafts: Drafts<'_>) -> Plan {
    let inputs = drafts.inputs;
    let planned = drafts.total();
    let mut notes = notes::notes(inputs);
    notes.extend(drafts.notes);
    let name = inputs.profile.name;
    Plan {
        at: inputs.facts.at,
        server: inputs.server.version.clone(),
        profile: if inputs.policy.profile == Choice::Custom {
            format!("custom over {name}")
        } else {
            name.to_owned()
        },
        budget: Budget {
            memory: inputs.memory(),
            how: inputs.share.how.clone(),
            cpus: inputs.cpus,
            planned,
            limit: inputs.memory().percent(USABLE_PERCENT),
        },
        rows: drafts.rows.into_iter().map(|draft| draft.into_row(inputs)).collect(),
        notes,
    }
}

/// What the checks and notes read beside the knobs.
const CHECKED: &[&str] = &[
    "autovacuum_worker_slots",
    "max_prepared_transactions",
    "reserved_connections",
    "superuser_reserved_connections",
    "wal_segment_size",
];

/// All settings that the planner reads, for whoever reads `pg_settings` for it.
pub fn settings_read() -> Vec<&'static str> {
    let knobs = KNOBS.iter().map(|knob| knob.name);
    knobs.chain(CHECKED.iter().copied()).chain(notes::WATCHED_NAMES).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{dedicated, in_force, postgres, with_timescaledb};
    use super::*;
    use crate::model::facts::{Media, Seen};
    use crate::model::plan::{Block, Verdict};
    use crate::model::units::Bytes;

    /// The three machines of the worked example: 4 GB and SSD, 16 GB and NVMe, 64 GB and NVMe. Docker's /dev/shm.
    fn machines() -> [Facts; 3] {
        let rows = [(4, 2, Media::Ssd, "50"), (16, 8, Media::Nvme, "200"), (64, 16, Media::Nvme, "200")];
        rows.map(|(memory, cpus, media, connections)| {
            let mut facts = dedicated(Bytes::gib(memory), cpus, media);
            facts.postgres = Seen::Now(postgres(16));
            facts.shm = Seen::Now(Bytes::mib(64));
            in_force(&mut facts, "max_connections", connections, "configuration file");
            facts
        })
    }

    #[test]
    fn formulas_give_the_worked_values() {
        let rows: &[(&str, [&str; 3])] = &[
            ("shared_buffers", ["1GB", "4GB", "16GB"]),
            ("effective_cache_size", ["3GB", "12GB", "48GB"]),
            ("work_mem", ["8MB", "34MB", "64MB"]),
            ("maintenance_work_mem", ["256MB", "1GB", "1GB"]),
            ("autovacuum_work_mem", ["64MB", "256MB", "512MB"]),
            ("min_dynamic_shared_memory", ["0", "512MB", "512MB"]),
            ("wal_buffers", ["16MB", "64MB", "64MB"]),
            ("max_wal_size", ["4GB", "16GB", "16GB"]),
            ("min_wal_size", ["1GB", "4GB", "4GB"]),
            ("checkpoint_timeout", ["10min", "15min", "15min"]),
            ("random_page_cost", ["2", "1.5", "1.5"]),
            ("effective_io_concurrency", ["16", "32", "32"]),
            ("maintenance_io_concurrency", ["32", "64", "64"]),
            ("max_worker_processes", ["8", "12", "20"]),
            ("max_parallel_workers", ["2", "8", "8"]),
            ("max_parallel_workers_per_gather", ["0", "1", "2"]),
            ("max_parallel_maintenance_workers", ["1", "4", "4"]),
            ("autovacuum_max_workers", ["2", "4", "4"]),
            ("autovacuum_vacuum_cost_limit", ["1000", "2000", "4000"]),
            ("autovacuum_vacuum_insert_scale_factor", ["0.02", "0.02", "0.02"]),
        ];
        for (name, want) in rows {
            assert_eq!(machines().map(|facts| proposed_text(&facts, name)), *want, "{name}");
        }
        let timescale = machines().map(|mut facts| {
            with_timescaledb(&mut facts, 10, 2);
            proposed_text(&facts, "max_worker_processes")
        });
        assert_eq!(timescale, ["22", "28", "28"]);
    }

    #[test]
    fn a_dedicated_16_gb_machine_agrees_with_the_card_where_it_is_sound() {
        let mut facts = dedicated(Bytes::gib(16), 8, Media::Nvme);
        facts.declared.client_connections = Some(130);
        let plan = plan(&facts, &Policy::default()).unwrap();
        let planned = |name: &str| plan.row(name).and_then(|row| row.planned.clone()).unwrap().to_string();
        assert_eq!(plan.profile, "high-performance");
        assert_eq!(planned("shared_buffers"), "4GB");
        assert_eq!(planned("effective_cache_size"), "12GB");
        assert_eq!(planned("max_connections"), "200");
        for (name, figure) in
            [("work_mem", "256MB"), ("random_page_cost", "1.0"), ("maintenance_work_mem", "2GB")]
        {
            let row = plan.row(name).unwrap();
            assert_eq!(row.verdict, Verdict::Set);
            assert!(row.why.contains(&format!("the card's {figure}")), "{}", row.why);
        }
    }

    #[test]
    fn the_literal_card_goes_through_the_same_checks() {
        let custom = Custom::parse(include_str!("../../docs/profiles/design-card.toml")).unwrap();
        let policy = Policy { profile: Choice::Custom, custom: Some(custom), ..Policy::default() };
        let large = plan(&dedicated(Bytes::gib(16), 8, Media::Nvme), &policy).unwrap();
        let text = |plan: &Plan, name: &str| plan.row(name).unwrap().planned.clone().unwrap().to_string();
        assert!(large.budget.planned <= large.budget.limit);
        assert_eq!(text(&large, "shared_buffers"), "4GB");
        assert_eq!(text(&large, "max_connections"), "200");
        assert_eq!(text(&large, "random_page_cost"), "1");
        let row = large.row("work_mem").unwrap();
        assert!(row.why.starts_with("lowered from 256MB: the sum must fit 13.5GB"), "{}", row.why);

        // 200 connections alone are more than 85 % of 2 GB: the raise is refused, and the rest is brought down.
        let small = plan(&dedicated(Bytes::gib(2), 2, Media::Nvme), &policy).unwrap();
        assert_eq!(small.row("max_connections").unwrap().verdict, Verdict::Block(Block::OverBudget));
    }

    #[test]
    fn a_plan_needs_a_server_of_14_or_later_and_a_file_for_custom() {
        let mut facts = dedicated(Bytes::gib(16), 8, Media::Nvme);
        let custom = Policy { profile: Choice::Custom, ..Policy::default() };
        assert!(plan(&facts, &custom).unwrap_err().to_string().contains("PGPILOT_PROFILE_FILE"));
        super::super::testing::server(&mut facts).version_num = 130_014;
        assert!(matches!(plan(&facts, &Policy::default()), Err(NoPlan::TooOld(_))));
        facts.postgres = Seen::Not("connection refused".to_owned());
        let error = plan(&facts, &Policy::default()).unwrap_err().to_string();
        assert_eq!(error, "the server was not seen: connection refused");
    }

    #[test]
    fn the_text_of_a_whole_plan() {
        let mut facts = dedicated(Bytes::mib(7_900), 4, Media::Ssd);
        with_timescaledb(&mut facts, 40, 3);
        in_force(&mut facts, "max_wal_size", "2GB", "command line");
        super::super::testing::entry(&mut facts, "shared_buffers", "3GB", true);
        super::super::testing::entry(&mut facts, "wal_buffers", "32MB", false);
        facts.host = match facts.host {
            Seen::Now(host) => Seen::Now(crate::model::facts::Host { clocksource: None, ..host }),
            Seen::Not(_) => facts.host,
        };
        let plan = plan(&facts, &Policy::default()).unwrap();
        let golden = include_str!("../../tests/golden/plan.txt");
        assert_eq!(plan.to_string(), golden, "\n{plan}");
    }
}
