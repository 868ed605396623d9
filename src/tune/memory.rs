//! Formulas of the memory group. R is the budget, never the host's memory.

use super::inputs::{Inputs, Proposal};
use crate::model::setting::Value;
use crate::model::units::Bytes;

/// initdb's value: nobody is better off with less.
pub(super) const LEAST_SHARED_BUFFERS: Bytes = Bytes::mib(128);
pub(super) const LEAST_WORK_MEM: Bytes = Bytes::mib(4);
pub(super) const LEAST_MAINTENANCE: Bytes = Bytes::mib(64);

/// The largest work_mem whose parallel hash joins were seen to fit in a /dev/shm of 64 MB; 16 MB failed.
pub(super) const WORK_MEM_IN_SMALL_SHM: Bytes = Bytes::mib(8);

/// Figures in these steps read well and lose next to nothing.
pub(super) const STEP: Bytes = Bytes::mib(64);
pub(super) const MAINTENANCE_STEP: Bytes = Bytes::mib(16);
pub(super) const AUTOVACUUM_STEP: Bytes = Bytes::mib(8);
pub(super) const WORK_MEM_STEP: Bytes = Bytes::mib(1);

pub(super) fn shared_buffers(inputs: &Inputs<'_>) -> Proposal {
    let quarter = inputs.memory().percent(25).round_down(STEP).max(LEAST_SHARED_BUFFERS);
    match inputs.profile.shared_buffers {
        Some(most) if quarter > most => {
            Proposal::size(most, format!("the most that {} gives it", inputs.profile.name))
        }
        _ => Proposal::size(quarter, format!("a quarter of the {} budget", inputs.memory().about())),
    }
}

pub(super) fn effective_cache_size(inputs: &Inputs<'_>) -> Proposal {
    let all = inputs.memory();
    let buffers = inputs.size("shared_buffers").unwrap_or(LEAST_SHARED_BUFFERS);
    let (cached, why) = match inputs.share.arc.filter(|_| inputs.is_zfs()) {
        Some(arc) => (buffers.plus(arc.percent(80)), "shared_buffers and four fifths of ARC".to_owned()),
        None if inputs.share.alone => {
            (all.percent(75), format!("three quarters of the {} budget", all.about()))
        }
        None => {
            let rest = all.minus(buffers).percent(50);
            (buffers.plus(rest), "shared_buffers and half of the rest: the host is shared".to_owned())
        }
    };
    Proposal::size(cached.min(all).round_down(STEP).max(buffers), why)
}

pub(super) fn work_mem(inputs: &Inputs<'_>) -> Proposal {
    let connections = inputs.count("max_connections").unwrap_or(100);
    let nodes = (connections / 5).max(8) * 3;
    let part = Bytes(inputs.memory().percent(25).0 / nodes).round_down(WORK_MEM_STEP);
    let most = inputs.profile.work_mem;
    if part > most {
        return Proposal::size(most, format!("the most that {} starts with", inputs.profile.name));
    }
    let why = format!("a quarter of the {} budget over {nodes} nodes", inputs.memory().about());
    Proposal::size(part.max(LEAST_WORK_MEM), why)
}

pub(super) fn maintenance_work_mem(inputs: &Inputs<'_>) -> Proposal {
    let part = Bytes(inputs.memory().0 / 16).round_down(MAINTENANCE_STEP);
    let why = format!("a sixteenth of the {} budget, 64MB to 1GB", inputs.memory().about());
    Proposal::size(part.clamp(LEAST_MAINTENANCE, Bytes::gib(1)), why)
}

pub(super) fn autovacuum_work_mem(inputs: &Inputs<'_>) -> Proposal {
    let part = Bytes(inputs.memory().0 / 64).round_down(AUTOVACUUM_STEP);
    let most = if inputs.server.major() >= 17 { Bytes::mib(256) } else { Bytes::mib(512) };
    let why = "else each autovacuum worker may take maintenance_work_mem";
    Proposal::size(part.clamp(LEAST_MAINTENANCE, most), why)
}

pub(super) fn temp_file_limit(inputs: &Inputs<'_>) -> Proposal {
    let Some(free) = inputs.disk_free else {
        return Proposal::Wait("the free space of WAL's disk, which PGPILOT_WAL_DISK_FREE gives".to_owned());
    };
    let limit = free.percent(10).round_down(Bytes::gib(1)).min(Bytes::gib(100));
    Proposal::size(limit, format!("a tenth of {} free: a runaway sort must not stop WAL", free.about()))
}

/// From here on /dev/shm holds every parallel hash join that our work_mem allows.
const ENOUGH_SHM: Bytes = Bytes::mib(512);

pub(super) fn min_dynamic_shared_memory(inputs: &Inputs<'_>) -> Proposal {
    if let Some(shm) = inputs.shm.filter(|shm| *shm >= ENOUGH_SHM) {
        return Proposal::size(Bytes(0), format!("/dev/shm has {}", shm.about()));
    }
    let Some(workers) = inputs.count("max_parallel_workers_per_gather") else {
        return Proposal::leave("this server does not say how parallel its queries are");
    };
    if workers == 0 {
        return Proposal::size(Bytes(0), "queries are not parallel");
    }
    let most = inputs.memory().scale(1, 16).round_down(STEP);
    let why = inputs.shm.map_or_else(
        || "the size of /dev/shm is not seen: Docker's 64MB fails parallel hash joins".to_owned(),
        |shm| format!("/dev/shm has only {}: parallel hash joins would fail", shm.about()),
    );
    Proposal::size(inputs.profile.min_dynamic_shared_memory.min(most), why)
}

pub(super) fn vacuum_buffer_usage_limit(inputs: &Inputs<'_>) -> Proposal {
    Proposal::size(inputs.profile.vacuum_ring, "a longer ring spares VACUUM flushes of WAL")
}

/// Whether parallel hash joins have nothing but a small /dev/shm *at this moment*.
///
/// What counts is the value in force: a planned one helps only after the restart, and until then a larger work_mem
/// would fail queries that work today.
pub(super) fn shm_is_small(inputs: &Inputs<'_>, workers_per_gather: u64) -> bool {
    let roomy = inputs.shm.is_some_and(|shm| shm > Bytes::mib(64));
    let in_force = inputs.server.settings.get("min_dynamic_shared_memory").map(|setting| setting.value());
    let has_own = matches!(in_force, Some(Value::Size(own)) if own > Bytes(0));
    !roomy && !has_own && workers_per_gather > 0
}

#[cfg(test)]
mod tests {
    use super::super::plan::proposed_text;
    use super::super::testing::{dedicated, host, in_force, on_zfs, postgres};
    use crate::model::facts::{Arc, Facts, Media, Seen};
    use crate::model::units::Bytes;

    fn cases(name: &str, rows: &[(&str, Facts, &str)]) {
        for (case, facts, want) in rows {
            assert_eq!(proposed_text(facts, name), *want, "{name}: {case}");
        }
    }

    fn with(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> Facts {
        change(&mut facts);
        facts
    }

    fn high() -> Facts {
        dedicated(Bytes::gib(16), 8, Media::Nvme)
    }

    #[test]
    fn shared_buffers_cases() {
        cases(
            "shared_buffers",
            &[
                ("a quarter of a shared host's half", host(Bytes::gib(16), 8, Media::Nvme), "2GB"),
                ("a readable figure", dedicated(Bytes::mib(15_770), 8, Media::Nvme), "3904MB"),
                ("never below initdb's", dedicated(Bytes::mib(300), 1, Media::Ssd), "128MB"),
            ],
        );
    }

    #[test]
    fn effective_cache_size_cases() {
        let arc = Arc {
            min: Bytes::gib(1),
            max: Bytes::gib(8),
            size: Bytes(0),
            configured_max: Some(Bytes::gib(4)),
        };
        cases(
            "effective_cache_size",
            &[
                // R is 8 GB and buffers 2 GB; half of the other 6.
                ("a shared host", host(Bytes::gib(16), 8, Media::Nvme), "5GB"),
                // R is half of 12 GB, buffers 1.5 GB, and 0.8 of 4 GB: 4.7, in steps of 64MB.
                ("ZFS", with(host(Bytes::gib(16), 8, Media::Nvme), |f| on_zfs(f, arc)), "4800MB"),
                (
                    "never below shared_buffers",
                    with(high(), |f| {
                        super::super::testing::entry(f, "shared_buffers", "14GB", true);
                    }),
                    "14GB",
                ),
            ],
        );
    }

    #[test]
    fn work_mem_cases() {
        cases(
            "work_mem",
            &[
                ("high-performance's cap at 100 connections", high(), "64MB"),
                ("standard's cap", dedicated(Bytes::gib(12), 8, Media::Nvme), "32MB"),
                (
                    "many connections",
                    with(high(), |f| in_force(f, "max_connections", "1000", "configuration file")),
                    "6MB",
                ),
                ("never below the default", dedicated(Bytes::mib(256), 1, Media::Ssd), "4MB"),
            ],
        );
    }

    #[test]
    fn maintenance_cases() {
        cases("maintenance_work_mem", &[("small", dedicated(Bytes::mib(512), 1, Media::Ssd), "64MB")]);
        let large = |major| {
            with(dedicated(Bytes::gib(64), 16, Media::Nvme), |f| f.postgres = Seen::Now(postgres(major)))
        };
        cases(
            "autovacuum_work_mem",
            &[("before 17", large(16), "512MB"), ("compact from 17 on", large(17), "256MB")],
        );
    }

    #[test]
    fn shared_memory_of_parallel_query_cases() {
        let shm = |facts: Facts, shm| with(facts, |f| f.shm = shm);
        cases(
            "min_dynamic_shared_memory",
            &[
                ("enough in /dev/shm", shm(high(), Seen::Now(Bytes::mib(512))), "0"),
                ("Docker's default", shm(high(), Seen::Now(Bytes::mib(64))), "512MB"),
                ("not seen is Docker's default", shm(high(), Seen::Not("no way".to_owned())), "512MB"),
                (
                    "the operator knows",
                    with(shm(high(), Seen::Not(String::new())), |f| {
                        f.declared.shm = Some(Bytes::gib(2));
                    }),
                    "0",
                ),
                (
                    "standard",
                    shm(dedicated(Bytes::gib(8), 4, Media::Ssd), Seen::Now(Bytes::mib(64))),
                    "256MB",
                ),
                (
                    "no parallel query",
                    shm(dedicated(Bytes::gib(8), 2, Media::Ssd), Seen::Now(Bytes::mib(64))),
                    "0",
                ),
            ],
        );
    }

    #[test]
    fn temp_file_limit_cases() {
        let free = |free| with(high(), |f| super::super::testing::storage(f, |storage| storage.free = free));
        cases(
            "temp_file_limit",
            &[
                ("a tenth", free(Some(Bytes::gib(300))), "30GB"),
                ("at most", free(Some(Bytes::gib(5000))), "100GB"),
                ("at least", free(Some(Bytes::gib(3))), "1GB"),
                ("not seen", free(None), "wait"),
            ],
        );
    }
}
