//! A rollback is a change like any other: from the states that a change wrote to those that it found.

use jiff::Timestamp;

use crate::model::change::{Cause, Change, Disruption, Move, Phase};

/// Why a change cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it changed nothing that stands: its phase is {0}")]
    NothingStands(&'static str),
    #[error("it was made for another data directory")]
    OtherServer,
    #[error("it is a rollback itself; `pgpilot apply --only NAME` puts a value back that it took")]
    IsARollback,
}

/// The change that undoes `change`, or why there is none.
///
/// # Errors
/// When nothing of it stands, or the server is not the one that it was made for.
pub fn take_back(
    id: i64,
    change: &Change,
    phase: &Phase,
    system_identifier: &str,
    server_started_ms: i64,
    now: Timestamp,
) -> Result<Change, Refusal> {
    if matches!(change.cause, Cause::Rollback(_)) {
        return Err(Refusal::IsARollback);
    }
    if !phase.stands() {
        return Err(Refusal::NothingStands(phase.as_label()));
    }
    if change.system_identifier != system_identifier {
        return Err(Refusal::OtherServer);
    }
    let moves = change.moves.iter().map(|m| Move {
        subject: m.subject.clone(),
        expect: m.desired.clone(),
        desired: m.expect.clone(),
        from: m.to.clone(),
        to: m.from.clone(),
        why: format!("takes back change {id}"),
    });
    Ok(Change {
        cause: Cause::Rollback(id),
        made_at: now,
        system_identifier: system_identifier.to_owned(),
        server_started_ms,
        disruption: disruption(change, phase, server_started_ms),
        moves: moves.collect(),
    })
}

/// Values that no start has brought into force yet are gone with the entry: a reload is enough.
fn disruption(change: &Change, phase: &Phase, server_started_ms: i64) -> Disruption {
    let never_started = *phase == Phase::AwaitingRestart && change.server_started_ms == server_started_ms;
    if never_started { Disruption::Reload } else { change.disruption }
}
