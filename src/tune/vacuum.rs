//! Formulas of autovacuum. `autovacuum` itself is never touched.

use super::inputs::{Inputs, Proposal};
use crate::model::facts::Media;
use crate::model::setting::Value;
use crate::model::units::Millis;

pub(super) fn autovacuum_max_workers(inputs: &Inputs<'_>) -> Proposal {
    Proposal::int(
        inputs.profile.autovacuum_workers,
        "they share one cost budget: more of them are slower each",
    )
}

/// From here on a hypertable's chunks are vacuumed one by one all day.
const MANY_CHUNKS: u32 = 100;
/// Chunks come and go: what was taken for many is so until it is clearly fewer.
const FEWER_CHUNKS: u32 = 80;
const SHORT_NAP: Value = Value::Time(Millis(15_000));

pub(super) fn autovacuum_naptime(inputs: &Inputs<'_>) -> Proposal {
    let chunks = inputs.server.timescale.as_ref().map_or(0, |timescale| timescale.max_chunks);
    let is_short = inputs.configured("autovacuum_naptime") == Some(SHORT_NAP);
    if chunks >= if is_short { FEWER_CHUNKS } else { MANY_CHUNKS } {
        return Proposal::Set(SHORT_NAP, format!("a hypertable has {chunks} chunks"));
    }
    Proposal::time(30_000, "a table that grows is looked at twice a minute")
}

pub(super) fn autovacuum_vacuum_cost_limit(inputs: &Inputs<'_>) -> Proposal {
    let many_cpus = inputs.cpus.is_some_and(|cpus| cpus >= 16);
    match inputs.media {
        Media::Hdd => Proposal::int(300, "a rotating disk has little to spare"),
        Media::Unknown => Proposal::int(300, "unknown storage is treated as a disk"),
        Media::Ssd | Media::Network => Proposal::int(1000, "the default 200 dirties at most 39MB/s"),
        Media::Nvme if many_cpus => Proposal::int(4000, "NVMe and 16 CPUs; the default 200 is 39MB/s"),
        Media::Nvme => Proposal::int(2000, "NVMe; the default 200 dirties at most 39MB/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::proposed_text;
    use super::super::testing::{dedicated, with_timescaledb};
    use super::*;
    use crate::model::units::Bytes;

    #[test]
    fn vacuum_cases() {
        let rows = [
            (Bytes::gib(4), 2, Media::Ssd, ["2", "1000"]),
            (Bytes::gib(8), 4, Media::Hdd, ["3", "300"]),
            (Bytes::gib(8), 4, Media::Unknown, ["3", "300"]),
            (Bytes::gib(16), 8, Media::Nvme, ["4", "2000"]),
            (Bytes::gib(64), 16, Media::Nvme, ["4", "4000"]),
        ];
        for (memory, cpus, media, want) in rows {
            let facts = dedicated(memory, cpus, media);
            let names = ["autovacuum_max_workers", "autovacuum_vacuum_cost_limit"];
            assert_eq!(names.map(|name| proposed_text(&facts, name)), want, "{memory} {media:?}");
        }
    }

    #[test]
    fn many_chunks_are_looked_at_more_often() {
        for (chunks, want) in [(0, "30s"), (99, "30s"), (100, "15s")] {
            let mut facts = dedicated(Bytes::gib(8), 4, Media::Ssd);
            with_timescaledb(&mut facts, chunks, 1);
            assert_eq!(proposed_text(&facts, "autovacuum_naptime"), want, "{chunks} chunks");
        }
    }
}
