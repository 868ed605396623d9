//! What was read last, by collector; and what reading it cost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::warn;

use super::locked;
use crate::client::Reach;
use crate::client::postgres::{Limit, PgError};
use crate::collect::Absence;
use crate::collect::sql::{Made, Query};
use crate::model::error::chain;
use crate::model::metric::Family;

/// A collector that ran into a time limit is left alone for this long, then twice as long, so that one slow view does
/// not cost every scrape its limit.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What a reading came to.
pub(super) enum Found {
    /// With a failure where a part of it is missing.
    Made {
        made: Made,
        rows: usize,
        rest: usize,
        failure: Option<Failure>,
    },
    Nothing(Absence),
    Failed(Failure),
}

/// What matters of an error once it is said.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    said: String,
    /// The session was lost, which is said for all of its collectors.
    lost: bool,
    limit: Option<Limit>,
}

impl Failure {
    pub(super) fn of(error: &PgError) -> Self {
        Self { said: chain(error), lost: error.is_lost(), limit: error.limit() }
    }
}

/// A collector's last round.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    /// One of [`crate::collect::LABELS`].
    pub(super) outcome: &'static str,
    pub(super) took: Duration,
    pub(super) at: Option<Instant>,
    pub(super) succeeded: Option<Instant>,
    pub(super) made: Made,
    pub(super) rows: usize,
    /// Rows that are summed up in one.
    pub(super) rest: usize,
    pub(super) missing_right: Option<&'static str>,
    pub(super) timeouts: Timeouts,
    /// That it fails was logged.
    told: bool,
    pause: Option<Pause>,
}

/// How often a reading ran into a limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timeouts {
    pub(super) statement: u64,
    pub(super) lock: u64,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

/// What all readings together cost the server.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    pub(super) statements: u64,
    pub(super) time: Duration,
    pub(super) connects: u64,
    /// Sessions that could not be had or were lost, by why.
    pub(super) errors: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
pub(super) struct Shelf {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    readings: BTreeMap<&'static str, Reading>,
    cost: Cost,
    duplicates: u64,
}

impl Shelf {
    /// Keeps what a round gave; a collector that fails is said once until it is good again.
    pub(super) fn put(&self, query: &Query, found: Found, took: Duration) {
        let mut held = self.held();
        let before = held.readings.remove(query.name).unwrap_or_default();
        held.cost.time += took;
        if let Found::Made { made, .. } = &found {
            held.duplicates += made.duplicates;
        }
        let reading = before.next(query.name, found, took);
        held.readings.insert(query.name, reading);
    }

    /// Adds a family to what a collector gave.
    pub(super) fn add(&self, name: &str, family: Arc<Family>) {
        if let Some(reading) = self.held().readings.get_mut(name) {
            reading.made.families.push(family);
        }
    }

    /// The families that a collector gave.
    pub(super) fn families(&self, name: &str) -> Vec<Arc<Family>> {
        self.held().readings.get(name).map(|it| it.made.families.clone()).unwrap_or_default()
    }

    /// Marks collectors as failed whose reading could not even begin; what they gave before stays, with its age.
    pub(super) fn spoil(&self, queries: &[&'static Query]) {
        let mut held = self.held();
        for query in queries {
            held.readings.entry(query.name).or_default().outcome = "error";
        }
    }

    /// Double samples that were left out since this was asked last.
    pub(super) fn take_duplicates(&self) -> u64 {
        std::mem::take(&mut self.held().duplicates)
    }

    /// Counts statements that were sent.
    pub(super) fn count_statements(&self, statements: u64) {
        self.held().cost.statements += statements;
    }

    pub(super) fn count_connect(&self) {
        self.held().cost.connects += 1;
    }

    pub(super) fn count_error(&self, reach: Reach) {
        *self.held().cost.errors.entry(reach.as_label()).or_default() += 1;
    }

    pub(super) fn cost(&self) -> Cost {
        self.held().cost.clone()
    }

    /// Whether a collector is left alone for now.
    pub(super) fn is_paused(&self, name: &str, now: Instant) -> bool {
        self.held().readings.get(name).is_some_and(|it| it.is_paused(now))
    }

    /// Whether a scrape should read a collector: it is not left alone, and its last good round is old enough.
    pub(super) fn is_due(&self, query: &Query, now: Instant) -> bool {
        let held = self.held();
        let Some(reading) = held.readings.get(query.name) else { return true };
        let is_young = |at| now.saturating_duration_since(at) < query.cadence.period();
        let is_fresh = reading.outcome != "error" && reading.at.is_some_and(is_young);
        !(is_fresh || reading.is_paused(now))
    }

    /// A copy that shares the families.
    pub(super) fn readings(&self) -> BTreeMap<&'static str, Reading> {
        self.held().readings.clone()
    }

    /// A server that is down has no values; old ones would look like a server that stands still.
    pub(super) fn empty(&self) {
        for reading in self.held().readings.values_mut() {
            reading.made = Made::default();
            reading.outcome = "error";
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        locked(&self.held)
    }
}

impl Reading {
    fn is_paused(&self, now: Instant) -> bool {
        self.pause.is_some_and(|pause| now < pause.until)
    }

    /// The families, shared.
    pub(super) fn families(&self) -> &[Arc<Family>] {
        &self.made.families
    }

    fn next(self, name: &'static str, found: Found, took: Duration) -> Self {
        let now = Instant::now();
        let good =
            Self { took, at: Some(now), succeeded: Some(now), timeouts: self.timeouts, ..Self::default() };
        match found {
            Found::Made { made, rows, rest, failure } => {
                let reading = Self { outcome: "ok", made, rows, rest, ..good };
                failure.into_iter().fold(reading, |reading, failure| self.failed(name, &failure, reading))
            }
            Found::Nothing(absence) => {
                let missing_right =
                    if let Absence::MissingRight(right) = absence { Some(right) } else { None };
                Self { outcome: "nothing", missing_right, ..good }
            }
            Found::Failed(failure) => self.failed(name, &failure, good),
        }
    }

    fn failed(&self, name: &'static str, failure: &Failure, base: Self) -> Self {
        if !self.told && !failure.lost {
            warn!(collector = name, error = failure.said, "collector {name} gave nothing, or not all");
        }
        let mut timeouts = self.timeouts;
        match failure.limit {
            Some(Limit::Lock) => timeouts.lock += 1,
            Some(Limit::Statement) => timeouts.statement += 1,
            None => {}
        }
        Self {
            outcome: "error",
            succeeded: self.succeeded,
            told: self.told || !failure.lost,
            timeouts,
            pause: failure.limit.map(|_| Pause::after(self.pause)),
            ..base
        }
    }
}

impl Pause {
    fn after(before: Option<Self>) -> Self {
        let length = before.map_or(FIRST_PAUSE, |before| (before.length * 2).min(LONGEST_PAUSE));
        Self { until: Instant::now() + length, length }
    }
}
