//! Formulas of WAL and checkpoints.
//!
//! Checkpoint spacing decides an indexer's speed: its B-trees on hashes touch random leaf pages, so after every
//! checkpoint almost each insert logs a page of 8 kB.

use super::inputs::{Inputs, Proposal, as_size};
use crate::model::facts::Media;
use crate::model::units::Bytes;

const LEAST_WAL: Bytes = Bytes::gib(1);
const STEP: Bytes = Bytes::mib(512);

pub(super) fn wal_buffers(inputs: &Inputs<'_>) -> Proposal {
    let small = inputs.size("shared_buffers").is_some_and(|buffers| buffers < Bytes::mib(512));
    let size = if small { Bytes::mib(16) } else { inputs.profile.wal_buffers };
    Proposal::size(size, "the default's few MB overflow while the indexer inserts")
}

pub(super) fn max_wal_size(inputs: &Inputs<'_>) -> Proposal {
    let mut bounds = vec![(inputs.profile.max_wal_size, format!("{}'s start", inputs.profile.name))];
    match inputs.disk_free {
        Some(free) => bounds.push((free.percent(15), format!("0.15 of {} free", free.about()))),
        None => bounds.push((Bytes::gib(4), "free disk space is not seen".to_owned())),
    }
    bounds.extend(
        inputs.disk_size.map(|size| (size.percent(10), format!("a tenth of the {} disk", size.about()))),
    );
    if inputs.media == Media::Hdd {
        bounds.push((Bytes::gib(8), "more takes a rotating disk too long to replay".to_owned()));
    }
    let least = LEAST_WAL.max(segments(inputs, 2));
    let found = bounds.into_iter().min_by_key(|(size, _)| *size);
    let (size, why) = found.unwrap_or((least, String::new()));
    Proposal::size(size.round_down(STEP).max(least), format!("{why}: fewer checkpoints, fewer page images"))
}

/// The disk check of the whole plan: above this a value is brought down to the formula's share.
///
/// Wider than the formula's 0.15, so that a disk that fills slowly does not move the value every day.
pub(super) fn most_wal(inputs: &Inputs<'_>) -> Option<Bytes> {
    inputs.disk_free.map(|free| free.percent(25).max(LEAST_WAL).max(segments(inputs, 2)))
}

pub(super) fn min_wal_size(inputs: &Inputs<'_>) -> Proposal {
    let most = inputs.size("max_wal_size").unwrap_or(LEAST_WAL);
    let size = Bytes(most.0 / 4).round_down(Bytes::mib(256)).max(LEAST_WAL).min(most);
    Proposal::size(size.max(segments(inputs, 2)), "a quarter of max_wal_size is kept for the next burst")
}

/// So many WAL segments; a server whose min_wal_size is below two does not start.
pub(super) fn segments(inputs: &Inputs<'_>, n: u64) -> Bytes {
    inputs.size("wal_segment_size").unwrap_or(Bytes::mib(16)).times(n)
}

pub(super) fn checkpoint_timeout(inputs: &Inputs<'_>) -> Proposal {
    let minutes = inputs.profile.checkpoint_minutes;
    Proposal::time(minutes * 60_000, "each checkpoint brings back full-page images, 91 % of WAL at defaults")
}

pub(super) fn wal_compression(inputs: &Inputs<'_>) -> Proposal {
    if has_word(inputs, "wal_compression", "lz4") {
        return Proposal::word("lz4", "a third less WAL for little CPU");
    }
    Proposal::leave("this build has no lz4 for WAL, and pglz needs CPU that is not known to be idle")
}

pub(super) fn has_word(inputs: &Inputs<'_>, name: &str, word: &str) -> bool {
    let setting = inputs.server.settings.get(name);
    setting.is_some_and(|setting| setting.enumvals.iter().any(|known| known == word))
}

pub(super) fn max_slot_wal_keep_size(inputs: &Inputs<'_>) -> Proposal {
    if inputs.server.replication_slots == 0 {
        return Proposal::leave("there is no replication slot");
    }
    let Some(free) = inputs.disk_free else {
        return Proposal::Wait("the free space of WAL's disk, which PGPILOT_WAL_DISK_FREE gives".to_owned());
    };
    let wanted = free.percent(25).round_down(Bytes::gib(1)).min(Bytes::gib(100));
    // A slot that retains more than the limit is lost at the next checkpoint, and no rollback brings it back.
    let retained = inputs.server.slots_retain.times(2).plus(Bytes::gib(1)).round_down(Bytes::gib(1));
    let size = wanted.max(retained);
    match inputs.configured("max_slot_wal_keep_size").as_ref().and_then(as_size) {
        Some(present) if present > size => Proposal::leave("a limit is never lowered: a slot could be lost"),
        _ => Proposal::size(
            size,
            format!("a quarter of {} free: a dead slot must not fill the disk", free.about()),
        ),
    }
}

pub(super) fn wal_init_zero(inputs: &Inputs<'_>) -> Proposal {
    by_file_system(inputs, "zeroing a new WAL file")
}

pub(super) fn wal_recycle(inputs: &Inputs<'_>) -> Proposal {
    by_file_system(inputs, "renaming an old WAL file")
}

fn by_file_system(inputs: &Inputs<'_>, what: &str) -> Proposal {
    let Some(storage) = inputs.facts.storage.get().filter(|storage| !storage.filesystem.is_empty()) else {
        return Proposal::leave("the file system below the data directory is not seen");
    };
    let gains = if storage.copies_on_write() { "gains nothing" } else { "saves allocations" };
    Proposal::switch(!storage.copies_on_write(), format!("{what} {gains} on {}", storage.filesystem))
}

#[cfg(test)]
mod tests {
    use super::super::plan::proposed_text;
    use super::super::testing::{dedicated, entry, postgres, server, storage};
    use crate::model::facts::{Facts, Media, Seen};
    use crate::model::units::Bytes;

    fn high(change: impl FnOnce(&mut Facts)) -> Facts {
        let mut facts = dedicated(Bytes::gib(16), 8, Media::Nvme);
        change(&mut facts);
        facts
    }

    fn disk(facts: &mut Facts, size: Option<u64>, free: Option<u64>) {
        storage(facts, |storage| (storage.size, storage.free) = (size.map(Bytes::gib), free.map(Bytes::gib)));
    }

    #[test]
    fn max_wal_size_cases() {
        let rows = [
            ("the profile's", high(|_| ()), "16GB"),
            ("0.15 of the free disk", high(|f| disk(f, Some(1000), Some(40))), "6GB"),
            ("a tenth of a small disk", high(|f| disk(f, Some(100), Some(90))), "10GB"),
            ("never below the default", high(|f| disk(f, Some(20), Some(2))), "1GB"),
            ("an unseen disk", high(|f| disk(f, None, None)), "4GB"),
            ("a rotating disk", high(|f| f.declared.storage = Some(Media::Hdd)), "8GB"),
            (
                "a declared disk for WAL",
                high(|f| {
                    disk(f, Some(50), Some(10));
                    f.declared.wal_disk_free = Some(Bytes::gib(80));
                }),
                "12GB",
            ),
            (
                "two of the largest segments",
                high(|f| {
                    disk(f, Some(20), Some(2));
                    super::super::testing::in_force(f, "wal_segment_size", "1GB", "default");
                }),
                "2GB",
            ),
        ];
        for (case, facts, want) in rows {
            assert_eq!(proposed_text(&facts, "max_wal_size"), want, "{case}");
        }
    }

    #[test]
    fn min_wal_size_follows_the_max_that_will_be_in_force() {
        let by_hand = |text: &str| high(|f| entry(f, "max_wal_size", text, true));
        assert_eq!(proposed_text(&by_hand("2GB"), "min_wal_size"), "1GB");
        assert_eq!(proposed_text(&by_hand("512MB"), "min_wal_size"), "512MB");
        assert_eq!(proposed_text(&by_hand("64GB"), "min_wal_size"), "16GB");
    }

    #[test]
    fn compression_depends_on_the_build() {
        for (major, want) in [(14, "leave"), (15, "lz4"), (16, "leave")] {
            let facts = high(|f| f.postgres = Seen::Now(postgres(major)));
            assert_eq!(proposed_text(&facts, "wal_compression"), want, "the {major} of the fixtures");
        }
    }

    #[test]
    fn slots_and_file_systems() {
        assert_eq!(proposed_text(&high(|_| ()), "max_slot_wal_keep_size"), "leave");
        let slot = high(|f| {
            disk(f, Some(1000), Some(200));
            server(f).replication_slots = 1;
        });
        assert_eq!(proposed_text(&slot, "max_slot_wal_keep_size"), "50GB");
        for (filesystem, want) in [("zfs", "off"), ("btrfs", "off"), ("ext4", "on"), ("", "leave")] {
            let facts = high(|f| storage(f, |storage| storage.filesystem = filesystem.to_owned()));
            assert_eq!(proposed_text(&facts, "wal_init_zero"), want, "{filesystem}");
            assert_eq!(proposed_text(&facts, "wal_recycle"), want, "{filesystem}");
        }
    }
}
