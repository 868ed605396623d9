//! A snapshot in OpenMetrics 1.0, through prometheus-client.

use std::borrow::Cow;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode as encode_text;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabel as _, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::model::metric::{Group, Histogram, Kind, Labels, Sample, Snapshot};

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The whole exposition, with its end mark.
pub(super) fn encode(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposed(snapshot)));
    let mut text = String::new();
    encode_text(&mut text, &registry)?;
    Ok(text)
}

/// prometheus-client wants something that can be walked at any time.
#[derive(Debug)]
struct Exposed(Snapshot);

impl Collector for Exposed {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.groups().try_for_each(|it| group(&mut encoder, it))
    }
}

type Write = fn(&mut MetricEncoder<'_>, &Sample) -> fmt::Result;

/// The standard asks counters to end in `_total`; the old names that do not are of type `unknown` here.
fn group(encoder: &mut DescriptorEncoder<'_>, group: &Group) -> fmt::Result {
    let family = group.head();
    let full = family.name.as_ref();
    let (name, kind, write): (&str, MetricType, Write) = match family.kind {
        Kind::Counter => match full.strip_suffix("_total") {
            Some(name) => (name, MetricType::Counter, counter),
            None => (full, MetricType::Unknown, gauge),
        },
        Kind::Info => (full.strip_suffix("_info").unwrap_or(full), MetricType::Info, info),
        Kind::Gauge => (full, MetricType::Gauge, gauge),
        Kind::Histogram => (full, MetricType::Histogram, gauge),
    };
    let mut metric = encoder.encode_descriptor(name, &escape_help(&family.help), None, kind)?;
    group.samples().try_for_each(|it| write(&mut metric, it))?;
    group.histograms().try_for_each(|it| histogram(&mut metric, it))
}

fn histogram(metric: &mut MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let Histogram { labels, buckets, sum } = histogram;
    let write = |metric: &mut MetricEncoder<'_>| {
        metric.encode_histogram::<NoLabelSet>(*sum, histogram.count(), buckets, None)
    };
    labelled(metric, labels, write)
}

fn info(metric: &mut MetricEncoder<'_>, sample: &Sample) -> fmt::Result {
    metric.encode_info(&LabelSet(&sample.labels))
}

fn counter(metric: &mut MetricEncoder<'_>, sample: &Sample) -> fmt::Result {
    labelled(metric, &sample.labels, |metric| {
        metric.encode_counter::<NoLabelSet, _, f64>(&sample.value, None)
    })
}

fn gauge(metric: &mut MetricEncoder<'_>, sample: &Sample) -> fmt::Result {
    labelled(metric, &sample.labels, |metric| metric.encode_gauge(&sample.value))
}

/// An empty label set would be written as `{}`.
fn labelled(
    metric: &mut MetricEncoder<'_>,
    labels: &Labels,
    value: impl Fn(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if labels.is_empty() { value(metric) } else { value(&mut metric.encode_family(&LabelSet(labels))?) }
}

struct LabelSet<'a>(&'a Labels);

impl EncodeLabelSet for LabelSet<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (name, text) in self.0.iter() {
            (name.as_ref(), text.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// The library writes HELP as it is, and a line break in it ends the scrape.
fn escape_help(help: &str) -> Cow<'_, str> {
    if help.contains(['\\', '\n', '"']) {
        help.replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\"").into()
    } else {
        help.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::classic::tests::example;

    #[test]
    fn the_exposition_is_as_the_standard_wants_it() {
        let want = r##"# HELP pg_server Says \"hello\"\nto C:\\.
# TYPE pg_server info
pg_server_info{version="17.10"} 1
# HELP pg_stat_database_blks_hit Hits.
# TYPE pg_stat_database_blks_hit unknown
pg_stat_database_blks_hit{datname="a\"b\\c d"} 3.0
# HELP pg_stat_wal_bytes WAL.
# TYPE pg_stat_wal_bytes counter
pg_stat_wal_bytes_total 1.5
# HELP pg_took_seconds Took.
# TYPE pg_took_seconds histogram
pg_took_seconds_sum{way="up"} 3.5
pg_took_seconds_count{way="up"} 3
pg_took_seconds_bucket{le="0.5",way="up"} 2
pg_took_seconds_bucket{le="1.0",way="up"} 2
pg_took_seconds_bucket{le="+Inf",way="up"} 3
# HELP pg_up Up.
# TYPE pg_up gauge
pg_up 1.0
# EOF
"##;
        assert_eq!(encode(example()).unwrap(), want);
    }
}
