//! `pgpilot facts`: what was seen, as one value.

use super::{Exit, apply, print};
use crate::app;
use crate::model::facts::{Facts, Seen};

/// Shows what pgpilot sees of the machine and the server, and what it does not see and why.
///
/// The JSON form can be sent with a report, and replayed by `pgpilot plan --facts`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: pgpilot facts --json > facts.json")]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args) -> Exit {
    let Some(loaded) = app::loaded_or_report() else { return Exit::Config };
    let (facts, error) = app::look(&loaded).await;
    if args.json {
        print::json(&facts);
    } else {
        print::say(&describe(&facts));
    }
    match error {
        None => Exit::Done,
        Some(error) => apply::failed(&error),
    }
}

fn describe(facts: &Facts) -> String {
    let rows = [
        (
            "host",
            shown(&facts.host, |host| {
                format!("{} memory, {} CPUs ({})", host.memory_total.about(), host.cpus, host.from.as_label())
            }),
        ),
        (
            "limits",
            shown(&facts.limits, |limits| {
                let memory = limits
                    .memory
                    .map_or_else(|| "no memory limit".to_owned(), |size| format!("{} memory", size.about()));
                let cpus =
                    limits.cpus.map_or_else(|| "no CPU limit".to_owned(), |cpus| format!("{cpus} CPUs"));
                format!("{memory}, {cpus} ({})", limits.from.as_label())
            }),
        ),
        ("/dev/shm", shown(&facts.shm, |size| size.about())),
        (
            "storage",
            shown(&facts.storage, |storage| {
                let free = storage.free.map_or_else(
                    || "free space not seen".to_owned(),
                    |free| format!("{} free", free.about()),
                );
                format!("{} on {}, {free}: {}", storage.filesystem, storage.media.as_label(), storage.how)
            }),
        ),
        (
            "server",
            shown(&facts.postgres, |server| {
                let size = shown(&server.data_size, |size| size.about());
                format!(
                    "PostgreSQL {}, {} databases, {size}, {} sessions",
                    server.version, server.databases, server.sessions
                )
            }),
        ),
        (
            "role",
            shown(&facts.postgres, |server| {
                let rights = if server.role.superuser {
                    "superuser".to_owned()
                } else {
                    format!("may set {} settings", server.role.may_set.len())
                };
                format!("{}, {rights}", server.role.name)
            }),
        ),
    ];
    let text = rows.map(|(name, text)| format!("{name:<9} {text}")).join("\n");
    // The server's own reason stands below, once.
    facts.postgres.reason().map_or(text.clone(), |reason| text.replace(reason, "the server was not reached"))
}

fn shown<T>(seen: &Seen<T>, text: impl Fn(&T) -> String) -> String {
    match seen {
        Seen::Now(value) => text(value),
        Seen::Not(reason) => format!("not seen: {reason}"),
    }
}
