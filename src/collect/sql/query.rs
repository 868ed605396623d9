//! What a SQL collector is: statements by version, and what their columns mean. Data only; `run` does the work.

use std::time::Duration;

use crate::client::postgres::TextRow;
use crate::model::metric::{Desc, Family, Kind, Sample};

/// The oldest major that we speak to.
pub const OLDEST: u32 = 14;

/// A SQL collector.
#[derive(Debug)]
pub struct Query {
    /// Names the collector in `pgpilot_collector_outcome` and on the reference page.
    pub name: &'static str,
    /// Why an operator cares: one sentence.
    pub why: &'static str,
    pub cadence: Cadence,
    /// Newest first; the first whose `since` is at most the server's major is run.
    pub sql: &'static [Sql],
    pub shape: Shape,
}

/// How often a collector is worth running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// Reads shared memory in a few milliseconds: at every scrape.
    Fast,
    /// Walks files: once a minute, on a session of its own.
    Slow,
}

impl Cadence {
    /// The pause between two runs, where it is not the operator's to choose.
    ///
    /// A minute: `pg_database_size` costs 2 µs a file, and what it shows moves slowly.
    pub const SLOW: Duration = Duration::from_secs(60);

    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Fast => "every scrape",
            Self::Slow => "every 60 s",
        }
    }
}

/// A statement and the first major that understands it.
#[derive(Debug)]
pub struct Sql {
    pub since: u32,
    pub text: &'static str,
}

/// How rows become families.
#[derive(Debug)]
pub enum Shape {
    /// A column is a metric; the label columns tell its samples apart.
    Columns { labels: &'static [&'static str], columns: &'static [Column] },
    /// A row is a metric.
    Rows { reads: &'static [&'static str], gives: &'static [Desc], decode: fn(&[&dyn Fields]) -> Vec<Family> },
}

/// A column that is a metric.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// In the result; empty where the value is always 1.
    pub column: &'static str,
    /// As it is exposed.
    pub metric: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    /// The first major that has it.
    pub since: u32,
    factor: f64,
    only: Option<&'static [&'static str]>,
}

const fn column(column: &'static str, metric: &'static str, kind: Kind, help: &'static str) -> Column {
    Column { column, metric, kind, help, since: OLDEST, factor: 1.0, only: None }
}

pub(super) const fn counter(sql: &'static str, metric: &'static str, help: &'static str) -> Column {
    column(sql, metric, Kind::Counter, help)
}

pub(super) const fn gauge(sql: &'static str, metric: &'static str, help: &'static str) -> Column {
    column(sql, metric, Kind::Gauge, help)
}

/// Labels say it all; the value is 1.
pub(super) const fn info(metric: &'static str, help: &'static str) -> Column {
    column("", metric, Kind::Info, help)
}

/// An [`info`] whose name has no `_info`: kept for existing dashboards.
pub(super) const fn one(metric: &'static str, help: &'static str) -> Column {
    column("", metric, Kind::Gauge, help)
}

impl Column {
    /// Declares the first major that has the column.
    pub const fn since(self, major: u32) -> Self {
        Self { since: major, ..self }
    }

    /// Converts to base units: PostgreSQL counts time in milliseconds.
    pub const fn times(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// Takes only some of the query's labels.
    pub const fn only(self, labels: &'static [&'static str]) -> Self {
        Self { only: Some(labels), ..self }
    }

    fn desc(&self, labels: &'static [&'static str]) -> Desc {
        Desc { name: self.metric, kind: self.kind, labels: self.only.unwrap_or(labels), help: self.help }
    }

    /// NULL is no sample.
    fn value(&self, row: &dyn Fields) -> Option<f64> {
        if self.column.is_empty() { Some(1.0) } else { row.number(self.column).map(|n| n * self.factor) }
    }

    fn family(&self, labels: &'static [&'static str], rows: &[&dyn Fields]) -> Family {
        let desc = self.desc(labels);
        let sample = |row: &&dyn Fields| -> Option<Sample> {
            let value = self.value(*row)?;
            let texts: Vec<&str> = desc.labels.iter().map(|name| row.get(name).unwrap_or_default()).collect();
            Some(desc.sample(&texts, value))
        };
        desc.family(rows.iter().filter_map(sample).collect())
    }
}

impl Query {
    /// The statement for a server of this major; none where the server is too old.
    pub fn statement(&self, major: u32) -> Option<&'static str> {
        self.sql.iter().find(|sql| sql.since <= major).map(|sql| sql.text)
    }

    /// Every column that a server of this major returns.
    pub fn reads(&self, major: u32) -> Vec<&'static str> {
        match self.shape {
            Shape::Rows { reads, .. } => reads.to_vec(),
            Shape::Columns { labels, columns } => {
                let named = columns.iter().filter(|it| it.since <= major && !it.column.is_empty());
                let mut all: Vec<_> = labels.iter().copied().chain(named.map(|it| it.column)).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        }
    }

    /// Every metric with the first major that has it.
    pub fn gives(&self) -> Vec<(Desc, u32)> {
        match self.shape {
            Shape::Rows { gives, .. } => gives.iter().map(|desc| (*desc, OLDEST)).collect(),
            Shape::Columns { labels, columns } => {
                columns.iter().map(|column| (column.desc(labels), column.since)).collect()
            }
        }
    }

    /// From the rows of a server of this major to families; one without samples is left out.
    pub fn decode(&self, major: u32, rows: &[&dyn Fields]) -> Vec<Family> {
        let mut families = match self.shape {
            Shape::Rows { decode, .. } => decode(rows),
            Shape::Columns { labels, columns } => {
                let known = columns.iter().filter(|column| column.since <= major);
                known.map(|column| column.family(labels, rows)).collect()
            }
        };
        families.retain(|family| !family.samples.is_empty());
        families
    }
}

/// A row by column names: a server's, or a test's.
pub trait Fields {
    fn get(&self, column: &str) -> Option<&str>;

    /// A number; `t` and `f` are 1 and 0.
    fn number(&self, column: &str) -> Option<f64> {
        match self.get(column)? {
            "t" => Some(1.0),
            "f" => Some(0.0),
            text => text.parse().ok(),
        }
    }
}

impl Fields for TextRow {
    fn get(&self, column: &str) -> Option<&str> {
        Self::get(self, column)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    impl Fields for BTreeMap<&str, &str> {
        fn get(&self, column: &str) -> Option<&str> {
            BTreeMap::get(self, column).copied()
        }
    }

    const QUERY: Query = Query {
        name: "example",
        why: "For tests.",
        cadence: Cadence::Fast,
        sql: &[Sql { since: 17, text: "new" }, Sql { since: 14, text: "old" }],
        shape: Shape::Columns {
            labels: &["a", "b"],
            columns: &[
                counter("ms", "x_seconds_total", "Time.").times(1e-3),
                gauge("late", "x_late", "Late.").since(17),
                one("x_static", "One.").only(&["a"]),
            ],
        },
    };

    #[test]
    fn the_newest_statement_that_fits_is_taken() {
        let rows = [(18, Some("new")), (17, Some("new")), (16, Some("old")), (13, None)];
        for (major, want) in rows {
            assert_eq!(QUERY.statement(major), want, "{major}");
        }
    }

    #[test]
    fn columns_are_read_by_name_and_null_is_no_sample() {
        let row = BTreeMap::from([("a", "1"), ("b", "2"), ("ms", "1500")]);
        let rows: [&dyn Fields; 1] = [&row];
        let families = QUERY.decode(17, &rows);
        let names: Vec<_> = families.iter().map(|family| family.name.as_ref()).collect();
        assert_eq!(names, ["x_seconds_total", "x_static"]);
        assert!((families[0].samples[0].value - 1.5).abs() < 1e-9);
        assert_eq!(families[1].samples[0].labels, [("a".into(), "1".to_owned())]);
        assert_eq!(QUERY.reads(16), ["a", "b", "ms"]);
    }
}
