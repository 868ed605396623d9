//! What a SQL collector is: statements by version, and what their columns mean. Data only; `run` does the work.

use std::time::Duration;

use super::rights::Right;
use super::row::Fields;
use crate::model::metric::{Desc, Family, Kind};

/// The oldest major that we speak to.
pub const OLDEST: u32 = 14;

/// A SQL collector.
#[derive(Debug)]
pub struct Query {
    /// Names the collector in `pgpilot_collector_outcome` and on the reference page.
    pub name: &'static str,
    /// Why an operator cares: one sentence.
    pub why: &'static str,
    pub scope: Scope,
    pub cadence: Cadence,
    /// Without this extension in the database there is nothing to read.
    pub extension: Option<&'static str>,
    /// What the role must have beyond `pg_monitor`.
    pub needs: &'static [&'static Right],
    /// Newest first; the first whose `since` is at most the server's major is run.
    pub sql: &'static [Sql],
    pub shape: Shape,
    /// Bounds the rows; what is left out is summed up in one more.
    pub top: Option<Top>,
    /// The source forgets rows when it is full, so that its sums fall: they are shown as if they did not.
    pub evicts: bool,
    /// For the reference page: what a reading costs the server, where that is not the usual for its cadence.
    pub cost: &'static str,
}

/// What most collectors have in common: the constants take the rest from here.
pub(super) const FAST: Query = Query {
    name: "",
    why: "",
    scope: Scope::Server,
    cadence: Cadence::Fast,
    extension: None,
    needs: &[],
    sql: &[],
    shape: Shape::Columns { labels: &[], columns: &[] },
    top: None,
    evicts: false,
    cost: "",
};

/// As [`FAST`], but at most every ten seconds.
pub(super) const TEN_SECONDS: Query = Query { cadence: Cadence::TenSeconds, ..FAST };

/// As [`FAST`], but read once a minute.
pub(super) const MINUTE: Query = Query { cadence: Cadence::Minute, ..FAST };

/// As [`MINUTE`], in each database.
pub(super) const EACH_DATABASE: Query = Query { scope: Scope::Database, ..MINUTE };

/// Where a statement must run to see everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In any database.
    Server,
    /// In each database by itself.
    Database,
}

/// How often a collector is worth running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cadence {
    /// Reads shared memory in a few milliseconds: at every scrape.
    Fast,
    /// As cheap, but changes slowly or is seldom there at all: scrapes within ten seconds share it, so that a second
    /// Prometheus costs nothing more.
    TenSeconds,
    /// Walks catalogs or folders.
    Minute,
    /// Opens relations or walks the files of whole databases.
    TenMinutes,
    /// Reads statistics of every column.
    Hour,
}

impl Cadence {
    /// The pause between two readings; none where each scrape has its own.
    pub const fn period(self) -> Duration {
        match self {
            Self::Fast => Duration::ZERO,
            Self::TenSeconds => Duration::from_secs(10),
            Self::Minute => Duration::from_secs(60),
            Self::TenMinutes => Duration::from_secs(600),
            Self::Hour => Duration::from_secs(3600),
        }
    }

    /// Whether it is read while a scrape waits, and not in the background.
    pub const fn is_of_scrapes(self) -> bool {
        matches!(self, Self::Fast | Self::TenSeconds)
    }

    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Fast => "at every scrape",
            Self::TenSeconds => "at a scrape, at most every ten seconds",
            Self::Minute => "every minute",
            Self::TenMinutes => "every ten minutes",
            Self::Hour => "every hour",
        }
    }
}

/// A statement and the first major that understands it.
#[derive(Debug)]
pub struct Sql {
    pub since: u32,
    /// The view whose columns the braces in the text ask for; see [`super::template`].
    pub view: &'static str,
    pub text: &'static str,
}

pub(super) const fn sql(since: u32, text: &'static str) -> Sql {
    Sql { since, view: "", text }
}

/// A statement that takes of the view's columns those that are there.
pub(super) const fn sql_of(view: &'static str, since: u32, text: &'static str) -> Sql {
    Sql { since, view, text }
}

/// How rows become families.
#[derive(Debug)]
pub enum Shape {
    /// A column is a metric; the label columns tell its samples apart.
    Columns { labels: &'static [&'static str], columns: &'static [Column] },
    /// A row is a metric.
    Rows { reads: &'static [&'static str], gives: &'static [Desc], decode: fn(&[&dyn Fields]) -> Vec<Family> },
}

/// Which rows are shown one by one.
#[derive(Debug, Clone, Copy)]
pub struct Top {
    pub most: Most,
    /// Columns that rank: a counter by its growth, a gauge by its value.
    pub by: &'static [&'static str],
    /// Labels that read `other` in the row that sums up the rest; rows that differ in other labels have a rest each.
    pub folds: &'static [&'static str],
}

/// How many, by the option that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Most {
    Databases,
    Relations,
    Statements,
    Fixed(usize),
}

/// What becomes of a column in the row that sums up the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    Sum,
    Max,
    /// A ratio or a point in time has no sum.
    Nothing,
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
    /// The last major that has it.
    pub until: u32,
    pub rest: Rest,
    /// Whether a real server was ever seen to give it.
    pub tried: bool,
    pub(super) factor: f64,
    only: Option<&'static [&'static str]>,
}

const fn column(column: &'static str, metric: &'static str, kind: Kind, help: &'static str) -> Column {
    Column {
        column,
        metric,
        kind,
        help,
        since: OLDEST,
        until: u32::MAX,
        rest: Rest::Sum,
        tried: true,
        factor: 1.0,
        only: None,
    }
}

pub(super) const fn counter(sql: &'static str, metric: &'static str, help: &'static str) -> Column {
    column(sql, metric, Kind::Counter, help)
}

pub(super) const fn gauge(sql: &'static str, metric: &'static str, help: &'static str) -> Column {
    column(sql, metric, Kind::Gauge, help)
}

/// Labels say it all; the value is 1.
pub(super) const fn info(metric: &'static str, help: &'static str) -> Column {
    column("", metric, Kind::Info, help).alone()
}

/// An [`info`] whose name has no `_info`: kept for existing dashboards.
pub(super) const fn one(metric: &'static str, help: &'static str) -> Column {
    column("", metric, Kind::Gauge, help).alone()
}

impl Column {
    /// Declares the first major that has the column.
    pub const fn since(self, major: u32) -> Self {
        Self { since: major, ..self }
    }

    /// Declares the last major that has the column.
    pub const fn until(self, major: u32) -> Self {
        Self { until: major, ..self }
    }

    /// Converts to base units: PostgreSQL counts time in milliseconds.
    pub const fn times(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// Takes only some of the query's labels.
    pub const fn only(self, labels: &'static [&'static str]) -> Self {
        Self { only: Some(labels), ..self }
    }

    /// The rest has the greatest of its rows.
    pub const fn max(self) -> Self {
        Self { rest: Rest::Max, ..self }
    }

    /// The rest has none of it.
    pub const fn alone(self) -> Self {
        Self { rest: Rest::Nothing, ..self }
    }

    /// Written after the documentation alone: no server at hand had it.
    pub const fn untried(self) -> Self {
        Self { tried: false, ..self }
    }

    /// Whether a server of this major has it.
    pub const fn is_in(&self, major: u32) -> bool {
        self.since <= major && major <= self.until
    }

    pub(super) fn desc(&self, labels: &'static [&'static str]) -> Desc {
        Desc { name: self.metric, kind: self.kind, labels: self.only.unwrap_or(labels), help: self.help }
    }
}

/// A metric with the majors that have it.
#[derive(Debug, Clone, Copy)]
pub struct Given {
    pub desc: Desc,
    pub since: u32,
    pub until: u32,
    pub tried: bool,
}

impl Query {
    /// The statement for a server of this major; none where the server is too old.
    pub fn statement(&self, major: u32) -> Option<&'static Sql> {
        self.sql.iter().find(|sql| sql.since <= major)
    }

    /// Every column that a server of this major returns.
    pub fn reads(&self, major: u32) -> Vec<&'static str> {
        match self.shape {
            Shape::Rows { reads, .. } => reads.to_vec(),
            Shape::Columns { labels, columns } => {
                let named = columns.iter().filter(|it| it.is_in(major) && !it.column.is_empty());
                let mut all: Vec<_> = labels.iter().copied().chain(named.map(|it| it.column)).collect();
                all.sort_unstable();
                all.dedup();
                all
            }
        }
    }

    /// The labels of its rows.
    pub const fn labels(&self) -> &'static [&'static str] {
        match self.shape {
            Shape::Columns { labels, .. } => labels,
            Shape::Rows { .. } => &[],
        }
    }

    /// Every metric.
    pub fn gives(&self) -> Vec<Given> {
        match self.shape {
            Shape::Rows { gives, .. } => {
                let given = |desc: &Desc| Given { desc: *desc, since: OLDEST, until: u32::MAX, tried: true };
                gives.iter().map(given).collect()
            }
            Shape::Columns { labels, columns } => columns
                .iter()
                .map(|it| Given { desc: it.desc(labels), since: it.since, until: it.until, tried: it.tried })
                .collect(),
        }
    }
}
