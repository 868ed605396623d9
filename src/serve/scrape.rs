//! The scrape: what was read a moment ago or is read now, with everything else that we know.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::board::Board;
use super::desk::{Bounds, Desk};
use super::feed::Feed;
use super::locked;
use super::own::{self, Round, ScrapeTimes, flag};
use super::walk::Walk;
use crate::client::postgres::Lane;
use crate::client::{Reach, Target};
use crate::collect::sql::{Cadence, QUERIES, Query};
use crate::collect::{Outcome, process};
use crate::model::metric::{Family, Snapshot};
use crate::model::pattern::Patterns;

/// How long values of a server that does not answer in time are shown, with their age. Longer than four usual
/// scrapes they would hide that it hangs.
const KEEP_FAST: Duration = Duration::from_secs(60);
const KEEP_SLOW: Duration = Duration::from_secs(600);

/// A statement for every scrape takes some milliseconds; one that takes this long is sick, and must not keep those
/// behind it.
const FAST_STATEMENT: Duration = Duration::from_secs(1);

/// Answers scrapes from two sessions: one for what is cheap, one for what is not, so that the second never keeps
/// the first waiting.
pub struct Scraper {
    fast: Arc<Feed>,
    walk: Arc<Walk>,
    desk: Arc<Desk>,
    fresh_for: Duration,
    board: Arc<Board>,
    scrapes: AtomicU64,
    duplicates: AtomicU64,
    times: Mutex<ScrapeTimes>,
    bytes: AtomicU64,
}

/// How long things may take and last.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Results younger than this are shared by all scrapers.
    pub fresh_for: Duration,
    pub statement_timeout: Duration,
}

/// What is read of a server.
#[derive(Debug, Clone)]
pub struct Choice {
    pub bounds: Bounds,
    /// The databases that are looked into one by one.
    pub databases: Patterns,
    /// Collectors that are not run.
    pub off: Vec<String>,
}

impl Choice {
    /// Everything, without bounds.
    pub const fn all() -> Self {
        let bounds = Bounds { databases: None, relations: None, statements: None, series: None, texts: true };
        Self { bounds, databases: Patterns { include: vec![], exclude: vec![] }, off: vec![] }
    }
}

impl Scraper {
    /// Opens its sessions when the first scrape comes.
    pub fn new(target: Target, pace: Pace, choice: Choice, board: Arc<Board>) -> Self {
        Self::of(Some(target), pace, choice, board)
    }

    /// There is no server to read.
    pub(super) fn unconfigured(board: Arc<Board>) -> Self {
        let pace = Pace { fresh_for: Duration::ZERO, statement_timeout: Duration::ZERO };
        Self::of(None, pace, Choice::all(), board)
    }

    fn of(target: Option<Target>, pace: Pace, choice: Choice, board: Arc<Board>) -> Self {
        let lane = |name: &str, longest: Duration| Lane {
            application_name: name.to_owned(),
            database: None,
            read_only: true,
            statement_timeout: pace.statement_timeout.min(longest),
        };
        let wanted = |query: &&Query| !choice.off.iter().any(|name| name == query.name);
        let (fast, slow): (Vec<_>, Vec<_>) =
            QUERIES.iter().filter(wanted).partition(|query| query.cadence.is_of_scrapes());
        let desk = Arc::new(Desk::new(choice.bounds));
        let fast_lane = lane("pgpilot scrape", FAST_STATEMENT);
        let walk_lane = lane("pgpilot scrape slow", Duration::MAX);
        Self {
            fast: Arc::new(Feed::new(target.clone(), fast_lane, fast, pace.fresh_for, desk.clone())),
            walk: Arc::new(Walk::new(target, walk_lane, slow, choice.databases, desk.clone())),
            desk,
            fresh_for: pace.fresh_for,
            board,
            scrapes: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            times: Mutex::default(),
            bytes: AtomicU64::new(0),
        }
    }

    /// What the last attempt to read found.
    pub fn reach(&self) -> Reach {
        self.fast.reach()
    }

    /// Everything there is within this time; what could not be read says so in its outcome.
    pub async fn scrape(&self, within: Duration) -> Snapshot {
        let began = Instant::now();
        let in_time = self.refresh(began + within).await;
        let known = self.fast.reach();
        let silent = !in_time && matches!(known, Reach::Up | Reach::Starting);
        let reach = if silent { Reach::Timeout } else { known };
        self.assemble(began, reach)
    }

    /// Refreshes both feeds; false if the time was not enough. The reading goes on then, for the next scrape.
    async fn refresh(&self, until: Instant) -> bool {
        let (fast, walk) = (self.fast.clone(), self.walk.clone());
        let in_time = ends(until, tokio::spawn(async move { fast.refresh().await })).await;
        if self.fast.reach() != Reach::Up {
            return in_time;
        }
        let must_wait = self.walk.is_behind(Instant::now());
        let reading = tokio::spawn(async move { walk.refresh().await });
        if must_wait && in_time {
            ends(until, reading).await;
        }
        in_time
    }

    fn assemble(&self, began: Instant, reach: Reach) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let process = process::collect();
        let mut rounds = self.rounds(began, &mut snapshot);
        rounds.push(Round::of_report(&process));
        if let Ok(Outcome::Collected(families)) = process.outcome {
            snapshot.extend(families);
        }
        snapshot.extend(own::reach_families(reach));
        snapshot.extend(own::round_families(&rounds));
        snapshot.extend(own::right_families(&self.desk.missing_rights(), &rounds));
        snapshot.extend(own::cost_families(&self.desk.shelf.cost()));
        snapshot.extend(board_families(&self.board));
        self.count(&mut snapshot, began);
        snapshot
    }

    /// A round of each collector, and what it gave as long as that is not too old. One whose last reading is older
    /// than it should be counts as failed.
    fn rounds(&self, now: Instant, snapshot: &mut Snapshot) -> Vec<Round> {
        let readings = self.desk.shelf.readings();
        let round = |query: &&'static Query| {
            let (stale, keep) = match query.cadence {
                Cadence::Fast => (self.fresh_for, KEEP_FAST),
                Cadence::TenSeconds => (query.cadence.period().max(self.fresh_for), KEEP_FAST),
                slower @ (Cadence::Minute | Cadence::TenMinutes | Cadence::Hour) => {
                    (slower.period() * 3, KEEP_SLOW.max(slower.period() * 3))
                }
            };
            let Some(reading) = readings.get(query.name) else { return Round::missing(query.name) };
            let age = reading.at.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
            if age <= keep {
                reading.families().iter().for_each(|family| snapshot.share(family));
            }
            Round::of(query.name, reading, if age > stale { "error" } else { reading.outcome }, now)
        };
        self.fast.queries().iter().chain(self.walk.queries()).map(round).collect()
    }

    /// Remembers how large an answer was.
    pub(super) fn wrote(&self, bytes: usize) {
        self.bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// The metrics about the scrape itself, of which the number of series is the last.
    fn count(&self, snapshot: &mut Snapshot, began: Instant) {
        let scrapes = self.scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        let mut times = locked(&self.times);
        let took = began.elapsed();
        snapshot.extend([
            times.family(),
            own::SCRAPE_BYTES.single(self.bytes.load(Ordering::Relaxed) as f64),
            own::SCRAPE_DURATION.single(took.as_secs_f64()),
            own::SCRAPES.single(scrapes as f64),
        ]);
        times.add(took);
        let double = snapshot.duplicates + self.desk.shelf.take_duplicates();
        let duplicates = self.duplicates.fetch_add(double, Ordering::Relaxed) + double;
        snapshot.extend([own::DUPLICATES.single(duplicates as f64)]);
        snapshot.extend([own::SERIES.single((snapshot.series() + 1) as f64)]);
    }
}

/// Waits for a task, but no longer than until then.
async fn ends(until: Instant, task: tokio::task::JoinHandle<()>) -> bool {
    tokio::time::timeout_at(until.into(), task).await.is_ok()
}

fn board_families(board: &Board) -> Vec<Family> {
    let shown = board.held();
    let mut families = vec![own::build_info(), own::READY.single(flag(shown.health.ready))];
    families.extend(shown.families.iter().cloned());
    if let Some(plan) = &shown.plan {
        families.extend(plan.families.iter().cloned());
        families.push(own::PLAN_AGE.single(plan.at.elapsed().as_secs_f64()));
    }
    families
}
