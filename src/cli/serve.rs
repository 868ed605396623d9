//! `pgpilot serve`: what the container does.

use std::cell::OnceCell;
use std::fs::File;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Exit, print};
use crate::app;
use crate::apply::lock::{Right, lock_file};
use crate::config::values::Mode;
use crate::loops::tune::{self, Open, Orders};
use crate::loops::tuning::{TuneError, Tuning};
use crate::serve::board::Board;
use crate::serve::http::{self, Front};
use crate::tune::Policy;

/// Watches the server, plans, serves /metrics, and in mode `apply` writes what needs no restart.
///
/// It stays up when the server is down or an option is bad, and shows what is wrong. It stops within 5 s on SIGTERM.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    after_help = "Example: PGPILOT_DATABASE_URL=postgresql://postgres:secret@localhost/postgres pgpilot serve"
)]
pub(super) struct Args {}

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

pub(super) async fn run(_: &Args) -> Exit {
    let environment = app::environment();
    let (config, _) = environment.lenient();
    app::start_log(&config.log.0);
    environment.unknown.iter().for_each(|said| warn!("{said}"));
    let board = Arc::new(Board::new(config.start_deadline.0));
    let stop = CancellationToken::new();
    let listener = match tokio::net::TcpListener::bind(config.listen.0).await {
        Ok(listener) => listener,
        Err(error) => {
            let said = format!("listening on {}: {error}", config.listen.0);
            print::problem(&said, Some("another program has that port; set PGPILOT_LISTEN to a free one"));
            return Exit::Error;
        }
    };
    info!(listen = %config.listen.0, version = env!("CARGO_PKG_VERSION"), mode = config.mode.as_label(), "pgpilot serves on http://{}", config.listen.0);
    tokio::spawn(stop_on_signal(stop.clone()));
    match ready(environment) {
        Ok((loaded, policy)) => serve(&loaded, policy, listener, &board, &stop).await,
        Err(bad) => {
            bad.iter().for_each(|said| error!(problem = "bad_options", "{said}"));
            board.publish(tune::bad_options(bad));
            http::serve(vec![listener], Front::default(), board.clone(), None, stop.clone()).await;
        }
    }
    info!("stopped");
    Exit::Done
}

fn ready(environment: app::Environment) -> Result<(app::Loaded, Policy), app::Bad> {
    let loaded = app::load(environment)?;
    let policy = app::policy(&loaded.config, &[])?;
    Ok((loaded, policy))
}

async fn serve(
    loaded: &app::Loaded,
    policy: Policy,
    listener: tokio::net::TcpListener,
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
        http::serve(vec![listener], Front::default(), board.clone(), Some(scraper), stop.clone()),
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
