//! Sentences about the whole plan: what was assumed, and what a person should know beside it.

use super::inputs::Inputs;
use crate::model::facts::Media;

/// (setting, its safe value, sentence): switches that pgpilot never moves and never passes over in silence.
const WATCHED: &[(&str, &str, &str)] = &[
    ("fsync", "on", "fsync is off: a power cut destroys the database"),
    (
        "autovacuum",
        "on",
        "autovacuum is off: tables bloat, and in the end the server stops to save its transaction ids",
    ),
    ("full_page_writes", "on", "full_page_writes is off: safe only on ZFS with records of 8kB or more"),
];

pub(super) const WATCHED_NAMES: [&str; 3] = ["fsync", "autovacuum", "full_page_writes"];

pub(super) fn notes(inputs: &Inputs<'_>) -> Vec<String> {
    let mut notes = inputs.share.notes.clone();
    notes.extend(assumptions(inputs));
    for (name, safe, sentence) in WATCHED {
        if inputs.server.settings.get(*name).is_some_and(|setting| setting.setting != *safe) {
            notes.push((*sentence).to_owned());
        }
    }
    notes
}

fn assumptions(inputs: &Inputs<'_>) -> Vec<String> {
    let facts = inputs.facts;
    let mut notes = vec![];
    if facts.limits.get().is_none() && facts.declared.memory.is_none() {
        let why = facts.limits.reason().unwrap_or_default();
        notes.push(format!("no container limit is known ({why}): PGPILOT_MEMORY gives PostgreSQL's share"));
    }
    if inputs.media == Media::Unknown {
        let why = facts.storage.reason().unwrap_or("its kind cannot be told");
        notes.push(format!("storage unknown ({why}), planned carefully: PGPILOT_STORAGE names it"));
    }
    if inputs.shm.is_none() {
        notes.push(
            "the size of /dev/shm is not known, taken as Docker's 64MB: PGPILOT_SHM_SIZE gives it".to_owned(),
        );
    }
    if inputs.disk_free.is_none() {
        notes.push(
            "free disk space is not known, so WAL is kept small: PGPILOT_WAL_DISK_FREE gives it".to_owned(),
        );
    }
    notes
}
