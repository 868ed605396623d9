//! Checks of what is known of the machine below the server.

use super::{Patient, State, Verdict, ok, warn};
use crate::model::facts::{Facts, Media, Seen};

pub(super) fn memory(patient: &Patient<'_>) -> Verdict {
    let Facts { declared, limits, host, .. } = patient.facts;
    let why = match (declared.memory, limits) {
        (Some(memory), _) => return ok(format!("PGPILOT_MEMORY gives PostgreSQL {}", memory.about())),
        (None, Seen::Now(limits)) => {
            return ok(limits.memory.map_or_else(
                || "PostgreSQL's container has no memory limit: it shares the host".to_owned(),
                |memory| format!("PostgreSQL's container may use {}", memory.about()),
            ));
        }
        (None, Seen::Not(why)) => why,
    };
    let remedy = "run `pgpilot setup` as a superuser, or set PGPILOT_MEMORY, for example to 8GB";
    match host {
        Seen::Now(host) => warn(
            format!(
                "the memory limit is not known, so a share of the host's {} is planned: {why}",
                host.memory_total.about()
            ),
            remedy,
        ),
        Seen::Not(_) => (
            State::Fail,
            format!("neither the memory limit nor the host is known: {why}"),
            Some(remedy.to_owned()),
        ),
    }
}

pub(super) fn shm(patient: &Patient<'_>) -> Verdict {
    match &patient.facts.shm {
        Seen::Now(size) => ok(format!("/dev/shm has {}", size.about())),
        Seen::Not(why) => {
            warn(format!("the size of /dev/shm is not known: {why}"), "PGPILOT_SHM_SIZE=64MB, or what it has")
        }
    }
}

pub(super) fn storage(patient: &Patient<'_>) -> Verdict {
    match &patient.facts.storage {
        Seen::Now(storage) if storage.media != Media::Unknown => {
            ok(format!("the data is on {}: {}", storage.media.as_label(), storage.how))
        }
        Seen::Now(storage) => warn(
            format!(
                "what the data lies on is not known, and is taken for an SSD by the planner, for a rotating disk by what runs at once: {}",
                storage.how
            ),
            "PGPILOT_STORAGE=nvme, or ssd, hdd, network",
        ),
        Seen::Not(why) => warn(
            format!("the storage was not seen: {why}"),
            "PGPILOT_STORAGE=nvme, or ssd, hdd, network, zfs",
        ),
    }
}

pub(super) fn free_space(patient: &Patient<'_>) -> Verdict {
    let free = patient.facts.storage.get().and_then(|storage| storage.free);
    match patient.facts.declared.wal_disk_free.or(free) {
        Some(free) => ok(format!("{} are free for WAL", free.about())),
        None => warn(
            "free space is not known, so WAL is planned small",
            "mount the data volume read-only and set PGPILOT_DATA_DIR, or set PGPILOT_WAL_DISK_FREE",
        ),
    }
}
