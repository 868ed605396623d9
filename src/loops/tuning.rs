//! One pass over the server: settle what is open, look, plan, and apply what is wanted.
//!
//! `serve` and the verbs do the same through this; only what they want differs.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::apply::journal::{Journal, JournalError};
use crate::apply::lock::{Holder, LockError, Right, lock_file, lock_server, other_holder, unlock_server};
use crate::apply::postgres::PgHands;
use crate::apply::run::{Ended, RunError, restarted, resume, start, void};
use crate::client::postgres::{PgError, Session};
use crate::client::{Target, catalog};
use crate::collect::facts::{Inputs, facts};
use crate::lifecycle::{Record, Refusal, Wanted, in_flight, ours, propose, take_back};
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
    /// This session holds the right to look after the server.
    pub looks_after: bool,
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
            Self::Lock(_) => "other_pgpilot",
            Self::Run(_) => "interrupted",
            Self::NoPlan(_) => "no_plan",
            Self::Refused(_) | Self::TakeBack { .. } => "refused",
        }
    }
}

/// How long `serve` and the verbs wait for a server that goes away in the middle of a change.
///
/// A restart with crash recovery of a few gigabytes of WAL takes this long; past it the next start takes over.
pub const PATIENCE: Duration = Duration::from_secs(30);

impl Tuning<'_> {
    pub const fn may_write(&self) -> bool {
        self.without_journal.is_none()
    }

    /// Everything that can be seen now, with what our journal says of this server.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn look(&self) -> Result<Facts, TuneError> {
        let session = Ok(&self.hands.session);
        let mut seen = self.view.look(self.hands.target, session, Ours::default(), (self.now)()).await;
        if let Some(server) = seen.postgres.get() {
            seen.ours = ours(&self.journal.records()?, &server.system_identifier);
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

    /// Finishes or undoes what an earlier process left open, and judges what waited for a restart.
    ///
    /// # Errors
    /// When another pgpilot is at work, or the server or the journal fails.
    pub async fn settle(&mut self) -> Result<Vec<Ended>, TuneError> {
        let records = self.journal.records()?;
        let open: Vec<_> = records.into_iter().filter(|record| !record.phase.is_over()).collect();
        if open.is_empty() {
            return Ok(vec![]);
        }
        let identity = catalog::system_identifier(&self.hands.session).await?;
        let started = catalog::started_ms(&self.hands.session).await?;
        let mut ended = vec![];
        for record in open.iter().filter(|record| needs_settling(record, &identity, started)) {
            ended.push(self.settle_one(record, &identity).await?);
        }
        Ok(ended)
    }

    async fn settle_one(&mut self, record: &Record, identity: &str) -> Result<Ended, TuneError> {
        let _file = self.lock().await?;
        let done = if record.change.system_identifier != identity {
            let phase = void(&mut self.journal, record, (self.now)())?;
            Ok(Ended { id: record.id, phase, note: None, settings: record.change.moves.len() })
        } else if record.phase == Phase::AwaitingRestart {
            restarted(&mut self.hands, &mut self.journal, record, self.now).await
        } else {
            resume(&mut self.hands, &mut self.journal, record, self.now).await
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
        self.write(&back, server).await
    }

    async fn write(&mut self, change: &Change, server: &Postgres) -> Result<Ended, TuneError> {
        if let Some(why) = &self.without_journal {
            return Err(TuneError::Refused(format!("nothing is written without a journal: {why}")));
        }
        self.preflight(server).await?;
        let _file = self.lock().await?;
        if let Some(open) = in_flight(&self.journal.records()?).next() {
            self.unlock().await;
            return Err(TuneError::Refused(format!("change {} is still being written", open.id)));
        }
        let snapshot = serde_json::to_string(&server.auto_conf).unwrap_or_default();
        let ended = start(&mut self.hands, &mut self.journal, change, &snapshot, self.now).await;
        self.unlock().await;
        Ok(ended?)
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

    /// Both locks, after a look that no `serve` with another journal cares for this server.
    async fn lock(&self) -> Result<std::fs::File, TuneError> {
        let file = lock_file(&self.state_dir)?;
        if let Some(holder) = other_holder(&self.hands.session, Right::Serve).await?
            && !self.is_ours(&holder)
        {
            return Err(LockError::Server { holder: holder.who }.into());
        }
        lock_server(&self.hands.session, Right::Write).await?;
        Ok(file)
    }

    /// A session of the same journal: the `serve` beside this verb.
    fn is_ours(&self, holder: &Holder) -> bool {
        holder.application_name.ends_with(&self.journal.name)
    }

    /// The lock ends with the session at the latest, so a failure here is no failure of the change.
    async fn unlock(&self) {
        if let Err(error) = unlock_server(&self.hands.session, Right::Write).await {
            tracing::debug!(%error, "the advisory lock ends with its session");
        }
    }
}

/// Waiting for a restart that has not come is not open: nothing can be done about it.
fn needs_settling(record: &Record, identity: &str, started: i64) -> bool {
    record.phase != Phase::AwaitingRestart
        || record.change.system_identifier != identity
        || record.change.server_started_ms != started
}
