//! `pgpilot apply`: writes what the plan says, after a person has seen it.

use super::{Exit, history, print};
use crate::app::{self, Loaded};
use crate::apply::run::Ended;
use crate::config::values::Mode;
use crate::lifecycle::{Wanted, propose};
use crate::loops::tuning::{TuneError, Tuning};
use crate::model::change::{Change, Disruption, Phase, Reason};
use crate::model::plan::{Plan, Row, Verdict};
use crate::model::postgres::Postgres;
use crate::model::setting::Context;

/// Writes the planned settings, reloads, and checks that they are in force; takes all back if one is not.
///
/// Settings that need a restart are written only with --include-restart, and take effect when you restart the server.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    after_help = "Examples: pgpilot apply --dry-run\n          pgpilot apply --yes --include-restart\n          pgpilot apply --only work_mem --only jit"
)]
pub(super) struct Args {
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Only this setting; can be given several times. Also one that was taken back before.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Show what would be written, and stop.
    #[arg(long)]
    dry_run: bool,
    /// Also write what takes effect at the next start of the server.
    #[arg(long)]
    include_restart: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was done, for scripts.
#[derive(serde::Serialize)]
struct Report {
    changes: Vec<Outcome>,
    /// Settings that the server's next start brings into force.
    needs_restart: bool,
}

#[derive(serde::Serialize)]
struct Outcome {
    /// None in a dry run.
    id: Option<i64>,
    phase: &'static str,
    note: Option<String>,
    change: Change,
    #[serde(skip)]
    good: bool,
    #[serde(skip)]
    open: bool,
}

pub(super) async fn run(args: &Args) -> Exit {
    let Some(loaded) = app::loaded_or_report() else { return Exit::Config };
    if loaded.config.mode == Mode::Observe && !args.dry_run {
        print::problem(
            "PGPILOT_MODE is observe: nothing is written",
            Some("set PGPILOT_MODE=recommend to apply by hand"),
        );
        return Exit::Refused;
    }
    match apply(args, &loaded).await {
        Ok(exit) => exit,
        Err(error) => failed(&error),
    }
}

/// Prints what went wrong, and what can be done.
pub(super) fn failed(error: &TuneError) -> Exit {
    print::problem(&print::chain(error), error.hint());
    match error {
        TuneError::Lock(_) | TuneError::Refused(_) | TuneError::TakeBack { .. } => Exit::Refused,
        TuneError::Postgres(_) | TuneError::Journal(_) | TuneError::Run(_) | TuneError::NoPlan(_) => {
            Exit::Error
        }
    }
}

/// What an earlier process left open comes first, and is said; what stays open or stuck is an error.
pub(super) fn tell_settled(ended: &[Ended]) -> Option<Exit> {
    for Ended { id, phase, note, .. } in ended {
        print::problem(&format!("change {id} was open and is now {}", phase.as_label()), note.as_deref());
    }
    ended.iter().any(|ended| is_open(&ended.phase)).then_some(Exit::Error)
}

/// Something of it may be half-way.
pub(super) const fn is_open(phase: &Phase) -> bool {
    phase.is_in_flight() || matches!(phase, Phase::Stuck(_))
}

async fn apply(args: &Args, loaded: &Loaded) -> Result<Exit, TuneError> {
    let Some(policy) = app::policy_or_report(&loaded.config, &args.only) else { return Ok(Exit::Config) };
    let mut tuning = app::tuning(loaded, policy, "apply").await?;
    if !args.dry_run {
        tuning.with_journal()?;
        if let Some(exit) = tell_settled(&tuning.settle().await?) {
            return Ok(exit);
        }
    }
    let facts = tuning.look().await?;
    let plan = tuning.plan(&facts)?;
    let Some(server) = facts.postgres.get() else { return Ok(Exit::Error) };
    if let Some(exit) = unwanted(args, &plan) {
        return Ok(exit);
    }
    let changes: Vec<_> =
        steps(args).filter_map(|wanted| propose(&plan, server, wanted, (tuning.now)())).collect();
    if changes.is_empty() {
        say_nothing_to_do(args, &plan);
        return Ok(Exit::Done);
    }
    if args.dry_run {
        print_report(
            args,
            changes
                .into_iter()
                .map(|change| Outcome {
                    id: None,
                    phase: "planned",
                    note: None,
                    change,
                    good: true,
                    open: false,
                })
                .collect(),
        );
        return Ok(Exit::Done);
    }
    if !agreed(args, &changes) {
        return Ok(Exit::Refused);
    }
    write(args, &mut tuning, &plan, server).await
}

/// Reloadable values first, restart-only ones in a change of their own: never both in one step.
fn steps(args: &Args) -> impl Iterator<Item = Wanted<'_>> {
    let all = [Disruption::Reload, Disruption::Restart];
    let wanted =
        all.into_iter().filter(|disruption| args.include_restart || *disruption == Disruption::Reload);
    wanted.map(|disruption| Wanted { disruption, only: &args.only })
}

/// A name that is no row of the plan, or whose row is blocked, is answered before anything is done.
fn unwanted(args: &Args, plan: &Plan) -> Option<Exit> {
    for name in &args.only {
        match plan.row(name) {
            None => {
                print::problem(
                    &format!("{name}: pgpilot does not move this setting on this server"),
                    Some("`pgpilot plan` lists those it moves"),
                );
                return Some(Exit::Refused);
            }
            Some(row) if matches!(row.verdict, Verdict::Block(_) | Verdict::Wait) => {
                print::problem(&format!("{name}: {}", row.why), None);
                return Some(Exit::Refused);
            }
            Some(_) => {}
        }
    }
    None
}

fn say_nothing_to_do(args: &Args, plan: &Plan) {
    let named = |row: &&Row| args.only.is_empty() || args.only.contains(&row.name);
    let restart = plan.to_set(Context::Restart).filter(named).count();
    if args.json {
        print_report(args, vec![]);
    } else if restart > 0 && !args.include_restart {
        print::say(&format!(
            "nothing to apply without a restart; {restart} settings wait for `pgpilot apply --include-restart`"
        ));
    } else {
        print::say(
            "nothing to do: every setting is as planned, waits for a restart, or is blocked (see `pgpilot plan`)",
        );
    }
}

fn agreed(args: &Args, changes: &[Change]) -> bool {
    if args.yes {
        return true;
    }
    for change in changes {
        print::say(history::moves_table(&change.moves).trim_start_matches('\n'));
    }
    match print::confirm("Write these settings?") {
        Ok(agreed) => agreed,
        Err(said) => {
            print::problem(said, None);
            false
        }
    }
}

async fn write(
    args: &Args,
    tuning: &mut Tuning<'_>,
    plan: &Plan,
    server: &Postgres,
) -> Result<Exit, TuneError> {
    let mut outcomes = vec![];
    for wanted in steps(args) {
        if let Some(Ended { id, phase, note, .. }) = tuning.apply(plan, server, wanted).await? {
            let Some(record) = tuning.journal.record(id)? else { continue };
            let open = is_open(&phase);
            let good = phase.stands() || phase == Phase::Dropped(Reason::AlreadySo);
            outcomes.push(Outcome {
                id: Some(id),
                phase: phase.as_label(),
                note,
                change: record.change.clone(),
                good,
                open,
            });
            if !args.json {
                print::say(&history::describe(&record));
            }
            if !good {
                break;
            }
        }
    }
    let (undone, open) =
        (outcomes.iter().any(|outcome| !outcome.good), outcomes.iter().any(|outcome| outcome.open));
    print_report(args, outcomes);
    Ok(match (open, undone) {
        (true, _) => Exit::Error,
        (false, true) => Exit::Refused,
        (false, false) => Exit::Done,
    })
}

fn print_report(args: &Args, changes: Vec<Outcome>) {
    let needs_restart = changes.iter().any(|outcome| outcome.phase == "awaiting_restart");
    if args.json {
        print::json(&Report { changes, needs_restart });
        return;
    }
    for outcome in changes.iter().filter(|outcome| outcome.id.is_none()) {
        print::say(&format!(
            "would write ({}):{}",
            timing(&outcome.change),
            history::moves_table(&outcome.change.moves)
        ));
    }
    if needs_restart {
        print::say(history::RESTART);
    }
}

const fn timing(change: &Change) -> &'static str {
    match change.disruption {
        Disruption::Reload => "in force after a reload",
        Disruption::Restart => "in force after the next start",
    }
}
