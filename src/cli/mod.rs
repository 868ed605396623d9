//! The verbs. Each is a short file: arguments, one run, what a person sees.

mod apply;
mod config;
mod docs;
mod doctor;
mod facts;
mod healthcheck;
mod history;
mod plan;
mod print;
mod rollback;
mod serve;
mod setup;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::OPTIONS;

/// How a verb ended, as the shell sees it. The numbers are documented in the help and do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Error = 1,
    /// `plan --detailed-exitcode`: there is something to apply.
    Pending = 2,
    /// Refused, blocked or undone; nothing is half-way.
    Refused = 3,
    /// The command line cannot be read (EX_USAGE).
    Usage = 64,
    /// An option cannot be used (EX_CONFIG).
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Fits PostgreSQL to its machine, exports its metrics, and takes back what does harm.
#[derive(Debug, Parser)]
#[command(name = "pgpilot", version, arg_required_else_help = false)]
struct Line {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Args),
    Facts(facts::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    History(history::Args),
    Rollback(rollback::Args),
    Doctor(doctor::Args),
    Setup(setup::Args),
    Config(config::Args),
    Healthcheck(healthcheck::Args),
    Docs(docs::Args),
}

/// The command line's definition, for help and for the page.
pub fn command() -> clap::Command {
    Line::command().after_long_help(options_help()).after_help(
        "Options are environment variables: `pgpilot --help` lists them, `pgpilot config` shows yours.\n\n\
         Exit codes: 0 done, 1 error, 2 changes are pending (plan --detailed-exitcode), 3 refused or undone, \
         64 bad command line, 78 bad option.",
    )
}

/// Every option with its default, as `--help` shows them.
fn options_help() -> String {
    let rows = OPTIONS.iter().map(|doc| {
        let default = doc.default.map(|text| format!(" [{text}]")).unwrap_or_default();
        format!("  {}{default}\n      {}\n", doc.name, doc.summary())
    });
    let rows: String = rows.collect();
    format!(
        "Options (environment variables, with their defaults):\n{rows}\nA secret can be given by a file: NAME_FILE=/path.\n\n{EXIT_CODES}"
    )
}

const EXIT_CODES: &str = "Exit codes:
  0   done, or nothing to do
  1   an error
  2   plan --detailed-exitcode: changes are pending
  3   refused, blocked or undone; nothing was left half-way
  64  the command line cannot be read
  78  an option cannot be used";

/// The command line; one that begins with a flag is `serve`'s, since postgres_exporter has no verbs.
fn words() -> Vec<OsString> {
    let mut words: Vec<_> = std::env::args_os().collect();
    let first = words.get(1).and_then(|word| word.to_str()).unwrap_or_default();
    if first.starts_with("--") && !["--help", "--version"].contains(&first) {
        words.insert(1, "serve".into());
    }
    words
}

/// Reads the command line and runs its verb.
pub fn main() -> ExitCode {
    let line =
        match command().try_get_matches_from(words()).and_then(|matches| Line::from_arg_matches(&matches)) {
            Ok(line) => line,
            Err(error) => {
                // Help and version come this way too, and are no errors.
                let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
                print::clap(&error);
                return exit.into();
            }
        };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            print::problem(&format!("starting the runtime: {error}"), None);
            return Exit::Error.into();
        }
    };
    let exit = runtime.block_on(run(line.verb.unwrap_or(Verb::Serve(serve::Args::default()))));
    // A file system that hangs may hold one of the runtime's threads: nothing waits for it.
    runtime.shutdown_background();
    exit.into()
}

async fn run(verb: Verb) -> Exit {
    match verb {
        Verb::Serve(args) => Box::pin(serve::run(&args)).await,
        Verb::Facts(args) => facts::run(&args).await,
        Verb::Plan(args) => plan::run(&args).await,
        Verb::Apply(args) => apply::run(&args).await,
        Verb::History(args) => history::run(&args),
        Verb::Rollback(args) => rollback::run(&args).await,
        Verb::Doctor(args) => doctor::run(&args).await,
        Verb::Setup(args) => setup::run(&args).await,
        Verb::Config(args) => config::run(&args),
        Verb::Healthcheck(args) => healthcheck::run(&args).await,
        Verb::Docs(args) => docs::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_every_verb_has_an_example() {
        command().debug_assert();
        for verb in command().get_subcommands() {
            let help = verb.clone().render_long_help().to_string();
            assert!(help.contains("Example"), "{} has no example in its help", verb.get_name());
        }
    }
}
