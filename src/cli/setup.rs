//! `pgpilot setup`: the role, its rights and the little function, made once by a superuser.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Exit, print};
use crate::app::{self, Loaded};
use crate::apply::setup::{self, SetupError, Wanted};
use crate::config::Config;
use crate::tune::KNOBS;

/// Makes pgpilot's role, its grants, its extension and `pgpilot.host_file`, through a superuser's connection.
///
/// It can be run again at any time. --print shows the SQL instead, for who would rather run it by hand.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Examples: pgpilot setup --print | docker compose exec -T postgres psql -U postgres\n          PGPILOT_ROLE_PASSWORD=secret pgpilot setup"
)]
pub(super) struct Args {
    /// Print the SQL and run nothing.
    #[arg(long)]
    print: bool,
    /// Undo it: take away the rights, the function, its schema and the role.
    #[arg(long)]
    remove: bool,
    /// Do not ask before taking something away.
    #[arg(long)]
    yes: bool,
    /// The server's major version that --print writes for.
    #[arg(long, value_name = "MAJOR", default_value_t = 17, requires = "print")]
    major: u32,
    /// Write random passwords into this folder, where there are none yet, and stop.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["print", "remove"])]
    write_secrets: Option<PathBuf>,
    /// Only this one of them; can be given several times.
    #[arg(long, value_name = "NAME", requires = "write_secrets", value_parser = ["postgres_password", "pgpilot_password"])]
    secret: Vec<String>,
}

/// The files that `--write-secrets` makes; compose gives them to PostgreSQL and to us.
const SECRETS: &[&str] = &["postgres_password", "pgpilot_password"];

/// PostgreSQL's container reads its file as another user than we write it; the volume is what guards them.
const SECRET_MODE: u32 = 0o444;

pub(super) async fn run(args: &Args) -> Exit {
    if let Some(folder) = &args.write_secrets {
        return write_secrets(folder, &args.secret);
    }
    if args.print {
        let Some(config) = app::config_or_report() else { return Exit::Config };
        print::say(&script(args, &config));
        return Exit::Done;
    }
    let Some(loaded) = app::loaded_or_report() else { return Exit::Config };
    match change_server(args, &loaded).await {
        Ok(exit) => exit,
        Err(error) => {
            print::problem(&print::chain(&error), error.hint());
            Exit::Error
        }
    }
}

/// What a superuser can run by hand.
fn script(args: &Args, config: &Config) -> String {
    let names: Vec<_> = KNOBS.iter().filter(|knob| knob.is_for(args.major)).map(|knob| knob.name).collect();
    setup::script(&wanted(args, config, &names), args.major)
}

fn wanted<'a>(args: &Args, config: &'a Config, names: &'a [&'a str]) -> Wanted<'a> {
    Wanted { role: &config.role.0, password: config.role_password.as_ref(), names, remove: args.remove }
}

async fn change_server(args: &Args, loaded: &Loaded) -> Result<Exit, SetupError> {
    let (config, role) = (&loaded.config, loaded.config.role.0.as_str());
    if args.remove && !args.yes && !agreed(role) {
        return Ok(Exit::Refused);
    }
    let session = loaded.target.connect(&app::lane(config, "setup")).await?;
    let names: Vec<_> = KNOBS.iter().map(|knob| knob.name).collect();
    let done = setup::run(&session, &wanted(args, config, &names)).await?;
    for what in &done.done {
        print::say(&format!("done      {what}"));
    }
    for (what, why) in &done.left_out {
        print::say(&format!("left out  {what}: {why}"));
    }
    if !args.remove && config.role_password.is_none() {
        print::say(&format!(
            "role {role} got no password: set PGPILOT_ROLE_PASSWORD and run this again, or give it one by hand"
        ));
    }
    Ok(Exit::Done)
}

fn agreed(role: &str) -> bool {
    match print::confirm(&format!("Take away role {role}, its rights and the schema pgpilot?")) {
        Ok(agreed) => agreed,
        Err(said) => {
            print::problem(said, None);
            false
        }
    }
}

fn write_secrets(folder: &Path, only: &[String]) -> Exit {
    for name in SECRETS.iter().filter(|name| only.is_empty() || only.iter().any(|only| only == *name)) {
        let path = folder.join(name);
        match write_secret(&path) {
            Ok(true) => print::say(&format!("{}: written", path.display())),
            Ok(false) => print::say(&format!("{}: is there, left as it is", path.display())),
            Err(error) => {
                print::problem(
                    &format!("writing {}: {error}", path.display()),
                    Some("the folder must be a volume that pgpilot may write to"),
                );
                return Exit::Error;
            }
        }
    }
    Exit::Done
}

/// Writes a password of 192 random bits, unless there is one. A file that is cut short is never seen: it is renamed
/// into place.
fn write_secret(path: &Path) -> std::io::Result<bool> {
    if path.metadata().is_ok_and(|file| file.len() > 0) {
        return Ok(false);
    }
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(SECRET_MODE))?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    Ok(true)
}
