//! What must hold over the whole plan, whatever the single formulas say.

use super::connections::reserved;
use super::draft::same;
use super::drafts::Drafts;
use super::fit::memory_in_budget;
use super::inputs::Proposal;
use super::parallel::OTHER_WORKERS;
use super::{memory, wal};
use crate::model::plan::Block;
use crate::model::setting::Value;
use crate::model::units::Bytes;

/// In this order: the memory sum sees what the others left, and the vacuum ring follows the final shared_buffers.
pub(super) const CHECKS: &[fn(&mut Drafts<'_>)] = &[
    connections_above_reserved,
    workers_under_totals,
    timescaledb_workers,
    autovacuum_workers_in_slots,
    wal_on_disk,
    wal_bounds,
    parallel_hash_in_shm,
    memory_in_budget,
    vacuum_ring_in_buffers,
];

/// A server whose connections are all reserved does not start.
fn connections_above_reserved(drafts: &mut Drafts<'_>) {
    let reserved = reserved(drafts.inputs);
    if drafts.is_set("max_connections") && drafts.count("max_connections").is_some_and(|all| all <= reserved)
    {
        let why = format!("the server would not start: {reserved} connections are reserved");
        drafts.veto("max_connections", Block::NotAccepted, why);
    }
}

/// (part, its total): workers beyond the total never run.
const TOTALS: &[(&str, &str)] = &[
    ("max_parallel_workers", "max_worker_processes"),
    ("max_parallel_workers_per_gather", "max_parallel_workers"),
    ("max_parallel_maintenance_workers", "max_parallel_workers"),
];

fn workers_under_totals(drafts: &mut Drafts<'_>) {
    for (part, total) in TOTALS {
        let Some(most) = drafts.outcome(total) else { continue };
        let why = format!("{total} is {most}");
        drafts.lower(part, most, &why);
    }
}

/// TimescaleDB's background workers fail to start when parallel ones took their slots.
fn timescaledb_workers(drafts: &mut Drafts<'_>) {
    let name = "timescaledb.max_background_workers";
    let (Some(all), Some(timescale)) = (drafts.count("max_worker_processes"), drafts.count(name)) else {
        return;
    };
    let room = all.saturating_sub(timescale + OTHER_WORKERS).max(2);
    let why = format!("max_worker_processes is {all}, and {timescale} of them are TimescaleDB's");
    drafts.lower("max_parallel_workers", Value::Int(i64::try_from(room).unwrap_or(i64::MAX)), &why);
    workers_under_totals(drafts);
    let need = timescale + drafts.count("max_parallel_workers").unwrap_or(0) + OTHER_WORKERS;
    if need > all {
        drafts.notes.push(format!(
            "TimescaleDB's workers may fail to start: max_worker_processes stays at {all} and should be {need}"
        ));
    }
}

/// From 18 on workers beyond the slots are only warned about.
fn autovacuum_workers_in_slots(drafts: &mut Drafts<'_>) {
    if let Some(slots) = drafts.outcome("autovacuum_worker_slots") {
        let why = format!("autovacuum_worker_slots is {slots}");
        drafts.lower("autovacuum_max_workers", slots, &why);
    }
}

fn wal_on_disk(drafts: &mut Drafts<'_>) {
    let inputs = drafts.inputs;
    let (Some(most), Some(size)) = (wal::most_wal(inputs), drafts.size("max_wal_size")) else { return };
    if size <= most {
        return;
    }
    let free = inputs.disk_free.unwrap_or_default().about();
    let Proposal::Set(share, why) = wal::max_wal_size(inputs) else { return };
    if !drafts.lower("max_wal_size", share, &why) {
        drafts.notes.push(format!("max_wal_size is {size}, and WAL's disk has only {free} free"));
    }
}

/// Below two segments the server does not start; above max_wal_size it makes no sense.
fn wal_bounds(drafts: &mut Drafts<'_>) {
    let least = wal::segments(drafts.inputs, 2);
    for name in ["max_wal_size", "min_wal_size"] {
        if drafts.is_set(name) && drafts.size(name).is_none_or(|size| size < least) {
            let why = format!("the server would not start: it needs two segments, {least}");
            drafts.veto(name, Block::NotAccepted, why);
        }
    }
    if let Some(most) = drafts.size("max_wal_size") {
        drafts.lower("min_wal_size", Value::Size(most), "never above max_wal_size");
    }
}

fn parallel_hash_in_shm(drafts: &mut Drafts<'_>) {
    let workers = drafts.count("max_parallel_workers_per_gather").unwrap_or(0);
    if memory::shm_is_small(drafts.inputs, workers) {
        let why =
            "more fails parallel hash joins in a small /dev/shm until min_dynamic_shared_memory is in force";
        drafts.lower("work_mem", Value::Size(memory::WORK_MEM_IN_SMALL_SHM), why);
    }
}

/// PostgreSQL itself cuts the ring at an eighth of shared_buffers; half of that leaves queries their cache.
fn vacuum_ring_in_buffers(drafts: &mut Drafts<'_>) {
    let Some(buffers) = drafts.size("shared_buffers") else { return };
    let most = Bytes(buffers.0 / 16).round_down(Bytes::kib(128));
    let unlimited =
        drafts.outcome("vacuum_buffer_usage_limit").is_some_and(|ring| same(&ring, &Value::Int(0)));
    if !unlimited {
        drafts.lower("vacuum_buffer_usage_limit", Value::Size(most), "a sixteenth of shared_buffers");
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Policy, TakeOver, plan};
    use super::super::planned::{custom, machine, planned, row, size};
    use super::super::testing::{applied, entry, in_force, storage, with_timescaledb};
    use super::*;
    use crate::model::facts::Seen;
    use crate::model::plan::Verdict;

    #[test]
    fn wal_keeps_to_its_disk_and_its_bounds() {
        let small = machine(16, |f| storage(f, |storage| storage.free = Some(Bytes::gib(20))));
        let plan_ =
            plan(&small, &custom("[settings]\nmax_wal_size = '64GB'\nmin_wal_size = '32GB'")).unwrap();
        assert_eq!(size(&plan_, "max_wal_size"), Bytes::gib(3));
        assert_eq!(size(&plan_, "min_wal_size"), Bytes::gib(3));
        let by_hand = machine(16, |f| {
            storage(f, |storage| storage.free = Some(Bytes::gib(20)));
            entry(f, "max_wal_size", "64GB", true);
        });
        let note = "max_wal_size is 64GB, and WAL's disk has only 20GB free";
        assert!(planned(&by_hand).notes.iter().any(|known| known == note));
        let tiny = plan(&small, &custom("[settings]\nmin_wal_size = '16MB'")).unwrap();
        assert_eq!(row(&tiny, "min_wal_size").verdict, Verdict::Block(Block::NotAccepted));
    }

    #[test]
    fn connections_stay_above_the_reserved_ones() {
        let plan = plan(&machine(16, |_| ()), &custom("[settings]\nmax_connections = 3")).unwrap();
        let row = row(&plan, "max_connections");
        assert_eq!(row.verdict, Verdict::Block(Block::NotAccepted));
        assert_eq!(row.why, "the server would not start: 3 connections are reserved");
    }

    #[test]
    fn workers_stay_under_their_totals() {
        let few = machine(16, |f| in_force(f, "max_worker_processes", "4", "command line"));
        let plan_ = planned(&few);
        assert_eq!(row(&plan_, "max_parallel_workers").planned, Some(Value::Int(4)));
        let timescale = machine(16, |f| {
            with_timescaledb(f, 10, 1);
            in_force(f, "max_worker_processes", "22", "command line");
        });
        let plan_ = planned(&timescale);
        assert_eq!(row(&plan_, "max_parallel_workers").planned, Some(Value::Int(2)));
        let crowded = machine(16, |f| {
            with_timescaledb(f, 10, 1);
            in_force(f, "max_worker_processes", "16", "command line");
        });
        assert!(planned(&crowded).notes.iter().any(|note| note.contains("stays at 16 and should be 22")));
        let slots = machine(16, |f| {
            f.postgres = Seen::Now(super::super::testing::postgres(18));
            in_force(f, "autovacuum_worker_slots", "2", "configuration file");
        });
        assert_eq!(row(&planned(&slots), "autovacuum_max_workers").planned, Some(Value::Int(2)));
    }

    #[test]
    fn work_mem_waits_for_shared_memory_to_be_in_force() {
        let facts = machine(16, |f| f.shm = Seen::Now(Bytes::mib(64)));
        let first = planned(&facts);
        assert_eq!(size(&first, "work_mem"), Bytes::mib(8));
        assert_eq!(size(&first, "min_dynamic_shared_memory"), Bytes::mib(512));
        let pending = planned(&applied(&facts, &first, false));
        assert!(pending.is_empty(), "{pending}");
        let second = planned(&applied(&facts, &first, true));
        assert!(size(&second, "work_mem") > Bytes::mib(32), "{second}");
        assert!(planned(&applied(&applied(&facts, &first, true), &second, true)).is_empty());
    }

    #[test]
    fn the_vacuum_ring_is_a_sixteenth_of_what_shared_buffers_will_be() {
        let facts = machine(16, |f| in_force(f, "shared_buffers", "256MB", "command line"));
        assert_eq!(size(&planned(&facts), "vacuum_buffer_usage_limit"), Bytes::mib(16));
        let policy = Policy { take_over: TakeOver::All, ..Policy::default() };
        assert_eq!(size(&plan(&facts, &policy).unwrap(), "vacuum_buffer_usage_limit"), Bytes::mib(16));
    }
}
