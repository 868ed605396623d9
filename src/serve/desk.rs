//! Where readings become families: bounded, ranked, and put on the shelf.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::locked;
use super::shelf::{Failure, Found, Shelf};
use crate::collect::Absence;
use crate::collect::sql::{self, Ground, Most, Query, Ran, Ranking, Row, Settled, Top};

/// How much is shown; none: everything.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub databases: Option<usize>,
    pub relations: Option<usize>,
    pub statements: Option<usize>,
    /// Series that one collector may give.
    pub series: Option<usize>,
    /// Whether texts of statements are shown.
    pub texts: bool,
}

impl Bounds {
    pub(super) const fn most(&self, most: Most) -> Option<usize> {
        match most {
            Most::Databases => self.databases,
            Most::Relations => self.relations,
            Most::Statements => self.statements,
            Most::Fixed(most) => Some(most),
        }
    }
}

pub(super) struct Desk {
    pub(super) shelf: Shelf,
    pub(super) bounds: Bounds,
    rankings: Mutex<HashMap<&'static str, Ranking>>,
    /// The databases that are shown by name, where not all are.
    named: Mutex<Option<Vec<String>>>,
    /// The rights that the role lacked when a session was opened last.
    missing: Mutex<Vec<&'static str>>,
}

impl Desk {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (shelf, rankings, named, missing) = Default::default();
        Self { shelf, bounds, rankings, named, missing }
    }

    /// As in [`crate::collect::sql::template::fill`].
    pub(super) fn named(&self) -> Option<Vec<String>> {
        locked(&self.named).clone()
    }

    /// Notes what a new session found of our rights: they may have been granted since the last one.
    pub(super) fn note_rights(&self, ground: &Ground) {
        *locked(&self.missing) = ground.missing().map(|right| right.name).collect();
    }

    pub(super) fn missing_rights(&self) -> Vec<&'static str> {
        locked(&self.missing).clone()
    }

    /// Takes one query's whole result.
    pub(super) fn take(&self, ran: Ran) {
        let Ran { query, found, took } = ran;
        let found = match found {
            Ok(sql::Found::Rows(rows)) => {
                rows.into_iter().for_each(|row| self.push(query, row));
                return self.settle(query, took, None);
            }
            Ok(sql::Found::Families(made, rows)) => Found::Made { made, rows, rest: 0, failure: None },
            Ok(sql::Found::Nothing(absence)) => Found::Nothing(absence),
            Err(error) => Found::Failed(Failure::of(&error)),
        };
        self.shelf.put(query, found, took);
    }

    /// Takes a row of a result that comes in parts.
    pub(super) fn push(&self, query: &'static Query, row: Row) {
        let top = query.top.unwrap_or(Top { most: Most::Fixed(0), by: &[], folds: &[] });
        let most = query.top.and_then(|top| self.bounds.most(top.most));
        let mut rankings = locked(&self.rankings);
        rankings.entry(query.name).or_insert_with(|| Ranking::new(query, &top, most)).push(row);
    }

    /// Ends a result that came in parts, of which some may be missing.
    pub(super) fn settle(&self, query: &'static Query, took: Duration, failure: Option<Failure>) {
        let settled = locked(&self.rankings).get_mut(query.name).map(|it| it.settle(Instant::now()));
        let Settled { rows, shown, rest } = settled.unwrap_or(Settled { rows: vec![], shown: 0, rest: 0 });
        if query.name == DECIDES {
            *locked(&self.named) = (rest > 0).then(|| names(query, &rows[..shown]));
        }
        let made = sql::families(query, &rows, self.bounds.series);
        self.shelf.put(query, Found::Made { made, rows: shown + rest, rest, failure }, took);
    }

    /// Forgets the parts of a result that has no end.
    pub(super) fn discard(&self, query: &'static Query) {
        if let Some(ranking) = locked(&self.rankings).get_mut(query.name) {
            ranking.discard();
        }
    }

    /// Forgets the rows of one database, of which not all came.
    pub(super) fn forget(&self, query: &'static Query, database: &str) {
        if let Some(ranking) = locked(&self.rankings).get_mut(query.name) {
            ranking.forget(query, database);
        }
    }

    /// Ends a result of which nothing came.
    pub(super) fn fail(&self, query: &'static Query, took: Duration, failure: Failure) {
        self.discard(query);
        self.shelf.put(query, Found::Failed(failure), took);
    }

    pub(super) fn nothing(&self, query: &'static Query, absence: Absence) {
        self.shelf.put(query, Found::Nothing(absence), Duration::ZERO);
    }
}

/// The collector whose rows are the databases that all others show by name.
const DECIDES: &str = "database";

/// The label `datname` of rows.
fn names(query: &Query, rows: &[Row]) -> Vec<String> {
    let at = query.labels().iter().position(|label| *label == "datname");
    rows.iter().filter_map(|row| row.labels.get(at?).cloned()).collect()
}
