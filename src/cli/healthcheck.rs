//! `pgpilot healthcheck`: asks the server in this container how it is, for Docker.

use std::path::Path;

use super::{Exit, print};
use crate::app;
use crate::client::http;
use crate::client::https::{self, Answer};
use crate::config::Config;
use crate::config::flags;
use crate::serve::web_config;

/// Asks the pgpilot that serves on PGPILOT_LISTEN whether it is healthy.
///
/// With a web config it speaks TLS and believes whoever answers. It needs no password, and shows the listener's own
/// certificate where one is asked for; if that cannot be read, a listener that wants one counts as healthy.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example: pgpilot healthcheck && echo healthy")]
pub(super) struct Args {}

pub(super) async fn run(_: &Args) -> Exit {
    let config = app::environment_and(flags::read(&app::flags_of_first_process())).lenient().0;
    match ask(&config).await {
        Ok((200, _)) => Exit::Done,
        Ok((status, body)) => {
            print::problem(&format!("not healthy ({status}): {}", body.trim()), None);
            Exit::Error
        }
        Err(said) => {
            print::problem(&said, Some("is `pgpilot serve` running, and is PGPILOT_LISTEN the same here?"));
            Exit::Error
        }
    }
}

/// Status and body of `/healthz`.
async fn ask(config: &Config) -> Result<(u16, String), String> {
    let Some(address) = config.listen.0.first() else {
        return Err("PGPILOT_LISTEN: names nothing".to_owned());
    };
    let host = dialled(&address.host);
    if let Some(path) = &config.web_config {
        // A file that has become bad says nothing of the listener, which goes on with the former one.
        let own = web_config::identity(Path::new(&path.0)).ok().flatten().map(|own| (own.certs, own.key));
        match https::get((&host, address.port), "/healthz", own).await {
            Ok(Answer::Http(status, body)) => return Ok((status, body)),
            Ok(Answer::WantsCertificate) => return Ok((200, String::new())),
            Ok(Answer::NotTls) => {}
            Err(error) => return Err(print::chain(&error)),
        }
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    http::get(&format!("http://{host}:{}/healthz", address.port)).await.map_err(|error| print::chain(&error))
}

/// What listens on every address is asked on the nearest one.
fn dialled(host: &str) -> String {
    const NEAREST: &[(&str, &str)] = &[("0.0.0.0", "127.0.0.1"), ("::", "::1")];
    let near = NEAREST.iter().find(|(every, _)| *every == host).map(|(_, near)| *near);
    near.unwrap_or(host).to_owned()
}
