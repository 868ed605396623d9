//! Formulas of the planner's costs and of I/O.

use super::draft::Draft;
use super::inputs::{Inputs, Proposal};
use super::wal::has_word;
use crate::model::facts::{Media, Seen};

/// Data that fit in this share of the budget are taken as cached, until they outgrow the larger one.
///
/// Two thresholds, and the present value says on which side we are: plans must not flip at every insert.
const CACHED_BELOW: u64 = 60;
const CACHED_UNTIL: u64 = 75;
const CACHED_COST: f64 = 1.1;

pub(super) fn random_page_cost(inputs: &Inputs<'_>) -> Proposal {
    if is_cached(inputs) {
        return Proposal::real(CACHED_COST, "the data fit in the cache");
    }
    match inputs.media {
        Media::Hdd => Proposal::real(4.0, "a random read on a rotating disk costs a seek"),
        Media::Nvme => Proposal::real(1.5, "NVMe; the data do not fit in the cache"),
        Media::Ssd => Proposal::real(2.0, "SSD; cold random reads cost 20 times sequential ones"),
        Media::Network => Proposal::real(2.0, "network storage is treated as an SSD"),
        Media::Unknown => Proposal::real(2.0, "unknown storage is treated as an SSD"),
    }
}

fn is_cached(inputs: &Inputs<'_>) -> bool {
    let Seen::Now(data) = inputs.server.data_size else { return false };
    let name = "random_page_cost";
    let present =
        inputs.server.settings.get(name).map(|setting| Draft::configured(inputs.server, name, setting));
    let was = present.and_then(|value| value.as_number()).is_some_and(|cost| cost <= CACHED_COST);
    data <= inputs.memory().percent(if was { CACHED_UNTIL } else { CACHED_BELOW })
}

pub(super) fn effective_io_concurrency(inputs: &Inputs<'_>) -> Proposal {
    match inputs.media {
        Media::Hdd => Proposal::int(4, "a rotating disk has one head"),
        Media::Unknown => Proposal::int(4, "unknown storage is treated as a disk"),
        Media::Nvme if inputs.server.major() < 18 => Proposal::int(32, "NVMe answers many reads at once"),
        Media::Nvme | Media::Ssd | Media::Network => {
            Proposal::int(16, "the default that 18 took after measuring")
        }
    }
}

pub(super) fn maintenance_io_concurrency(inputs: &Inputs<'_>) -> Proposal {
    match inputs.media {
        Media::Hdd => Proposal::int(10, "a rotating disk has one head"),
        Media::Unknown => Proposal::int(10, "unknown storage is treated as a disk"),
        Media::Nvme => Proposal::int(64, "VACUUM and crash recovery read ahead on NVMe"),
        Media::Ssd | Media::Network => Proposal::int(32, "VACUUM and crash recovery read ahead"),
    }
}

pub(super) fn io_workers(inputs: &Inputs<'_>) -> Proposal {
    inputs.with_cpus(|cpus| {
        Proposal::int(cpus.div_ceil(4).clamp(3, 8), format!("a quarter of {cpus} CPUs, between 3 and 8"))
    })
}

pub(super) fn default_toast_compression(inputs: &Inputs<'_>) -> Proposal {
    if has_word(inputs, "default_toast_compression", "lz4") {
        return Proposal::word("lz4", "faster than pglz at about the same size");
    }
    Proposal::leave("this build has no lz4")
}

#[cfg(test)]
mod tests {
    use super::super::plan::proposed_text;
    use super::super::testing::{dedicated, entry, postgres, server};
    use super::*;
    use crate::model::units::Bytes;

    #[test]
    fn costs_and_concurrency_by_media() {
        let rows = [
            (17, Media::Hdd, ["4", "4", "10"]),
            (17, Media::Ssd, ["2", "16", "32"]),
            (17, Media::Nvme, ["1.5", "32", "64"]),
            (17, Media::Unknown, ["2", "4", "10"]),
            (18, Media::Nvme, ["1.5", "16", "64"]),
            (18, Media::Hdd, ["4", "4", "10"]),
        ];
        for (major, media, want) in rows {
            let mut facts = dedicated(Bytes::gib(16), 8, media);
            facts.postgres = Seen::Now(postgres(major));
            let names = ["random_page_cost", "effective_io_concurrency", "maintenance_io_concurrency"];
            assert_eq!(names.map(|name| proposed_text(&facts, name)), want, "{media:?} on {major}");
        }
    }

    #[test]
    fn cached_data_stay_cached_until_they_have_outgrown_the_cache() {
        // A budget of 100 GB; (data in GB, present value, wanted value).
        let rows =
            [(50, "4", "1.1"), (70, "4", "1.5"), (70, "1.1", "1.1"), (76, "1.1", "1.5"), (61, "1.5", "1.5")];
        for (data, present, want) in rows {
            let mut facts = dedicated(Bytes::gib(100), 8, Media::Nvme);
            entry(&mut facts, "random_page_cost", present, true);
            server(&mut facts).data_size = Seen::Now(Bytes::gib(data));
            assert_eq!(proposed_text(&facts, "random_page_cost"), want, "{data} GB at {present}");
        }
        let mut unseen = dedicated(Bytes::gib(100), 8, Media::Nvme);
        server(&mut unseen).data_size = Seen::Not("no right".to_owned());
        assert_eq!(proposed_text(&unseen, "random_page_cost"), "1.5");
    }

    #[test]
    fn io_workers_are_a_quarter_of_the_cpus() {
        for (cpus, want) in [(2, "3"), (16, "4"), (17, "5"), (64, "8")] {
            let mut facts = dedicated(Bytes::gib(16), cpus, Media::Nvme);
            facts.postgres = Seen::Now(postgres(18));
            assert_eq!(proposed_text(&facts, "io_workers"), want, "{cpus} CPUs");
        }
    }
}
