//! Hands for PostgreSQL's settings: ALTER SYSTEM one by one, one reload for all, and a look at what came of it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::lock::{LockError, Right, lock_server};
use super::{Hands, Said, wrapper};
use crate::client::Target;
use crate::client::catalog;
use crate::client::postgres::{Lane, PgError, Session};
use crate::lifecycle::{Event, Found, InForce, verdict};
use crate::model::change::{Change, State, Subject};
use crate::model::error::chain;
use crate::model::setting::{Value, quote, quote_name, split_list};

/// How long a reload may take to reach our own session: it is a signal, and our session waits for it.
const RELOAD_DEADLINE: Duration = Duration::from_secs(5);
const RELOAD_POLL: Duration = Duration::from_millis(10);

/// Between attempts to connect again, and between looks whether the former session has ended.
const RECONNECT_PAUSE: Duration = Duration::from_millis(250);

/// An `fsync` on a disk in a first sync takes seconds; after ten of them something else is wrong.
const BACKEND_LOOKS: u32 = 40;

/// SQLSTATE classes that say something of the statement and not of the moment: bad value, unknown name, missing
/// right, a parameter that cannot be changed. A full disk (53) or a time-out (57) may be gone at the next attempt.
const VALUE_CLASSES: &[&str] = &["0A", "22", "42", "55P02"];

/// Settings whose value is a list of names, each quoted by itself.
const LISTS: &[&str] = &["shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"];

/// An open session and the way to a new one.
pub struct PgHands<'a> {
    pub session: Session,
    pub target: &'a Target,
    pub lane: Lane,
    /// How long a server that went away is waited for.
    pub patience: Duration,
    /// Whether we write through `pgpilot.alter_system`; none: not asked yet.
    pub wrapped: Option<bool>,
    /// The locks that the session holds, and that a new one must take again.
    pub rights: Vec<Right>,
}

impl Hands for PgHands<'_> {
    async fn read(&mut self, subjects: &[Subject]) -> Result<Vec<Found>, PgError> {
        let entries = catalog::auto_conf(&self.session).await?;
        let found = subjects.iter().map(|subject| Found {
            subject: subject.clone(),
            state: State::Setting(entries.get(subject.name()).cloned()),
        });
        Ok(found.collect())
    }

    async fn write(&mut self, states: &[(Subject, State)]) -> Result<Said, PgError> {
        let wrapped = self.is_wrapped().await?;
        for (subject, state) in states {
            let refused = |note| Said {
                event: Event::Refused,
                note: Some(note),
                culprit: Some(subject.name().to_owned()),
            };
            let Some(sql) = statement(subject, state, wrapped) else {
                let note = format!(
                    "{}: {state} has no spelling that ALTER SYSTEM stores as it stands",
                    subject.name()
                );
                return Ok(refused(note));
            };
            match self.session.run(&format!("setting {} to {state}", subject.name()), &sql).await {
                Ok(()) => {}
                Err(error) if speaks_of_the_value(&error) => return Ok(refused(chain(&error))),
                Err(error) => return Err(error),
            }
        }
        Ok(Event::Written.into())
    }

    /// `pg_reload_conf()` says true even when the files are refused; only the load time tells.
    async fn load(&mut self) -> Result<Said, PgError> {
        let before = self.load_time().await?;
        self.session.run("reloading the configuration", "SELECT pg_reload_conf()").await?;
        let deadline = Instant::now() + RELOAD_DEADLINE;
        while Instant::now() < deadline {
            sleep(RELOAD_POLL).await;
            if self.load_time().await? != before {
                return Ok(Event::Loaded.into());
            }
        }
        let note = "pg_conf_load_time() did not move; the server's log says which line it refused".to_owned();
        Ok(Said { event: Event::NotLoaded, note: Some(note), culprit: None })
    }

    async fn verify(&mut self, change: &Change) -> Result<Said, PgError> {
        let subjects: Vec<_> = change.moves.iter().map(|m| m.subject.clone()).collect();
        let names: Vec<_> = subjects.iter().map(Subject::name).collect();
        let entries = self.read(&subjects).await?;
        let settings = catalog::settings(&self.session, &names).await?;
        let server_started_ms = catalog::started_ms(&self.session).await?;
        let (event, objection) = verdict(change, &InForce { entries, settings, server_started_ms });
        let (culprit, note) = objection.map(|found| (found.name, found.sentence)).unzip();
        Ok(Said { event, note, culprit })
    }

    async fn reconnect(&mut self) -> Result<(), PgError> {
        let deadline = Instant::now() + self.patience;
        let session = loop {
            match self.target.connect(&self.lane).await {
                Ok(session) => break session,
                Err(error) if Instant::now() > deadline || error.is_refused() => return Err(error),
                Err(_) => sleep(RECONNECT_PAUSE).await,
            }
        };
        end_backend(&session, self.session.backend(), &self.lane.application_name).await?;
        for right in &self.rights {
            lock_server(&session, *right).await.map_err(LockError::into_pg)?;
        }
        self.session = session;
        Ok(())
    }
}

/// Ends what our former session may still be doing: a statement that waits for a slow disk lands after we gave it up.
///
/// # Errors
/// When it does not end, or the server does not answer.
pub async fn end_backend(session: &Session, backend: &str, name: &str) -> Result<(), PgError> {
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {backend} AND usename = current_user \
         AND pid <> pg_backend_pid() AND application_name = {}",
        quote(name)
    );
    for _ in 0..BACKEND_LOOKS {
        if session.rows("ending our former session", &sql).await?.is_empty() {
            return Ok(());
        }
        sleep(RECONNECT_PAUSE).await;
    }
    Err(PgError::Timeout {
        doing: "ending our former session".to_owned(),
        after: RECONNECT_PAUSE * BACKEND_LOOKS,
    })
}

impl PgHands<'_> {
    /// Before 15 only a superuser may ALTER SYSTEM; everyone else needs the function that `setup` makes.
    async fn is_wrapped(&mut self) -> Result<bool, PgError> {
        const SQL: &str = "SELECT current_setting('server_version_num')::int < 150000 \
                           AND current_setting('is_superuser') = 'off' AS wrapped";
        let wrapped = match self.wrapped {
            Some(known) => known,
            None => self.session.row("asking how to write settings", SQL).await?.is_true("wrapped"),
        };
        self.wrapped = Some(wrapped);
        Ok(wrapped)
    }

    async fn load_time(&self) -> Result<String, PgError> {
        let row =
            self.session.row("reading pg_conf_load_time()", "SELECT pg_conf_load_time()::text AS at").await?;
        Ok(row.text("at"))
    }
}

fn speaks_of_the_value(error: &PgError) -> bool {
    !error.is_lost()
        && error.sqlstate().is_some_and(|code| VALUE_CLASSES.iter().any(|class| code.starts_with(class)))
}

/// The statement that brings a subject into a state; none where ALTER SYSTEM cannot express it.
fn statement(subject: &Subject, State::Setting(entry): &State, wrapped: bool) -> Option<String> {
    if wrapped {
        return Some(wrapper::call(subject.name(), entry.as_deref()));
    }
    alter_system(subject.name(), entry.as_deref())
}

fn alter_system(setting: &str, entry: Option<&str>) -> Option<String> {
    let name = quote_name(setting);
    let Some(text) = entry else { return Some(format!("ALTER SYSTEM RESET {name}")) };
    let is_list = LISTS.contains(&setting);
    let literal = if is_list { Value::List(split_list(text)).to_sql()? } else { quote(text) };
    Some(format!("ALTER SYSTEM SET {name} TO {literal}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_quoted_and_lists_go_element_by_element() {
        let rows = [
            ("work_mem", Some("64MB"), Some("ALTER SYSTEM SET \"work_mem\" TO '64MB'")),
            ("work_mem", None, Some("ALTER SYSTEM RESET \"work_mem\"")),
            ("a.b", Some("o'x"), Some("ALTER SYSTEM SET \"a\".\"b\" TO 'o''x'")),
            (
                "shared_preload_libraries",
                Some("a, b"),
                Some("ALTER SYSTEM SET \"shared_preload_libraries\" TO 'a', 'b'"),
            ),
            ("shared_preload_libraries", Some(""), None),
        ];
        for (name, entry, want) in rows {
            assert_eq!(alter_system(name, entry).as_deref(), want, "{name}");
        }
    }
}
