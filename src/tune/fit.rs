//! The memory sum of the whole plan, brought within the budget.

use super::drafts::Drafts;
use super::inputs::as_size;
use super::{memory, sum};
use crate::model::plan::Block;
use crate::model::setting::Value;
use crate::model::units::Bytes;

/// (setting, floor, step): what gives way when the sum is over the budget, first to last.
const SHRINKABLE: &[(&str, Bytes, Bytes)] = &[
    ("work_mem", memory::LEAST_WORK_MEM, memory::WORK_MEM_STEP),
    ("maintenance_work_mem", memory::LEAST_MAINTENANCE, memory::MAINTENANCE_STEP),
    ("autovacuum_work_mem", memory::LEAST_MAINTENANCE, memory::AUTOVACUUM_STEP),
    ("shared_buffers", memory::LEAST_SHARED_BUFFERS, memory::STEP),
];

/// The part of the budget that a plan may use: the kernel, the page cache and what nobody counted need the rest.
pub(super) const USABLE_PERCENT: u64 = 85;

pub(super) fn memory_in_budget(drafts: &mut Drafts<'_>) {
    let limit = drafts.inputs.memory().percent(USABLE_PERCENT);
    refuse_what_cannot_fit(drafts, limit);
    shrink(drafts, limit);
    if drafts.total() > limit {
        keep_nothing_above_its_aim(drafts);
    }
    if drafts.total() > limit {
        refuse_raises(drafts, limit);
        note_excess(drafts, limit);
    }
}

/// The parts of the sum that are taken as wanted or not at all.
const PARTS_THAT_STAY: &[&str] = &[
    "max_connections",
    "min_dynamic_shared_memory",
    "wal_buffers",
    "max_locks_per_transaction",
    "autovacuum_max_workers",
    "hash_mem_multiplier",
];

/// Refuses the largest raises that nothing can make room for, before anything is shrunk for their sake.
fn refuse_what_cannot_fit(drafts: &mut Drafts<'_>, limit: Bytes) {
    loop {
        let mut least = drafts.clone();
        shrink(&mut least, Bytes(0));
        let total = least.total_aimed(None);
        let raises = PARTS_THAT_STAY.iter().map(|name| (raise(&least, name, total), *name));
        match raises.filter(|(more, _)| more.0 > 0).max() {
            Some((_, name)) if total > limit => refuse(drafts, name, limit),
            _ => return,
        }
    }
}

/// What a setting's move adds to the sum; zero where it is not moved, or moved down.
fn raise(drafts: &Drafts<'_>, name: &str, total: Bytes) -> Bytes {
    let Some(at) = drafts.position(name).filter(|_| drafts.is_set(name)) else { return Bytes(0) };
    total.minus(drafts.total_aimed(Some((name, &drafts.rows[at].configured))))
}

fn refuse(drafts: &mut Drafts<'_>, name: &str, limit: Bytes) {
    let why = format!("memory: the plan's sum would be above {}, 85 % of the budget", limit.about());
    drafts.veto(name, Block::OverBudget, why);
}

/// Brings every part down to the budget, the first ones first.
fn shrink(drafts: &mut Drafts<'_>, limit: Bytes) {
    for (name, floor, step) in SHRINKABLE {
        let total = drafts.total_aimed(None);
        let aim = drafts.aim(name).as_ref().and_then(as_size);
        let Some(present) = aim.filter(|present| total > limit && present > floor) else { continue };
        let less = Value::Size(present.minus(*step));
        let gain = total.minus(drafts.total_aimed(Some((name, &less)))).0.max(1);
        let steps = total.minus(limit).0.div_ceil(gain);
        let target = present.minus(step.times(steps)).round_down(*step).max(*floor);
        let why = format!("lowered from {present}: the sum must fit {}, 85 % of the budget", limit.about());
        drafts.lower(name, Value::Size(target), &why);
    }
}

/// Where the sum is tight, a present value is not kept for being only a little above the wanted one.
fn keep_nothing_above_its_aim(drafts: &mut Drafts<'_>) {
    for draft in drafts.rows.iter_mut().filter(|draft| sum::PARTS.contains(&draft.knob.name)) {
        draft.capped = true;
    }
}

fn refuse_raises(drafts: &mut Drafts<'_>, limit: Bytes) {
    let total = drafts.total_aimed(None);
    let raised: Vec<_> =
        sum::PARTS.iter().filter(|name| grows(drafts, name) || raise(drafts, name, total).0 > 0).collect();
    for name in raised {
        refuse(drafts, name, limit);
    }
}

/// A larger number is to be set. The sum may not show it, where a role has yet more of its own.
fn grows(drafts: &Drafts<'_>, name: &str) -> bool {
    let Some(at) = drafts.position(name).filter(|_| drafts.is_set(name)) else { return false };
    let present = drafts.rows[at].configured.as_number().filter(|present| *present >= 0.0);
    drafts.aim(name).and_then(|aim| aim.as_number()).zip(present).is_some_and(|(aim, present)| aim > present)
}

fn note_excess(drafts: &mut Drafts<'_>, limit: Bytes) {
    let connections = drafts.count("max_connections").unwrap_or(100);
    drafts.notes.push(format!(
        "memory: the sum is {}, above {} (85 % of the budget); {connections} connections count {} of it. What was set by \
         hand or serves them is not lowered, and nothing is raised",
        drafts.total().about(),
        limit.about(),
        Bytes::mib(10).times(connections).about(),
    ));
}

#[cfg(test)]
mod tests {
    use super::super::plan::plan;
    use super::super::planned::{custom, machine, planned, row, size};
    use super::super::testing::{in_force, server};
    use super::*;
    use crate::model::plan::Verdict;

    #[test]
    fn what_gives_way_goes_in_the_decided_order() {
        // (connections in force on 4 GB, what was lowered).
        let rows: [(&str, &[&str]); 4] = [
            ("50", &[]),
            ("150", &["work_mem"]),
            ("180", &["work_mem", "maintenance_work_mem"]),
            ("220", &["work_mem", "maintenance_work_mem", "shared_buffers"]),
        ];
        for (connections, want) in rows {
            let facts = machine(4, |f| in_force(f, "max_connections", connections, "configuration file"));
            let plan = planned(&facts);
            let lowered = |name: &&&str| row(&plan, name).why.starts_with("lowered from");
            let names = ["work_mem", "maintenance_work_mem", "autovacuum_work_mem", "shared_buffers"];
            assert_eq!(
                names.iter().filter(lowered).copied().collect::<Vec<_>>(),
                want,
                "{connections}: {plan}"
            );
            assert!(plan.budget.planned <= plan.budget.limit, "{plan}");
        }
    }

    #[test]
    fn what_may_not_be_lowered_blocks_what_would_raise() {
        let facts = machine(4, |f| {
            in_force(f, "max_connections", "400", "configuration file");
            in_force(f, "shared_buffers", "2GB", "configuration file");
        });
        let plan = planned(&facts);
        assert!(plan.budget.planned > plan.budget.limit);
        assert_eq!(row(&plan, "wal_buffers").verdict, Verdict::Block(Block::OverBudget));
        // What lowers the sum is still set.
        assert_eq!(row(&plan, "shared_buffers").verdict, Verdict::Set);
        assert_eq!(size(&plan, "shared_buffers"), Bytes::mib(128));
        assert!(
            plan.notes.iter().any(|note| note.contains("400 connections count 3.9GB")),
            "{:?}",
            plan.notes
        );
    }

    #[test]
    fn a_raise_that_cannot_fit_is_refused_before_caches_are_shrunk_for_it() {
        let plan = plan(&machine(4, |_| ()), &custom("[settings]\nmax_connections = 400")).unwrap();
        assert_eq!(row(&plan, "max_connections").verdict, Verdict::Block(Block::OverBudget));
        assert_eq!(size(&plan, "shared_buffers"), Bytes::gib(1));
        assert!(plan.budget.planned <= plan.budget.limit);
    }

    #[test]
    fn a_roles_own_work_mem_counts() {
        let facts = machine(16, |f| {
            let own = crate::model::postgres::Override {
                name: "work_mem".to_owned(),
                value: "256MB".to_owned(),
                role: Some("indexer".to_owned()),
                database: None,
            };
            server(f).overrides.push(own);
        });
        let (with, without) = (planned(&facts), planned(&machine(16, |_| ())));
        assert_eq!(row(&with, "work_mem").verdict, Verdict::Block(Block::Override));
        assert!(size(&with, "maintenance_work_mem") < size(&without, "maintenance_work_mem"), "{with}");
    }
}
