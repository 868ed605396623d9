//! `pgpilot serve`: what the container does.

use std::cell::OnceCell;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Exit, print};
use crate::app;
use crate::apply::lock::{Right, lock_file};
use crate::config::Config;
use crate::config::flags::{self, Effect, FLAGS, Flag};
use crate::config::values::{Address, Mode};
use crate::loops::tune::{self, Open, Orders};
use crate::loops::tuning::{TuneError, Tuning};
use crate::serve::Guard;
use crate::serve::board::Board;
use crate::serve::http::{self, Front};
use crate::tune::Policy;

/// Watches the server, plans, serves /metrics, and in mode `apply` writes what needs no restart.
///
/// It stays up when the server is down or an option is bad, and shows what is wrong. It stops within 5 s on SIGTERM.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = flags_help())]
pub(super) struct Args {
    /// postgres_exporter's flags, for who comes from there; below is what becomes of each.
    #[arg(value_name = "FLAG", trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<String>,
}

/// What becomes of each of postgres_exporter's flags.
fn flags_help() -> String {
    let rows: String = FLAGS.iter().map(row).collect();
    format!("{EXAMPLE}\n\nFlags of postgres_exporter:\n{rows}  --[no-]collector.NAME\n      {COLLECTOR}\n")
}

const EXAMPLE: &str =
    "Example: PGPILOT_DATABASE_URL=postgresql://postgres:secret@localhost/postgres pgpilot serve";

const COLLECTOR: &str = "switches a collector on or off, as PGPILOT_COLLECTORS_OFF does";

fn row(flag: &Flag) -> String {
    let value = if flag.takes_value { "=VALUE" } else { "" };
    let said = match flag.effect {
        Effect::Sets(option) => format!("the same as {option}"),
        Effect::Off(collector) => format!("the same as PGPILOT_COLLECTORS_OFF={collector}"),
        Effect::Instead { said, .. } => format!("accepted, without effect: {said}"),
        Effect::Refused(said) => format!("refused: {said}"),
        Effect::Lists { option, prefix: "" } => format!("adds to {option}"),
        Effect::Lists { option, prefix } => format!("adds to {option}, with {prefix} before each name"),
        Effect::Usual => "what pgpilot does anyway".to_owned(),
    };
    format!("  --{}{value}\n      {said}\n", flag.name)
}

/// Sessions for the loop, with the options of this start.
struct Opener<'a> {
    loaded: &'a app::Loaded,
    policy: Policy,
    exclusive: bool,
    /// Held for the life of the process: a second `serve` with the same journal would take the first one's sessions
    /// for what a broken network left behind.
    alone: OnceCell<File>,
}

impl<'a> Open<'a> for Opener<'a> {
    async fn open(&self) -> Result<Tuning<'a>, TuneError> {
        let tuning = app::tuning(self.loaded, self.policy.clone(), "serve").await?;
        if self.exclusive && tuning.may_write() && self.alone.get().is_none() {
            let _ = self.alone.set(lock_file(&tuning.state_dir, Right::Serve)?);
        }
        Ok(tuning)
    }
}

pub(super) async fn run(args: &Args) -> Exit {
    let line = flags::read(&args.flags);
    if !line.refused.is_empty() {
        line.refused.iter().for_each(|said| print::problem(said, None));
        return Exit::Usage;
    }
    let environment = app::environment_and(line);
    let (config, _) = environment.lenient();
    app::start_log(&config.log.0, config.log_format);
    environment.unknown.iter().chain(&environment.remarks).for_each(|said| warn!("{said}"));
    let Some(guard) = guard(&config) else { return Exit::Config };
    let Some(listeners) = listen(&config.listen.0).await else { return Exit::Error };
    say_where(&config, &guard);
    let front = Front { metrics_path: config.telemetry_path.0.clone(), guard: Arc::new(guard) };
    let board = Arc::new(Board::new(config.start_deadline.0));
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    match ready(environment) {
        Ok((loaded, policy)) => serve(&loaded, policy, (listeners, front), &board, &stop).await,
        Err(bad) => {
            bad.iter().for_each(|said| error!(problem = "bad_options", "{said}"));
            board.publish(tune::bad_options(bad));
            http::serve(listeners, front, board.clone(), None, stop.clone()).await;
        }
    }
    info!("stopped");
    Exit::Done
}

/// A listener without its locks must not come up: a bad file is an error at the start.
fn guard(config: &Config) -> Option<Guard> {
    let Some(path) = &config.web_config else { return Some(Guard::open()) };
    match Guard::of(Path::new(&path.0)) {
        Ok(guard) => {
            if guard.is_open() {
                warn!(
                    "PGPILOT_WEB_CONFIG: {}: asks nobody who they are; whoever reaches the listener can read from it",
                    path.0
                );
            }
            Some(guard)
        }
        Err(error) => {
            print::problem(
                &format!("PGPILOT_WEB_CONFIG: {error}"),
                Some("docs/listener.md says what can stand there"),
            );
            None
        }
    }
}

async fn listen(addresses: &[Address]) -> Option<Vec<TcpListener>> {
    let mut listeners = vec![];
    for address in addresses {
        match TcpListener::bind((address.host.as_str(), address.port)).await {
            Ok(listener) => listeners.push(listener),
            Err(error) => {
                let said = format!("listening on {address}: {error}");
                print::problem(
                    &said,
                    Some("another program has that port; set PGPILOT_LISTEN to a free one"),
                );
                return None;
            }
        }
    }
    Some(listeners)
}

fn say_where(config: &Config, guard: &Guard) {
    let scheme = if guard.is_secure() { "https" } else { "http" };
    for address in &config.listen.0 {
        info!(listen = %address, version = env!("CARGO_PKG_VERSION"), mode = config.mode.as_label(), "pgpilot serves on {scheme}://{address}");
    }
}

fn ready(environment: app::Environment) -> Result<(app::Loaded, Policy), app::Bad> {
    let loaded = app::load(environment)?;
    let policy = app::policy(&loaded.config, &[])?;
    Ok((loaded, policy))
}

async fn serve(
    loaded: &app::Loaded,
    policy: Policy,
    (listeners, front): (Vec<TcpListener>, Front),
    board: &Arc<Board>,
    stop: &CancellationToken,
) {
    let config = &loaded.config;
    let orders = Orders {
        apply: config.mode == Mode::Apply,
        exclusive: config.mode != Mode::Observe,
        every: config.plan_every.0,
    };
    let opener = Opener { loaded, policy, exclusive: orders.exclusive, alone: OnceCell::new() };
    let scraper = app::scraper(loaded, board.clone());
    tokio::join!(
        tune::run(&opener, orders, board, stop),
        http::serve(listeners, front, board.clone(), Some(scraper), stop.clone()),
    );
}

/// SIGTERM is how Docker stops a container, SIGINT is Ctrl-C.
async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut term), Ok(mut int)) => {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            info!("stopping");
            stop.cancel();
        }
        (Err(error), _) | (_, Err(error)) => {
            error!(%error, "signals cannot be heard; stop pgpilot by killing it")
        }
    }
}
