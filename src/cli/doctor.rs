//! `pgpilot doctor`: what pgpilot lacks, and what gives it.

use super::{Exit, print};
use crate::app;
use crate::apply::journal::Journal;
use crate::loops::tuning::TuneError;
use crate::model::doctor::{Finding, Patient, State, examine};
use crate::tune::KNOBS;

/// Checks what pgpilot can see and do, and prints the SQL or the option for what it cannot.
///
/// Exits with 1 when something is missing without which pgpilot cannot work.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: pgpilot doctor --json | jq '.[] | select(.state != \"ok\")'")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args) -> Exit {
    let Some(loaded) = app::loaded_or_report() else { return Exit::Config };
    let journal = Journal::open(&app::state_dir(&loaded.config));
    let journal = journal.map(drop).map_err(|error| format!("{}; {}", print::chain(&error), error.hint()));
    let (facts, error) = app::look(&loaded).await;
    let names: Vec<_> = KNOBS.iter().map(|knob| knob.name).collect();
    let mut findings = examine(&Patient { facts: &facts, names: &names, journal });
    findings.extend(app::rights(&loaded).await);
    if args.json {
        print::json(&findings);
    } else {
        findings.iter().for_each(|finding| print::say(&describe(finding)));
    }
    // The finding has the error itself; JSON goes to a program, which leaves standard error to people.
    if let Some(hint) = error.as_ref().and_then(TuneError::hint) {
        print::problem(&format!("no connection as {}", loaded.target.label()), Some(hint));
    }
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    if failed || error.is_some() { Exit::Error } else { Exit::Done }
}

fn describe(finding: &Finding) -> String {
    let head = format!("{:<5} {:<20} {}", finding.state.as_label(), finding.name, finding.what);
    let remedy = finding.remedy.iter().flat_map(|remedy| remedy.lines());
    remedy.fold(head, |text, line| format!("{text}\n      → {line}"))
}
