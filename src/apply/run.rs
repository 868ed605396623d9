//! Carries a change from phase to phase: the journal first, then the order, then the event.

use jiff::Timestamp;

use super::journal::{Journal, JournalError, Step};
use super::{Hands, Said};
use crate::client::postgres::PgError;
use crate::lifecycle::{Event, Found, Order, Record, step};
use crate::model::change::{Change, Phase, Subject};
use crate::model::error::chain;

/// How often a server may go away during one change before we leave it to the next start.
///
/// Each time is one recovery at most; a server that crashes more often has another trouble than ours.
const MOST_RECONNECTS: u32 = 3;

/// Orders of one change: the longest way, there and back with a late write, has twelve.
const MOST_ORDERS: u32 = 24;

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
    let first = Said::from(Event::Abandoned);
    Run::new(hands, journal, id, change, now).go(Phase::Planned, Some(Order::Read), first).await
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
    // Why it is being undone is known already.
    let known = if record.phase.reason().is_some() {
        Said { event: Event::Abandoned, note: record.note.clone(), culprit: record.culprit.clone() }
    } else {
        Said::from(Event::Abandoned)
    };
    run.note_phase(&record.phase, &phase, &known)?;
    run.go(phase, order, known).await
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
    let first = Said::from(Event::Restarted);
    Run::new(hands, journal, record.id, &record.change, now).go(phase, order, first).await
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

    /// `last` is what is known of why the change is being undone, if it is: what went wrong first stays the reason.
    async fn go(
        &mut self,
        mut phase: Phase,
        mut order: Option<Order>,
        mut last: Said,
    ) -> Result<Ended, RunError> {
        for _ in 0..MOST_ORDERS {
            let Some(wanted) = order.take() else { break };
            let said = self.execute(&phase, wanted).await?;
            let (next, then) = step(self.change, &phase, &said.event);
            last.note = last.note.or(said.note);
            last.culprit = last.culprit.or(said.culprit);
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

    /// Does an order. When it fails for the moment, a server that is gone or a disk that is full, looks at what stands
    /// there now: what is half-way is undone, which may well go.
    async fn execute(&mut self, phase: &Phase, order: Order) -> Result<Said, RunError> {
        let error = match self.attempt(&order).await {
            Ok(said) => return Ok(said),
            Err(error) if self.reconnects >= MOST_RECONNECTS => return Err(self.lost(phase, error)),
            Err(error) => error,
        };
        self.reconnects += 1;
        let why = Some(chain(&error));
        if error.is_lost() {
            self.hands.reconnect().await.map_err(|source| self.lost(phase, source))?;
        }
        if *phase == Phase::Planned {
            return Ok(Said { event: Event::Abandoned, note: why, culprit: None });
        }
        let said = self.attempt(&Order::Read).await.map_err(|source| self.lost(phase, source))?;
        Ok(Said { note: why.or(said.note), ..said })
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
