//! `pgpilot setup`: the role that pgpilot works as, and what it may do. Run once by a superuser; running it again
//! changes nothing.

use super::grants;
use crate::client::postgres::{PgError, Session};
use crate::config::values::Secret;
use crate::model::error::chain;

/// What is wanted.
pub struct Wanted<'a> {
    pub role: &'a str,
    pub password: Option<&'a Secret>,
    /// The settings that the role may move.
    pub names: &'a [&'a str],
    /// Take it all away instead.
    pub remove: bool,
}

/// One step, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub what: &'static str,
    pub sql: String,
    /// The rest is of use without it.
    pub optional: bool,
}

impl Step {
    pub(super) fn new(what: &'static str, sql: String) -> Self {
        Self { what, sql, optional: false }
    }

    pub(super) fn optional(what: &'static str, sql: String) -> Self {
        Self { what, sql, optional: true }
    }
}

/// The steps, in order; they are meant to run in one transaction.
pub fn steps(wanted: &Wanted<'_>, major: u32) -> Vec<Step> {
    if wanted.remove { grants::take(wanted, major) } else { grants::give(wanted, major) }
}

/// The same for a person to run, in psql or elsewhere. It holds a password's verifier, never a password.
pub fn script(wanted: &Wanted<'_>, major: u32) -> String {
    let shown = |step: &Step| format!("-- {}\n{};\n\n", step.what, step.sql);
    let (optional, needed): (Vec<_>, Vec<_>) =
        steps(wanted, major).into_iter().partition(|step| step.optional);
    let mut text = format!(
        "-- For PostgreSQL {major}, as a superuser, in the database that pgpilot connects to.\nBEGIN;\n\n"
    );
    text.extend(needed.iter().map(shown));
    text.push_str("COMMIT;\n");
    if !wanted.remove && wanted.password.is_none() {
        text.push_str(&format!("\n-- Give the role a password, in psql: \\password {}\n", wanted.role));
    }
    if !optional.is_empty() {
        text.push_str("\n-- pgpilot works without what follows.\n");
        text.extend(optional.iter().map(shown));
    }
    text
}

/// Why setting up did not come about; nothing of it stays then.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("role {0} is no superuser")]
    NotSuperuser(String),
    #[error("setting up {what}")]
    Step { what: &'static str, source: PgError },
    #[error(transparent)]
    Read(#[from] PgError),
}

impl SetupError {
    /// What an operator can do about it, if there is something.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotSuperuser(_) => {
                Some("connect as a superuser, or let one run what `pgpilot setup --print` shows")
            }
            Self::Step { .. } => None,
            Self::Read(error) => error.hint(),
        }
    }
}

/// What was done, and what had to be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    pub done: Vec<&'static str>,
    /// What, and why.
    pub left_out: Vec<(&'static str, String)>,
}

/// Makes the role and its rights, or takes them away: all or nothing, but for the optional steps.
///
/// # Errors
/// When we are not superuser, or a step is refused.
pub async fn run(session: &Session, wanted: &Wanted<'_>) -> Result<Done, SetupError> {
    const SQL: &str = "SELECT current_setting('server_version_num')::int / 10000 AS major, current_user AS name, \
         current_setting('is_superuser') AS superuser";
    let row = session.row("reading the server's version", SQL).await?;
    if row.get("superuser") != Some("on") {
        return Err(SetupError::NotSuperuser(row.text("name")));
    }
    session.run("opening a transaction", "BEGIN").await?;
    let done = in_transaction(session, steps(wanted, row.text("major").parse().unwrap_or_default())).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = session.run("ending the transaction", end).await;
    let done = done?;
    ended?;
    Ok(done)
}

async fn in_transaction(session: &Session, steps: Vec<Step>) -> Result<Done, SetupError> {
    let mut done = Done::default();
    for Step { what, sql, optional } in steps {
        session.run("setting a savepoint", "SAVEPOINT pgpilot").await?;
        match session.run(what, &sql).await {
            Ok(()) => done.done.push(what),
            Err(error) if optional && !error.is_lost() => {
                session.run("leaving a step out", "ROLLBACK TO SAVEPOINT pgpilot").await?;
                done.left_out.push((what, chain(&error)));
            }
            Err(source) => return Err(SetupError::Step { what, source }),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(password: Option<&Secret>) -> Wanted<'_> {
        const NAMES: &[&str] = &[
            "work_mem",
            "shared_preload_libraries",
            "archive_command",
            "timescaledb.max_background_workers",
        ];
        Wanted { role: "pg\"pilot", password, names: NAMES, remove: false }
    }

    #[test]
    fn settings_that_are_as_good_as_a_shell_are_never_granted() {
        let text = script(&wanted(None), 17);
        let list = "ARRAY[\n    '\"work_mem\"',\n    '\"timescaledb\".\"max_background_workers\"'\n  ]";
        assert!(text.contains(list), "{text}");
        let granted = text.replace(grants::STATEMENTS, "");
        assert!(!granted.contains("shared_preload_libraries") && !granted.contains("archive_command"));
    }

    #[test]
    fn a_password_is_written_as_a_verifier_only() {
        let secret = Secret::new("hunter2");
        let text = script(&wanted(Some(&secret)), 17);
        assert!(text.contains("SCRAM-SHA-256$") && !text.contains("hunter2"));
        assert!(script(&wanted(None), 17).contains("\\password"));
    }

    #[test]
    fn before_15_there_are_no_grants_on_parameters() {
        let text = script(&wanted(None), 14);
        assert!(!text.contains("ON PARAMETER") && !text.contains("pg_checkpoint"));
        assert!(text.contains("pgpilot.alter_system"));
        assert!(!script(&wanted(None), 15).contains("pgpilot.alter_system"));
    }
}
