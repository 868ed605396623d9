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
//!                 Reverting ─► Unloading ─► Checking ─► Reverted
//!                     └─────── refused ───────────────► Stuck: a person is called
//! ```
//!
//! A late or double event changes nothing. Nothing but `expect` and `desired` is ever ordered to be written.

use crate::model::change::{Change, Disruption, Move, Phase, Reason, State, Subject};

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
    /// Another process left the change as it is; only what was touched needs an end.
    Abandoned,
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
    match (phase, event) {
        // A refusal may have been of the moment: a disk that was full, a right that is back.
        (Phase::Stuck(_), Event::Abandoned) => (phase.clone(), Some(Order::Read)),
        (Phase::Stuck(why), Event::Found(found)) => undo(change, found, *why),
        (over, _) if over.is_over() => (phase.clone(), None),
        (Phase::Planned, Event::Abandoned) => (Phase::Dropped(Reason::Interrupted), None),
        (_, Event::Abandoned) => (phase.clone(), Some(Order::Read)),
        (Phase::Planned, Event::Found(found)) => precheck(change, found),
        (Phase::Writing, Event::Written) => (Phase::Loading, Some(Order::Load)),
        (Phase::Writing, Event::Refused) => revert(Reason::WriteFailed),
        (Phase::Loading, Event::Loaded) => (Phase::Verifying, Some(Order::Verify)),
        (Phase::Loading, Event::NotLoaded) => revert(Reason::LoadRefused),
        (Phase::Verifying, Event::InForce) => (verified(change), None),
        (Phase::Verifying | Phase::AwaitingRestart, Event::NotInForce) => revert(Reason::NotInForce),
        (Phase::AwaitingRestart, Event::Restarted) => (Phase::AwaitingRestart, Some(Order::Read)),
        (Phase::AwaitingRestart, Event::Found(found)) => after_restart(change, found),
        (Phase::AwaitingRestart, Event::InForce) => (Phase::Kept, None),
        (Phase::Reverting(why), Event::Written) => (Phase::Unloading(*why), Some(Order::Load)),
        (Phase::Reverting(why), Event::Refused) => (Phase::Stuck(*why), None),
        // A reload that is refused leaves the change open: what is in force is not known to be the former state.
        (Phase::Unloading(why), Event::Loaded) => (Phase::Checking(*why), Some(Order::Read)),
        (Phase::Checking(why), Event::Found(found)) => check(change, found, *why),
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
    let back = standing(change, found);
    if back.is_empty() {
        (Phase::Unloading(why), Some(Order::Load))
    } else {
        (Phase::Reverting(why), Some(Order::Write(back)))
    }
}

/// A statement that we gave up waiting for may still have landed after the undoing.
fn check(change: &Change, found: &[Found], why: Reason) -> (Phase, Option<Order>) {
    let late = standing(change, found);
    if late.is_empty() {
        (Phase::Reverted(why), None)
    } else {
        (Phase::Reverting(why), Some(Order::Write(late)))
    }
}

/// After the start that a change waited for: what others moved meanwhile, or a later change of ours, is theirs; the
/// rest is judged.
fn after_restart(change: &Change, found: &[Found]) -> (Phase, Option<Order>) {
    if standing(change, found).is_empty() {
        (Phase::Dropped(Reason::MovedByOthers), None)
    } else {
        (Phase::AwaitingRestart, Some(Order::Verify))
    }
}

/// Subjects that stand as we wrote them, with the state that they had before.
fn standing(change: &Change, found: &[Found]) -> Vec<(Subject, State)> {
    let ours = |m: &&Move| m.desired != m.expect && state_of(found, &m.subject) == Some(&m.desired);
    change.moves.iter().filter(ours).map(|m| (m.subject.clone(), m.expect.clone())).collect()
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

fn all<'a>(change: &'a Change, found: &[Found], state: impl Fn(&'a Move) -> &'a State) -> bool {
    change.moves.iter().all(|m| state_of(found, &m.subject) == Some(state(m)))
}

fn states(change: &Change, state: impl Fn(&Move) -> &State) -> Vec<(Subject, State)> {
    change.moves.iter().map(|m| (m.subject.clone(), state(m).clone())).collect()
}
