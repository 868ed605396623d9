//! Formulas of connections, locks and libraries.

use super::draft::Draft;
use super::inputs::{Inputs, Proposal};
use super::parallel::never_lower;
use crate::model::setting::Value;
use crate::model::units::Bytes;

/// Connections beyond this are a pooler's job; no plan asks for more.
const MOST_CONNECTIONS: u64 = 400;

/// pgpilot's own sessions: three of `serve`, and as many again for a verb and while a new container takes over. They
/// are what shows that the clients' pools are full.
const OURS: u64 = 8;

pub(super) fn max_connections(inputs: &Inputs<'_>) -> Proposal {
    let Some(pools) = inputs.facts.declared.client_connections.map(u64::from) else {
        return Proposal::leave("the clients' pools are not declared (PGPILOT_CLIENT_CONNECTIONS)");
    };
    let comfortable = (pools.saturating_mul(3) / 2).min(inputs.profile.max_connections);
    let need = comfortable.max(pools + reserved(inputs) + OURS).next_multiple_of(10).min(MOST_CONNECTIONS);
    never_lower(inputs, "max_connections", need, format!("the clients' pools sum to {pools}"))
}

/// Slots that clients never get. A max_connections that is not above them keeps the server from starting.
pub(super) fn reserved(inputs: &Inputs<'_>) -> u64 {
    let slots = |name| inputs.configured_count(name).unwrap_or(0);
    slots("superuser_reserved_connections") + slots("reserved_connections")
}

/// (budget below this, locks for each transaction), as timescaledb-tune steps.
const LOCK_STEPS: &[(Bytes, u64)] = &[(Bytes::gib(8), 128), (Bytes::gib(16), 256), (Bytes::gib(32), 512)];
const MOST_LOCKS: u64 = 1024;

pub(super) fn max_locks_per_transaction(inputs: &Inputs<'_>) -> Proposal {
    let name = "max_locks_per_transaction";
    if !inputs.has_timescaledb() {
        return never_lower(
            inputs,
            name,
            128,
            "a migration or a dump of many tables needs more than 64".to_owned(),
        );
    }
    let step = LOCK_STEPS.iter().find(|(below, _)| inputs.memory() < *below);
    let least = step.map_or(MOST_LOCKS, |(_, locks)| *locks);
    let chunks = inputs.server.timescale.as_ref().map_or(0, |timescale| u64::from(timescale.max_chunks));
    let need = chunk_locks(inputs, chunks).next_multiple_of(64).clamp(least, MOST_LOCKS);
    let why = match chunks {
        0 => "TimescaleDB: a query locks each chunk of a hypertable".to_owned(),
        _ => format!("TimescaleDB: a query locks each of {chunks} chunks"),
    };
    never_lower(inputs, name, need, why)
}

/// Twice the locks of four queries at once that read every chunk with three indexes, as each slot's part.
///
/// The table is shared: capacity is this value times connections. Indexes and such queries are not counted by the
/// facts; three and four are an indexer's order of magnitude, and the factor of two is for growth.
fn chunk_locks(inputs: &Inputs<'_>, chunks: u64) -> u64 {
    let connections = inputs.count("max_connections").unwrap_or(100);
    let prepared = inputs.configured_count("max_prepared_transactions").unwrap_or(0);
    2 * chunks * (1 + 3) * 4 / (connections + prepared).max(1)
}

pub(super) fn shared_preload_libraries(inputs: &Inputs<'_>) -> Proposal {
    let name = "shared_preload_libraries";
    let Some(setting) = inputs.server.settings.get(name) else { return Proposal::leave("") };
    let Value::List(mut libraries) = Draft::configured(inputs.server, name, setting) else {
        return Proposal::leave("the present list cannot be read");
    };
    let statements = inputs.server.extensions.get("pg_stat_statements").is_some_and(|ext| ext.available);
    let mut added = vec![];
    for (library, wanted) in [("timescaledb", inputs.has_timescaledb()), ("pg_stat_statements", statements)] {
        if wanted && !libraries.iter().any(|present| is_library(present, library)) {
            libraries.push(library.to_owned());
            added.push(library);
        }
    }
    match (added.is_empty(), libraries.is_empty()) {
        (true, true) => Proposal::leave("pg_stat_statements is not available on this server"),
        (true, false) => Proposal::set(Value::List(libraries), "has everything"),
        (false, _) => {
            Proposal::set(Value::List(libraries), format!("adds {}; the rest stays", added.join(", ")))
        }
    }
}

/// A library may be named with its folder or its version: `$libdir/timescaledb-2.22.1`.
fn is_library(present: &str, library: &str) -> bool {
    let file = present.rsplit('/').next().unwrap_or(present);
    file == library || file.strip_prefix(library).is_some_and(|rest| rest.starts_with(['-', '.']))
}

#[cfg(test)]
mod tests {
    use super::super::plan::proposed_text;
    use super::super::planned::machine;
    use super::super::testing::{entry, in_force, server, with_timescaledb};

    #[test]
    fn max_connections_cases() {
        let pools = |gib, pools, present: &str| {
            machine(gib, |f| {
                f.declared.client_connections = Some(pools);
                in_force(f, "max_connections", present, "configuration file");
            })
        };
        let rows = [
            ("nobody declared the pools", machine(16, |_| ()), "leave"),
            ("enough as it is", pools(16, 60, "100"), "leave"),
            ("one and a half of the pools", pools(16, 80, "100"), "120"),
            ("up to the profile's figure", pools(16, 180, "100"), "200"),
            ("but all pools, three reserved and our eight fit", pools(16, 250, "100"), "270"),
            ("on a small machine too", pools(4, 51, "20"), "70"),
            ("a pooler's job beyond", pools(16, 3000, "100"), "400"),
            ("never lowered", pools(16, 10, "300"), "leave"),
        ];
        for (case, facts, want) in rows {
            assert_eq!(proposed_text(&facts, "max_connections"), want, "{case}");
        }
    }

    #[test]
    fn locks_follow_chunks_and_memory() {
        let chunks = |gib, chunks| machine(gib, |f| with_timescaledb(f, chunks, 1));
        let rows = [
            ("plain", machine(16, |_| ()), "128"),
            ("few chunks, little memory", chunks(4, 10), "128"),
            ("few chunks, 8 GB", chunks(8, 10), "256"),
            ("few chunks, 16 GB", chunks(16, 10), "512"),
            ("few chunks, 32 GB", chunks(32, 10), "1024"),
            // 2 × 800 × 4 × 4 ÷ 100 = 256 for each of 100 connections.
            ("many chunks", chunks(4, 800), "256"),
            ("at most", chunks(4, 9000), "1024"),
            (
                "never lowered",
                machine(16, |f| in_force(f, "max_locks_per_transaction", "256", "configuration file")),
                "leave",
            ),
        ];
        for (case, facts, want) in rows {
            assert_eq!(proposed_text(&facts, "max_locks_per_transaction"), want, "{case}");
        }
    }

    #[test]
    fn libraries_are_merged_and_never_lost() {
        let listed =
            |text: &str| machine(16, |f| in_force(f, "shared_preload_libraries", text, "configuration file"));
        let rows = [
            ("none yet", listed(""), "pg_stat_statements"),
            ("the rest stays, in its order", listed("b, a"), "b, a, pg_stat_statements"),
            ("nothing to add", listed("pg_stat_statements, a"), "pg_stat_statements, a"),
            (
                "an entry that waits for a restart counts",
                machine(16, |f| entry(f, "shared_preload_libraries", "a", false)),
                "a, pg_stat_statements",
            ),
            (
                "TimescaleDB installed but not loaded any more",
                machine(16, |f| {
                    with_timescaledb(f, 1, 1);
                    in_force(f, "shared_preload_libraries", "pg_stat_statements", "configuration file");
                }),
                "pg_stat_statements, timescaledb",
            ),
            (
                "a versioned library is the same",
                machine(16, |f| {
                    with_timescaledb(f, 1, 1);
                    in_force(
                        f,
                        "shared_preload_libraries",
                        "$libdir/timescaledb-2.22.1",
                        "configuration file",
                    );
                }),
                "$libdir/timescaledb-2.22.1, pg_stat_statements",
            ),
            ("not available", machine(16, |f| server(f).extensions.clear()), "leave"),
        ];
        for (case, facts, want) in rows {
            assert_eq!(proposed_text(&facts, "shared_preload_libraries"), want, "{case}");
        }
    }
}
