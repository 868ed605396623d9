//! The loop of `serve`: keeps a session, plans every so often, and writes what needs no restart when told to.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::report;
use super::tuning::{TuneError, Tuning};
use crate::apply::lock::LockError;
use crate::apply::run::Ended;
use crate::lifecycle::{Record, Wanted};
use crate::model::change::{Disruption, Phase};
use crate::model::error::chain;
use crate::model::facts::Facts;
use crate::model::plan::{Plan, Verdict};
use crate::model::setting::Context;
use crate::serve::board::{Board, State};
use crate::tune::NoPlan;

/// How often a closed session is noticed.
const TICK: Duration = Duration::from_secs(1);

/// How often the server is asked for a sign of life, so that a hung one shows in `/readyz` before the next pass.
const PING: Duration = Duration::from_secs(15);

/// After a pass that failed: from one second, doubling, to fifteen.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(15);

/// What the loop is told to do.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    /// Write what needs no restart.
    pub apply: bool,
    /// Refuse to be the second pgpilot on a server; an observer may be.
    pub exclusive: bool,
    pub every: Duration,
}

/// Opens a session and a journal; called anew whenever the session was lost.
pub trait Open<'a> {
    fn open(&self) -> impl Future<Output = Result<Tuning<'a>, TuneError>>;
}

/// What came of a pass: what was seen and planned, and what is wrong.
#[derive(Default)]
struct Pass {
    facts: Option<Facts>,
    plan: Option<Plan>,
    /// None: the pass did not come to read the journal.
    records: Option<Vec<Record>>,
    problems: Vec<(&'static str, String)>,
}

impl Pass {
    fn problem(&mut self, label: &'static str, said: String) {
        self.problems.push((label, said));
    }

    fn failed(&mut self, error: &TuneError) {
        let hint = error.hint().map(|hint| format!(" → {hint}")).unwrap_or_default();
        self.problem(error.as_label(), format!("{}{hint}", chain(error)));
    }
}

/// How long a pass in the middle of a change may go on after we were told to stop. Docker kills ten seconds after
/// SIGTERM and we promise five; what is left open then, the journal has.
const STOP_PATIENCE: Duration = Duration::from_secs(4);

/// Runs until it is told to stop. Every pass ends in a published state, also one that saw nothing.
pub async fn run<'a>(open: &impl Open<'a>, orders: Orders, board: &Arc<Board>, stop: &CancellationToken) {
    let (mut held, mut retry, mut told) = (Held::default(), RETRY_FIRST, None);
    let mut known = Pass::default();
    while !stop.is_cancelled() {
        let pass = tokio::select! {
            pass = one_pass(open, &mut held, orders) => pass,
            () = after_stop(stop) => return,
        };
        log_new(&known.problems, &pass.problems);
        log_plan(&mut told, pass.plan.as_ref());
        let good = pass.problems.is_empty();
        // A pass that did not come to read the journal says nothing of it.
        known = Pass { records: pass.records.or(known.records), ..pass };
        publish(board, &mut known);
        let wait = if good { orders.every } else { retry };
        retry = if good { RETRY_FIRST } else { (retry * 2).min(RETRY_MOST) };
        tokio::select! {
            () = stop.cancelled() => {}
            answers = until_due(wait, held.tuning.as_ref()) => held.broken |= !answers,
        }
    }
}

async fn after_stop(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(STOP_PATIENCE).await;
}

/// Waits, but not when the session closes or the server no longer answers: then there is something to see. False: this
/// session gets no answer.
async fn until_due(wait: Duration, tuning: Option<&Tuning<'_>>) -> bool {
    let due = Instant::now() + wait;
    let mut ping = Instant::now() + PING;
    while Instant::now() < due && !tuning.is_some_and(|tuning| tuning.hands.session.is_closed()) {
        sleep(TICK.min(due - Instant::now())).await;
        if let Some(tuning) = tuning.filter(|_| Instant::now() >= ping) {
            if tuning.hands.session.run("asking whether the server answers", "SELECT 1").await.is_err() {
                return false;
            }
            ping = Instant::now() + PING;
        }
    }
    true
}

/// The session of the last pass, and whether it can be used again.
#[derive(Default)]
struct Held<'a> {
    tuning: Option<Tuning<'a>>,
    broken: bool,
}

impl<'a> Held<'a> {
    /// A session that can be used; a new one remembers what the old one saw.
    async fn usable(&mut self, open: &impl Open<'a>) -> Result<&mut Tuning<'a>, TuneError> {
        let good = |tuning: &Tuning<'_>| !self.broken && !tuning.hands.session.is_closed();
        let tuning = match self.tuning.take() {
            Some(tuning) if good(&tuning) => tuning,
            Some(old) => match open.open().await {
                Ok(new) => {
                    Tuning { seen: old.seen, blind: old.blind, retried_stuck: old.retried_stuck, ..new }
                }
                Err(error) => {
                    self.tuning = Some(old);
                    return Err(error);
                }
            },
            None => open.open().await?,
        };
        self.broken = false;
        Ok(self.tuning.insert(tuning))
    }
}

async fn one_pass<'a>(open: &impl Open<'a>, held: &mut Held<'a>, orders: Orders) -> Pass {
    let mut pass = Pass::default();
    let done = match held.usable(open).await {
        Ok(tuning) => look_and_act(tuning, orders, &mut pass).await,
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        pass.failed(&error);
        // Whatever happened to the session, a new one knows.
        let of_the_session = matches!(
            error,
            TuneError::Postgres(_)
                | TuneError::Run(_)
                | TuneError::Lock(LockError::Postgres(_) | LockError::Io { .. })
                | TuneError::Journal(_)
                | TuneError::NoPlan(NoPlan::NoServer(_))
        );
        held.broken |= of_the_session;
    }
    // A journal that could not be had may be there at the next pass.
    held.broken |= held.tuning.as_ref().is_some_and(|tuning| !tuning.may_write());
    pass
}

async fn look_and_act(tuning: &mut Tuning<'_>, orders: Orders, pass: &mut Pass) -> Result<(), TuneError> {
    pass.records = Some(tuning.journal.records()?);
    let alone = alone(tuning, orders, pass).await?;
    if let Some(broken) = &tuning.without_journal {
        pass.problem("journal", broken.clone());
    }
    if alone && tuning.may_write() {
        for ended in tuning.settle().await? {
            tell(&ended);
        }
    }
    let facts = tuning.look().await?;
    let planned = tuning.plan(&facts);
    let (facts, planned) = (pass.facts.insert(facts), planned?);
    let plan = pass.plan.insert(planned);
    if alone && orders.apply && tuning.may_write() {
        let wanted = Wanted { disruption: Disruption::Reload, only: &[] };
        if let Some(server) = facts.postgres.get()
            && let Some(ended) = tuning.apply(plan, server, wanted).await?
        {
            tell(&ended);
            let facts = pass.facts.insert(tuning.look().await?);
            pass.plan = Some(tuning.plan(facts)?);
        }
    }
    let records = pass.records.insert(tuning.journal.records()?);
    let identity = facts_identity(pass.facts.as_ref());
    let here = |record: &&Record| Some(record.change.system_identifier.as_str()) == identity;
    if records.iter().filter(here).any(|record| record.phase.is_in_flight()) {
        let said =
            "a change is open: `pgpilot history` says which; the next pass, or a verb that writes, ends it";
        pass.problems.push(("interrupted", said.to_owned()));
    }
    if records.iter().filter(here).any(|record| matches!(record.phase, Phase::Stuck(_))) {
        let said = "a change is stuck: `pgpilot history` says which; the next start tries again";
        pass.problems.push(("stuck", said.to_owned()));
    }
    Ok(())
}

fn facts_identity(facts: Option<&Facts>) -> Option<&str> {
    facts?.postgres.get().map(|server| server.system_identifier.as_str())
}

/// Whether this server is ours to look after: the lock is held as long as the session lives.
async fn alone(tuning: &mut Tuning<'_>, orders: Orders, pass: &mut Pass) -> Result<bool, TuneError> {
    if !orders.exclusive {
        return Ok(false);
    }
    match tuning.look_after().await {
        Ok(()) => Ok(true),
        Err(error @ TuneError::Lock(LockError::Server { .. })) => {
            pass.failed(&error);
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn tell(ended: &Ended) {
    let Ended { id, phase, note, settings } = ended;
    let said = note.as_deref().unwrap_or_default();
    let why = phase.reason().map(|reason| format!(": {}", reason.sentence())).unwrap_or_default();
    let label = phase.as_label();
    match phase {
        Phase::Stuck(_) => error!(id, phase = label, "change {id} is stuck{why} {said}"),
        Phase::Reverted(_) => warn!(id, phase = label, "change {id} was undone{why} {said}"),
        Phase::Kept | Phase::AwaitingRestart | Phase::Dropped(_) | Phase::TakenBack => {
            info!(id, phase = label, settings, "change {id} of {settings} settings is {label}{why}");
        }
        Phase::Planned | Phase::Writing | Phase::Loading | Phase::Verifying => {}
        Phase::Reverting(_) | Phase::Unloading(_) | Phase::Checking(_) => {
            warn!(id, phase = label, "change {id} is open{why} {said}");
        }
    }
}

/// A trouble is logged when it comes and when it goes, not at every pass.
fn log_new(before: &[(&'static str, String)], now: &[(&'static str, String)]) {
    for (label, said) in now.iter().filter(|problem| !before.contains(problem)) {
        if *label == "stuck" { error!(problem = label, "{said}") } else { warn!(problem = label, "{said}") }
    }
    for (label, _) in before.iter().filter(|(label, _)| !now.iter().any(|(still, _)| still == label)) {
        info!(problem = label, "{label}: over");
    }
}

/// The plan's size is logged when it changes: what is left to do, and for whom.
fn log_plan(told: &mut Option<[usize; 3]>, plan: Option<&Plan>) {
    let Some(plan) = plan else { return };
    let (reload, restart) = (plan.to_set(Context::Reload).count(), plan.to_set(Context::Restart).count());
    let blocked = plan.rows.iter().filter(|row| matches!(row.verdict, Verdict::Block(_))).count();
    if told.replace([reload, restart, blocked]) != Some([reload, restart, blocked]) {
        info!(
            reload,
            restart,
            blocked,
            "plan: {reload} settings to set at a reload, {restart} at a restart, {blocked} blocked; \
             `pgpilot plan` says why, `pgpilot apply` and `apply --include-restart` set them"
        );
    }
}

/// The state of a `serve` whose options cannot be used: it looks at nothing, and says why.
pub fn bad_options(said: Vec<String>) -> State {
    let families = report::families(&[], &["bad_options"]);
    State { problems: said, families, ..State::default() }
}

fn publish(board: &Board, pass: &mut Pass) {
    let labels: Vec<_> = pass.problems.iter().map(|(label, _)| *label).collect();
    let families = report::families(pass.records.as_deref().unwrap_or_default(), &labels);
    let problems = pass.problems.iter().map(|(_, said)| said.clone()).collect();
    board.publish(State { facts: pass.facts.take(), plan: pass.plan.take(), problems, families });
}
