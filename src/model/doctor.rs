//! What stands between pgpilot and its work, and what to do about each: a table of checks over the facts.

mod machine;

use serde::Serialize;

use super::facts::{Facts, Seen};
use super::postgres::Postgres;
use super::setting::{Value, quote_identifier, quote_name};

/// What the checks look at.
pub struct Patient<'a> {
    pub facts: &'a Facts,
    /// The settings that pgpilot moves.
    pub names: &'a [&'a str],
    /// Whether the journal can be written, and if not why.
    pub journal: Result<(), String>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub state: State,
    pub what: String,
    /// The exact SQL or option that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// pgpilot works, but knows or may do less.
    Warn,
    /// pgpilot cannot work.
    Fail,
}

impl State {
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// A state, what was found, and what mends it.
type Verdict = (State, String, Option<String>);

/// A row: a name, and how to judge.
struct Check {
    name: &'static str,
    look: Look,
}

/// While there is no server, what depends on it is passed over: one cause, one finding.
enum Look {
    Always(fn(&Patient<'_>) -> Verdict),
    Machine(fn(&Patient<'_>) -> Verdict),
    Server(fn(&Patient<'_>, &Postgres) -> Verdict),
}

/// The table, in the order in which a person would mend.
const CHECKS: &[Check] = &[
    Check { name: "server", look: Look::Always(server) },
    Check { name: "version", look: Look::Server(version) },
    Check { name: "primary", look: Look::Server(primary) },
    Check { name: "managed", look: Look::Server(managed) },
    Check { name: "pg_monitor", look: Look::Server(monitor) },
    Check { name: "pg_file_settings", look: Look::Server(file_settings) },
    Check { name: "alter_system", look: Look::Server(alter_system) },
    Check { name: "reload", look: Look::Server(reload) },
    Check { name: "host_file", look: Look::Server(host_file) },
    Check { name: "pg_stat_statements", look: Look::Server(statements) },
    Check { name: "memory", look: Look::Machine(machine::memory) },
    Check { name: "shm", look: Look::Machine(machine::shm) },
    Check { name: "storage", look: Look::Machine(machine::storage) },
    Check { name: "free_space", look: Look::Machine(machine::free_space) },
    Check { name: "journal", look: Look::Always(journal) },
];

/// The newest major that pgpilot was tried on.
const NEWEST_MAJOR: u32 = 18;

/// Runs every check.
pub fn examine(patient: &Patient<'_>) -> Vec<Finding> {
    let judge = |check: &Check| {
        let (state, what, remedy) = match check.look {
            Look::Always(look) => look(patient),
            Look::Machine(look) => patient.facts.postgres.get().map(|_| look(patient))?,
            Look::Server(look) => look(patient, patient.facts.postgres.get()?),
        };
        Some(Finding { name: check.name, state, what, remedy })
    };
    CHECKS.iter().filter_map(judge).collect()
}

fn ok(what: impl Into<String>) -> Verdict {
    (State::Ok, what.into(), None)
}

fn warn(what: impl Into<String>, remedy: impl Into<String>) -> Verdict {
    (State::Warn, what.into(), Some(remedy.into()))
}

fn server(patient: &Patient<'_>) -> Verdict {
    match &patient.facts.postgres {
        Seen::Now(server) => {
            ok(format!("connected as {} to PostgreSQL {}", server.role.name, server.version))
        }
        Seen::Not(why) => {
            let remedy =
                "check PGPILOT_DATABASE_URL, for example postgresql://pgpilot:secret@postgres:5432/postgres";
            (State::Fail, why.clone(), Some(remedy.to_owned()))
        }
    }
}

fn version(_: &Patient<'_>, server: &Postgres) -> Verdict {
    if server.major() > NEWEST_MAJOR {
        let what = format!(
            "PostgreSQL {} is newer than {NEWEST_MAJOR}, the newest that pgpilot was tried on",
            server.version
        );
        return warn(what, "use a newer pgpilot");
    }
    ok(format!("PostgreSQL {} is known", server.major()))
}

fn primary(_: &Patient<'_>, server: &Postgres) -> Verdict {
    if server.in_recovery {
        return warn(
            "the server is a replica: it is observed, and nothing is written",
            "connect to its primary",
        );
    }
    ok("the server is a primary")
}

fn managed(_: &Patient<'_>, server: &Postgres) -> Verdict {
    match &server.managed {
        Some(who) => warn(
            format!("{who}; it is observed, and nothing is written"),
            "change settings there, by `pgpilot plan`",
        ),
        None => ok("nobody else manages the settings"),
    }
}

/// A right of the role: what it gives, and the SQL that grants it.
fn right(held: bool, gives: &str, without: &str, sql: String) -> Verdict {
    if held { ok(gives) } else { warn(without, sql) }
}

/// The role, quoted.
fn role(server: &Postgres) -> String {
    quote_identifier(&server.role.name)
}

fn monitor(_: &Patient<'_>, server: &Postgres) -> Verdict {
    let held = server.role.superuser || server.role.monitors;
    let without = "sessions, sizes and some settings of others are hidden from this role";
    right(held, "the role sees what it must", without, format!("GRANT pg_monitor TO {};", role(server)))
}

fn file_settings(_: &Patient<'_>, server: &Postgres) -> Verdict {
    let held = server.role.superuser || server.role.sees_file_settings;
    let without =
        "what stands in postgresql.auto.conf is hidden from this role: nothing can be written safely";
    let to = role(server);
    let sql = format!(
        "GRANT SELECT ON pg_file_settings TO {to}; GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO {to};"
    );
    right(held, "the role sees the configuration files' entries", without, sql)
}

fn alter_system(patient: &Patient<'_>, server: &Postgres) -> Verdict {
    let missing: Vec<_> =
        patient.names.iter().filter(|name| is_missing(server, name)).map(|name| quote_name(name)).collect();
    if missing.is_empty() {
        return ok("the role may set every setting that pgpilot moves");
    }
    let what = format!("the role may not set {} of {} settings", missing.len(), patient.names.len());
    if server.major() < 15 {
        return warn(
            what,
            "run `pgpilot setup` as a superuser, or connect as one: PostgreSQL 14 cannot grant this",
        );
    }
    warn(what, format!("GRANT ALTER SYSTEM ON PARAMETER {} TO {};", missing.join(", "), role(server)))
}

/// `shared_preload_libraries` is as good as superuser, and is never granted; a setting that the server does not have
/// needs no right.
fn is_missing(server: &Postgres, name: &str) -> bool {
    name != "shared_preload_libraries" && server.settings.contains_key(name) && !server.role.may_alter(name)
}

fn reload(_: &Patient<'_>, server: &Postgres) -> Verdict {
    let sql = format!("GRANT EXECUTE ON FUNCTION pg_reload_conf() TO {};", role(server));
    let without = "the role may not reload: nothing can be put in force";
    right(
        server.role.superuser || server.role.may_reload,
        "the role may reload the configuration",
        without,
        sql,
    )
}

fn host_file(_: &Patient<'_>, server: &Postgres) -> Verdict {
    let without = "PostgreSQL cannot show us its memory limit, /dev/shm and storage";
    right(
        server.role.reads_host,
        "PostgreSQL shows us where it runs",
        without,
        "run `pgpilot setup` as a superuser".to_owned(),
    )
}

fn statements(_: &Patient<'_>, server: &Postgres) -> Verdict {
    const NAME: &str = "pg_stat_statements";
    let extension = server.extensions.get(NAME).cloned().unwrap_or_default();
    let Some(Value::List(mut libraries)) =
        server.settings.get("shared_preload_libraries").map(super::setting::Setting::value)
    else {
        return warn(
            "shared_preload_libraries is hidden from this role",
            format!("GRANT pg_monitor TO {};", role(server)),
        );
    };
    if !extension.available {
        return warn("this server has no pg_stat_statements", "install PostgreSQL's contrib package");
    }
    if !libraries.iter().any(|library| library == NAME) {
        libraries.push(NAME.to_owned());
        let list = Value::List(libraries).to_sql().unwrap_or_default();
        return warn(
            "pg_stat_statements is not preloaded: no statistics of statements",
            format!("ALTER SYSTEM SET shared_preload_libraries = {list}; then restart PostgreSQL"),
        );
    }
    if extension.installed.is_none() {
        return warn(
            "pg_stat_statements is preloaded, and not created in this database",
            "CREATE EXTENSION pg_stat_statements;",
        );
    }
    ok("pg_stat_statements is there")
}

fn journal(patient: &Patient<'_>) -> Verdict {
    match &patient.journal {
        Ok(()) => ok("the journal can be written"),
        Err(why) => (
            State::Fail,
            why.clone(),
            Some("PGPILOT_STATE_DIR must name a volume that pgpilot may write to".to_owned()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::facts::{Declared, Ours};
    use crate::model::units::Bytes;

    fn blind(declared: Declared) -> Facts {
        let why = "no answer".to_owned();
        Facts {
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            pgpilot: "0".to_owned(),
            declared,
            host: Seen::Not(why.clone()),
            limits: Seen::Not(why.clone()),
            own_limits: Seen::Not(why.clone()),
            shm: Seen::Not(why.clone()),
            storage: Seen::Not(why.clone()),
            postgres: Seen::Not(why),
            ours: Ours::default(),
        }
    }

    fn states(facts: &Facts, journal: Result<(), String>) -> Vec<(&'static str, State)> {
        let found = examine(&Patient { facts, names: &["work_mem"], journal });
        assert!(found.iter().all(|found| (found.state == State::Ok) == found.remedy.is_none()), "{found:?}");
        found.iter().map(|found| (found.name, found.state)).collect()
    }

    #[test]
    fn without_a_server_what_depends_on_it_is_passed_over() {
        let want = [("server", State::Fail), ("journal", State::Fail)];
        assert_eq!(states(&blind(Declared::default()), Err("read-only".to_owned())), want);
    }

    #[test]
    fn what_the_operator_says_need_not_be_seen() {
        let declared = Declared {
            memory: Some(Bytes::gib(8)),
            wal_disk_free: Some(Bytes::gib(100)),
            ..Declared::default()
        };
        let (facts, names) = (blind(declared), &["work_mem"][..]);
        let patient = Patient { facts: &facts, names, journal: Ok(()) };
        assert_eq!(machine::memory(&patient).0, State::Ok);
        assert_eq!(machine::free_space(&patient).0, State::Ok);
        assert_eq!(machine::shm(&patient).0, State::Warn);
    }
}
