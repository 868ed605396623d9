//! `pgpilot history`: every change from the journal.

use super::{Exit, print};
use crate::app;
use crate::apply::journal::Journal;
use crate::lifecycle::Record;
use crate::model::change::Cause;

/// Lists every change with its settings: before, after, why, and how it ended.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: pgpilot history --json | jq '.[-1]'")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Exit {
    let Some(config) = app::config_or_report() else { return Exit::Config };
    let records = Journal::open(config.state_dir.0.as_ref()).and_then(|journal| journal.records());
    match records {
        Ok(records) if args.json => print::json(&records),
        Ok(records) if records.is_empty() => print::say("no changes yet"),
        Ok(records) => records.iter().for_each(|record| print::say(&describe(record))),
        Err(error) => {
            print::problem(&print::chain(&error), Some(error.hint()));
            return Exit::Error;
        }
    }
    Exit::Done
}

/// A change as a person reads it: a headline, then a line per setting.
pub(super) fn describe(record: &Record) -> String {
    let what = match record.change.cause {
        Cause::Plan => "plan".to_owned(),
        Cause::Rollback(id) => format!("rollback of {id}"),
    };
    let why = record.phase.reason().map(|reason| format!(": {}", reason.sentence())).unwrap_or_default();
    let note = record.note.as_ref().map(|note| format!("\n    {note}")).unwrap_or_default();
    let head = format!(
        "change {} ({what}, {:.0}): {}{why}{note}",
        record.id,
        record.change.made_at,
        record.phase.as_label()
    );
    head + &moves_table(&record.change.moves)
}

/// `name  before → after  why`, aligned.
pub(super) fn moves_table(moves: &[crate::model::change::Move]) -> String {
    let width = |text: fn(&crate::model::change::Move) -> &str| {
        moves.iter().map(|m| text(m).chars().count()).max().unwrap_or(0)
    };
    let (name, from, to) = (width(|m| m.subject.name()), width(|m| &m.from), width(|m| &m.to));
    let line = |m: &crate::model::change::Move| {
        format!("\n  {:<name$}  {:>from$} → {:<to$}  {}", m.subject.name(), m.from, m.to, m.why)
    };
    moves.iter().map(line).collect()
}

/// What a person does after restart-only values were written.
pub(super) const RESTART: &str = "\nRestart PostgreSQL to bring these values into force, for example:
  docker compose restart postgres     (in compose; the name of your service may differ)
  sudo systemctl restart postgresql   (as a service of the system)";
