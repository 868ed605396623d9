//! `pgpilot docs`: the pages that are generated from the tables.

use std::path::PathBuf;

use super::{Exit, print};
use crate::docs;

/// Lists, writes or checks the generated pages.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: pgpilot docs --check")]
pub(super) struct Args {
    /// Write the pages below the folder.
    #[arg(long, conflicts_with = "check")]
    write: bool,
    /// Compare the pages below the folder, and fail when one is stale.
    #[arg(long)]
    check: bool,
    /// The repository's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    let mut exit = Exit::Done;
    for page in docs::pages() {
        let path = args.folder.join(page.path);
        let done = if args.write {
            std::fs::write(&path, &page.text).map_err(|error| format!("writing {}: {error}", path.display()))
        } else if args.check {
            check(&path, &page.text)
        } else {
            print::say(page.path);
            Ok(())
        };
        if let Err(said) = done {
            print::problem(&said, args.check.then_some("`pgpilot docs --write` makes it anew"));
            exit = Exit::Error;
        }
    }
    exit
}

fn check(path: &std::path::Path, want: &str) -> Result<(), String> {
    let found =
        std::fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))?;
    let differs = found.lines().zip(want.lines()).position(|(a, b)| a != b);
    match differs {
        Some(line) => Err(format!("{}:{}: is not as generated", path.display(), line + 1)),
        None if found != want => Err(format!("{}: is not as generated; one is longer", path.display())),
        None => Ok(()),
    }
}
