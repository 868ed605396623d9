//! One walk through the databases: what each of them gives to the collectors that look into every one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::shelf::Failure;
use crate::client::postgres::{PgError, Session};
use crate::collect::Absence;
use crate::collect::sql::{Ground, Query, each};

/// What came of a collector over several databases.
#[derive(Default)]
struct Tally {
    took: Duration,
    /// Databases that gave rows or could have.
    good: usize,
    absent: Option<Absence>,
    /// By database.
    failures: Vec<(String, Failure)>,
}

/// The collectors of a walk, with what came of them so far.
pub(super) struct Visits<'a> {
    desk: &'a Desk,
    queries: Vec<&'static Query>,
    tallies: BTreeMap<&'static str, Tally>,
}

impl<'a> Visits<'a> {
    /// What an earlier walk left unfinished is forgotten.
    pub(super) fn new(desk: &'a Desk, queries: Vec<&'static Query>) -> Self {
        queries.iter().for_each(|query| desk.discard(query));
        Self { desk, queries, tallies: BTreeMap::new() }
    }

    /// Runs every collector in one database.
    pub(super) async fn visit(&mut self, session: &Session, ground: &Ground) {
        for query in &self.queries {
            let began = Instant::now();
            let tally = self.tallies.entry(query.name).or_default();
            match ground.statement(query, None) {
                Err(absence) => tally.lack(absence),
                Ok(sql) => match each(session, query, &sql, |row| self.desk.push(query, row)).await {
                    Ok(()) => tally.good += 1,
                    Err(error) => {
                        self.desk.forget(query, &ground.database);
                        tally.fail(&ground.database, &error);
                    }
                },
            }
            tally.took += began.elapsed();
        }
    }

    /// Notes a database that could not be looked into.
    pub(super) fn miss(&mut self, database: &str, error: &PgError) {
        for query in &self.queries {
            self.tallies.entry(query.name).or_default().fail(database, error);
        }
    }

    pub(super) fn has_failures(&self) -> bool {
        self.tallies.values().any(|tally| !tally.failures.is_empty())
    }

    /// Forgets failures in databases that were dropped meanwhile, which is no fault.
    pub(super) fn forgive(&mut self, still: &[String]) {
        self.tallies.values_mut().for_each(|tally| tally.failures.retain(|(name, _)| still.contains(name)));
    }

    /// Puts what came of the collectors on the desk.
    pub(super) fn settle(mut self) {
        for query in &self.queries {
            let tally = self.tallies.remove(query.name).unwrap_or_default();
            let failure = tally.failures.into_iter().next().map(|(_, failure)| failure);
            match (tally.good, failure, tally.absent) {
                (0, Some(failure), _) => self.desk.fail(query, tally.took, failure),
                (0, None, Some(absence)) => self.desk.nothing(query, absence),
                (_, failure, _) => self.desk.settle(query, tally.took, failure),
            }
        }
    }
}

impl Tally {
    /// A right that is missing in one database says more than an extension that is not in another.
    fn lack(&mut self, absence: Absence) {
        if !matches!(self.absent, Some(Absence::MissingRight(_))) {
            self.absent = Some(absence);
        }
    }

    fn fail(&mut self, database: &str, error: &PgError) {
        self.failures.push((database.to_owned(), Failure::of(error)));
    }
}
