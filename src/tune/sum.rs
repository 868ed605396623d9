//! The memory that a plan may use at most.

use super::inputs::{Inputs, as_count, as_size};
use crate::model::setting::Value;
use crate::model::units::Bytes;

/// Settings that the sum counts with.
pub(super) const PARTS: &[&str] = &[
    "shared_buffers",
    "wal_buffers",
    "min_dynamic_shared_memory",
    "max_connections",
    "max_locks_per_transaction",
    "work_mem",
    "hash_mem_multiplier",
    "maintenance_work_mem",
    "autovacuum_work_mem",
    "autovacuum_max_workers",
];

/// One slot of the lock table: 397 MB more for 960 more locks at 1022 backends, and a margin.
const LOCK: Bytes = Bytes(450);
/// Autovacuum, walsenders and workers have slots in the lock table beside the connections.
const OTHER_BACKENDS: u64 = 30;
/// What shared memory has for each connection beside its locks: 47 MB for 900 connections, locks taken off.
const BACKEND: Bytes = Bytes::kib(25);
/// Private memory of a session that has worked: catalogue caches and the like.
const SESSION: Bytes = Bytes::mib(10);

/// The sum over values given by name; what a server does not have counts as PostgreSQL's default.
pub(super) fn total(inputs: &Inputs<'_>, value: &dyn Fn(&str) -> Option<Value>) -> Bytes {
    let size = |name, default| value(name).as_ref().and_then(as_size).unwrap_or(default);
    let count = |name, default| value(name).as_ref().and_then(as_count).unwrap_or(default);
    let connections = count("max_connections", 100);
    let maintenance = size("maintenance_work_mem", Bytes::mib(64));
    let nodes = active_peak(inputs, connections).saturating_mul(2);
    let hash_hundredths = value("hash_mem_multiplier").as_ref().map_or(200, hundredths);
    let parts = [
        shared(inputs, value),
        size("autovacuum_work_mem", maintenance).times(count("autovacuum_max_workers", 3)),
        maintenance.times(2),
        size("work_mem", Bytes::mib(4)).percent(hash_hundredths).times(nodes),
        SESSION.times(connections),
    ];
    parts.into_iter().fold(Bytes(0), Bytes::plus)
}

/// What the server takes at its start. Measured on 18: 4253 MB for 4 GB of buffers and 100 connections.
pub(super) fn shared(inputs: &Inputs<'_>, value: &dyn Fn(&str) -> Option<Value>) -> Bytes {
    let size = |name, default| value(name).as_ref().and_then(as_size).unwrap_or(default);
    let count = |name, default| value(name).as_ref().and_then(as_count).unwrap_or(default);
    let buffers = size("shared_buffers", Bytes::mib(128));
    let connections = count("max_connections", 100);
    let backends =
        connections + inputs.configured_count("max_prepared_transactions").unwrap_or(0) + OTHER_BACKENDS;
    let automatic = Bytes(buffers.0 / 32).min(Bytes::mib(16));
    let parts = [
        buffers.percent(103),
        Bytes::mib(25),
        LOCK.times(count("max_locks_per_transaction", 64).saturating_mul(backends)),
        BACKEND.times(connections),
        size("wal_buffers", automatic),
        size("min_dynamic_shared_memory", Bytes(0)),
    ];
    parts.into_iter().fold(Bytes(0), Bytes::plus)
}

/// Sessions that work at once, as long as nobody has counted them.
const LEAST_ACTIVE: u64 = 8;

/// Sessions that work at once: a quarter of what the clients' pools may open, at least 8. An indexer's writers are
/// fewer than that; where the pools are not declared, nothing better is known.
fn active_peak(inputs: &Inputs<'_>, connections: u64) -> u64 {
    let pools = inputs.facts.declared.client_connections.map_or(0, u64::from);
    (pools.min(connections) / 4).max(LEAST_ACTIVE)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates when cast")]
fn hundredths(value: &Value) -> u64 {
    value.as_number().map_or(200, |x| (x * 100.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::plan::Policy;
    use super::super::testing::dedicated;
    use super::*;
    use crate::model::facts::Media;

    fn with_inputs<T>(pools: Option<u32>, look: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let mut facts = dedicated(Bytes::gib(16), 8, Media::Nvme);
        facts.declared.client_connections = pools;
        let policy = Policy::default();
        look(&super::super::plan::inputs(&facts, &policy).unwrap())
    }

    fn named(rows: &[(&str, Value)]) -> impl Fn(&str) -> Option<Value> + use<> {
        let rows: Vec<(String, Value)> =
            rows.iter().map(|(name, v)| ((*name).to_owned(), v.clone())).collect();
        move |name| rows.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// `postgres -C shared_memory_size` on a real 18: (shared_buffers, connections, locks, MB).
    const MEASURED: &[(u64, i64, i64, u64)] = &[
        (128, 100, 64, 150),
        (1024, 100, 64, 1086),
        (4096, 100, 64, 4253),
        (8192, 100, 64, 8443),
        (16_384, 100, 64, 16_823),
        (32_768, 100, 64, 33_583),
        (128, 200, 64, 157),
        (128, 1000, 64, 197),
        (128, 100, 512, 174),
        (128, 500, 512, 268),
        (128, 1000, 1024, 594),
    ];

    #[test]
    fn shared_memory_is_never_underestimated_and_never_by_far_over() {
        for (buffers, connections, locks, measured) in MEASURED {
            let values = named(&[
                ("shared_buffers", Value::Size(Bytes::mib(*buffers))),
                ("max_connections", Value::Int(*connections)),
                ("max_locks_per_transaction", Value::Int(*locks)),
            ]);
            let estimate = with_inputs(None, |inputs| shared(inputs, &values));
            assert!(estimate >= Bytes::mib(*measured), "{measured}MB measured, {}", estimate.about());
            assert!(estimate <= Bytes::mib(measured * 108 / 100 + 32), "{measured}MB, {}", estimate.about());
        }
    }

    #[test]
    fn work_mem_counts_for_the_sessions_that_may_be_active() {
        let rows = [
            ("at least eight", Some(10), 8),
            ("a quarter of the pools", Some(80), 20),
            ("no more than the server lets in", Some(1000), 25),
            ("pools that nobody declared", None, 8),
        ];
        for (case, pools, active) in rows {
            let more = named(&[("work_mem", Value::Size(Bytes::mib(5)))]);
            let less = named(&[("work_mem", Value::Size(Bytes::mib(4)))]);
            let gain = with_inputs(pools, |inputs| total(inputs, &more).minus(total(inputs, &less)));
            // Two nodes for each session, and hash_mem_multiplier is 2.
            assert_eq!(gain, Bytes::mib(1).times(active * 4), "{case}");
        }
    }

    #[test]
    fn an_autovacuum_worker_without_its_own_limit_takes_maintenance_work_mem() {
        let values = |own| {
            named(&[("autovacuum_work_mem", own), ("maintenance_work_mem", Value::Size(Bytes::gib(1)))])
        };
        let (open, capped) = with_inputs(None, |inputs| {
            let capped = values(Value::Size(Bytes::mib(256)));
            (total(inputs, &values(Value::Int(-1))), total(inputs, &capped))
        });
        assert_eq!(open.minus(capped), Bytes::mib(3 * (1024 - 256)));
    }
}
