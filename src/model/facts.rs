//! Everything observed at about one moment, as one value that can be written down and replayed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::postgres::Postgres;
use super::units::Bytes;

/// What pgpilot knows when it plans. `pgpilot facts` prints it, `pgpilot plan --facts` replays it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    pub at: Timestamp,
    /// The version of pgpilot that looked.
    pub pgpilot: String,
    pub declared: Declared,
    /// The machine below PostgreSQL.
    pub host: Seen<Host>,
    /// What PostgreSQL's container may use.
    pub limits: Seen<Limits>,
    /// What our own container may use: shown, never planned with.
    pub own_limits: Seen<Limits>,
    /// The size of `/dev/shm` where PostgreSQL runs.
    pub shm: Seen<Bytes>,
    /// The storage below the data directory.
    pub storage: Seen<Storage>,
    pub postgres: Seen<Postgres>,
    pub ours: Ours,
}

impl Facts {
    /// The same, with what could not be seen as it was seen before, of the same start of the same server.
    ///
    /// A machine under memory or disk pressure answers late. Planned without its limit it would be a larger machine.
    #[must_use]
    pub fn filled_from(self, before: Option<&Self>) -> Self {
        let same_start = |before: &&Self| match (self.postgres.get(), before.postgres.get()) {
            (Some(now), Some(then)) => {
                (&now.system_identifier, now.started_at) == (&then.system_identifier, then.started_at)
            }
            _ => false,
        };
        let Some(before) = before.filter(same_start) else { return self };
        let mut filled = Self {
            host: own_view_is_second(self.host, &before.host, |host| host.from),
            limits: self.limits.or_before(&before.limits),
            shm: self.shm.or_before(&before.shm),
            storage: own_view_is_second(self.storage, &before.storage, |storage| storage.from),
            ..self
        };
        if let (Seen::Now(now), Some(then)) = (&mut filled.postgres, before.postgres.get()) {
            now.data_size = now.data_size.clone().or_before(&then.data_size);
        }
        if let (Seen::Now(now), Some(then)) = (&mut filled.storage, before.storage.get()) {
            now.free = now.free.or(then.free);
            now.size = now.size.or(then.size);
        }
        filled
    }
}

/// What PostgreSQL showed us of its own machine before is better than what we see now of ours.
fn own_view_is_second<T: Clone>(now: Seen<T>, before: &Seen<T>, from: impl Fn(&T) -> Origin) -> Seen<T> {
    match (&now, before) {
        (Seen::Now(ours), Seen::Now(theirs))
            if from(ours) == Origin::Own && from(theirs) == Origin::Postgres =>
        {
            before.clone()
        }
        _ => now.or_before(before),
    }
}

/// A thing that was looked for. What was not seen has a reason, and is never a zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen<T> {
    Now(T),
    Not(String),
}

impl<T> Seen<T> {
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Now(value) => Some(value),
            Self::Not(_) => None,
        }
    }

    fn or_before(self, before: &Self) -> Self
    where
        T: Clone,
    {
        if matches!((&self, before), (Self::Not(_), Self::Now(_))) { before.clone() } else { self }
    }

    /// Why it was not seen.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Now(_) => None,
            Self::Not(reason) => Some(reason),
        }
    }
}

/// What the operator told us of the machine; it outranks what we see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Declared {
    /// R itself: the memory that PostgreSQL may use.
    pub memory: Option<Bytes>,
    /// What everything else on the host keeps, when no container limit is known.
    pub reserve: Reserve,
    /// PostgreSQL servers that share this host.
    pub servers: u32,
    pub cpus: Option<u32>,
    pub storage: Option<Media>,
    /// The data lies on ZFS, whatever lies below it.
    #[serde(default)]
    pub zfs: bool,
    pub shm: Option<Bytes>,
    pub wal_disk_free: Option<Bytes>,
    /// The sum of the clients' connection pools.
    pub client_connections: Option<u32>,
}

impl Default for Declared {
    fn default() -> Self {
        Self {
            memory: None,
            reserve: Reserve::Percent(50),
            servers: 1,
            cpus: None,
            storage: None,
            zfs: false,
            shm: None,
            wal_disk_free: None,
            client_connections: None,
        }
    }
}

/// The part of a host's memory that is not PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reserve {
    Percent(u8),
    Size(Bytes),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    pub memory_total: Bytes,
    /// Shown only: it depends on what happens to run, so nothing is planned with it.
    pub memory_available: Option<Bytes>,
    pub cpus: u32,
    /// ZFS's cache, which is neither page cache nor available memory.
    pub arc: Option<Arc>,
    /// `tsc` reads in tens of nanoseconds; `hpet` and `acpi_pm` take a microsecond.
    pub clocksource: Option<String>,
    pub from: Origin,
}

/// Whose view of the host this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The operator's option.
    Option,
    /// Files that PostgreSQL reads for us in its own container.
    Postgres,
    /// Our own files: the same host when PostgreSQL runs beside us.
    Own,
}

impl Origin {
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Option => "option",
            Self::Postgres => "postgres",
            Self::Own => "own",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arc {
    /// `c_min` and `c_max` of arcstats.
    pub min: Bytes,
    pub max: Bytes,
    pub size: Bytes,
    /// The module's `zfs_arc_max`; zero, its default, is not a limit and is left out.
    pub configured_max: Option<Bytes>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// None: looked, and there is no limit.
    pub memory: Option<Bytes>,
    pub cpus: Option<f64>,
    /// 1 or 2; none where the limit comes from an option.
    pub cgroup: Option<u8>,
    pub from: Origin,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Storage {
    pub media: Media,
    /// The file system's type: `ext4`, `xfs`, `zfs`, …
    pub filesystem: String,
    /// Device, pool or share below it.
    pub source: String,
    pub size: Option<Bytes>,
    pub free: Option<Bytes>,
    /// How we know, in words.
    pub how: String,
    pub from: Origin,
}

impl Storage {
    /// ZFS and btrfs never overwrite in place: preparing and recycling WAL files gains nothing there.
    pub fn copies_on_write(&self) -> bool {
        matches!(self.filesystem.as_str(), "zfs" | "btrfs")
    }
}

/// What the bytes lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Media {
    Hdd,
    Ssd,
    Nvme,
    Network,
    /// Treated as an SSD for the planner's costs and as a disk for concurrency.
    Unknown,
}

impl Media {
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Hdd => "hdd",
            Self::Ssd => "ssd",
            Self::Nvme => "nvme",
            Self::Network => "network",
            Self::Unknown => "unknown",
        }
    }
}

/// What our own journal says of this server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ours {
    /// The entry that we wrote last for each setting; none where our last write was a RESET.
    pub written: BTreeMap<String, Option<String>>,
    /// Values that were taken back, and until when they are not proposed again.
    pub held: Vec<Hold>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub name: String,
    /// None: until a person names the setting.
    pub until: Option<Timestamp>,
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(from: Origin, gib: u64) -> Seen<Host> {
        Seen::Now(Host {
            memory_total: Bytes::gib(gib),
            memory_available: None,
            cpus: 4,
            arc: None,
            clocksource: None,
            from,
        })
    }

    #[test]
    fn what_is_not_seen_for_a_moment_is_as_it_was_and_our_own_view_is_second() {
        let blind = || Seen::Not("too late".to_owned());
        let rows = [
            ("seen again", host(Origin::Postgres, 8), host(Origin::Postgres, 16), 8),
            ("not seen now", blind(), host(Origin::Postgres, 16), 16),
            ("only our own view now", host(Origin::Own, 64), host(Origin::Postgres, 16), 16),
            ("our own view all along", host(Origin::Own, 64), host(Origin::Own, 32), 64),
        ];
        for (case, now, before, want) in rows {
            let filled = own_view_is_second(now, &before, |host| host.from);
            assert_eq!(filled.get().map(|host| host.memory_total), Some(Bytes::gib(want)), "{case}");
        }
    }
}
