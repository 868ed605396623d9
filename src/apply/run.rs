//! Carries a change from phase to phase: the journal first, then the order, then the event.

use jiff::Timestamp;

use super::journal::{Journal, JournalError, Step};
use super::{Hands, Said};
use crate::client::postgres::PgError;
use crate::lifecycle::{Event, Found, Order, Record, step};
use crate::model::change::{Change, Phase, Subject};

/// How often a server may go away during one change before we leave it to the next start.
///
/// Each time is one recovery at most; a server that crashes more often has another trouble than ours.
const MOST_RECONNECTS: u32 = 3;

/// What stopped us before a verdict. The journal has the phase: the next start finishes or undoes the change.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("change {id} was interrupted while {phase}")]
    Lost { id: i64, phase: &'static str, source: PgError },
    #[error("change {id} was interrupted while {phase}")]
    Journal { id: i64, phase: &'static str, source: JournalError },
    /// Nothing was begun.
    #[error(transparent)]
    Begin(#[from] JournalError),
}

/// How a change ended, or where it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub id: i64,
    pub phase: Phase,
    pub note: Option<String>,
    /// How many settings it moves.
    pub settings: usize,
}

/// Begins a new change and carries it as far as it goes.
///
/// # Errors
/// When the server goes away and does not come back in time, or the journal cannot be written.
pub async fn start<H: Hands>(
    hands: &mut H,
    journal: &mut Journal,
    change: &Change,
    snapshot: &str,
    now: impl Fn() -> Timestamp,
) -> Result<Ended, RunError> {
    let id = journal.begin(change, snapshot, now())?;
    Run::new(hands, journal, id, change, now).go(Phase::Planned, Some(Order::Read)).await
}

/// Goes on with a change that an earlier process left in flight, or that got stuck.
///
/// # Errors
/// As [`start`].
pub async fn resume<H: Hands>(
    hands: &mut H,
    journal: &mut Journal,
    record: &Record,
    now: impl Fn() -> Timestamp,
) -> Result<Ended, RunError> {
    let (phase, order) = step(&record.change, &record.phase, &Event::Abandoned);
    let mut run = Run::new(hands, journal, record.id, &record.change, now);
    run.note_phase(&record.phase, &phase, &Said::from(Event::Abandoned))?;
    run.go(phase, order).await
}

/// Tells a waiting change that the server was started anew.
///
/// # Errors
/// As [`start`].
pub async fn restarted<H: Hands>(
    hands: &mut H,
    journal: &mut Journal,
    record: &Record,
    now: impl Fn() -> Timestamp,
) -> Result<Ended, RunError> {
    let (phase, order) = step(&record.change, &record.phase, &Event::Restarted);
    Run::new(hands, journal, record.id, &record.change, now).go(phase, order).await
}

struct Run<'a, H, N> {
    hands: &'a mut H,
    journal: &'a mut Journal,
    id: i64,
    change: &'a Change,
    now: N,
    reconnects: u32,
}

impl<'a, H: Hands, N: Fn() -> Timestamp> Run<'a, H, N> {
    const fn new(hands: &'a mut H, journal: &'a mut Journal, id: i64, change: &'a Change, now: N) -> Self {
        Self { hands, journal, id, change, now, reconnects: 0 }
    }

    async fn go(&mut self, mut phase: Phase, mut order: Option<Order>) -> Result<Ended, RunError> {
        let mut last = Said::from(Event::Abandoned);
        while let Some(wanted) = order.take() {
            let said = self.execute(&phase, wanted).await?;
            let (next, then) = step(self.change, &phase, &said.event);
            // What went wrong first stays the reason, also when the undoing goes well.
            last.note = said.note.or(last.note);
            last.culprit = said.culprit.or(last.culprit);
            self.note_phase(&phase, &next, &last)?;
            (phase, order) = (next, then);
        }
        Ok(Ended { id: self.id, phase, note: last.note, settings: self.change.moves.len() })
    }

    /// A phase that a change comes into is on disk before anything is done in it.
    fn note_phase(&mut self, before: &Phase, next: &Phase, said: &Said) -> Result<(), RunError> {
        if before == next {
            return Ok(());
        }
        let (note, culprit) = (said.note.as_deref(), said.culprit.as_deref());
        let written = self.journal.advance(self.id, &Step { phase: next, note, culprit, at: (self.now)() });
        written.map_err(|source| RunError::Journal { id: self.id, phase: before.as_label(), source })
    }

    /// Does an order; when the server goes away meanwhile, waits for it and looks at what stands there now.
    async fn execute(&mut self, phase: &Phase, order: Order) -> Result<Said, RunError> {
        match self.attempt(&order).await {
            Ok(said) => Ok(said),
            Err(error) if error.is_lost() && self.reconnects < MOST_RECONNECTS => {
                self.reconnects += 1;
                self.hands.reconnect().await.map_err(|source| self.lost(phase, source))?;
                self.attempt(&Order::Read).await.map_err(|source| self.lost(phase, source))
            }
            Err(error) => Err(self.lost(phase, error)),
        }
    }

    async fn attempt(&mut self, order: &Order) -> Result<Said, PgError> {
        match order {
            Order::Read => {
                let subjects: Vec<Subject> = self.change.moves.iter().map(|m| m.subject.clone()).collect();
                let found = self.hands.read(&subjects).await?;
                let note = stranger(self.change, &found);
                Ok(Said { event: Event::Found(found), note, culprit: None })
            }
            Order::Write(states) => self.hands.write(states).await,
            Order::Load => self.hands.load().await,
            Order::Verify => self.hands.verify(self.change).await,
        }
    }

    fn lost(&self, phase: &Phase, source: PgError) -> RunError {
        RunError::Lost { id: self.id, phase: phase.as_label(), source }
    }
}

/// The first subject that stands in a state which is neither the expected nor the wanted one, in words.
fn stranger(change: &Change, found: &[Found]) -> Option<String> {
    change.moves.iter().find_map(|m| {
        let state = &found.iter().find(|found| found.subject == m.subject)?.state;
        let known = *state == m.expect || *state == m.desired;
        (!known).then(|| format!("{}: expected the entry {}, found {state}", m.subject.name(), m.expect))
    })
}
