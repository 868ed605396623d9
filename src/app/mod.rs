//! Where the parts are put together: the process's environment and clock are read here and nowhere else.

mod data_source;
mod environment;
mod rights;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tracing::warn;

use crate::apply::journal::Journal;
use crate::apply::postgres::PgHands;
use crate::client::Target;
use crate::client::postgres::{Lane, PgError};
use crate::collect::sql::QUERIES;
use crate::config::Config;
use crate::config::values::{LogFormat, Names, ProfileName};
use crate::loops::tuning::{PATIENCE, TuneError, Tuning, View};
use crate::model::doctor::Finding;
use crate::model::error::chain;
use crate::model::facts::{Declared, Facts, Ours};
use crate::serve::board::Board;
use crate::serve::{Bounds, Choice, Pace, Scraper};
use crate::tune::{Custom, KNOBS, Policy, TakeOver};
use environment::read_small;
pub use environment::{Environment, environment, environment_and};

/// The one place where the wall clock is read.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// What is wrong with the options, a sentence each.
pub type Bad = Vec<String>;

/// The options and the server that they name.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub target: Target,
}

/// Reads all options.
///
/// # Errors
/// With a sentence for every one that cannot be used.
pub fn load(environment: Environment) -> Result<Loaded, Bad> {
    let (config, mut said) = environment.lenient();
    let url_by = environment.url_by();
    said.extend(environment.unreadable);
    said.extend(profile_file_missing(&config));
    match target(&config) {
        Ok(target) if said.is_empty() => Ok(Loaded { config, target }),
        Ok(_) => Err(said),
        Err(error) => {
            said.push(error.of(url_by));
            Err(said)
        }
    }
}

fn profile_file_missing(config: &Config) -> Option<String> {
    (config.profile == ProfileName::Custom && config.profile_file.is_none()).then(|| {
        "PGPILOT_PROFILE_FILE: is not set, and PGPILOT_PROFILE=custom needs it; \
         for example PGPILOT_PROFILE_FILE=/etc/pgpilot/profile.toml"
            .to_owned()
    })
}

fn target(config: &Config) -> Result<Target, crate::client::TargetError> {
    Target::new(&crate::client::Wanted {
        url: config.database_url.as_ref(),
        host: config.pghost.as_ref(),
        port: config.pgport.as_ref(),
        user: config.pguser.as_ref(),
        password: config.pgpassword.as_ref(),
        database: config.pgdatabase.as_ref(),
        tls: config.pgsslmode,
        root: config.pgsslrootcert.as_ref(),
        cert: config.pgsslcert.as_ref(),
        key: config.pgsslkey.as_ref(),
        connect_timeout: config.connect_timeout.0,
    })
}

/// What the operator declared of the machine.
pub fn declared(config: &Config) -> Declared {
    Declared {
        memory: config.memory.map(|size| size.0),
        reserve: config.reserve.0,
        servers: config.servers.0,
        cpus: config.cpus.map(|count| count.0),
        storage: config.storage.map(|storage| storage.media),
        zfs: config.storage.is_some_and(|storage| storage.zfs),
        shm: config.shm_size.map(|size| size.0),
        wal_disk_free: config.wal_disk_free.map(|size| size.0),
        client_connections: config.client_connections.map(|count| count.0),
    }
}

/// The folder of the journal.
pub fn state_dir(config: &Config) -> PathBuf {
    PathBuf::from(&config.state_dir.0)
}

/// Prints what is wrong with the options, one line each.
pub fn report(bad: &[String]) {
    use std::io::Write;
    let mut stderr = std::io::stderr().lock();
    for said in bad {
        let _ = writeln!(stderr, "pgpilot: {said}");
    }
}

/// All options, or their errors on standard error.
pub fn loaded_or_report() -> Option<Loaded> {
    load(environment()).map_err(|bad| report(&bad)).ok()
}

/// The options without the connection, for verbs that need none.
pub fn config_or_report() -> Option<Config> {
    let environment = environment();
    let (config, mut said) = environment.lenient();
    said.extend(environment.unreadable);
    if said.is_empty() {
        return Some(config);
    }
    report(&said);
    None
}

/// Session guards for a purpose; the name tells a person who looks at `pg_stat_activity` what it is for.
pub fn lane(config: &Config, purpose: &str) -> Lane {
    Lane {
        application_name: format!("pgpilot {purpose}"),
        database: None,
        read_only: false,
        statement_timeout: config.statement_timeout.0,
    }
}

/// Opens the journal and a session to tune with. Without a journal one can still look and plan.
///
/// # Errors
/// When the server cannot be reached.
pub async fn tuning<'a>(loaded: &'a Loaded, policy: Policy, purpose: &str) -> Result<Tuning<'a>, TuneError> {
    let state_dir = state_dir(&loaded.config);
    let (journal, without_journal) = match Journal::open(&state_dir) {
        Ok(journal) => (journal, None),
        Err(error) => (Journal::detached()?, Some(format!("{}; {}", chain(&error), error.hint()))),
    };
    let lane = lane(&loaded.config, &format!("{purpose} {}", journal.name));
    let session = loaded.target.connect(&lane).await?;
    let hands = PgHands {
        session,
        target: &loaded.target,
        lane,
        patience: PATIENCE / time_scale(),
        wrapped: None,
        rights: vec![],
    };
    let view = view(&loaded.config);
    Ok(Tuning {
        hands,
        journal,
        state_dir,
        policy,
        view,
        now,
        without_journal,
        retried_stuck: false,
        seen: None,
        blind: 0,
    })
}

/// What answers `/metrics`, with sessions of its own.
pub fn scraper(loaded: &Loaded, board: Arc<Board>) -> Scraper {
    let Config { fresh_for, statement_timeout, .. } = &loaded.config;
    let pace = Pace { fresh_for: fresh_for.0, statement_timeout: statement_timeout.0 };
    Scraper::new(loaded.target.clone(), pace, choice(&loaded.config), board)
}

/// What scrapes read and show.
fn choice(config: &Config) -> Choice {
    let bounds = Bounds {
        databases: config.top_databases.0,
        relations: config.top_relations.0,
        statements: config.top_statements.0,
        series: config.series_limit.0,
        texts: config.statement_texts.0,
    };
    let off = config.collectors_off.0.clone();
    let known = |name: &String| QUERIES.iter().any(|query| query.name == name);
    for name in off.iter().filter(|name| !known(name)) {
        warn!("PGPILOT_COLLECTORS_OFF: there is no collector {name}; docs/metrics.md lists them");
    }
    Choice { bounds, databases: config.databases.0.clone(), off }
}

/// Everything that can be seen now, and what stands against seeing the server.
pub async fn look(loaded: &Loaded) -> (Facts, Option<TuneError>) {
    let error = match tuning(loaded, Policy::default(), "look").await {
        Ok(mut tuning) => match tuning.look().await {
            Ok(facts) => {
                // Without it, what pgpilot wrote looks as if it were made by hand.
                report(tuning.without_journal.as_slice());
                return (facts, None);
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    let session = Err(if let TuneError::Postgres(error) = &error { error } else { &PgError::NotTried });
    let facts = view(&loaded.config).look(&loaded.target, session, Ours::default(), now()).await;
    (facts, Some(error))
}

/// What collectors lack; nothing while there is no server, which is a finding already.
pub async fn rights(loaded: &Loaded) -> Vec<Finding> {
    let lane = Lane {
        application_name: "pgpilot doctor".to_owned(),
        database: None,
        read_only: true,
        statement_timeout: loaded.config.statement_timeout.0,
    };
    rights::findings(&loaded.target, &lane).await.unwrap_or_default()
}

fn view(config: &Config) -> View {
    View { declared: declared(config), data_dir: config.data_dir.as_ref().map(|path| PathBuf::from(&path.0)) }
}

/// What the planner is told; names that a person asked for are not held back.
///
/// # Errors
/// When the custom profile cannot be read, with a sentence for each of its bad rows.
pub fn policy(config: &Config, named: &[String]) -> Result<Policy, Bad> {
    let custom = match (config.profile, &config.profile_file) {
        (ProfileName::Custom, Some(path)) => Some(custom_profile(&path.0)?),
        _ => None,
    };
    let unknown = match &config.take_over {
        Names::These(names) => names.iter().find(|name| !KNOBS.iter().any(|knob| knob.name == name.as_str())),
        Names::None | Names::All => None,
    };
    if let Some(name) = unknown {
        let said = format!(
            "PGPILOT_TAKE_OVER: `{name}` is no setting that pgpilot moves; for example PGPILOT_TAKE_OVER=work_mem"
        );
        return Err(vec![said]);
    }
    let take_over = match &config.take_over {
        Names::None => TakeOver::None,
        Names::These(names) => TakeOver::Names(names.clone()),
        Names::All => TakeOver::All,
    };
    let profile = config.profile.as_label().parse().map_err(|said| vec![said])?;
    Ok(Policy { profile, custom, take_over, named: named.to_vec() })
}

fn custom_profile(path: &str) -> Result<Custom, Bad> {
    let name = "PGPILOT_PROFILE_FILE";
    let text =
        read_small(Path::new(path)).map_err(|error| vec![format!("{name}: reading {path}: {error}")])?;
    Custom::parse(&text)
        .map_err(|bad| bad.into_iter().map(|said| format!("{name}: {path}: {said}")).collect())
}

/// As [`policy`], with its errors on standard error.
pub fn policy_or_report(config: &Config, named: &[String]) -> Option<Policy> {
    policy(config, named).map_err(|bad| report(&bad)).ok()
}

/// Tests divide every wait by this; nobody else sets it.
fn time_scale() -> u32 {
    let text = std::env::var_os("PGPILOT_TEST_TIME_SCALE");
    text.and_then(|text| text.to_str()?.parse().ok()).filter(|scale| *scale > 0).unwrap_or(1)
}

/// The flags that the first process of this container was started with, if that is pgpilot, or starts it: a health check
/// is not told them.
pub fn flags_of_first_process() -> Vec<String> {
    let line = std::fs::read("/proc/1/cmdline").unwrap_or_default();
    flags_in(&String::from_utf8_lossy(&line))
}

fn flags_in(line: &str) -> Vec<String> {
    let ours = |word: &&str| Path::new(word).file_name().is_some_and(|name| name == "pgpilot");
    let words = line.trim_end_matches('\0').split('\0').skip_while(|word| !ours(word)).skip(1);
    let flags = words.skip_while(|word| *word == "serve").map(ToOwned::to_owned).collect::<Vec<_>>();
    if flags.first().is_some_and(|word| word.starts_with("--")) { flags } else { vec![] }
}

/// Starts the log on standard error. A filter that cannot be read falls back to `info`, and is said.
pub fn start_log(filter: &str, format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let (filter, bad) = match EnvFilter::try_new(filter) {
        Ok(good) => (good, None),
        Err(error) => {
            (EnvFilter::new("info"), Some(format!("PGPILOT_LOG: `{filter}` is no filter: {error}")))
        }
    };
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal)
        // It would be said on standard error, where just now nothing could be said: that panics.
        .log_internal_errors(false);
    // A second start in one process, as in tests, keeps the first log.
    let _ = match format {
        LogFormat::Text => started.try_init(),
        LogFormat::Json => started.json().flatten_event(true).try_init(),
    };
    if let Some(bad) = bad {
        tracing::warn!("{bad}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_tells_its_flags() {
        let rows = [
            ("/pgpilot\0--web.listen-address=:9200\0", "--web.listen-address=:9200"),
            ("/sbin/docker-init\0--\0pgpilot\0serve\0--log.level\0debug\0", "--log.level debug"),
            ("pgpilot\0serve\0", ""),
            ("pgpilot\0plan\0--json\0", ""),
            ("/sbin/init\0--web.config.file=x\0", ""),
            ("", ""),
        ];
        for (line, want) in rows {
            assert_eq!(flags_in(line).join(" "), want, "{line:?}");
        }
    }
}
