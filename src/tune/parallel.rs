//! Formulas of background and parallel workers.

use super::inputs::{Inputs, Proposal};

/// Launcher, logical replication and a margin, beside the workers that are counted.
pub(super) const OTHER_WORKERS: u64 = 4;

const TIMESCALEDB_WORKERS: &str = "timescaledb.max_background_workers";

pub(super) fn max_worker_processes(inputs: &Inputs<'_>) -> Proposal {
    let parallel = inputs.count("max_parallel_workers");
    let (need, why) = match (inputs.count(TIMESCALEDB_WORKERS), parallel, inputs.cpus) {
        (Some(timescale), Some(parallel), _) => (
            timescale + parallel + OTHER_WORKERS,
            format!("{timescale} for TimescaleDB, {parallel} parallel, 4 others"),
        ),
        (_, _, Some(cpus)) => {
            let need = (u64::from(cpus) + OTHER_WORKERS).max(8);
            (need, format!("{cpus} CPUs and 4 others, at least 8"))
        }
        _ => return inputs.with_cpus(|_| Proposal::leave("")),
    };
    never_lower(inputs, "max_worker_processes", need, why)
}

/// Raises a count to what is needed, and leaves a higher one alone: whoever set it may need it.
pub(super) fn never_lower(inputs: &Inputs<'_>, name: &str, need: u64, why: String) -> Proposal {
    match inputs.configured_count(name) {
        Some(present) if present > need => {
            Proposal::leave(format!("{need} would do; never lowered by itself"))
        }
        _ => Proposal::int(need, why),
    }
}

pub(super) fn max_parallel_workers(inputs: &Inputs<'_>) -> Proposal {
    inputs.with_cpus(|cpus| Proposal::int(cpus.min(8), format!("{cpus} CPUs, at most 8")))
}

pub(super) fn max_parallel_workers_per_gather(inputs: &Inputs<'_>) -> Proposal {
    inputs.with_cpus(|cpus| {
        let workers = match cpus {
            ..=2 => 0,
            3..=8 => 1,
            _ => 2,
        };
        Proposal::int(workers, format!("{cpus} CPUs: the indexer's writers need them more than one query"))
    })
}

pub(super) fn max_parallel_maintenance_workers(inputs: &Inputs<'_>) -> Proposal {
    inputs.with_cpus(|cpus| Proposal::int((cpus / 2).min(4), format!("half of {cpus} CPUs, at most 4")))
}

pub(super) fn timescaledb_max_background_workers(inputs: &Inputs<'_>) -> Proposal {
    let jobs = inputs.server.timescale.as_ref().map_or(0, |timescale| timescale.jobs);
    let need = u64::from(inputs.server.databases) + u64::from(jobs) + 1;
    let why = format!("{} databases and {jobs} jobs, at least 16", inputs.server.databases);
    never_lower(inputs, TIMESCALEDB_WORKERS, need.clamp(16, 64), why)
}

#[cfg(test)]
mod tests {
    use super::super::plan::proposed_text;
    use super::super::testing::{dedicated, in_force, with_timescaledb};
    use crate::model::facts::{Media, Seen};
    use crate::model::units::Bytes;

    #[test]
    fn workers_by_cpus() {
        let names =
            ["max_parallel_workers", "max_parallel_workers_per_gather", "max_parallel_maintenance_workers"];
        let rows = [(1, ["1", "0", "0"]), (3, ["3", "1", "1"]), (8, ["8", "1", "4"]), (32, ["8", "2", "4"])];
        for (cpus, want) in rows {
            let facts = dedicated(Bytes::gib(8), cpus, Media::Ssd);
            assert_eq!(names.map(|name| proposed_text(&facts, name)), want, "{cpus} CPUs");
        }
        let mut blind = dedicated(Bytes::gib(8), 4, Media::Ssd);
        blind.host = Seen::Not("hidden".to_owned());
        assert_eq!(names.map(|name| proposed_text(&blind, name)), ["wait"; 3]);
    }

    #[test]
    fn what_others_need_is_never_lowered() {
        let mut facts = dedicated(Bytes::gib(8), 4, Media::Ssd);
        in_force(&mut facts, "max_worker_processes", "40", "configuration file");
        assert_eq!(proposed_text(&facts, "max_worker_processes"), "leave");
    }

    #[test]
    fn timescaledb_has_workers_for_its_jobs() {
        for (jobs, workers, processes) in [(3, "16", "24"), (30, "33", "41"), (500, "64", "72")] {
            let mut facts = dedicated(Bytes::gib(8), 4, Media::Ssd);
            with_timescaledb(&mut facts, 10, jobs);
            assert_eq!(proposed_text(&facts, "timescaledb.max_background_workers"), workers, "{jobs} jobs");
            assert_eq!(proposed_text(&facts, "max_worker_processes"), processes, "{jobs} jobs");
        }
    }
}
