//! What is too dear for every scrape: read in the background, each collector in its own cadence, on one session at a
//! time that goes from database to database and is closed afterwards.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::warn;

use super::desk::Desk;
use super::shelf::Failure;
use super::statements::{self, Statements};
use crate::client::postgres::{Lane, PgError, Session};
use crate::client::{Reach, Target};
use crate::collect::Absence;
use crate::collect::sql::{Ground, Most, Query, Scope, each, plain, run};
use crate::model::error::chain;
use crate::model::pattern::Patterns;

/// After a walk that could not connect.
const RETRY: Duration = Duration::from_secs(5);

/// Rounds that take long are not begun again at once: at least half of the time we are quiet.
const QUIET: u32 = 2;

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
    /// Every collector was read at least once.
    has_read: AtomicBool,
}

/// When each collector is due.
#[derive(Default)]
struct Plan {
    due: HashMap<&'static str, Instant>,
    /// That a walk failed was said.
    told: bool,
}

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

impl Walk {
    pub(super) fn new(
        target: Option<Target>,
        lane: Lane,
        queries: Vec<&'static Query>,
        databases: Patterns,
        desk: Arc<Desk>,
    ) -> Self {
        let (statements, plan, has_read) = Default::default();
        Self { target, lane, queries, databases, desk, statements, plan, has_read }
    }

    pub(super) fn queries(&self) -> &[&'static Query] {
        &self.queries
    }

    pub(super) fn has_read(&self) -> bool {
        self.has_read.load(Ordering::Relaxed)
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
        for query in due {
            let pause = if walked.is_ok() { query.cadence.period().max(took * QUIET) } else { RETRY };
            plan.due.insert(query.name, began + pause);
        }
        match walked {
            Ok(()) => {
                self.has_read.store(true, Ordering::Relaxed);
                plan.told = false;
            }
            Err(error) if !plan.told => {
                let hint = error.hint().unwrap_or_default();
                warn!(error = chain(&error), hint, "what is read in the background could not be read");
                plan.told = true;
            }
            Err(_) => {}
        }
    }

    async fn walk(&self, target: &Target, due: &[&'static Query]) -> Result<(), PgError> {
        let (session, ground) = self.open(target, None).await?;
        // An extension that shows the whole server may be installed in any of its databases.
        let of_server = due.iter().copied().filter(|query| query.scope == Scope::Server);
        let (mut elsewhere, here): (Vec<_>, Vec<_>) =
            of_server.partition(|query| is_elsewhere(&ground, query));
        for query in here {
            self.read(&session, &ground, query).await;
        }
        let each: Vec<_> = due.iter().copied().filter(|query| query.scope == Scope::Database).collect();
        let names = self.names(&session).await?;
        let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
        let mut open = Some((session, ground));
        for name in &names {
            let visit = match open.take().filter(|(_, ground)| ground.database == *name) {
                Some(open) => Ok(open),
                None => self.open(target, Some(name)).await,
            };
            match visit {
                Ok((session, ground)) => {
                    self.visit(&session, &ground, &each, &mut elsewhere, &mut tallies).await;
                    self.desk.shelf.count_statements(session.sent());
                }
                Err(error) => each.iter().for_each(|query| tally(&mut tallies, query).fail(name, &error)),
            }
        }
        if tallies.values().any(|tally| !tally.failures.is_empty()) {
            // DROP DATABASE … WITH (FORCE) ends our session a moment before the database is gone.
            tokio::time::sleep(DROPPING).await;
            let still = self.names(&self.open(target, None).await?.0).await?;
            tallies.values_mut().for_each(|tally| tally.failures.retain(|(name, _)| still.contains(name)));
        }
        elsewhere.into_iter().for_each(|query| self.desk.nothing(query, Absence::NoExtension));
        each.into_iter().for_each(|query| self.settle(query, tallies.remove(query.name).unwrap_or_default()));
        Ok(())
    }

    async fn open(&self, target: &Target, database: Option<&str>) -> Result<(Session, Ground), PgError> {
        let lane = Lane { database: database.map(ToOwned::to_owned), ..self.lane.clone() };
        let connected = target.connect(&lane).await;
        let session = connected.inspect_err(|error| self.desk.shelf.count_error(Reach::of(error)))?;
        self.desk.shelf.count_connect();
        let ground = Ground::read(&session, &self.queries).await?;
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
            _ => {
                let task = plain(ground, &[query], self.desk.named().as_deref());
                run(session, task.iter(), |ran| self.desk.take(ran)).await;
            }
        }
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

    async fn visit(
        &self,
        session: &Session,
        ground: &Ground,
        queries: &[&'static Query],
        elsewhere: &mut Vec<&'static Query>,
        tallies: &mut BTreeMap<&'static str, Tally>,
    ) {
        let (still, found): (Vec<_>, Vec<_>) =
            elsewhere.drain(..).partition(|query| is_elsewhere(ground, query));
        *elsewhere = still;
        for query in found {
            self.read(session, ground, query).await;
        }
        for query in queries {
            let tally = tally(tallies, query);
            let began = Instant::now();
            match ground.statement(query, None) {
                Err(absence) => tally.lack(absence),
                Ok(sql) => match each(session, query, &sql, |row| self.desk.push(query, row)).await {
                    Ok(()) => tally.good += 1,
                    Err(error) => tally.fail(&ground.database, &error),
                },
            }
            tally.took += began.elapsed();
        }
    }

    fn settle(&self, query: &'static Query, tally: Tally) {
        let failure = tally.failures.into_iter().next().map(|(_, failure)| failure);
        match (tally.good, failure, tally.absent) {
            (0, Some(failure), _) => self.desk.fail(query, tally.took, failure),
            (0, None, Some(absence)) => self.desk.nothing(query, absence),
            (_, failure, _) => self.desk.settle(query, tally.took, failure),
        }
    }
}

/// A name that is not in UTF-8 cannot be read, nor connected to; what is empty would be our role's name.
fn is_name(name: &str) -> bool {
    !name.is_empty()
}

/// Whether a query needs an extension that this database does not have.
fn is_elsewhere(ground: &Ground, query: &Query) -> bool {
    matches!(ground.statement(query, None), Err(Absence::NoExtension))
}

fn tally<'a>(tallies: &'a mut BTreeMap<&'static str, Tally>, query: &Query) -> &'a mut Tally {
    tallies.entry(query.name).or_default()
}

impl Tally {
    /// A right that is missing in one database says more than an extension that is not in another.
    fn lack(&mut self, absence: Absence) {
        if !matches!(self.absent, Some(Absence::MissingRight(_))) {
            self.absent = Some(absence);
        }
    }

    /// Whether it is one that was dropped meanwhile, which is no fault, is asked in the end.
    fn fail(&mut self, database: &str, error: &PgError) {
        self.failures.push((database.to_owned(), Failure::of(error)));
    }
}

impl Plan {
    fn is_due(&self, query: &Query, now: Instant) -> bool {
        self.due.get(query.name).is_none_or(|due| *due <= now)
    }
}
