//! `pgpilot rollback`: gives back what a change took.

use super::{Exit, apply, history, print};
use crate::app::{self, Loaded};
use crate::config::values::Mode;
use crate::lifecycle::Record;
use crate::loops::tuning::TuneError;
use crate::model::change::{Cause, Disruption, Phase, Reason};

/// Takes a change back: every setting gets the entry, or the lack of one, that it had before.
///
/// A setting that somebody moved since is not touched, and nothing of the change is.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples: pgpilot rollback --last\n          pgpilot rollback 3 --yes")]
pub(super) struct Args {
    /// Number of the change, from `pgpilot history`.
    #[arg(required_unless_present = "last", conflicts_with = "last")]
    id: Option<i64>,
    /// The newest change that stands.
    #[arg(long)]
    last: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args) -> Exit {
    let Some(loaded) = app::loaded_or_report() else { return Exit::Config };
    if loaded.config.mode == Mode::Observe {
        print::problem(
            "PGPILOT_MODE is observe: nothing is written",
            Some("set PGPILOT_MODE=recommend to roll back by hand"),
        );
        return Exit::Refused;
    }
    match roll_back(args, &loaded).await {
        Ok(exit) => exit,
        Err(error) => apply::failed(&error),
    }
}

async fn roll_back(args: &Args, loaded: &Loaded) -> Result<Exit, TuneError> {
    let Some(policy) = app::policy_or_report(&loaded.config, &[]) else { return Ok(Exit::Config) };
    let mut tuning = app::tuning(loaded, policy, "rollback").await?;
    tuning.with_journal()?;
    if let Some(exit) = apply::tell_settled(&tuning.settle().await?) {
        return Ok(exit);
    }
    let facts = tuning.look().await?;
    let Some(server) = facts.postgres.get() else { return Ok(Exit::Error) };
    let Some(id) = args.id.or(newest(&tuning.journal.records()?, &server.system_identifier)) else {
        print::say("nothing to roll back: no change stands");
        return Ok(Exit::Done);
    };
    let record = tuning.journal.record(id)?;
    if !args.yes && !agreed(id, record.as_ref()) {
        return Ok(Exit::Refused);
    }
    let ended = tuning.roll_back(id, server).await?;
    let Some(record) = tuning.journal.record(ended.id)? else { return Ok(Exit::Error) };
    if args.json {
        print::json(&record)
    } else {
        print::say(&history::describe(&record))
    }
    if ended.phase == Phase::AwaitingRestart && record.change.disruption == Disruption::Restart && !args.json
    {
        print::say(history::RESTART);
    }
    let done = ended.phase.stands() || ended.phase == Phase::Dropped(Reason::AlreadySo);
    Ok(match (apply::is_open(&ended.phase), done) {
        (true, _) => Exit::Error,
        (false, true) => Exit::Done,
        (false, false) => Exit::Refused,
    })
}

/// The newest change of this server that stands and was not taken back.
fn newest(records: &[Record], system_identifier: &str) -> Option<i64> {
    let stands = |phase: &Phase| matches!(phase, Phase::Kept | Phase::AwaitingRestart);
    let taken_back =
        |id: i64| records.iter().any(|r| r.change.cause == Cause::Rollback(id) && stands(&r.phase));
    let ours = records.iter().rev().filter(|r| r.change.system_identifier == system_identifier);
    ours.filter(|r| r.change.cause == Cause::Plan && stands(&r.phase))
        .map(|r| r.id)
        .find(|id| !taken_back(*id))
}

fn agreed(id: i64, record: Option<&Record>) -> bool {
    if let Some(record) = record {
        print::say(&history::describe(record));
    }
    match print::confirm(&format!("Take back change {id}, each setting to what stands on the left?")) {
        Ok(agreed) => agreed,
        Err(said) => {
            print::problem(said, None);
            false
        }
    }
}
