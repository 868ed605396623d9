//! Our neutral form of a scrape: collectors fill it, two encoders print it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub use super::labels::{Label, Labels, label_set};

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows. Named `…_total`, except where a name is kept for the sake of existing dashboards.
    Counter,
    Gauge,
    /// Always 1; what it says stands in its labels. Named `…_info`.
    Info,
    /// Observations by size.
    Histogram,
}

impl Kind {
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
            Self::Histogram => "histogram",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub labels: Labels,
    pub value: f64,
}

/// All samples of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The name as it is exposed, `_total` and `_info` included.
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub help: Cow<'static, str>,
    pub samples: Vec<Sample>,
    /// What a histogram has instead of samples.
    pub histograms: Vec<Histogram>,
}

/// Observations by size.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    pub labels: Labels,
    /// Upper bounds, the last of them infinite, with the observations above the bound before.
    pub buckets: Vec<(f64, u64)>,
    /// Of all observations.
    pub sum: f64,
}

impl Histogram {
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

impl Family {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty()
    }

    /// How many series it is; a histogram has its sum and count besides the buckets.
    pub fn series(&self) -> usize {
        self.samples.len() + self.histograms.iter().map(|it| it.buckets.len() + 2).sum::<usize>()
    }

    /// Makes the family fit to be exposed, and returns how many samples that cost.
    ///
    /// A label set that is there already is left out, since one double series makes Prometheus refuse everything else.
    pub fn tidy(&mut self) -> u64 {
        let before = self.samples.len();
        #[expect(clippy::mutable_key_type, reason = "what is written once is not what is compared")]
        let mut seen = HashSet::with_capacity(before);
        self.samples.retain(|sample| seen.insert(sample.labels.clone()));
        (before - self.samples.len()) as u64
    }
}

/// What is known of a family before it has a sample: the reference page and the tests read this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Desc {
    /// As [`Family::name`].
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

impl Desc {
    /// A sample with the values of the labels in their order.
    pub fn sample(&self, labels: &[&str], value: f64) -> Sample {
        debug_assert_eq!(labels.len(), self.labels.len(), "{}", self.name);
        Sample { labels: label_set(self.labels, labels.iter().copied()), value }
    }

    pub fn family(&self, samples: Vec<Sample>) -> Family {
        let histograms = vec![];
        Family { name: self.name.into(), kind: self.kind, help: self.help.into(), samples, histograms }
    }

    /// The family of a histogram.
    pub fn histogram(&self, histograms: Vec<Histogram>) -> Family {
        Family { histograms, ..self.family(vec![]) }
    }

    /// The family of one sample without labels.
    pub fn single(&self, value: f64) -> Family {
        self.family(vec![self.sample(&[], value)])
    }
}

/// One scrape: families by name, no label set twice in a family.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    groups: BTreeMap<Cow<'static, str>, Group>,
    /// Samples that were left out because their name and labels were there already.
    pub duplicates: u64,
}

/// Families of one name, which several readings may give.
#[derive(Debug, Clone, Default)]
pub struct Group(Vec<Arc<Family>>);

impl Snapshot {
    /// Adds families; their double samples are left out and counted.
    pub fn extend(&mut self, families: impl IntoIterator<Item = Family>) {
        for mut family in families {
            self.duplicates += family.tidy();
            self.share(&Arc::new(family));
        }
    }

    /// Adds a family that was made tidy before, without copying it.
    pub fn share(&mut self, family: &Arc<Family>) {
        if family.is_empty() {
            return;
        }
        let group = self.groups.entry(family.name.clone()).or_default();
        if group.0.is_empty() {
            group.0.push(family.clone());
        } else {
            self.duplicates += group.join(family);
        }
    }

    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    pub fn series(&self) -> usize {
        self.groups().flat_map(|group| &group.0).map(|family| family.series()).sum()
    }
}

impl Group {
    /// A name that was there already: whatever it is, it must not be there twice.
    fn join(&mut self, family: &Arc<Family>) -> u64 {
        #[expect(clippy::mutable_key_type, reason = "what is written once is not what is compared")]
        let known: HashSet<&Labels> = self.samples().map(|sample| &sample.labels).collect();
        let mut fresh = Family::clone(family);
        fresh.samples.retain(|sample| !known.contains(&sample.labels));
        let left_out = family.samples.len() - fresh.samples.len();
        self.0.push(Arc::new(fresh));
        left_out as u64
    }

    /// The first family, which has name, type and help for all of them.
    pub fn head(&self) -> &Family {
        &self.0[0]
    }

    pub fn histograms(&self) -> impl Iterator<Item = &Histogram> {
        self.0.iter().flat_map(|family| &family.histograms)
    }

    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter().flat_map(|family| &family.samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_series_is_left_out_and_counted() {
        let mut snapshot = Snapshot::default();
        const UP: Desc = Desc { name: "pg_up", kind: Kind::Gauge, labels: &[], help: "Whether it is up." };
        let family = || UP.single(1.0);
        snapshot.extend([family(), family()]);
        assert_eq!((snapshot.series(), snapshot.duplicates), (1, 1));
    }

    #[test]
    fn a_name_that_comes_twice_is_one_group_without_doubles() {
        const SIZE: Desc = Desc { name: "pg_size", kind: Kind::Gauge, labels: &["datname"], help: "Size." };
        let family = |names: &[&str]| {
            let sample = |name: &&str| SIZE.sample(&[name], 1.0);
            Arc::new(SIZE.family(names.iter().map(sample).collect()))
        };
        let mut snapshot = Snapshot::default();
        snapshot.share(&family(&["a", "b"]));
        snapshot.share(&family(&["b", "c"]));
        assert_eq!((snapshot.series(), snapshot.duplicates, snapshot.groups().count()), (3, 1, 1));
    }
}
