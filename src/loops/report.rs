//! The journal and the troubles of the moment as metrics.

use std::collections::BTreeMap;

use crate::lifecycle::Record;
use crate::model::change::Phase;
use crate::model::metric::Family;
use crate::serve::own;

/// (label, what it says) of everything that can be wrong; the labels are all there, at 0 or 1.
pub(super) const PROBLEMS: &[(&str, &str)] = &[
    ("bad_options", "an option cannot be used"),
    ("postgres", "the server cannot be reached or refuses us"),
    ("other_pgpilot", "another pgpilot looks after this server"),
    ("journal", "the journal cannot be used, so nothing is written"),
    ("no_plan", "a plan cannot be made"),
    ("refused", "a change was refused before anything was written"),
    ("interrupted", "a change was interrupted and is open"),
    ("stuck", "a change could neither be finished nor undone: a person is needed"),
];

/// Phases that a change can stay in; the others pass within seconds.
const PHASES: &[&str] = &["kept", "awaiting_restart", "reverted", "taken_back", "dropped", "stuck"];

/// What `/metrics` says of changes and problems.
pub(super) fn families(records: &[Record], problems: &[&str]) -> Vec<Family> {
    let mut families = vec![problem_family(problems), change_family(records)];
    if let Some(last) = records.iter().rev().find(|record| !matches!(record.phase, Phase::Dropped(_))) {
        let good = matches!(last.phase, Phase::Kept | Phase::AwaitingRestart);
        families.push(own::LAST_APPLY.single(last.since.as_millisecond() as f64 / 1000.0));
        families.push(own::LAST_APPLY_SUCCESS.single(f64::from(u8::from(good))));
    }
    families
}

fn problem_family(problems: &[&str]) -> Family {
    let value = |label: &str| f64::from(u8::from(problems.contains(&label)));
    let samples = PROBLEMS.iter().map(|(label, _)| own::PROBLEM.sample(&[label], value(label)));
    own::PROBLEM.family(samples.collect())
}

fn change_family(records: &[Record]) -> Family {
    let mut counts: BTreeMap<&str, f64> = PHASES.iter().map(|phase| (*phase, 0.0)).collect();
    for record in records {
        *counts.entry(record.phase.as_label()).or_default() += 1.0;
    }
    let samples = counts.into_iter().map(|(phase, count)| own::CHANGES.sample(&[phase], count));
    own::CHANGES.family(samples.collect())
}
