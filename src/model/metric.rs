//! Our neutral form of a scrape: collectors fill it, two encoders print it.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows. Named `…_total`, except where a name is kept for the sake of existing dashboards.
    Counter,
    Gauge,
    /// Always 1; what it says stands in its labels. Named `…_info`.
    Info,
}

impl Kind {
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Info => "info",
        }
    }
}

pub type Labels = Vec<(Cow<'static, str>, String)>;

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
        let pair = |(name, text): (&&'static str, &&str)| (Cow::Borrowed(*name), (*text).to_owned());
        Sample { labels: self.labels.iter().zip(labels).map(pair).collect(), value }
    }

    pub fn family(&self, samples: Vec<Sample>) -> Family {
        Family { name: self.name.into(), kind: self.kind, help: self.help.into(), samples }
    }

    /// The family of one sample without labels.
    pub fn single(&self, value: f64) -> Family {
        self.family(vec![self.sample(&[], value)])
    }
}

/// One scrape: families by name, no label set twice in a family.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    families: BTreeMap<Cow<'static, str>, Family>,
    /// Samples that were left out because their name and labels were there already.
    pub duplicates: u64,
}

impl Snapshot {
    /// Adds families; control characters in label values become spaces, for some readers refuse a whole scrape over
    /// one. A label set that is there already is left out and counted, since one double series makes Prometheus refuse
    /// everything else.
    pub fn extend(&mut self, families: impl IntoIterator<Item = Family>) {
        for family in families {
            let Family { name, kind, help, samples } = family;
            let held = self.families.entry(name.clone()).or_insert_with(|| Family {
                name,
                kind,
                help,
                samples: Vec::with_capacity(samples.len()),
            });
            for mut sample in samples {
                sample.labels.iter_mut().for_each(|(_, text)| clean(text));
                if held.samples.iter().any(|known| known.labels == sample.labels) {
                    self.duplicates += 1;
                } else {
                    held.samples.push(sample);
                }
            }
        }
    }

    pub fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.values()
    }

    pub fn series(&self) -> usize {
        self.families.values().map(|family| family.samples.len()).sum()
    }
}

fn clean(text: &mut String) {
    if text.contains(char::is_control) {
        *text = text.replace(char::is_control, " ");
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
}
