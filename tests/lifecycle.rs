//! Every step of a change interrupted: before it, after it, and in the middle of its writes.

#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use pgpilot::apply::journal::Journal;
use pgpilot::apply::run::{self, Ended};
use pgpilot::apply::{Hands, Said};
use pgpilot::client::postgres::{Cause as PgCause, PgError};
use pgpilot::lifecycle::{Event, Found, in_flight, ours, take_back, taken_back};
use pgpilot::model::change::{Cause, Change, Disruption, Move, Phase, Reason, State, Subject};

/// A server's entries, and those that it has read; it dies before its `dies_at`-th touch, or after it.
#[derive(Debug, Clone, Default)]
struct World {
    entries: BTreeMap<String, String>,
    loaded: BTreeMap<String, String>,
    touches: u32,
    dies_at: Option<(u32, bool)>,
    refuses: Option<(&'static str, &'static str)>,
    refuses_reload: bool,
    not_in_force: bool,
    comes_back: bool,
    /// This touch fails for the moment, without an effect.
    disk_full_at: Option<u32>,
    /// A write that was given up lands at the next reload but one.
    lands_late: Option<(&'static str, &'static str)>,
    /// Verify looks at entries that are ours only, as after a restart.
    waits_for_others: bool,
}

impl World {
    /// One touch of the server; `effect` happens unless it dies before.
    fn touch<T>(&mut self, effect: impl FnOnce(&mut Self) -> T) -> Result<T, PgError> {
        self.touches += 1;
        if self.disk_full_at == Some(self.touches) {
            let source = PgCause {
                message: "no space left".to_owned(),
                sqlstate: Some("53100".to_owned()),
                lost: false,
            };
            return Err(PgError::Statement { doing: "touching the world".to_owned(), source });
        }
        match self.dies_at {
            Some((at, after)) if at <= self.touches && !(self.comes_back && at < self.touches) => {
                if after && at == self.touches {
                    effect(self);
                }
                Err(gone())
            }
            _ => Ok(effect(self)),
        }
    }

    fn states(&self, names: &[&str]) -> Vec<Option<String>> {
        names.iter().map(|name| self.entries.get(*name).cloned()).collect()
    }
}

fn gone() -> PgError {
    let source = PgCause { message: "connection closed".to_owned(), sqlstate: None, lost: true };
    PgError::Statement { doing: "touching the world".to_owned(), source }
}

impl Hands for World {
    async fn read(&mut self, subjects: &[Subject]) -> Result<Vec<Found>, PgError> {
        self.touch(|world| {
            let state = |subject: &Subject| State::Setting(world.entries.get(subject.name()).cloned());
            subjects.iter().map(|subject| Found { subject: subject.clone(), state: state(subject) }).collect()
        })
    }

    async fn write(&mut self, states: &[(Subject, State)]) -> Result<Said, PgError> {
        for (subject, State::Setting(entry)) in states {
            if self
                .refuses
                .is_some_and(|refused| Some(refused) == entry.as_deref().map(|text| (subject.name(), text)))
            {
                let culprit = Some(subject.name().to_owned());
                return Ok(Said { event: Event::Refused, note: None, culprit });
            }
            self.touch(|world| match entry {
                Some(text) => drop(world.entries.insert(subject.name().to_owned(), text.clone())),
                None => drop(world.entries.remove(subject.name())),
            })?;
        }
        Ok(Event::Written.into())
    }

    async fn load(&mut self) -> Result<Said, PgError> {
        if self.refuses_reload {
            return Ok(Event::NotLoaded.into());
        }
        self.touch(|world| {
            world.loaded = world.entries.clone();
            if !world.entries.contains_key("jit")
                && let Some((name, text)) = world.lands_late.take()
            {
                world.entries.insert(name.to_owned(), text.to_owned());
            }
        })?;
        Ok(Event::Loaded.into())
    }

    async fn verify(&mut self, change: &Change) -> Result<Said, PgError> {
        self.touch(|world| {
            let holds = |m: &Move| m.desired == State::Setting(world.loaded.get(m.subject.name()).cloned());
            let judged = change.moves.iter().filter(|m| !world.waits_for_others || holds(m));
            let good = judged.clone().all(holds) && judged.count() > 0 && !world.not_in_force;
            if good { Event::InForce.into() } else { Event::NotInForce.into() }
        })
    }

    async fn reconnect(&mut self) -> Result<(), PgError> {
        if self.comes_back { Ok(()) } else { Err(gone()) }
    }
}

const NAMES: &[&str] = &["jit", "max_wal_size", "work_mem"];

fn change(disruption: Disruption) -> Change {
    let moved = |name: &str, expect: Option<&str>, to: &str| Move {
        subject: Subject::PgSetting(name.to_owned()),
        expect: State::Setting(expect.map(ToOwned::to_owned)),
        desired: State::Setting(Some(to.to_owned())),
        from: expect.unwrap_or("default").to_owned(),
        to: to.to_owned(),
        why: "test".to_owned(),
    };
    Change {
        cause: Cause::Plan,
        made_at: Timestamp::UNIX_EPOCH,
        system_identifier: "7".to_owned(),
        server_started_ms: 1,
        disruption,
        moves: vec![
            moved("jit", None, "off"),
            moved("max_wal_size", Some("2GB"), "16GB"),
            moved("work_mem", Some("4MB"), "32MB"),
        ],
    }
}

fn before() -> World {
    let entries: BTreeMap<_, _> =
        [("max_wal_size", "2GB"), ("work_mem", "4MB")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    World { loaded: entries.clone(), entries, ..World::default() }
}

fn former() -> Vec<Option<String>> {
    before().states(NAMES)
}

fn wanted() -> Vec<Option<String>> {
    ["off", "16GB", "32MB"].map(|text| Some(text.to_owned())).into()
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn journal() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    (folder, journal)
}

fn begin(world: &mut World, journal: &mut Journal, change: &Change) -> Option<Ended> {
    block(run::start(world, journal, change, "", now)).ok()
}

/// What the next start does: finish or undo everything that is in flight.
fn next_start(world: &mut World, journal: &mut Journal) {
    world.dies_at = None;
    let records = journal.records().unwrap();
    for record in in_flight(&records, "7") {
        block(run::resume(world, journal, record, now)).unwrap();
    }
}

#[test]
fn a_change_that_goes_well_is_kept() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
    assert_eq!(ended.phase, Phase::Kept);
    assert_eq!((world.states(NAMES), world.loaded), (wanted(), world.entries));
}

#[test]
fn death_at_every_touch_leaves_all_or_nothing_after_the_next_start() {
    for at in 1..=20 {
        for after in [false, true] {
            let (mut world, (folder, mut journal)) = (before(), journal());
            world.dies_at = Some((at, after));
            let ended = begin(&mut world, &mut journal, &change(Disruption::Reload));
            // The process dies too: only what is on disk is left.
            drop(journal);
            let mut journal = Journal::open(folder.path()).unwrap();
            next_start(&mut world, &mut journal);
            let states = world.states(NAMES);
            assert!(states == wanted() || states == former(), "touch {at}, {after}: {states:?}");
            assert_eq!(world.loaded, world.entries, "touch {at}: what stands is in force");
            let record = journal.records().unwrap().pop().unwrap();
            assert!(record.phase.is_over(), "touch {at}: {:?}", record.phase);
            assert_eq!(record.phase == Phase::Kept, states == wanted(), "touch {at}");
            assert!(at < 8 || ended.is_some(), "a change has fewer than eight touches");
        }
    }
}

#[test]
fn a_server_that_comes_back_meanwhile_ends_the_same_way_without_a_new_start() {
    for at in 1..=8 {
        for after in [false, true] {
            let (mut world, (_folder, mut journal)) = (before(), journal());
            world.dies_at = Some((at, after));
            world.comes_back = true;
            let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
            let states = world.states(NAMES);
            assert!(ended.phase.is_over(), "touch {at}: {:?}", ended.phase);
            assert_eq!(states == wanted(), ended.phase == Phase::Kept, "touch {at}, {after}: {states:?}");
            assert!(states == wanted() || states == former(), "touch {at}, {after}: {states:?}");
        }
    }
}

#[test]
fn death_during_the_undoing_is_undone_at_the_next_start() {
    for at in 6..=14 {
        let (mut world, (_folder, mut journal)) = (before(), journal());
        world.not_in_force = true;
        world.dies_at = Some((at, false));
        begin(&mut world, &mut journal, &change(Disruption::Reload));
        next_start(&mut world, &mut journal);
        assert_eq!(world.states(NAMES), former(), "touch {at}");
        let phase = journal.records().unwrap().pop().unwrap().phase;
        assert!(matches!(phase, Phase::Reverted(_)), "touch {at}: {phase:?}");
    }
}

#[test]
fn a_refused_value_takes_the_whole_batch_back() {
    for refused in [("jit", "off"), ("max_wal_size", "16GB"), ("work_mem", "32MB")] {
        let (mut world, (_folder, mut journal)) = (before(), journal());
        world.refuses = Some(refused);
        let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
        assert_eq!(
            (ended.phase, world.states(NAMES)),
            (Phase::Reverted(Reason::WriteFailed), former()),
            "{refused:?}"
        );
    }
}

#[test]
fn a_former_value_that_is_refused_calls_a_person() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    (world.not_in_force, world.refuses) = (true, Some(("work_mem", "4MB")));
    let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
    assert_eq!(ended.phase, Phase::Stuck(Reason::NotInForce));
}

#[test]
fn a_refused_reload_takes_the_batch_back_and_is_over_when_the_server_reloads() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    world.refuses_reload = true;
    let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
    assert_eq!((ended.phase, world.states(NAMES)), (Phase::Unloading(Reason::LoadRefused), former()));
    world.refuses_reload = false;
    next_start(&mut world, &mut journal);
    assert_eq!(last_phase(&journal), Phase::Reverted(Reason::LoadRefused));
    assert!(ours(&journal.records().unwrap(), "7").held.is_empty(), "the refusal was of another line");
}

fn last_phase(journal: &Journal) -> Phase {
    journal.records().unwrap().pop().unwrap().phase
}

#[test]
fn a_write_that_lands_after_the_undoing_is_undone_too() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    world.not_in_force = true;
    world.lands_late = Some(("work_mem", "32MB"));
    let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
    assert_eq!((ended.phase, world.states(NAMES)), (Phase::Reverted(Reason::NotInForce), former()));
    assert_eq!(world.loaded, world.entries);
}

#[test]
fn what_got_stuck_is_tried_again_by_the_next_start() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    (world.not_in_force, world.refuses) = (true, Some(("work_mem", "4MB")));
    begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
    assert_eq!(last_phase(&journal), Phase::Stuck(Reason::NotInForce));
    world.refuses = None;
    let record = journal.records().unwrap().pop().unwrap();
    let ended = block(run::resume(&mut world, &mut journal, &record, now)).unwrap();
    assert_eq!((ended.phase, world.states(NAMES)), (Phase::Reverted(Reason::NotInForce), former()));
}

#[test]
fn a_change_that_was_only_planned_is_dropped_and_not_written() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    journal.begin(&change(Disruption::Reload), "", now()).unwrap();
    next_start(&mut world, &mut journal);
    assert_eq!((last_phase(&journal), world.states(NAMES)), (Phase::Dropped(Reason::Interrupted), former()));
}

#[test]
fn changes_of_another_data_directory_are_left_alone() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    world.dies_at = Some((4, true));
    begin(&mut world, &mut journal, &change(Disruption::Reload));
    let records = journal.records().unwrap();
    assert_eq!(in_flight(&records, "8").count(), 0);
    assert_eq!(in_flight(&records, "7").count(), 1);
}

#[test]
fn after_a_restart_only_what_is_still_ours_is_judged() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    begin(&mut world, &mut journal, &change(Disruption::Restart)).unwrap();
    // A later change of ours, or a person, moves one of the three before the restart.
    world.entries.insert("work_mem".to_owned(), "64MB".to_owned());
    world.loaded = world.entries.clone();
    world.waits_for_others = true;
    let record = journal.records().unwrap().pop().unwrap();
    let ended = block(run::restarted(&mut world, &mut journal, &record, now)).unwrap();
    assert_eq!(ended.phase, Phase::Kept, "the other two are as wanted");
    assert_eq!(world.entries["work_mem"], "64MB");
    assert_eq!(world.entries["max_wal_size"], "16GB", "nothing is written back");
}

#[test]
fn a_waiting_change_of_which_nothing_is_left_is_dropped() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    begin(&mut world, &mut journal, &change(Disruption::Restart)).unwrap();
    world.entries = before().entries;
    let record = journal.records().unwrap().pop().unwrap();
    let ended = block(run::restarted(&mut world, &mut journal, &record, now)).unwrap();
    assert_eq!(ended.phase, Phase::Dropped(Reason::MovedByOthers));
}

#[test]
fn a_failure_of_the_moment_is_undone_at_once_and_says_why() {
    for at in 1..=8 {
        let (mut world, (_folder, mut journal)) = (before(), journal());
        world.disk_full_at = Some(at);
        let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
        assert!(ended.phase.is_over(), "touch {at}: {:?}", ended.phase);
        let states = world.states(NAMES);
        assert_eq!(states == wanted(), ended.phase == Phase::Kept, "touch {at}: {states:?}");
        assert!(states == wanted() || states == former(), "touch {at}: {states:?}");
        if ended.phase != Phase::Kept {
            assert!(ended.note.unwrap().contains("no space left"), "touch {at}");
        }
    }
}

#[test]
fn a_failure_that_comes_again_and_again_is_held_at_last() {
    let (_folder, mut journal) = journal();
    let mut held = vec![];
    for _ in 0..4 {
        let mut world = World { disk_full_at: Some(3), ..before() };
        begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
        held.push(ours(&journal.records().unwrap(), "7").held.len());
    }
    assert_eq!(held, [0, 0, 3, 3]);
}

#[test]
fn who_is_to_blame_is_known_after_an_interruption_too() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    world.refuses = Some(("work_mem", "32MB"));
    // Read, two writes, the refusal, a read, and then it dies.
    world.dies_at = Some((5, false));
    begin(&mut world, &mut journal, &change(Disruption::Reload));
    next_start(&mut world, &mut journal);
    let record = journal.records().unwrap().pop().unwrap();
    assert_eq!(
        (record.phase, record.culprit.as_deref()),
        (Phase::Reverted(Reason::WriteFailed), Some("work_mem"))
    );
    assert_eq!(ours(&journal.records().unwrap(), "7").held.len(), 1);
}

#[test]
fn a_rollback_is_not_rolled_back_and_marks_what_it_took() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    let kept = change(Disruption::Reload);
    let ended = begin(&mut world, &mut journal, &kept).unwrap();
    let back = take_back(ended.id, &kept, &ended.phase, "7", 1, now()).unwrap();
    assert_eq!(taken_back(&journal.records().unwrap()).count(), 0);
    let undone = begin(&mut world, &mut journal, &back).unwrap();
    assert_eq!(taken_back(&journal.records().unwrap()).collect::<Vec<_>>(), [(ended.id, undone.id)]);
    let refusal = take_back(undone.id, &back, &undone.phase, "7", 1, now()).unwrap_err();
    assert!(refusal.to_string().contains("apply --only"), "{refusal}");
}

#[test]
fn only_the_setting_that_failed_is_held() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    world.refuses = Some(("max_wal_size", "16GB"));
    begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
    let held = ours(&journal.records().unwrap(), "7").held;
    assert_eq!(held.iter().map(|hold| hold.name.as_str()).collect::<Vec<_>>(), ["max_wal_size"]);
}

#[test]
fn a_setting_that_somebody_moved_is_left_alone() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    world.entries.insert("work_mem".to_owned(), "1GB".to_owned());
    let ended = begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
    assert_eq!(ended.phase, Phase::Dropped(Reason::MovedByOthers));
    assert_eq!(world.entries["work_mem"], "1GB");
}

#[test]
fn what_somebody_moves_while_we_are_dead_is_theirs() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    world.dies_at = Some((4, true));
    begin(&mut world, &mut journal, &change(Disruption::Reload));
    world.entries.insert("jit".to_owned(), "on".to_owned());
    next_start(&mut world, &mut journal);
    assert_eq!(world.entries["jit"], "on");
    assert_eq!(world.entries["max_wal_size"], "2GB");
}

#[test]
fn a_restart_only_change_waits_for_the_start_and_is_then_kept() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    let ended = begin(&mut world, &mut journal, &change(Disruption::Restart)).unwrap();
    assert_eq!(ended.phase, Phase::AwaitingRestart);
    let record = journal.record(ended.id).unwrap().unwrap();
    let ended = block(run::restarted(&mut world, &mut journal, &record, now)).unwrap();
    assert_eq!(ended.phase, Phase::Kept);
}

#[test]
fn a_rollback_is_a_change_and_gives_back_what_was_there() {
    let (mut world, (_folder, mut journal)) = (before(), journal());
    let kept = change(Disruption::Reload);
    let ended = begin(&mut world, &mut journal, &kept).unwrap();
    assert_eq!(ours(&journal.records().unwrap(), "7").written.len(), 3);
    let back = take_back(ended.id, &kept, &ended.phase, "7", 1, now()).unwrap();
    let undone = begin(&mut world, &mut journal, &back).unwrap();
    assert_eq!((undone.phase.clone(), world.states(NAMES)), (Phase::Kept, former()));
    let ours = ours(&journal.records().unwrap(), "7");
    assert!(ours.written.is_empty(), "a person's entries are a person's again");
    assert_eq!(ours.held.len(), 3);
    assert!(ours.held.iter().all(|hold| hold.until.is_none()));
    assert!(take_back(undone.id, &back, &Phase::Reverted(Reason::Interrupted), "7", 1, now()).is_err());
}

#[test]
fn an_undone_value_is_held_twice_as_long_each_time() {
    let (_folder, mut journal) = journal();
    let mut lengths = vec![];
    for _ in 0..3 {
        let mut world = World { not_in_force: true, ..before() };
        begin(&mut world, &mut journal, &change(Disruption::Reload)).unwrap();
        let held = ours(&journal.records().unwrap(), "7").held;
        lengths.push(held[0].until.unwrap().duration_since(now()).as_hours());
    }
    assert_eq!(lengths, [1, 2, 4]);
}

#[test]
fn a_journal_of_a_newer_form_is_refused_and_left_as_it_is() {
    let (folder, journal) = journal();
    drop(journal);
    let db = rusqlite::Connection::open(folder.path().join("pgpilot.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let said = Journal::open(folder.path()).err().unwrap().to_string();
    assert!(said.contains("newer pgpilot") && said.contains("99"), "{said}");
}
