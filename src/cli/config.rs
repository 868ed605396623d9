//! `pgpilot config`: the options in effect and where each came from.

use super::{Exit, print};
use crate::app;
use crate::config::{OPTIONS, OptionDoc, Origin};

/// Shows the options in effect, with where each came from; secrets are masked.
///
/// Exits with 78 when an option cannot be used, and names every bad one.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: docker compose exec pgpilot pgpilot config")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Row {
    name: &'static str,
    value: Option<String>,
    from: &'static str,
}

pub(super) fn run(args: &Args) -> Exit {
    let environment = app::environment();
    let rows: Vec<_> = OPTIONS.iter().map(|doc| row(doc, &environment.given)).collect();
    if args.json {
        print::json(&rows);
    } else {
        for row in rows.iter().filter(|row| row.value.is_some()) {
            print::say(&format!(
                "{:<26} {:<28} {}",
                row.name,
                row.value.as_deref().unwrap_or_default(),
                row.from
            ));
        }
    }
    for said in environment.unknown.iter().chain(&environment.remarks) {
        print::problem(said, None);
    }
    match app::load(environment) {
        Ok(_) => Exit::Done,
        Err(bad) => {
            app::report(&bad);
            Exit::Config
        }
    }
}

fn row(doc: &OptionDoc, given: &crate::config::Given) -> Row {
    let (value, from) = match given.get(doc.name) {
        Some((_, origin)) if doc.secret => (Some("********".to_owned()), origin),
        Some((text, origin)) => (Some(text.to_owned()), origin),
        None => (doc.default.map(ToOwned::to_owned), Origin::Default),
    };
    Row { name: doc.name, value, from: from.as_label() }
}
