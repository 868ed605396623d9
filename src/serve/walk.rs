//! What is too dear for every scrape: read in the background, each collector in its own cadence, on one session at a
//! time that goes from database to database and is closed afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::warn;

use super::desk::Desk;
use super::locked;
use super::shelf::Failure;
use super::statements::{self, Statements};
use super::visits::Visits;
use crate::client::postgres::{Lane, PgError, Session};
use crate::client::{Reach, Target};
use crate::collect::Absence;
use crate::collect::sql::{Ground, Most, Query, Ran, Scope, Task, plain, run};
use crate::model::error::chain;
use crate::model::pattern::Patterns;

/// After a walk that could not connect.
const RETRY: Duration = Duration::from_secs(5);

/// Rounds that take long are not begun again at once: at least half of the time we are quiet.
const QUIET: u32 = 2;

/// Two of the shortest cadence here: scrapes that come more seldom wait for what they ask for.
const BEHIND: Duration = Duration::from_secs(120);

/// How long a database that is being dropped may still be listed.
const DROPPING: Duration = Duration::from_millis(500);

/// Templates hold nothing of the user's, and a session in one keeps CREATE DATABASE waiting.
const DATABASES: &str = "select datname from pg_database where datallowconn and not datistemplate \
                         and has_database_privilege(oid, 'connect') order by datname <> current_database(), datname";

pub(super) struct Walk {
    target: Option<Target>,
    lane: Lane,
    queries: Vec<&'static Query>,
    databases: Patterns,
    desk: Arc<Desk>,
    statements: Statements,
    plan: tokio::sync::Mutex<Plan>,
    /// When the last good walk ended.
    walked: Mutex<Option<Instant>>,
}

/// When each collector is due.
#[derive(Default)]
struct Plan {
    due: HashMap<&'static str, Instant>,
    /// That a walk failed was said.
    told: bool,
}

impl Walk {
    pub(super) fn new(
        target: Option<Target>,
        lane: Lane,
        queries: Vec<&'static Query>,
        databases: Patterns,
        desk: Arc<Desk>,
    ) -> Self {
        let (statements, plan, walked) = Default::default();
        Self { target, lane, queries, databases, desk, statements, plan, walked }
    }

    pub(super) fn queries(&self) -> &[&'static Query] {
        &self.queries
    }

    /// Whether what is held is too old to be shown while it is read anew: nobody asked for a while.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        let walked = *locked(&self.walked);
        walked.is_none_or(|at| now.saturating_duration_since(at) > BEHIND)
    }

    /// Reads what is due; one walk at a time, and who comes meanwhile waits for its end.
    pub(super) async fn refresh(&self) {
        let Some(target) = &self.target else { return };
        let mut plan = self.plan.lock().await;
        let began = Instant::now();
        let is_due = |query: &&'static Query| {
            plan.is_due(query, began) && !self.desk.shelf.is_paused(query.name, began)
        };
        let due: Vec<_> = self.queries.iter().copied().filter(is_due).collect();
        if due.is_empty() {
            return;
        }
        let walked = self.walk(target, &due).await;
        let took = began.elapsed();
        for query in &due {
            let pause = if walked.is_ok() { query.cadence.period().max(took * QUIET) } else { RETRY };
            plan.due.insert(query.name, began + pause);
        }
        match &walked {
            Ok(()) => *locked(&self.walked) = Some(Instant::now()),
            Err(_) => self.desk.shelf.spoil(&due),
        }
        plan.tell(walked);
    }

    async fn walk(&self, target: &Target, due: &[&'static Query]) -> Result<(), PgError> {
        let (session, ground) = self.open(target, None).await?;
        let (of_server, each): (Vec<_>, Vec<_>) =
            due.iter().copied().partition(|query| query.scope == Scope::Server);
        // An extension that shows the whole server may be installed in any of its databases.
        let mut elsewhere = self.read_here(&session, &ground, of_server).await;
        let names = self.names(&session).await?;
        let mut visits = Visits::new(&self.desk, each);
        let mut open = Some((session, ground));
        for name in &names {
            let visit = match open.take().filter(|(_, ground)| ground.database == *name) {
                Some(open) => Ok(open),
                None => self.open(target, Some(name)).await,
            };
            match visit {
                Ok((session, ground)) => {
                    elsewhere = self.read_here(&session, &ground, elsewhere).await;
                    visits.visit(&session, &ground).await;
                    self.desk.shelf.count_statements(session.sent());
                }
                Err(error) => visits.miss(name, &error),
            }
        }
        if visits.has_failures() {
            // DROP DATABASE … WITH (FORCE) ends our session a moment before the database is gone.
            tokio::time::sleep(DROPPING).await;
            visits.forgive(&self.names(&self.open(target, None).await?.0).await?);
        }
        elsewhere.into_iter().for_each(|query| self.desk.nothing(query, Absence::NoExtension));
        visits.settle();
        Ok(())
    }

    /// Reads those collectors of the whole server that can be read in this database; the others are left.
    async fn read_here(
        &self,
        session: &Session,
        ground: &Ground,
        queries: Vec<&'static Query>,
    ) -> Vec<&'static Query> {
        let lacks =
            |query: &&'static Query| matches!(ground.statement(query, None), Err(Absence::NoExtension));
        let (elsewhere, here): (Vec<_>, Vec<_>) = queries.into_iter().partition(lacks);
        for query in here {
            self.read(session, ground, query).await;
        }
        elsewhere
    }

    async fn open(&self, target: &Target, database: Option<&str>) -> Result<(Session, Ground), PgError> {
        let lane = Lane { database: database.map(ToOwned::to_owned), ..self.lane.clone() };
        let connected = target.connect(&lane).await;
        let session = connected.inspect_err(|error| self.desk.shelf.count_error(Reach::of(error)))?;
        self.desk.shelf.count_connect();
        let ground = Ground::read(&session, &self.queries).await?;
        self.desk.note_rights(&ground);
        Ok((session, ground))
    }

    /// The databases to look into, our own first.
    async fn names(&self, session: &Session) -> Result<Vec<String>, PgError> {
        let rows = session.rows("listing the databases", DATABASES).await?;
        Ok(rows
            .iter()
            .map(|row| row.text("datname"))
            .filter(|name| is_name(name) && self.databases.take(name))
            .collect())
    }

    /// One collector of the whole server.
    async fn read(&self, session: &Session, ground: &Ground, query: &'static Query) {
        let is_statements = query.top.is_some_and(|top| top.most == Most::Statements);
        match ground.statement(query, None) {
            Ok(sql) if is_statements => self.read_statements(session, ground, query, &sql).await,
            _ => self.read_twice(session, plain(ground, &[query], self.desk.named().as_deref())).await,
        }
    }

    /// Once more where what was to be read went away meanwhile, such as a database whose size was asked for.
    async fn read_twice(&self, session: &Session, task: Vec<Task>) {
        let last = Mutex::new(None);
        let keep = |ran| drop(locked(&last).replace(ran));
        run(session, task.iter(), keep).await;
        let is_gone = |ran: &Ran| ran.found.as_ref().is_err_and(PgError::is_gone);
        let again = locked(&last).as_ref().is_some_and(is_gone);
        if again {
            run(session, task.iter(), keep).await;
        }
        let ran = locked(&last).take();
        ran.into_iter().for_each(|ran| self.desk.take(ran));
    }

    async fn read_statements(&self, session: &Session, ground: &Ground, query: &'static Query, sql: &str) {
        match self.statements.read(session, ground, query, &self.desk, sql).await {
            Ok(took) => self.desk.settle(query, took, None),
            Err(error) => return self.desk.fail(query, Duration::ZERO, Failure::of(&error)),
        }
        if self.desk.bounds.texts {
            let ids = statements::ids(&self.desk.shelf.families(query.name));
            let texts = self.statements.texts(session, ground, &ids).await;
            texts.into_iter().for_each(|family| self.desk.shelf.add(query.name, family));
        }
    }
}

/// A name that is not in UTF-8 cannot be read, nor connected to; what is empty would be our role's name.
fn is_name(name: &str) -> bool {
    !name.is_empty()
}

impl Plan {
    /// Says that a walk failed, once until one is good again.
    fn tell(&mut self, walked: Result<(), PgError>) {
        let told = std::mem::replace(&mut self.told, walked.is_err());
        if let (Err(error), false) = (walked, told) {
            let hint = error.hint().unwrap_or_default();
            warn!(error = chain(&error), hint, "what is read in the background could not be read");
        }
    }

    fn is_due(&self, query: &Query, now: Instant) -> bool {
        self.due.get(query.name).is_none_or(|due| *due <= now)
    }
}
