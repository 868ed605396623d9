//! One pass over the server: settle what is open, look, plan, and apply what is wanted.
//!
//! `serve` and the verbs do the same through this; only what they want differs.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::apply::journal::{Journal, JournalError, Step};
use crate::apply::lock::{Holder, LockError, Right, lock_file, lock_server, other_holder, unlock_server};
use crate::apply::postgres::{PgHands, end_backend};
use crate::apply::run::{Ended, RunError, restarted, resume, start};
use crate::client::postgres::{PgError, Session};
use crate::client::{Target, catalog};
use crate::collect::facts::{Inputs, facts};
use crate::lifecycle::{Record, Refusal, Wanted, in_flight, ours, propose, take_back, taken_back};
use crate::model::change::{Change, Phase};
use crate::model::facts::{Declared, Facts, Ours};
use crate::model::plan::Plan;
use crate::model::postgres::Postgres;
use crate::tune::{NoPlan, Policy, plan, settings_read};

/// What a pass works with.
pub struct Tuning<'a> {
    pub hands: PgHands<'a>,
    pub journal: Journal,
    pub state_dir: PathBuf,
    pub policy: Policy,
    pub view: View,
    pub now: fn() -> Timestamp,
    /// Why there is no journal, if there is none: then nothing is written.
    pub without_journal: Option<String>,
    /// Stuck changes get one more attempt from each process.
    pub retried_stuck: bool,
    /// What was seen last, for what cannot be seen for a moment.
    pub seen: Option<Facts>,
    /// Looks in a row that something was not seen in.
    pub blind: u32,
}

/// What the operator says of the machine, and where its data is to be seen.
#[derive(Debug, Clone)]
pub struct View {
    pub declared: Declared,
    /// Where the data volume is mounted for us.
    pub data_dir: Option<PathBuf>,
}

impl View {
    /// Looks at everything; what cannot be seen has a reason.
    pub async fn look(
        &self,
        target: &Target,
        session: Result<&Session, &PgError>,
        ours: Ours,
        at: Timestamp,
    ) -> Facts {
        let names = settings_read();
        facts(Inputs {
            at,
            declared: self.declared.clone(),
            data_dir: self.data_dir.as_deref(),
            ours,
            names: &names,
            target,
            session,
        })
        .await
    }
}

/// Why nothing was, or could be, written.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    #[error(transparent)]
    Postgres(#[from] PgError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    #[error("{0}")]
    Refused(String),
    #[error("taking back change {id}")]
    TakeBack { id: i64, source: Refusal },
}

impl TuneError {
    /// What an operator can do about it, if there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Postgres(error) => error.hint(),
            Self::Journal(error) => Some(error.hint()),
            Self::Lock(error) => error.hint(),
            Self::Run(RunError::Begin(error)) => Some(error.hint()),
            Self::Run(_) => Some(
                "start pgpilot again, `serve` or any verb that writes: it finishes or undoes the change first",
            ),
            Self::NoPlan(_) | Self::Refused(_) | Self::TakeBack { .. } => None,
        }
    }

    /// The label of `pgpilot_problem`.
    pub const fn as_label(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Journal(_) => "journal",
            Self::Lock(LockError::Postgres(_)) => "postgres",
            Self::Lock(LockError::Io { .. }) => "journal",
            Self::Lock(_) => "other_pgpilot",
            Self::Run(RunError::Begin(_)) => "journal",
            Self::Run(_) => "interrupted",
            Self::NoPlan(NoPlan::NoServer(_)) => "postgres",
            Self::NoPlan(_) => "no_plan",
            Self::Refused(_) | Self::TakeBack { .. } => "refused",
        }
    }
}

/// How long `serve` and the verbs wait for a server that goes away in the middle of a change.
///
/// A restart with crash recovery of a few gigabytes of WAL takes this long; past it the next start takes over.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// For so many looks a fact is taken as it was seen last: an hour of passes. What is gone for longer is not there.
const MOST_BLIND: u32 = 12;

impl Tuning<'_> {
    pub const fn may_write(&self) -> bool {
        self.without_journal.is_none()
    }

    /// Refuses where there is no journal: nothing is written, and nothing that was written is known.
    ///
    /// # Errors
    /// With the reason why there is none.
    pub fn with_journal(&self) -> Result<(), TuneError> {
        match &self.without_journal {
            None => Ok(()),
            Some(why) => Err(TuneError::Refused(format!("nothing is written without a journal: {why}"))),
        }
    }

    /// Everything that can be seen now, with what our journal says of this server. What cannot be seen for a moment is
    /// as it was seen last, so that a machine that is busy is not planned as another one.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn look(&mut self) -> Result<Facts, TuneError> {
        let session = Ok(&self.hands.session);
        let now = self.view.look(self.hands.target, session, Ours::default(), (self.now)()).await;
        let filled = now.clone().filled_from(self.seen.as_ref());
        self.blind = if filled == now { 0 } else { self.blind + 1 };
        let mut seen = if self.blind > MOST_BLIND { now } else { filled };
        if let Some(server) = seen.postgres.get() {
            seen.ours = ours(&self.journal.records()?, &server.system_identifier);
        }
        if seen.postgres.get().is_some() {
            self.seen = Some(seen.clone());
        }
        Ok(seen)
    }

    /// The plan for what was seen.
    ///
    /// # Errors
    /// When the server or its memory was not seen.
    pub fn plan(&self, facts: &Facts) -> Result<Plan, TuneError> {
        Ok(plan(facts, &self.policy)?)
    }

    /// Finishes or undoes what an earlier process left open, and judges what waited for a restart. Changes of another
    /// data directory are left alone: one journal may have served two servers.
    ///
    /// # Errors
    /// When another pgpilot is at work, or the server or the journal fails.
    pub async fn settle(&mut self) -> Result<Vec<Ended>, TuneError> {
        let records = self.journal.records()?;
        let is_settled = |record: &Record| record.phase.is_over() && !matches!(record.phase, Phase::Stuck(_));
        if records.iter().all(is_settled) && taken_back(&records).next().is_none() {
            return Ok(vec![]);
        }
        let identity = catalog::system_identifier(&self.hands.session).await?;
        let started = catalog::started_ms(&self.hands.session).await?;
        let retry_stuck = !self.retried_stuck;
        let mut ended = vec![];
        for record in records.iter().filter(|record| record.change.system_identifier == identity) {
            if needs_settling(record, started, retry_stuck) {
                ended.extend(self.settle_one(record.id, started, retry_stuck).await?);
            }
        }
        self.retried_stuck = true;
        self.mark_taken_back(&identity)?;
        Ok(ended)
    }

    /// The record is read again under the lock: another process may have settled it meanwhile.
    async fn settle_one(
        &mut self,
        id: i64,
        started: i64,
        retry_stuck: bool,
    ) -> Result<Option<Ended>, TuneError> {
        let _file = self.lock().await?;
        let record = self.journal.record(id)?.filter(|record| needs_settling(record, started, retry_stuck));
        let done = match &record {
            None => Ok(None),
            Some(record) if record.phase == Phase::AwaitingRestart => {
                restarted(&mut self.hands, &mut self.journal, record, self.now).await.map(Some)
            }
            Some(record) => resume(&mut self.hands, &mut self.journal, record, self.now).await.map(Some),
        };
        self.unlock().await;
        Ok(done?)
    }

    /// Writes the plan's wanted rows; none when there are none.
    ///
    /// # Errors
    /// When the server would refuse the reload, another pgpilot is at work, or something fails on the way.
    pub async fn apply(
        &mut self,
        plan: &Plan,
        server: &Postgres,
        wanted: Wanted<'_>,
    ) -> Result<Option<Ended>, TuneError> {
        let Some(change) = propose(plan, server, wanted, (self.now)()) else { return Ok(None) };
        self.write(&change, server).await.map(Some)
    }

    /// Takes back a change that stands.
    ///
    /// # Errors
    /// As [`Tuning::apply`], and when there is no such change or nothing of it stands.
    pub async fn roll_back(&mut self, id: i64, server: &Postgres) -> Result<Ended, TuneError> {
        let missing = || TuneError::Refused(format!("there is no change {id}; `pgpilot history` lists them"));
        let record = self.journal.record(id)?.ok_or_else(missing)?;
        let started = catalog::started_ms(&self.hands.session).await?;
        let back =
            take_back(id, &record.change, &record.phase, &server.system_identifier, started, (self.now)())
                .map_err(|source| TuneError::TakeBack { id, source })?;
        let ended = self.write(&back, server).await?;
        self.mark_taken_back(&server.system_identifier)?;
        Ok(ended)
    }

    /// A change whose rollback stands no longer does, also when the rollback was finished by another process.
    fn mark_taken_back(&mut self, identity: &str) -> Result<(), TuneError> {
        let records = self.journal.records()?;
        let here = |record: &&Record| record.change.system_identifier == identity;
        for (id, by) in taken_back(&records) {
            if records.iter().filter(here).any(|record| record.id == by) {
                let note = format!("by change {by}");
                let step =
                    Step { phase: &Phase::TakenBack, note: Some(&note), culprit: None, at: (self.now)() };
                self.journal.advance(id, &step)?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, change: &Change, server: &Postgres) -> Result<Ended, TuneError> {
        self.with_journal()?;
        self.preflight(server).await?;
        let _file = self.lock().await?;
        let done = self.write_locked(change, server).await;
        self.unlock().await;
        done
    }

    async fn write_locked(&mut self, change: &Change, server: &Postgres) -> Result<Ended, TuneError> {
        let records = self.journal.records()?;
        if let Some(open) = in_flight(&records, &change.system_identifier).next() {
            return Err(TuneError::Refused(format!("change {} is still being written", open.id)));
        }
        let snapshot = serde_json::to_string(&server.auto_conf).map_err(|error| {
            TuneError::Refused(format!("postgresql.auto.conf cannot be written down: {error}"))
        })?;
        // The server may have been restarted since the plan was made: the start that is waited for is the next one.
        let server_started_ms = catalog::started_ms(&self.hands.session).await?;
        let change = Change { server_started_ms, ..change.clone() };
        Ok(start(&mut self.hands, &mut self.journal, &change, &snapshot, self.now).await?)
    }

    /// What would make the write vain, looked at just before it.
    async fn preflight(&self, server: &Postgres) -> Result<(), TuneError> {
        if !server.role.may_reload {
            let said =
                format!("role {} may not call pg_reload_conf(): run `pgpilot setup`", server.role.name);
            return Err(TuneError::Refused(said));
        }
        match catalog::file_errors(&self.hands.session).await?.first() {
            None => Ok(()),
            Some(line) => Err(TuneError::Refused(format!(
                "the server would refuse to reload: {line}; mend that line first"
            ))),
        }
    }

    /// Takes the right to look after this server, for as long as the session lives. A session of ours that its network
    /// left behind is ended first: the lock file says that no other process of ours is there.
    ///
    /// # Errors
    /// When another pgpilot looks after it, or the server does not answer.
    pub async fn look_after(&mut self) -> Result<(), TuneError> {
        if self.hands.rights.contains(&Right::Serve) {
            return Ok(());
        }
        let session = &self.hands.session;
        if let Some(holder) = other_holder(session, Right::Serve).await?
            && self.is_ours(&holder)
        {
            end_backend(session, &holder.backend, &holder.application_name).await?;
        }
        lock_server(session, Right::Serve).await?;
        self.hands.rights.push(Right::Serve);
        Ok(())
    }

    /// Both locks, after a look that no `serve` with another journal cares for this server.
    async fn lock(&mut self) -> Result<std::fs::File, TuneError> {
        let file = lock_file(&self.state_dir, Right::Write)?;
        if let Some(holder) = other_holder(&self.hands.session, Right::Serve).await?
            && !self.is_ours(&holder)
        {
            return Err(LockError::Server { holder: holder.who }.into());
        }
        // The lock file says that no process of ours is writing: this session is one that a broken network left.
        if let Some(holder) = other_holder(&self.hands.session, Right::Write).await?
            && self.is_ours(&holder)
        {
            end_backend(&self.hands.session, &holder.backend, &holder.application_name).await?;
        }
        lock_server(&self.hands.session, Right::Write).await?;
        self.hands.rights.push(Right::Write);
        Ok(file)
    }

    /// A session of the same journal: the `serve` beside this verb.
    fn is_ours(&self, holder: &Holder) -> bool {
        holder.application_name.ends_with(&self.journal.name)
    }

    /// The lock ends with the session at the latest, so a failure here is no failure of the change.
    async fn unlock(&mut self) {
        self.hands.rights.retain(|right| *right != Right::Write);
        if let Err(error) = unlock_server(&self.hands.session, Right::Write).await {
            tracing::debug!(%error, "the advisory lock ends with its session");
        }
    }
}

/// Waiting for a restart that has not come is not open: nothing can be done about it.
fn needs_settling(record: &Record, started: i64, retry_stuck: bool) -> bool {
    let restarted = record.phase == Phase::AwaitingRestart && record.change.server_started_ms != started;
    let stuck = retry_stuck && matches!(record.phase, Phase::Stuck(_));
    record.phase.is_in_flight() || restarted || stuck
}
