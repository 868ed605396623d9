//! From a phase and an event to the next phase and what must be done to get the next event.
//!
//! ```text
//!           found = desired ──────────────────────────► Dropped(already_so)
//! Planned ─ found ≠ expect ───────────────────────────► Dropped(moved_by_others)
//!    │ found = expect
//!    ▼
//! Writing ─► Loading ─► Verifying ─ in force ─────────► Kept
//!    │          │           ├────── restart needed ───► AwaitingRestart ─ restarted ─► Verifying
//!    │ refused  │ refused   │ not in force
//!    └──────────┴─────┬─────┘
//!                     ▼
//!                 Reverting ─► Unloading ─────────────► Reverted
//!                     └─────── refused ───────────────► Stuck: a person is called
//! ```
//!
//! A late or double event changes nothing. Nothing but `expect` and `desired` is ever ordered to be written.

use crate::model::change::{Change, Disruption, Phase, Reason, State, Subject};

/// What was read of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub subject: Subject,
    pub state: State,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The states of all subjects were read, as [`Order::Read`] asked, or at the start after a crash.
    Found(Vec<Found>),
    /// All ordered states were written.
    Written,
    /// A state was refused; those before it are written.
    Refused,
    /// The server read its files.
    Loaded,
    /// The server did not take the files.
    NotLoaded,
    /// Every value is in force, or marked as pending where it needs a restart.
    InForce,
    /// At least one is not.
    NotInForce,
    /// The server was started anew since the values were written.
    Restarted,
    /// The server has another data directory than the change was made for.
    OtherServer,
}

/// What the edge must do, in this order; each gives one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Read the states of all subjects.
    Read,
    /// Write these states, one by one.
    Write(Vec<(Subject, State)>),
    /// Make the server read its files.
    Load,
    /// Compare what is in force with `desired`.
    Verify,
}

/// The next phase, and the order that leads to the next event; none when there is nothing to wait for.
pub fn step(change: &Change, phase: &Phase, event: &Event) -> (Phase, Option<Order>) {
    if phase.is_over() {
        return (phase.clone(), None);
    }
    match (phase, event) {
        (_, Event::OtherServer) => (Phase::Dropped(Reason::OtherServer), None),
        (Phase::Planned, Event::Found(found)) => precheck(change, found),
        (Phase::Writing, Event::Written) => (Phase::Loading, Some(Order::Load)),
        (Phase::Writing, Event::Refused) => revert(Reason::WriteFailed),
        (Phase::Loading, Event::Loaded) => (Phase::Verifying, Some(Order::Verify)),
        (Phase::Loading, Event::NotLoaded) => revert(Reason::LoadRefused),
        (Phase::Verifying, Event::InForce) => (verified(change), None),
        (Phase::Verifying | Phase::AwaitingRestart, Event::NotInForce) => revert(Reason::NotInForce),
        (Phase::AwaitingRestart, Event::Restarted) => (Phase::AwaitingRestart, Some(Order::Verify)),
        (Phase::AwaitingRestart, Event::InForce) => (Phase::Kept, None),
        (Phase::AwaitingRestart, Event::Found(found)) => still_waiting(change, found),
        (Phase::Reverting(why), Event::Written) => (Phase::Unloading(*why), Some(Order::Load)),
        (Phase::Reverting(_), Event::Refused) => (Phase::Stuck(Reason::UndoFailed), None),
        // What is written back takes effect at the next start at the latest, even if this reload was refused.
        (Phase::Unloading(why), Event::Loaded | Event::NotLoaded) => (Phase::Reverted(*why), None),
        (_, Event::Found(found)) => resume(change, phase, found),
        _ => (phase.clone(), None),
    }
}

fn precheck(change: &Change, found: &[Found]) -> (Phase, Option<Order>) {
    if all(change, found, |m| &m.desired) {
        (Phase::Dropped(Reason::AlreadySo), None)
    } else if all(change, found, |m| &m.expect) {
        (Phase::Writing, Some(Order::Write(states(change, |m| &m.desired))))
    } else {
        (Phase::Dropped(Reason::MovedByOthers), None)
    }
}

/// After an interruption: finish what is written whole, undo what is half, leave what others moved since.
fn resume(change: &Change, phase: &Phase, found: &[Found]) -> (Phase, Option<Order>) {
    if let Phase::Reverting(why) | Phase::Unloading(why) = phase {
        return undo(change, found, *why);
    }
    if all(change, found, |m| &m.desired) {
        (Phase::Loading, Some(Order::Load))
    } else {
        undo(change, found, Reason::Interrupted)
    }
}

/// Writes back those subjects that stand as we wrote them; a third state is somebody else's.
fn undo(change: &Change, found: &[Found], why: Reason) -> (Phase, Option<Order>) {
    let ours = change.moves.iter().filter(|m| state_of(found, &m.subject) == Some(&m.desired));
    let back: Vec<_> = ours.map(|m| (m.subject.clone(), m.expect.clone())).collect();
    if back.is_empty() {
        (Phase::Unloading(why), Some(Order::Load))
    } else {
        (Phase::Reverting(why), Some(Order::Write(back)))
    }
}

/// A change that waits for a restart is given up when somebody else moved one of its settings.
fn still_waiting(change: &Change, found: &[Found]) -> (Phase, Option<Order>) {
    if all(change, found, |m| &m.desired) {
        (Phase::AwaitingRestart, None)
    } else {
        (Phase::Dropped(Reason::MovedByOthers), None)
    }
}

/// Looks first: only what stands as we wrote it is written back.
const fn revert(why: Reason) -> (Phase, Option<Order>) {
    (Phase::Reverting(why), Some(Order::Read))
}

const fn verified(change: &Change) -> Phase {
    match change.disruption {
        Disruption::Reload => Phase::Kept,
        Disruption::Restart => Phase::AwaitingRestart,
    }
}

fn state_of<'a>(found: &'a [Found], subject: &Subject) -> Option<&'a State> {
    found.iter().find(|f| f.subject == *subject).map(|f| &f.state)
}

fn all<'a>(
    change: &'a Change,
    found: &[Found],
    state: impl Fn(&'a crate::model::change::Move) -> &'a State,
) -> bool {
    change.moves.iter().all(|m| state_of(found, &m.subject) == Some(state(m)))
}

fn states(change: &Change, state: impl Fn(&crate::model::change::Move) -> &State) -> Vec<(Subject, State)> {
    change.moves.iter().map(|m| (m.subject.clone(), state(m).clone())).collect()
}
