//! Profiles: bounds and shares that the same formulas are given.

use std::str::FromStr;

use crate::model::facts::Media;
use crate::model::units::Bytes;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    #[default]
    Auto,
    LowMemory,
    Standard,
    HighPerformance,
    Custom,
}

/// (choice, its name in options and files).
const CHOICES: &[(Choice, &str)] = &[
    (Choice::Auto, "auto"),
    (Choice::LowMemory, LOW_MEMORY.name),
    (Choice::Standard, STANDARD.name),
    (Choice::HighPerformance, HIGH_PERFORMANCE.name),
    (Choice::Custom, "custom"),
];

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let row = CHOICES.iter().find(|(_, name)| *name == text);
        row.map(|(choice, _)| *choice).ok_or_else(|| {
            let names: Vec<_> = CHOICES.iter().map(|(_, name)| *name).collect();
            format!("`{text}` is no profile: choose one of {}", names.join(", "))
        })
    }
}

/// Bounds and shares. The formulas are the same for all.
#[derive(Debug, PartialEq)]
pub(super) struct Profile {
    pub name: &'static str,
    /// At most this for `shared_buffers`: a small machine's other programs need the rest.
    pub shared_buffers: Option<Bytes>,
    pub work_mem: Bytes,
    pub min_dynamic_shared_memory: Bytes,
    pub vacuum_ring: Bytes,
    pub wal_buffers: Bytes,
    pub max_wal_size: Bytes,
    pub checkpoint_minutes: u64,
    pub autovacuum_workers: u64,
    pub max_connections: u64,
}

pub(super) const LOW_MEMORY: Profile = Profile {
    name: "low-memory",
    shared_buffers: Some(Bytes::gib(1)),
    work_mem: Bytes::mib(8),
    min_dynamic_shared_memory: Bytes::mib(128),
    vacuum_ring: Bytes::mib(16),
    wal_buffers: Bytes::mib(16),
    max_wal_size: Bytes::gib(4),
    // Crash recovery replays what was written since the last checkpoint, and small machines replay slowly.
    checkpoint_minutes: 10,
    autovacuum_workers: 2,
    max_connections: 50,
};

pub(super) const STANDARD: Profile = Profile {
    name: "standard",
    shared_buffers: None,
    work_mem: Bytes::mib(32),
    min_dynamic_shared_memory: Bytes::mib(256),
    vacuum_ring: Bytes::mib(16),
    wal_buffers: Bytes::mib(32),
    max_wal_size: Bytes::gib(8),
    checkpoint_minutes: 15,
    autovacuum_workers: 3,
    max_connections: 100,
};

pub(super) const HIGH_PERFORMANCE: Profile = Profile {
    name: "high-performance",
    shared_buffers: None,
    work_mem: Bytes::mib(64),
    min_dynamic_shared_memory: Bytes::mib(512),
    vacuum_ring: Bytes::mib(64),
    wal_buffers: Bytes::mib(64),
    max_wal_size: Bytes::gib(16),
    checkpoint_minutes: 15,
    autovacuum_workers: 4,
    max_connections: 200,
};

/// Up to this a machine is small.
const SMALL: Bytes = Bytes::gib(4);

/// From here on a machine is large. A "16 GB" machine reports about 15.4 GiB after firmware and kernel have had
/// their part; 8 % below 16 GiB catches all of them and no machine of 14.
const LARGE: Bytes = Bytes::gib(16).percent(92);

/// The profile that fits what a machine, or PostgreSQL's container, has.
pub(super) fn detect(has: Bytes, media: Media) -> &'static Profile {
    match media {
        _ if has <= SMALL => &LOW_MEMORY,
        Media::Ssd | Media::Nvme if has >= LARGE => &HIGH_PERFORMANCE,
        Media::Ssd | Media::Nvme | Media::Hdd | Media::Network | Media::Unknown => &STANDARD,
    }
}

/// The bounds behind a choice; none for `custom`, whose file names its base.
pub(super) fn bounds(choice: Choice, has: Bytes, media: Media) -> &'static Profile {
    match choice {
        Choice::Auto | Choice::Custom => detect(has, media),
        Choice::LowMemory => &LOW_MEMORY,
        Choice::Standard => &STANDARD,
        Choice::HighPerformance => &HIGH_PERFORMANCE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_get_the_profile_of_their_label() {
        let rows = [
            ("a 2 GB server", Bytes::mib(1_970), Media::Ssd, "low-memory"),
            ("a 4 GB server", Bytes::mib(3_900), Media::Nvme, "low-memory"),
            ("a container of 4GB", Bytes::gib(4), Media::Ssd, "low-memory"),
            ("an 8 GB server", Bytes::mib(7_900), Media::Ssd, "standard"),
            ("a 16 GB machine", Bytes::mib(15_770), Media::Nvme, "high-performance"),
            ("a 16 GB machine on SATA SSD", Bytes::mib(15_770), Media::Ssd, "high-performance"),
            ("a 16 GB machine on a disk", Bytes::mib(15_770), Media::Hdd, "standard"),
            ("64 GB on a share", Bytes::gib(64), Media::Network, "standard"),
            ("64 GB on something", Bytes::gib(64), Media::Unknown, "standard"),
            ("a 12 GB machine", Bytes::gib(12), Media::Nvme, "standard"),
        ];
        for (case, has, media, want) in rows {
            assert_eq!(detect(has, media).name, want, "{case}");
        }
    }

    #[test]
    fn choices_read_back_and_a_wrong_one_lists_all() {
        for (choice, name) in CHOICES {
            assert_eq!(name.parse(), Ok(*choice));
        }
        assert!("fast".parse::<Choice>().unwrap_err().contains("high-performance"));
    }
}
