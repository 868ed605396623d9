//! A snapshot in Prometheus' classic text form, which knows counters without `_total`; for everyone who asks for
//! nothing else.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::model::metric::{Group, Histogram, Kind, Label, Sample, Snapshot};

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A series takes about a hundred bytes: the text is not moved while it grows.
const SERIES_BYTES: usize = 120;

/// The whole exposition.
pub(super) fn encode(snapshot: &Snapshot) -> Result<String, fmt::Error> {
    let mut text = String::with_capacity(snapshot.series() * SERIES_BYTES);
    snapshot.groups().try_for_each(|it| group(&mut text, it))?;
    Ok(text)
}

fn group(text: &mut String, group: &Group) -> fmt::Result {
    let family = group.head();
    let name = &family.name;
    // The form has no type `info`.
    let kind = if family.kind == Kind::Info { Kind::Gauge } else { family.kind };
    let help = family.help.replace('\\', r"\\").replace('\n', r"\n");
    write!(text, "# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_label())?;
    group.samples().try_for_each(|it| sample(text, name, it))?;
    group.histograms().try_for_each(|it| histogram(text, name, it))
}

/// Buckets hold what is at most their bound, in this form.
fn histogram(text: &mut String, name: &str, histogram: &Histogram) -> fmt::Result {
    let mut count = 0;
    for (bound, own) in &histogram.buckets {
        count += own;
        let bound = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
        let le = [(Cow::Borrowed("le"), bound)];
        let labels = histogram.labels.iter().chain(&le).cloned().collect();
        sample(text, &format!("{name}_bucket"), &Sample { labels, value: count as f64 })?;
    }
    let labels = || histogram.labels.clone();
    sample(text, &format!("{name}_sum"), &Sample { labels: labels(), value: histogram.sum })?;
    sample(text, &format!("{name}_count"), &Sample { labels: labels(), value: count as f64 })
}

fn sample(text: &mut String, name: &str, sample: &Sample) -> fmt::Result {
    text.push_str(name);
    text.push_str(sample.labels.written(labels));
    match sample.value {
        value if value.is_infinite() => writeln!(text, " {}Inf", if value > 0.0 { '+' } else { '-' }),
        value => writeln!(text, " {value}"),
    }
}

/// With the braces; nothing where there are none.
fn labels(labels: &[Label]) -> String {
    let mut text = String::new();
    for (at, (label, value)) in labels.iter().enumerate() {
        text.push(if at == 0 { '{' } else { ',' });
        text.push_str(label);
        text.push_str("=\"");
        escape(&mut text, value);
        text.push('"');
    }
    if !labels.is_empty() {
        text.push('}');
    }
    text
}

/// Names seldom have one of these: they are copied whole.
fn escape(text: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        return text.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            _ => text.push(c),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::metric::{Desc, Labels};

    /// One family of each kind, with a label that wants to break out.
    pub(in crate::serve) fn example() -> Snapshot {
        let desc = |name, kind, labels, help| Desc { name, kind, labels, help };
        let info = desc("pg_server_info", Kind::Info, &["version"], "Says \"hello\"\nto C:\\.");
        let hits = desc("pg_stat_database_blks_hit", Kind::Counter, &["datname"], "Hits.");
        let took = desc("pg_took_seconds", Kind::Histogram, &["way"], "Took.");
        let mut snapshot = Snapshot::default();
        snapshot.extend([
            desc("pg_up", Kind::Gauge, &[], "Up.").single(1.0),
            desc("pg_stat_wal_bytes_total", Kind::Counter, &[], "WAL.").single(1.5),
            hits.family(vec![hits.sample(&["a\"b\\c\nd"], 3.0)]),
            info.family(vec![info.sample(&["17.10"], 1.0)]),
            took.histogram(vec![Histogram {
                labels: [("way".into(), "up".to_owned())].into_iter().collect(),
                buckets: vec![(0.5, 2), (1.0, 0), (f64::INFINITY, 1)],
                sum: 3.5,
            }]),
            desc("pg_empty", Kind::Gauge, &[], "Nothing.").family(vec![]),
        ]);
        snapshot
    }

    #[test]
    fn the_exposition_is_as_old_readers_want_it() {
        let want = r#"# HELP pg_server_info Says "hello"\nto C:\\.
# TYPE pg_server_info gauge
pg_server_info{version="17.10"} 1
# HELP pg_stat_database_blks_hit Hits.
# TYPE pg_stat_database_blks_hit counter
pg_stat_database_blks_hit{datname="a\"b\\c d"} 3
# HELP pg_stat_wal_bytes_total WAL.
# TYPE pg_stat_wal_bytes_total counter
pg_stat_wal_bytes_total 1.5
# HELP pg_took_seconds Took.
# TYPE pg_took_seconds histogram
pg_took_seconds_bucket{way="up",le="0.5"} 2
pg_took_seconds_bucket{way="up",le="1"} 2
pg_took_seconds_bucket{way="up",le="+Inf"} 3
pg_took_seconds_sum{way="up"} 3.5
pg_took_seconds_count{way="up"} 3
# HELP pg_up Up.
# TYPE pg_up gauge
pg_up 1
"#;
        assert_eq!(encode(&example()).unwrap(), want);
        assert_eq!(example().series(), 9);
    }

    #[test]
    fn numbers_that_are_none_have_their_words() {
        let mut text = String::new();
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e15, -1.0] {
            sample(&mut text, "x", &Sample { labels: Labels::default(), value }).unwrap();
        }
        assert_eq!(text, "x +Inf\nx -Inf\nx NaN\nx 1000000000000000\nx -1\n");
    }
}
