//! THE table of settings that pgpilot moves. A setting is added with a row here and a formula in its group's file.

use super::inputs::{Inputs, Proposal};
use super::{connections, io, memory, observe, parallel, vacuum, wal};
use crate::model::units::{Bytes, Unit};

/// A setting that pgpilot moves.
///
/// PostgreSQL's own facts in here (unit, restart, majors) are held against dumps of real servers by test. The plan
/// itself uses what the live server says.
pub struct Knob {
    pub name: &'static str,
    pub group: Group,
    pub kind: Kind,
    pub unit: Unit,
    pub restart: Restart,
    /// The first and the last major that has it.
    pub since: u32,
    pub until: Option<u32>,
    /// The rule in words, as the documentation prints it.
    pub rule: &'static str,
    /// A present value this near to the wanted one is kept. Wide where a fact of the formula drifts, such as free
    /// disk space; small differences are not worth a restart or a line in the journal.
    pub dead_band_percent: u64,
    /// The step to which a size is rounded, where it follows a fact that drifts: one step more or less is near enough
    /// too, or a fact between two steps would move the setting back and forth.
    pub step: Bytes,
    pub card: Option<Card>,
    pub(super) formula: fn(&Inputs<'_>) -> Proposal,
}

/// The design card's figure and why it is not planned, where it was examined and not taken.
#[derive(Debug, Clone, Copy)]
pub struct Card {
    pub remark: &'static str,
    /// The figure is of the card's example for small machines, not of the one for 16 GB.
    pub small: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Memory,
    Wal,
    Io,
    Parallel,
    Vacuum,
    Connections,
    Observe,
}

impl Group {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Memory => "Memory",
            Self::Wal => "WAL and checkpoints",
            Self::Io => "Planner and I/O",
            Self::Parallel => "Workers and parallel query",
            Self::Vacuum => "Autovacuum",
            Self::Connections => "Connections and libraries",
            Self::Observe => "What the server measures and logs",
        }
    }
}

/// What a value of the setting looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A size, a time or a count.
    Whole,
    /// A number with decimals.
    Real,
    Switch,
    Word,
    /// Names that are merged with what is there, never replaced.
    List,
}

/// Whether a new value needs a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    Always,
    Never,
    /// Up to this major; later ones take it at a reload.
    Until(u32),
}

impl Knob {
    /// Whether this major has the setting.
    pub fn is_for(&self, major: u32) -> bool {
        major >= self.since && self.until.is_none_or(|until| major <= until)
    }

    pub fn needs_restart(&self, major: u32) -> bool {
        match self.restart {
            Restart::Always => true,
            Restart::Never => false,
            Restart::Until(last) => major <= last,
        }
    }

    /// Whether ALTER SYSTEM on it may be granted to a role.
    ///
    /// Who may name libraries to load may run code as the server: that right is a superuser's.
    pub fn is_grantable(&self) -> bool {
        !matches!(self.kind, Kind::List)
    }
}

const KB: Unit = Unit::Size(1 << 10);
const BLOCKS: Unit = Unit::Size(8 << 10);
const MB: Unit = Unit::Size(1 << 20);
const MILLISECONDS: Unit = Unit::Time(1);
const SECONDS: Unit = Unit::Time(1000);

/// What most rows have in common.
const ROW: Knob = Knob {
    name: "",
    group: Group::Memory,
    kind: Kind::Whole,
    unit: Unit::Plain,
    restart: Restart::Never,
    since: 14,
    until: None,
    rule: "",
    dead_band_percent: 0,
    step: Bytes(0),
    card: None,
    formula: |_| Proposal::Leave(String::new()),
};

const MEMORY: Knob = Knob { group: Group::Memory, ..ROW };
const WAL: Knob = Knob { group: Group::Wal, ..ROW };
const IO: Knob = Knob { group: Group::Io, ..ROW };
const PARALLEL: Knob = Knob { group: Group::Parallel, ..ROW };
const VACUUM: Knob = Knob { group: Group::Vacuum, ..ROW };
const CONNECTIONS: Knob = Knob { group: Group::Connections, ..ROW };
const OBSERVE: Knob = Knob { group: Group::Observe, kind: Kind::Switch, ..ROW };

/// In the order in which a plan shows them; formulas do not depend on it.
pub const KNOBS: &[Knob] = &[
    Knob {
        name: "shared_buffers",
        unit: BLOCKS,
        restart: Restart::Always,
        rule: "a quarter of the budget, in steps of 64MB, at least 128MB; at most 1GB in low-memory",
        dead_band_percent: 10,
        formula: memory::shared_buffers,
        ..MEMORY
    },
    Knob {
        name: "effective_cache_size",
        unit: BLOCKS,
        rule: "shared_buffers plus the page cache that can be expected: three quarters of a budget of its own, half \
               of the rest of a shared host, four fifths of ARC on ZFS. An estimate: nothing is allocated",
        dead_band_percent: 10,
        formula: memory::effective_cache_size,
        ..MEMORY
    },
    Knob {
        name: "work_mem",
        unit: KB,
        rule: "a quarter of the budget over three nodes of each active session (a fifth of max_connections, at least \
               8), between 4MB and the profile's 8MB, 32MB or 64MB; 8MB while parallel hash joins have only a small \
               /dev/shm; lowered first when the memory sum does not fit",
        dead_band_percent: 20,
        card: Some(Card { remark: "the card's 256MB could take 100GB at 200 connections", small: false }),
        formula: memory::work_mem,
        ..MEMORY
    },
    Knob {
        name: "hash_mem_multiplier",
        kind: Kind::Real,
        rule: "2.0, the default from 15 on; more fails in a small /dev/shm",
        formula: |_| Proposal::real(2.0, "hash joins may use twice work_mem, as from 15 on by default"),
        ..MEMORY
    },
    Knob {
        name: "maintenance_work_mem",
        unit: KB,
        rule: "a sixteenth of the budget between 64MB and 1GB; counted twice in the memory sum",
        dead_band_percent: 10,
        card: Some(Card { remark: "the card's 2GB is more than VACUUM before 17 can use", small: false }),
        formula: memory::maintenance_work_mem,
        ..MEMORY
    },
    Knob {
        name: "autovacuum_work_mem",
        unit: KB,
        rule: "a 64th of the budget between 64MB and 512MB (256MB from 17 on, whose dead-row store is compact): \
               unset, every worker may take maintenance_work_mem",
        dead_band_percent: 10,
        formula: memory::autovacuum_work_mem,
        ..MEMORY
    },
    Knob {
        name: "temp_file_limit",
        unit: KB,
        rule: "a tenth of the free disk, between 1GB and 100GB, for each process: a runaway sort must not fill WAL's \
               disk",
        dead_band_percent: 25,
        step: Bytes::gib(1),
        formula: memory::temp_file_limit,
        ..MEMORY
    },
    Knob {
        name: "min_dynamic_shared_memory",
        unit: MB,
        restart: Restart::Always,
        rule: "none where /dev/shm has 512MB or queries are not parallel; else the profile's 128MB, 256MB or 512MB, \
               at most a sixteenth of the budget: in Docker's 64MB parallel hash joins fail with SQLSTATE 53100",
        formula: memory::min_dynamic_shared_memory,
        ..MEMORY
    },
    Knob {
        name: "vacuum_buffer_usage_limit",
        unit: KB,
        since: 16,
        rule: "16MB, 64MB in high-performance, at most a sixteenth of shared_buffers: a longer ring spares VACUUM \
               WAL flushes",
        formula: memory::vacuum_buffer_usage_limit,
        ..MEMORY
    },
    Knob {
        name: "wal_buffers",
        unit: BLOCKS,
        restart: Restart::Always,
        rule: "16MB below 512MB of shared_buffers, else the profile's 16MB, 32MB or 64MB: at 4MB it overflowed 58,000 \
               times in 100 s of inserts",
        formula: wal::wal_buffers,
        ..WAL
    },
    Knob {
        name: "max_wal_size",
        unit: MB,
        rule: "the profile's 4GB, 8GB or 16GB, at most 0.15 of the free disk, a tenth of the whole and 8GB on a \
               rotating one; 4GB where free space is not seen. A checkpoint comes each max_wal_size ÷ 1.9 of WAL, and \
               after it almost every insert logs a whole page",
        dead_band_percent: 25,
        step: Bytes::mib(512),
        formula: wal::max_wal_size,
        ..WAL
    },
    Knob {
        name: "min_wal_size",
        unit: MB,
        rule: "a quarter of max_wal_size, at least 1GB and two segments, never above max_wal_size",
        dead_band_percent: 25,
        step: Bytes::mib(256),
        formula: wal::min_wal_size,
        ..WAL
    },
    Knob {
        name: "checkpoint_timeout",
        unit: SECONDS,
        rule: "15min, 10min in low-memory: each checkpoint brings back the full-page images, 91 % of WAL at defaults",
        formula: wal::checkpoint_timeout,
        ..WAL
    },
    Knob {
        name: "checkpoint_completion_target",
        kind: Kind::Real,
        rule: "0.9, the default",
        card: Some(Card {
            remark: "the card's 0.7 for small machines only makes I/O peaks steeper",
            small: true,
        }),
        formula: |_| Proposal::real(0.9, "a checkpoint is spread over the whole interval"),
        ..WAL
    },
    Knob {
        name: "wal_compression",
        kind: Kind::Word,
        rule: "lz4 where the server's build has it (15 and later): a third less WAL for little CPU; else left alone",
        formula: wal::wal_compression,
        ..WAL
    },
    Knob {
        name: "max_slot_wal_keep_size",
        unit: MB,
        rule: "a quarter of the free disk between 1GB and 100GB where a replication slot exists: a dead one would \
               fill the disk",
        dead_band_percent: 25,
        step: Bytes::gib(1),
        formula: wal::max_slot_wal_keep_size,
        ..WAL
    },
    Knob {
        name: "wal_init_zero",
        kind: Kind::Switch,
        rule: "off on ZFS and btrfs, which never overwrite in place; on elsewhere",
        formula: wal::wal_init_zero,
        ..WAL
    },
    Knob {
        name: "wal_recycle",
        kind: Kind::Switch,
        rule: "off on ZFS and btrfs, which never overwrite in place; on elsewhere",
        formula: wal::wal_recycle,
        ..WAL
    },
    Knob {
        name: "random_page_cost",
        kind: Kind::Real,
        rule: "4 on rotating disks, 2 on SSD, 1.5 on NVMe; 1.1 while the data fit in 0.6 of the budget, and until \
               they outgrow 0.75 of it",
        card: Some(Card {
            remark: "the card's 1.0 removes every penalty, and sequential plans lose ties",
            small: false,
        }),
        formula: io::random_page_cost,
        ..IO
    },
    Knob {
        name: "effective_io_concurrency",
        rule: "4 on rotating and unknown disks, 16 on SSD, 32 on NVMe (16 from 18 on, whose default was measured)",
        card: Some(Card {
            remark: "the card's 1 for small machines is a rotating disk's figure from before 13",
            small: true,
        }),
        formula: io::effective_io_concurrency,
        ..IO
    },
    Knob {
        name: "maintenance_io_concurrency",
        rule: "10 on rotating and unknown disks, 32 on SSD, 64 on NVMe; drives crash recovery's prefetch too",
        formula: io::maintenance_io_concurrency,
        ..IO
    },
    Knob {
        name: "io_workers",
        since: 18,
        until: Some(18),
        rule: "a quarter of the CPUs, between 3 and 8",
        formula: io::io_workers,
        ..IO
    },
    Knob {
        name: "jit",
        kind: Kind::Switch,
        rule: "off: compiling costs more than an indexer's short statements take",
        formula: |_| {
            Proposal::switch(false, "compiling costs more than short statements take; off by default in 19")
        },
        ..IO
    },
    Knob {
        name: "default_toast_compression",
        kind: Kind::Word,
        rule: "lz4 where the server's build has it",
        formula: io::default_toast_compression,
        ..IO
    },
    Knob {
        name: "max_worker_processes",
        restart: Restart::Always,
        rule: "CPUs + 4, at least 8; with TimescaleDB its background workers + max_parallel_workers + 4; never lowered",
        formula: parallel::max_worker_processes,
        ..PARALLEL
    },
    Knob {
        name: "max_parallel_workers",
        rule: "the CPUs, at most 8",
        formula: parallel::max_parallel_workers,
        ..PARALLEL
    },
    Knob {
        name: "max_parallel_workers_per_gather",
        rule: "0 up to 2 CPUs, 1 up to 8, else 2: an indexer's writers need the CPUs more than one query does",
        formula: parallel::max_parallel_workers_per_gather,
        ..PARALLEL
    },
    Knob {
        name: "max_parallel_maintenance_workers",
        rule: "half of the CPUs, at most 4",
        formula: parallel::max_parallel_maintenance_workers,
        ..PARALLEL
    },
    Knob {
        name: "timescaledb.max_background_workers",
        restart: Restart::Always,
        rule: "databases + jobs + 1, between 16 and 64; never lowered; only where TimescaleDB is loaded",
        formula: parallel::timescaledb_max_background_workers,
        ..PARALLEL
    },
    Knob {
        name: "autovacuum_max_workers",
        restart: Restart::Until(17),
        rule: "2 in low-memory, 3 in standard, 4 in high-performance; they share one cost budget",
        formula: vacuum::autovacuum_max_workers,
        ..VACUUM
    },
    Knob {
        name: "autovacuum_naptime",
        unit: SECONDS,
        rule: "30s; 15s where a hypertable has 100 chunks or more",
        formula: vacuum::autovacuum_naptime,
        ..VACUUM
    },
    Knob {
        name: "autovacuum_vacuum_scale_factor",
        kind: Kind::Real,
        rule: "0.05: the default 0.2 lets 20 million dead rows gather in 100 million",
        formula: |_| Proposal::real(0.05, "0.2 of a table of 100 million rows is 20 million dead ones"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_vacuum_threshold",
        rule: "1000 rows: small tables need no vacuum for the default 50",
        formula: |_| Proposal::int(1000, "small tables need no vacuum for 50 dead rows"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_vacuum_insert_scale_factor",
        kind: Kind::Real,
        rule: "0.02: tables that only grow get their visibility map and are frozen by this alone",
        formula: |_| Proposal::real(0.02, "insert-only tables get visibility map and freezing by this alone"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_vacuum_insert_threshold",
        rule: "100,000 rows: small tables need no vacuum for the default 1000",
        formula: |_| Proposal::int(100_000, "small tables need no vacuum for 1000 inserted rows"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_vacuum_max_threshold",
        since: 18,
        rule: "20,000,000 rows: no table is so large that its vacuum never ends",
        formula: |_| Proposal::int(20_000_000, "one vacuum of a huge table at a time that can be finished"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_analyze_scale_factor",
        kind: Kind::Real,
        rule: "0.02: statistics of a growing table must follow it",
        formula: |_| Proposal::real(0.02, "statistics of a growing table must follow it"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_analyze_threshold",
        rule: "5000 rows: small tables need no new statistics for the default 50",
        formula: |_| Proposal::int(5000, "small tables need no new statistics for 50 rows"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_vacuum_cost_delay",
        kind: Kind::Real,
        unit: MILLISECONDS,
        rule: "2ms, the default; the speed is set by the cost limit",
        formula: |_| Proposal::time(2, "the speed of autovacuum is set by its cost limit"),
        ..VACUUM
    },
    Knob {
        name: "autovacuum_vacuum_cost_limit",
        rule: "300 on rotating and unknown disks, 1000 on SSD, 2000 on NVMe, 4000 there from 16 CPUs on; the default \
               200 is 39MB/s of dirtied pages over all workers",
        formula: vacuum::autovacuum_vacuum_cost_limit,
        ..VACUUM
    },
    Knob {
        name: "max_connections",
        restart: Restart::Always,
        rule: "one and a half of the clients' pools, up to the profile's 50, 100 or 200, and never fewer than the \
               pools and the reserved ones; never lowered; left alone while the pools are not declared",
        card: Some(Card { remark: "the card's 200 is planned only for pools that need it", small: false }),
        formula: connections::max_connections,
        ..CONNECTIONS
    },
    Knob {
        name: "max_locks_per_transaction",
        restart: Restart::Always,
        rule: "128; with TimescaleDB by chunks, between 128 and 1024 by budget; never lowered",
        formula: connections::max_locks_per_transaction,
        ..CONNECTIONS
    },
    Knob {
        name: "shared_preload_libraries",
        kind: Kind::List,
        restart: Restart::Always,
        rule: "what is there, in its order, and pg_stat_statements where it is available, timescaledb where it is \
               installed",
        formula: connections::shared_preload_libraries,
        ..CONNECTIONS
    },
    Knob {
        name: "tcp_keepalives_idle",
        unit: SECONDS,
        rule: "60s: a client that vanished is found in two minutes instead of two hours",
        formula: |_| Proposal::time(60_000, "a client that vanished is found in two minutes, not two hours"),
        ..CONNECTIONS
    },
    Knob {
        name: "tcp_keepalives_interval",
        unit: SECONDS,
        rule: "10s, from then on",
        formula: |_| Proposal::time(10_000, "a client that vanished is found in two minutes, not two hours"),
        ..CONNECTIONS
    },
    Knob {
        name: "tcp_keepalives_count",
        rule: "6 of them without an answer end the session",
        formula: |_| Proposal::int(6, "a client that vanished is found in two minutes, not two hours"),
        ..CONNECTIONS
    },
    Knob {
        name: "track_io_timing",
        rule: "on where the clock is read in nanoseconds, off where it takes a microsecond (hpet, acpi_pm)",
        formula: observe::io_timing,
        ..OBSERVE
    },
    Knob {
        name: "track_wal_io_timing",
        rule: "on where the clock is read in nanoseconds, off where it takes a microsecond (hpet, acpi_pm)",
        formula: observe::io_timing,
        ..OBSERVE
    },
    Knob {
        name: "log_checkpoints",
        rule: "on, the default from 15 on: the lines show what WAL costs",
        formula: |_| Proposal::switch(true, "one line for each checkpoint shows what WAL costs"),
        ..OBSERVE
    },
    Knob {
        name: "log_autovacuum_min_duration",
        kind: Kind::Whole,
        unit: MILLISECONDS,
        rule: "60s: a vacuum of a minute or more leaves a line in the log",
        formula: |_| Proposal::time(60_000, "a vacuum of a minute or more leaves a line in the log"),
        ..OBSERVE
    },
    Knob {
        name: "log_temp_files",
        kind: Kind::Whole,
        unit: KB,
        rule: "64MB: a larger spill to disk leaves a line in the log",
        formula: |_| {
            Proposal::size(crate::model::units::Bytes::mib(64), "a spill of 64MB or more leaves a line")
        },
        ..OBSERVE
    },
    Knob {
        name: "log_lock_waits",
        rule: "on: waits longer than deadlock_timeout leave a line in the log",
        formula: |_| Proposal::switch(true, "waits longer than deadlock_timeout leave a line in the log"),
        ..OBSERVE
    },
];

#[cfg(test)]
mod tests {
    use super::super::testing::{dedicated, server, settings, with_timescaledb};
    use super::*;
    use crate::model::facts::Media;
    use crate::model::setting::{Context, Setting};
    use crate::model::units::Bytes;

    const MAJORS: std::ops::RangeInclusive<u32> = 14..=18;

    /// The setting as a real server of this major shows it.
    fn real(knob: &Knob, major: u32) -> Option<Setting> {
        let mut facts = dedicated(Bytes::gib(8), 4, Media::Ssd);
        with_timescaledb(&mut facts, 1, 1);
        let timescale = server(&mut facts).settings.remove(knob.name).filter(|_| knob.name.contains('.'));
        settings(major).remove(knob.name).or(timescale)
    }

    #[test]
    fn postgres_facts_are_as_real_servers_show_them() {
        for (knob, major) in KNOBS.iter().flat_map(|knob| MAJORS.map(move |major| (knob, major))) {
            let name = format!("{} on {major}", knob.name);
            let Some(setting) = real(knob, major) else {
                assert!(!knob.is_for(major), "{name} does not exist");
                continue;
            };
            assert!(knob.is_for(major), "{name} exists");
            assert_eq!(Unit::from_pg(setting.unit.as_deref()), knob.unit, "{name}");
            assert_eq!(setting.context == Context::Restart, knob.needs_restart(major), "{name}");
            assert_ne!(setting.context, Context::Fixed, "{name}");
            let kinds: &[&str] = match knob.kind {
                Kind::Whole => &["integer"],
                Kind::Real => &["real"],
                Kind::Switch => &["bool"],
                // wal_compression is a switch in 14.
                Kind::Word => &["enum", "bool"],
                Kind::List => &["string"],
            };
            assert!(kinds.contains(&setting.vartype.as_str()), "{name} is {}", setting.vartype);
        }
    }

    /// Settings that keep a server from starting, open it to others, or give up durability.
    const DENIED: &[&str] = &[
        "allow_alter_system",
        "archive_library",
        "archive_mode",
        "autovacuum",
        "config_file",
        "data_directory",
        "dynamic_shared_memory_type",
        "fsync",
        "full_page_writes",
        "hba_file",
        "huge_pages",
        "ident_file",
        "io_method",
        "listen_addresses",
        "local_preload_libraries",
        "max_replication_slots",
        "max_wal_senders",
        "port",
        "session_preload_libraries",
        "synchronous_commit",
        "unix_socket_directories",
        "wal_level",
        "wal_sync_method",
        "zero_damaged_pages",
    ];

    #[test]
    fn no_knob_can_brick_or_open_a_server() {
        for knob in KNOBS {
            let name = knob.name;
            assert!(!DENIED.contains(&name), "{name}");
            let dangerous = ["_file", "_command", "_path", "_directory"];
            assert!(!name.starts_with("ssl") && !dangerous.iter().any(|end| name.ends_with(end)), "{name}");
        }
    }

    #[test]
    fn every_knob_is_described_once() {
        for (n, knob) in KNOBS.iter().enumerate() {
            assert!(
                !knob.rule.is_empty() && !knob.rule.contains("  ") && !knob.rule.ends_with('.'),
                "{}",
                knob.name
            );
            assert!(KNOBS[n + 1..].iter().all(|other| other.name != knob.name), "{}", knob.name);
            assert!(knob.dead_band_percent <= 25, "{}", knob.name);
        }
    }
}
