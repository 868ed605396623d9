//! Whether what is in force is what a change wanted.

use std::collections::BTreeMap;

use super::step::{Event, Found};
use crate::model::change::{Cause, Change, Disruption, Move, State};
use crate::model::setting::{Setting, Value};

/// What was read after the server took its files.
#[derive(Debug, Clone)]
pub struct InForce {
    pub entries: Vec<Found>,
    pub settings: BTreeMap<String, Setting>,
    /// `pg_postmaster_start_time()` in whole milliseconds.
    pub server_started_ms: i64,
}

/// A setting that is not in force as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    pub name: String,
    pub sentence: String,
}

/// In force or not, with the first setting that is not.
pub fn verdict(change: &Change, seen: &InForce) -> (Event, Option<Objection>) {
    let restarted = seen.server_started_ms != change.server_started_ms;
    let failed = change.moves.iter().find_map(|m| {
        let sentence = objection(m, change, restarted, seen)?;
        Some(Objection { name: m.subject.name().to_owned(), sentence })
    });
    if failed.is_some() { (Event::NotInForce, failed) } else { (Event::InForce, None) }
}

fn objection(m: &Move, change: &Change, restarted: bool, seen: &InForce) -> Option<String> {
    let name = m.subject.name();
    let entry = seen.entries.iter().find(|found| found.subject == m.subject).map(|found| &found.state);
    let waited = change.disruption == Disruption::Restart && restarted;
    if entry != Some(&m.desired) {
        // While a change waited for its restart, others may have moved a setting: that one is theirs.
        let found = entry.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        return (!waited).then(|| format!("{name}: expected the entry {}, found {found}", m.desired));
    }
    // An entry that goes back to what stood before us is right as it is, in whatever spelling a person gave it.
    let (State::Setting(Some(wanted)), Cause::Plan) = (&m.desired, &change.cause) else { return None };
    let Some(setting) = seen.settings.get(name) else {
        return Some(format!("{name}: the server no longer has this setting"));
    };
    let waits = change.disruption == Disruption::Restart && !restarted && setting.pending_restart;
    if waits || is_ours_alone(setting) || same(&setting.parse(wanted), &setting.value()) {
        return None;
    }
    Some(format!("{name}: expected {wanted} in force, found {} from {}", setting.value(), setting.source))
}

/// Sources that speak for our own session: the role's, the database's or the connection's own value, which says
/// nothing of what other sessions have.
const OWN_SOURCES: &[&str] = &["database", "user", "database user", "client", "session"];

fn is_ours_alone(setting: &Setting) -> bool {
    OWN_SOURCES.contains(&setting.source.as_str())
}

/// Equal as the server compares: real numbers as they print, lists element by element.
fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted.as_number(), found.as_number()) {
        (Some(a), Some(b)) => (a - b).abs() <= f64::EPSILON * a.abs().max(1.0),
        _ => wanted == found,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::change::Subject;
    use crate::model::setting::Context;

    fn change(disruption: Disruption, cause: Cause) -> Change {
        let moved = Move {
            subject: Subject::PgSetting("work_mem".to_owned()),
            expect: State::Setting(None),
            desired: State::Setting(Some("32MB".to_owned())),
            from: "4MB".to_owned(),
            to: "32MB".to_owned(),
            why: String::new(),
        };
        Change {
            cause,
            made_at: Timestamp::UNIX_EPOCH,
            system_identifier: "7".to_owned(),
            server_started_ms: 1,
            disruption,
            moves: vec![moved],
        }
    }

    /// The entry in the file, the value in force in kB, where it comes from, whether a restart is pending.
    fn seen(
        entry: Option<&str>,
        in_force: &str,
        source: &str,
        pending_restart: bool,
        started: i64,
    ) -> InForce {
        let setting = Setting {
            setting: in_force.to_owned(),
            unit: Some("kB".to_owned()),
            vartype: "integer".to_owned(),
            context: Context::Reload,
            source: source.to_owned(),
            min: None,
            max: None,
            enumvals: vec![],
            pending_restart,
        };
        let state = State::Setting(entry.map(ToOwned::to_owned));
        let entry = Found { subject: Subject::PgSetting("work_mem".to_owned()), state };
        InForce {
            entries: vec![entry],
            settings: [("work_mem".to_owned(), setting)].into(),
            server_started_ms: started,
        }
    }

    #[test]
    fn verdicts() {
        let file = "configuration file";
        let (reload, restart) = (Disruption::Reload, Disruption::Restart);
        let (ours, plan) = (Some("32MB"), Cause::Plan);
        let rows = [
            ("in force", reload, plan.clone(), seen(ours, "32768", file, false, 1), true),
            ("not in force", reload, plan.clone(), seen(ours, "4096", file, false, 1), false),
            (
                "the command line wins",
                reload,
                plan.clone(),
                seen(ours, "4096", "command line", false, 1),
                false,
            ),
            (
                "our own role's value says nothing",
                reload,
                plan.clone(),
                seen(ours, "4096", "user", false, 1),
                true,
            ),
            ("the entry is gone", reload, plan.clone(), seen(None, "4096", file, false, 1), false),
            ("pending, before the restart", restart, plan.clone(), seen(ours, "4096", file, true, 1), true),
            (
                "neither pending nor in force",
                restart,
                plan.clone(),
                seen(ours, "4096", file, false, 1),
                false,
            ),
            ("in force after the restart", restart, plan.clone(), seen(ours, "32768", file, false, 2), true),
            (
                "not in force after the restart",
                restart,
                plan.clone(),
                seen(ours, "4096", file, true, 2),
                false,
            ),
            (
                "moved by others while it waited",
                restart,
                plan,
                seen(Some("1GB"), "4096", file, true, 2),
                true,
            ),
            (
                "a rollback gives back any spelling",
                reload,
                Cause::Rollback(1),
                seen(ours, "4096", file, false, 1),
                true,
            ),
        ];
        for (case, disruption, cause, seen, good) in rows {
            let (event, objection) = verdict(&change(disruption, cause), &seen);
            assert_eq!((event == Event::InForce, objection.is_none()), (good, good), "{case}: {objection:?}");
        }
    }
}
