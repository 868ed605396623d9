//! One session that reads on demand: opened when first needed, reopened with back-off; what it read last is shared.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::own::Round;
use crate::client::postgres::{Lane, PgError, Session};
use crate::client::{Reach, Target};
use crate::collect::sql::{Query, run};
use crate::collect::{CollectError, Outcome, Report};
use crate::model::error::chain;
use crate::model::metric::Family;

/// The pauses between attempts to connect: doubling, so that a server that comes back is seen soon and one that
/// stays away costs little. 15 s is the usual pause between scrapes.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

pub(super) struct Feed {
    target: Option<Target>,
    lane: Lane,
    queries: Vec<&'static Query>,
    /// Results younger than this are shared by everyone who asks.
    every: Duration,
    /// Locked while reading, so that ten scrapers cost what one costs.
    link: tokio::sync::Mutex<Link>,
    held: Mutex<Held>,
}

/// The session, or when to try again.
#[derive(Default)]
struct Link {
    open: Option<Open>,
    retry: Option<Retry>,
}

struct Open {
    session: Session,
    major: u32,
}

struct Retry {
    at: Instant,
    pause: Duration,
}

/// What was read last.
struct Held {
    reach: Reach,
    /// When the last good round began.
    began: Option<Instant>,
    readings: BTreeMap<&'static str, Reading>,
}

/// A collector's last round.
struct Reading {
    outcome: &'static str,
    took: Duration,
    at: Instant,
    succeeded: Option<Instant>,
    /// That it fails was logged.
    told: bool,
    families: Vec<Family>,
}

/// Why there is no session.
struct Down {
    reach: Reach,
    said: String,
    hint: &'static str,
}

impl Down {
    fn of(error: &PgError) -> Self {
        Self { reach: Reach::of(error), said: chain(error), hint: error.hint().unwrap_or_default() }
    }
}

impl Feed {
    pub(super) fn new(
        target: Option<Target>,
        lane: Lane,
        queries: Vec<&'static Query>,
        every: Duration,
    ) -> Self {
        let reach = if target.is_some() { Reach::Starting } else { Reach::Unconfigured };
        let held = Held { reach, began: None, readings: BTreeMap::new() };
        Self { target, lane, queries, every, link: Default::default(), held: Mutex::new(held) }
    }

    pub(super) fn reach(&self) -> Reach {
        self.held().reach
    }

    /// Whether there was a good round.
    pub(super) fn has_read(&self) -> bool {
        self.held().began.is_some()
    }

    /// Reads anew unless what is held is fresh, or the server is down and was tried a moment ago.
    pub(super) async fn refresh(&self) {
        let mut link = self.link.lock().await;
        let Some(target) = &self.target else { return };
        if self.is_fresh() || link.is_waiting() {
            return;
        }
        let began = Instant::now();
        match self.read(target, &mut link).await {
            Ok(()) => self.rise(began),
            Err(down) => *link = self.fall(&down, link.retry.take()),
        }
    }

    /// Drops what was read, when another feed found that the server is down.
    pub(super) fn forget(&self) {
        self.held().empty();
    }

    /// One round on the session, a new one if need be.
    async fn read(&self, target: &Target, link: &mut Link) -> Result<(), Down> {
        let open = match link.open.take().filter(|open| !open.session.is_closed()) {
            Some(open) => open,
            None => self.open(target).await.map_err(|error| Down::of(&error))?,
        };
        let lost = Mutex::new(None);
        run(&open.session, open.major, &self.queries, |report| {
            if let Err(CollectError::Postgres(error)) = &report.outcome
                && error.is_lost()
            {
                locked(&lost).get_or_insert(Down::of(error));
            }
            self.take(report);
        })
        .await;
        let lost = locked(&lost).take();
        lost.map_or(Ok(()), Err)?;
        *link = Link { open: Some(open), retry: None };
        Ok(())
    }

    async fn open(&self, target: &Target) -> Result<Open, PgError> {
        let session = target.connect(&self.lane).await?;
        let sql = "select current_setting('server_version_num')::int / 10000 as major";
        let row = session.row("reading the server's version", sql).await?;
        let major = row.get("major").and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Open { session, major })
    }

    fn is_fresh(&self) -> bool {
        let held = self.held();
        held.reach == Reach::Up && held.began.is_some_and(|began| began.elapsed() < self.every)
    }

    fn rise(&self, began: Instant) {
        let mut held = self.held();
        held.began = Some(began);
        if std::mem::replace(&mut held.reach, Reach::Up) != Reach::Up {
            info!(session = self.lane.application_name, "reading from PostgreSQL");
        }
    }

    /// Said once for each way to be down, not at each scrape.
    fn fall(&self, down: &Down, before: Option<Retry>) -> Link {
        let mut held = self.held();
        if std::mem::replace(&mut held.reach, down.reach) != down.reach {
            let Down { said, hint, .. } = down;
            warn!(session = self.lane.application_name, error = said, hint, "PostgreSQL gives no metrics");
        }
        held.empty();
        let pause = before.map_or(FIRST_PAUSE, |retry| (retry.pause * 2).min(LONGEST_PAUSE));
        Link { open: None, retry: Some(Retry { at: Instant::now() + pause, pause }) }
    }

    /// Keeps a report; a collector that fails is said once until it is good again.
    fn take(&self, report: Report) {
        let (name, outcome, at) = (report.collector, report.label(), Instant::now());
        let mut held = self.held();
        let before = held.readings.remove(name);
        let (succeeded, told) = before.map_or((None, false), |it| (it.succeeded, it.told));
        let mut reading =
            Reading { outcome, took: report.took, at, succeeded: Some(at), told: false, families: vec![] };
        match report.outcome {
            Ok(Outcome::Collected(families)) => reading.families = families,
            Ok(Outcome::Nothing(_)) => {}
            Err(error) => {
                // A session that was lost is said for all of them.
                let is_lost = matches!(&error, CollectError::Postgres(error) if error.is_lost());
                if !told && !is_lost {
                    warn!(collector = name, error = chain(&error), "collector {name} gave nothing");
                }
                (reading.succeeded, reading.told) = (succeeded, told || !is_lost);
            }
        }
        held.readings.insert(name, reading);
    }

    /// A round of each collector, good or not; one whose last reading is older than `stale` counts as failed.
    pub(super) fn rounds(&self, now: Instant, stale: Duration) -> Vec<Round> {
        let held = self.held();
        let round = |query: &&'static Query| match held.readings.get(query.name) {
            None => Round { collector: query.name, outcome: "error", took: Duration::ZERO, age: None },
            Some(reading) => Round {
                collector: query.name,
                outcome: if now.saturating_duration_since(reading.at) > stale {
                    "error"
                } else {
                    reading.outcome
                },
                took: reading.took,
                age: reading.succeeded.map(|at| now.saturating_duration_since(at)),
            },
        };
        self.queries.iter().map(round).collect()
    }

    /// What is held and not older than `keep`.
    pub(super) fn families(&self, now: Instant, keep: Duration) -> Vec<Family> {
        let held = self.held();
        let young = held.readings.values().filter(|it| now.saturating_duration_since(it.at) <= keep);
        young.flat_map(|reading| reading.families.iter().cloned()).collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        locked(&self.held)
    }
}

impl Held {
    /// A server that is down has no values; old ones would look like a server that stands still.
    fn empty(&mut self) {
        self.began = None;
        for reading in self.readings.values_mut() {
            reading.families.clear();
            reading.outcome = "error";
        }
    }
}

impl Link {
    fn is_waiting(&self) -> bool {
        self.retry.as_ref().is_some_and(|retry| Instant::now() < retry.at)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
