//! The session that scrapes read through: opened when first needed, reopened with back-off; what it read last is
//! shared.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::desk::Desk;
use super::locked;
use crate::client::postgres::{Lane, PgError, Session};
use crate::client::{Reach, Target};
use crate::collect::sql::{Ground, Most, Query, Task, plain, prepared, run};
use crate::model::error::chain;

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
    desk: Arc<Desk>,
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
    ground: Ground,
    tasks: Vec<Task>,
    /// The databases by name that the tasks were made for.
    named: Option<Vec<String>>,
    /// Statements of the session that the shelf knows of.
    counted: u64,
}

struct Retry {
    at: Instant,
    pause: Duration,
}

struct Held {
    reach: Reach,
    /// When the last good round began.
    began: Option<Instant>,
}

/// Why there is no session.
pub(super) struct Down {
    pub(super) reach: Reach,
    said: String,
    hint: &'static str,
}

impl Down {
    pub(super) fn of(error: &PgError) -> Self {
        Self { reach: Reach::of(error), said: chain(error), hint: error.hint().unwrap_or_default() }
    }
}

impl Feed {
    pub(super) fn new(
        target: Option<Target>,
        lane: Lane,
        queries: Vec<&'static Query>,
        every: Duration,
        desk: Arc<Desk>,
    ) -> Self {
        let reach = if target.is_some() { Reach::Starting } else { Reach::Unconfigured };
        let held = Held { reach, began: None };
        Self { target, lane, queries, every, desk, link: Default::default(), held: Mutex::new(held) }
    }

    pub(super) fn reach(&self) -> Reach {
        self.held().reach
    }

    pub(super) fn queries(&self) -> &[&'static Query] {
        &self.queries
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

    /// One round on the session, a new one if need be.
    async fn read(&self, target: &Target, link: &mut Link) -> Result<(), Down> {
        let open = match link.open.take().filter(|open| !open.session.is_closed()) {
            Some(open) => self.renew(open).await,
            None => self.open(target).await,
        };
        let open = open.map_err(|error| Down::of(&error))?;
        let now = Instant::now();
        let due = |task: &&Task| self.desk.shelf.is_due(task.query, now);
        let lost = Mutex::new(None);
        run(&open.session, open.tasks.iter().filter(due), |ran| {
            if let Err(error) = &ran.found
                && error.is_lost()
            {
                locked(&lost).get_or_insert(Down::of(error));
            }
            self.desk.take(ran);
        })
        .await;
        let sent = open.session.sent();
        self.desk.shelf.count_statements(sent - open.counted);
        let open = Open { counted: sent, ..open };
        let lost = locked(&lost).take();
        lost.map_or(Ok(()), Err)?;
        *link = Link { open: Some(open), retry: None };
        Ok(())
    }

    async fn open(&self, target: &Target) -> Result<Open, PgError> {
        let session = target.connect(&self.lane).await?;
        self.desk.shelf.count_connect();
        let ground = Ground::read(&session, &self.queries).await?;
        self.desk.note_rights(&ground);
        // Which databases are shown by name decides the others' statements.
        let by_name = |query: &&&'static Query| query.top.is_some_and(|top| top.most == Most::Databases);
        let deciding: Vec<_> = self.queries.iter().filter(by_name).copied().collect();
        run(&session, plain(&ground, &deciding, None).iter(), |ran| self.desk.take(ran)).await;
        let named = self.desk.named();
        let tasks = prepared(&session, plain(&ground, &self.queries, named.as_deref())).await;
        Ok(Open { session, ground, tasks, named, counted: 0 })
    }

    /// Prepares anew when other databases are shown by name than before.
    async fn renew(&self, open: Open) -> Result<Open, PgError> {
        let named = self.desk.named();
        if open.named == named {
            return Ok(open);
        }
        let Open { session, ground, counted, .. } = open;
        session.run("forgetting prepared statements", "deallocate all").await?;
        let tasks = prepared(&session, plain(&ground, &self.queries, named.as_deref())).await;
        Ok(Open { session, ground, tasks, named, counted })
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
        held.began = None;
        self.desk.shelf.count_error(down.reach);
        self.desk.shelf.empty();
        let pause = before.map_or(FIRST_PAUSE, |retry| (retry.pause * 2).min(LONGEST_PAUSE));
        Link { open: None, retry: Some(Retry { at: Instant::now() + pause, pause }) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        locked(&self.held)
    }
}

impl Link {
    fn is_waiting(&self) -> bool {
        self.retry.as_ref().is_some_and(|retry| Instant::now() < retry.at)
    }
}
