//! `pgpilot healthcheck`: asks the server in this container how it is, for Docker.

use super::{Exit, print};
use crate::app;
use crate::client::http;

/// Asks the pgpilot that serves on PGPILOT_LISTEN whether it is healthy.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: pgpilot healthcheck && echo healthy")]
pub(super) struct Args {}

pub(super) async fn run(_: &Args) -> Exit {
    let listen = app::environment().lenient().0.listen.0;
    let host = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    match http::get(&format!("http://{host}:{}/healthz", listen.port())).await {
        Ok((200, _)) => Exit::Done,
        Ok((status, body)) => {
            print::problem(&format!("not healthy ({status}): {}", body.trim()), None);
            Exit::Error
        }
        Err(error) => {
            print::problem(
                &print::chain(&error),
                Some("is `pgpilot serve` running, and is PGPILOT_LISTEN the same here?"),
            );
            Exit::Error
        }
    }
}
