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
