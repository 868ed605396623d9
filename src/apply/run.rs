//! Carries a change from phase to phase: the journal first, then the order, then the event.

use jiff::Timestamp;

use super::journal::{Journal, JournalError};
use super::{Hands, Said};
use crate::client::postgres::PgError;
use crate::lifecycle::{Event, Order, Record, step};
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
    let begun = journal.begin(change, snapshot, now());
    let id = begun.map_err(|source| RunError::Journal { id: 0, phase: "planned", source })?;
    carry(hands, journal, id, change, Phase::Planned, now).await
}

/// Goes on with a change that an earlier process left in flight, or that waited for a restart.
///
/// # Errors
/// As [`start`].
pub async fn resume<H: Hands>(
    hands: &mut H,
    journal: &mut Journal,
    record: &Record,
    now: impl Fn() -> Timestamp,
) -> Result<Ended, RunError> {
    carry(hands, journal, record.id, &record.change, record.phase.clone(), now).await
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
    let mut run = Run { hands, journal, id: record.id, change: &record.change, now, reconnects: 0 };
    run.go(phase, order, None).await
}

/// Ends a change that was made for another data directory.
///
/// # Errors
/// When the journal cannot be written.
pub fn void(journal: &mut Journal, record: &Record, now: Timestamp) -> Result<Phase, JournalError> {
    let (phase, _) = step(&record.change, &record.phase, &Event::OtherServer);
    journal.advance(record.id, &phase, None, now)?;
    Ok(phase)
}

async fn carry<H: Hands>(
    hands: &mut H,
    journal: &mut Journal,
    id: i64,
    change: &Change,
    phase: Phase,
    now: impl Fn() -> Timestamp,
) -> Result<Ended, RunError> {
    let mut run = Run { hands, journal, id, change, now, reconnects: 0 };
    run.go(phase, Some(Order::Read), None).await
}

struct Run<'a, H, N> {
    hands: &'a mut H,
    journal: &'a mut Journal,
    id: i64,
    change: &'a Change,
    now: N,
    reconnects: u32,
}

impl<H: Hands, N: Fn() -> Timestamp> Run<'_, H, N> {
    async fn go(
        &mut self,
        mut phase: Phase,
        mut order: Option<Order>,
        mut note: Option<String>,
    ) -> Result<Ended, RunError> {
        while let Some(wanted) = order.take() {
            let said = self.execute(&phase, wanted).await?;
            note = said.note.or(note);
            let (next, then) = step(self.change, &phase, &said.event);
            if next != phase {
                self.journal
                    .advance(self.id, &next, note.as_deref(), (self.now)())
                    .map_err(|source| RunError::Journal { id: self.id, phase: phase.as_label(), source })?;
            }
            (phase, order) = (next, then);
        }
        Ok(Ended { id: self.id, phase, note, settings: self.change.moves.len() })
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
                Ok(Event::Found(self.hands.read(&subjects).await?).into())
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
