//! The scrape: what was read a moment ago or is read now, with everything else that we know.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::board::Board;
use super::feed::Feed;
use super::own::{self, Round, flag};
use crate::client::postgres::Lane;
use crate::client::{Reach, Target};
use crate::collect::sql::{Cadence, QUERIES};
use crate::collect::{Outcome, process};
use crate::model::metric::{Family, Snapshot};

/// How long values of a server that does not answer in time are shown, with their age. Longer than four usual
/// scrapes they would hide that it hangs.
const KEEP_FAST: Duration = Duration::from_secs(60);
const KEEP_SLOW: Duration = Duration::from_secs(600);

/// Answers scrapes from two sessions: one for what is cheap, one for what is not, so that the second never keeps
/// the first waiting.
pub struct Scraper {
    fast: Arc<Feed>,
    slow: Arc<Feed>,
    fresh_for: Duration,
    board: Arc<Board>,
    scrapes: AtomicU64,
    duplicates: AtomicU64,
}

/// How long things may take and last.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Results younger than this are shared by all scrapers.
    pub fresh_for: Duration,
    pub statement_timeout: Duration,
}

impl Scraper {
    /// Opens its sessions when the first scrape comes.
    pub fn new(target: Target, pace: Pace, board: Arc<Board>) -> Self {
        Self::of(Some(target), pace, board)
    }

    /// There is no server to read.
    pub(super) fn unconfigured(board: Arc<Board>) -> Self {
        Self::of(None, Pace { fresh_for: Duration::ZERO, statement_timeout: Duration::ZERO }, board)
    }

    fn of(target: Option<Target>, pace: Pace, board: Arc<Board>) -> Self {
        let feed = |cadence, name: &str, every| {
            let lane = Lane {
                application_name: name.to_owned(),
                database: None,
                read_only: true,
                statement_timeout: pace.statement_timeout,
            };
            let queries = QUERIES.iter().filter(|query| query.cadence == cadence).collect();
            Arc::new(Feed::new(target.clone(), lane, queries, every))
        };
        Self {
            fast: feed(Cadence::Fast, "pgpilot scrape", pace.fresh_for),
            slow: feed(Cadence::Slow, "pgpilot scrape slow", Cadence::SLOW),
            fresh_for: pace.fresh_for,
            board,
            scrapes: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
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
        let (fast, slow) = (self.fast.clone(), self.slow.clone());
        let in_time = ends(until, tokio::spawn(async move { fast.refresh().await })).await;
        if self.fast.reach() != Reach::Up {
            self.slow.forget();
            return in_time;
        }
        let is_first = !self.slow.has_read();
        let reading = tokio::spawn(async move { slow.refresh().await });
        if is_first && in_time {
            ends(until, reading).await;
        }
        in_time
    }

    fn assemble(&self, began: Instant, reach: Reach) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let process = process::collect();
        let mut rounds = self.fast.rounds(began, self.fresh_for);
        rounds.extend(self.slow.rounds(began, Cadence::SLOW * 3));
        rounds.push(Round {
            collector: process.collector,
            outcome: process.label(),
            took: process.took,
            age: process.outcome.is_ok().then_some(Duration::ZERO),
        });
        snapshot.extend(self.fast.families(began, KEEP_FAST));
        snapshot.extend(self.slow.families(began, KEEP_SLOW));
        if let Ok(Outcome::Collected(families)) = process.outcome {
            snapshot.extend(families);
        }
        snapshot.extend(own::reach_families(reach));
        snapshot.extend(own::round_families(&rounds));
        snapshot.extend(board_families(&self.board));
        self.count(&mut snapshot, began);
        snapshot
    }

    /// The metrics about the scrape itself; of which there are four.
    fn count(&self, snapshot: &mut Snapshot, began: Instant) {
        let scrapes = self.scrapes.fetch_add(1, Ordering::Relaxed) + 1;
        let double = snapshot.duplicates;
        let duplicates = self.duplicates.fetch_add(double, Ordering::Relaxed) + double;
        snapshot.extend([
            own::SCRAPE_DURATION.single(began.elapsed().as_secs_f64()),
            own::SCRAPES.single(scrapes as f64),
            own::DUPLICATES.single(duplicates as f64),
            own::SERIES.single((snapshot.series() + 4) as f64),
        ]);
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
