//! `pgpilot plan`: what should be, and why.

use std::path::{Path, PathBuf};

use super::{Exit, apply, print};
use crate::app;
use crate::model::facts::Facts;
use crate::tune::{Policy, plan};

/// Shows every setting with its value now, its planned value and the reason. Nothing is written.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples: pgpilot plan\n          pgpilot plan --facts facts.json --json")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Plan for facts that `pgpilot facts --json` wrote, without a server.
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Exit with 2 when there is something to apply.
    #[arg(long)]
    detailed_exitcode: bool,
}

pub(super) async fn run(args: &Args) -> Exit {
    match &args.facts {
        Some(path) => replay(args, path),
        None => live(args).await,
    }
}

fn replay(args: &Args, path: &Path) -> Exit {
    let Some(config) = app::config_or_report() else { return Exit::Config };
    let Some(policy) = app::policy_or_report(&config, &[]) else { return Exit::Config };
    match read_facts(path) {
        Ok(facts) => show(args, &facts, &policy),
        Err(said) => {
            print::problem(&said, Some("the file is what `pgpilot facts --json` prints"));
            Exit::Error
        }
    }
}

async fn live(args: &Args) -> Exit {
    let Some(loaded) = app::loaded_or_report() else { return Exit::Config };
    let Some(policy) = app::policy_or_report(&loaded.config, &[]) else { return Exit::Config };
    match app::look(&loaded).await {
        (facts, None) => show(args, &facts, &policy),
        (_, Some(error)) => apply::failed(&error),
    }
}

fn show(args: &Args, facts: &Facts, policy: &Policy) -> Exit {
    match plan(facts, policy) {
        Ok(plan) => {
            if args.json {
                print::json(&plan);
            } else {
                print::say(print::coloured(&plan.to_string()).trim_end());
            }
            if args.detailed_exitcode && !plan.is_empty() { Exit::Pending } else { Exit::Done }
        }
        Err(error) => {
            print::problem(&print::chain(&error), None);
            Exit::Error
        }
    }
}

fn read_facts(path: &Path) -> Result<Facts, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("reading {}: {error}", path.display()))
}
