//! What the journal's records say: which entries are ours, what is held back, what is still in flight.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::change::{Cause, Change, Phase, Reason, State};
use crate::model::facts::{Hold, Ours};

/// A change as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub id: i64,
    pub change: Change,
    pub phase: Phase,
    /// When it came into that phase.
    pub since: Timestamp,
    /// What was said at the last step, such as the server's refusal.
    pub note: Option<String>,
    /// The setting that the change failed for, where it was one.
    pub culprit: Option<String>,
}

/// How long a value that was undone is not proposed again; doubles with each time.
///
/// An hour outlasts a restart of the stack and a typical checkpoint cycle, so that a refusal by a passing state of
/// the server is not repeated within it.
const COOL_DOWN: SignedDuration = SignedDuration::from_hours(1);

/// Interruptions in a row after which a value is held like one that was refused: a disk that is full stays full, and
/// each attempt is a line in the journal.
const MOST_INTERRUPTIONS: u32 = 3;

/// The cool-down doubles no further: 2⁷ hours are more than five days.
const MOST_DOUBLINGS: u32 = 7;

/// Reads the records of one data directory, oldest first.
pub fn ours(records: &[Record], system_identifier: &str) -> Ours {
    let records: Vec<_> =
        records.iter().filter(|r| r.change.system_identifier == system_identifier).collect();
    Ours { written: written(&records), held: held(&records) }
}

/// Changes of one data directory between their first write and their verdict, oldest first: to be finished or undone
/// before anything else. Those of another one are left alone: its server is not here.
pub fn in_flight<'a>(records: &'a [Record], system_identifier: &'a str) -> impl Iterator<Item = &'a Record> {
    let here = move |record: &&Record| record.change.system_identifier == system_identifier;
    records.iter().filter(here).filter(|record| record.phase.is_in_flight())
}

/// Changes that stand in the journal although a rollback of theirs stands, or found everything as it wanted it:
/// (the change, its rollback).
pub fn taken_back(records: &[Record]) -> impl Iterator<Item = (i64, i64)> {
    let done = |record: &Record| record.phase.stands() || record.phase == Phase::Dropped(Reason::AlreadySo);
    let rollbacks = records.iter().filter(move |record| done(record));
    rollbacks.filter_map(|record| Some((rollback_of(record)?, record.id))).filter(|(id, by)| {
        records.iter().any(|record| record.id == *id && record.id < *by && record.phase.stands())
    })
}

/// Entries of changes that stand. One that was taken back counts as never made: its former entry may be a person's.
fn written(records: &[&Record]) -> BTreeMap<String, Option<String>> {
    let taken_back: BTreeSet<i64> =
        records.iter().filter(|r| r.phase.stands()).filter_map(|r| rollback_of(r)).collect();
    let standing = records
        .iter()
        .filter(|r| r.phase.stands() && rollback_of(r).is_none() && !taken_back.contains(&r.id));
    let moves = standing.flat_map(|r| &r.change.moves);
    moves
        .map(|m| {
            let State::Setting(entry) = &m.desired;
            (m.subject.name().to_owned(), entry.clone())
        })
        .collect()
}

const fn rollback_of(record: &Record) -> Option<i64> {
    match record.change.cause {
        Cause::Rollback(id) => Some(id),
        Cause::Plan => None,
    }
}

/// Values that were undone or taken back, until a later change of the same setting stands.
fn held(records: &[&Record]) -> Vec<Hold> {
    let mut past: BTreeMap<&str, Past> = BTreeMap::new();
    for record in records {
        for m in &record.change.moves {
            let name = m.subject.name();
            let before = past.entry(name).or_default();
            match hold(record, name, before) {
                Verdict::Holds(held) => before.held = Some(held),
                Verdict::Frees => *before = Past::default(),
                Verdict::Nothing => {}
            }
        }
    }
    past.into_values().filter_map(|past| past.held).collect()
}

/// What came of the changes of one setting, since it last stood.
#[derive(Default)]
struct Past {
    undone: u32,
    interrupted: u32,
    held: Option<Hold>,
}

enum Verdict {
    Holds(Hold),
    Frees,
    Nothing,
}

fn hold(record: &Record, name: &str, past: &mut Past) -> Verdict {
    let name_ = name.to_owned();
    match (&record.phase, &record.change.cause) {
        (Phase::Kept | Phase::AwaitingRestart | Phase::Dropped(Reason::AlreadySo), Cause::Rollback(id)) => {
            let why = format!("change {id} was taken back; `pgpilot apply --only {name}` tries it again");
            Verdict::Holds(Hold { name: name_, until: None, why })
        }
        (Phase::Kept | Phase::AwaitingRestart, Cause::Plan) => Verdict::Frees,
        (Phase::Reverted(why), Cause::Plan) if is_to_be_held(record, name, *why, past) => {
            let doublings = past.undone.min(MOST_DOUBLINGS);
            past.undone += 1;
            let until = record.since.checked_add(COOL_DOWN * (1 << doublings)).ok();
            let why = format!("change {} was undone: {}", record.id, why.sentence());
            Verdict::Holds(Hold { name: name_, until, why })
        }
        _ => Verdict::Nothing,
    }
}

/// The setting that failed is held, or all of them where it is not known which. A reload that the server refused for
/// another line says nothing about a value, and an interruption only when it comes again and again.
fn is_to_be_held(record: &Record, name: &str, reason: Reason, past: &mut Past) -> bool {
    if reason == Reason::Interrupted {
        past.interrupted += 1;
        return past.interrupted >= MOST_INTERRUPTIONS;
    }
    matches!(reason, Reason::WriteFailed | Reason::NotInForce)
        && record.culprit.as_deref().is_none_or(|culprit| culprit == name)
}
