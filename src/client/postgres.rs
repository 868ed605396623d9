//! One session with PostgreSQL. All reads are in text form: one round trip a statement, pipelined when asked at once.

use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::reach::Reach;
use super::target::Target;
use super::tls::{TlsError, client_config};
use crate::config::values::TlsMode;

/// What went wrong between us and the server.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    #[error("connecting to {target}")]
    Connect { target: String, source: Cause },
    #[error("connecting to {target}")]
    Tls { target: String, source: TlsError },
    #[error("connecting to {target}: no answer within {after:?}")]
    ConnectTimeout { target: String, after: Duration },
    #[error("{doing}")]
    Statement { doing: String, source: Cause },
    #[error("{doing}: no answer within {after:?}")]
    Timeout { doing: String, after: Duration },
    #[error("the server was not asked")]
    NotTried,
}

/// A limit that a statement can run into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    Statement,
    Lock,
}

/// The driver's error in one sentence, with the server's code where it gave one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub message: String,
    /// SQLSTATE, five characters.
    pub sqlstate: Option<String>,
    /// The connection is gone.
    pub lost: bool,
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {}

impl From<tokio_postgres::Error> for Cause {
    fn from(error: tokio_postgres::Error) -> Self {
        let sqlstate = error.code().map(|code| code.code().to_owned());
        // 57P01 to 57P03: the server is stopping, crashed, or starting; the session is of no more use.
        let stopping = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
        let lost = error.is_closed() || error.code().is_none_or(|code| stopping.contains(code));
        let message = match error.as_db_error() {
            Some(said) => [Some(said.message()), said.detail(), said.hint()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; "),
            None => deepest(&error),
        };
        Self { message, sqlstate, lost }
    }
}

/// The innermost cause: the outer ones of the driver only say "db error" or "error connecting to server".
fn deepest(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

impl PgError {
    const fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Connect { source, .. } | Self::Statement { source, .. } => Some(source),
            Self::Tls { .. } | Self::ConnectTimeout { .. } | Self::Timeout { .. } | Self::NotTried => None,
        }
    }

    /// The server's code, such as `42501`.
    pub fn sqlstate(&self) -> Option<&str> {
        self.cause()?.sqlstate.as_deref()
    }

    /// What was asked for was dropped while it was read: a database, a relation, a file of one; for a relation that is
    /// gone by the time it is opened the server has no code but that of an internal error.
    pub fn is_gone(&self) -> bool {
        matches!(self.sqlstate(), Some("3D000" | "42P01" | "42704" | "58P01" | "XX000"))
    }

    /// The limit of ours that a statement ran into.
    pub fn limit(&self) -> Option<Limit> {
        match (self, self.sqlstate()) {
            (Self::Timeout { .. }, _) | (_, Some("57014")) => Some(Limit::Statement),
            (_, Some("55P03")) => Some(Limit::Lock),
            _ => None,
        }
    }

    /// The session cannot be used again; a new one may be had.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Tls { .. } | Self::ConnectTimeout { .. } => true,
            Self::Timeout { .. } | Self::NotTried => true,
            Self::Statement { source, .. } => source.lost,
        }
    }

    /// The server was told of, and refused: waiting does not help, a person has to change something.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Tls { .. })
            || self.sqlstate().is_some_and(|code| HINTS.iter().any(|(known, _)| *known == code))
    }

    /// What an operator can do about it, if there is something.
    pub fn hint(&self) -> Option<&'static str> {
        let by_code = self.sqlstate().and_then(|code| HINTS.iter().find(|(known, _)| *known == code));
        let reach = Reach::of(self);
        let by_reach = REACH_HINTS.iter().find(|(known, _)| known.contains(&reach)).map(|(_, hint)| *hint);
        let connecting =
            matches!(self, Self::Connect { .. } | Self::Tls { .. } | Self::ConnectTimeout { .. });
        by_code.map(|(_, hint)| *hint).or(by_reach.filter(|_| connecting))
    }
}

/// What to do where the server cannot be had, whatever it says.
const REACH_HINTS: &[(&[Reach], &str)] = &[
    (
        &[Reach::Refusing, Reach::Dns, Reach::Timeout, Reach::Other],
        "check host and port, that the server runs, and that both containers share a network",
    ),
    (
        &[Reach::Tls],
        "check PGSSLMODE, and that PGSSLROOTCERT names the authority that signed the server's certificate",
    ),
    (
        &[Reach::TooManyClients],
        "close sessions that are not needed, or raise max_connections; or raise the role's CONNECTION LIMIT: serve needs 3, a command beside it 2 more",
    ),
    (&[Reach::Starting], "wait: the server starts, stops or recovers"),
];

/// Codes that a person can do something about.
const HINTS: &[(&str, &str)] = &[
    (
        "28P01",
        "check the password in PGPILOT_DATABASE_URL, or in the file that PGPILOT_DATABASE_URL_FILE names",
    ),
    ("28000", "check the role, and that pg_hba.conf lets it in from this address"),
    ("3D000", "name a database that exists; `postgres` nearly always does"),
    ("42501", "run `pgpilot doctor`: it prints the grants that are missing"),
];

/// How a session is used: it decides the guards that are set on it.
#[derive(Debug, Clone)]
pub struct Lane {
    pub application_name: String,
    /// Another database than the target's.
    pub database: Option<String>,
    pub read_only: bool,
    pub statement_timeout: Duration,
}

/// How long we wait for a lock: nothing that we read is worth standing in a queue behind an ALTER TABLE.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// How much longer than the server's own timeout we wait for its answer.
const GRACE: Duration = Duration::from_secs(2);

/// A session; it closes when it is dropped.
pub struct Session {
    client: Client,
    task: JoinHandle<()>,
    timeout: Duration,
    /// `pg_backend_pid()`.
    backend: String,
    /// Statements that are under way: each waits for those before it.
    waiting: AtomicU32,
    /// Statements that were sent.
    sent: AtomicU64,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Target {
    /// Opens a session and sets its guards.
    ///
    /// They are set by SET and not in the start-up packet, so that `pg_settings.reset_val` keeps showing the server's
    /// own values.
    ///
    /// # Errors
    /// When the server cannot be reached, refuses us, or does not answer in time.
    pub async fn connect(&self, lane: &Lane) -> Result<Session, PgError> {
        let opened = tokio::time::timeout(self.connect_timeout, self.open(lane)).await;
        let (client, task) = opened.map_err(|_| PgError::ConnectTimeout {
            target: self.label().to_owned(),
            after: self.connect_timeout,
        })??;
        let (timeout, waiting, sent) = (lane.statement_timeout + GRACE, AtomicU32::new(0), AtomicU64::new(0));
        let mut session = Session { client, task, timeout, backend: String::new(), waiting, sent };
        session.backend = session.row("setting the session's guards", &guards(lane)).await?.text("backend");
        Ok(session)
    }

    async fn open(&self, lane: &Lane) -> Result<(Client, JoinHandle<()>), PgError> {
        let mut config = self.config.clone();
        config.application_name(&lane.application_name);
        config.keepalives_idle(Duration::from_secs(30));
        if let Some(database) = &lane.database {
            config.dbname(database);
        }
        let refused = |error: tokio_postgres::Error| PgError::Connect {
            target: self.label().to_owned(),
            source: error.into(),
        };
        if self.tls == TlsMode::Disable {
            let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
            return Ok((client, tokio::spawn(async { drop(connection.await) })));
        }
        let tls = client_config(self.tls, &self.files)
            .map_err(|source| PgError::Tls { target: self.label().to_owned(), source })?;
        let (client, connection) = config.connect(MakeRustlsConnect::new(tls)).await.map_err(refused)?;
        Ok((client, tokio::spawn(async { drop(connection.await) })))
    }
}

fn guards(lane: &Lane) -> String {
    format!(
        "SET search_path = pg_catalog; SET statement_timeout = {}; SET lock_timeout = {}; \
         SET default_transaction_read_only = {}; SET client_min_messages = error; \
         SELECT pg_catalog.pg_backend_pid() AS backend",
        lane.statement_timeout.as_millis(),
        LOCK_TIMEOUT.as_millis(),
        if lane.read_only { "on" } else { "off" },
    )
}

/// A row in text form.
pub struct TextRow(SimpleQueryRow);

impl TextRow {
    /// The text of a column; none for NULL and for a column that is not there.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.0.try_get(column).ok().flatten()
    }

    /// The text of the column at a position; none for NULL.
    pub fn at(&self, position: usize) -> Option<&str> {
        self.0.try_get(position).ok().flatten()
    }

    /// The names of all columns, in their order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.columns().iter().map(tokio_postgres::SimpleColumn::name)
    }

    /// A text that is there, or empty.
    pub fn text(&self, column: &str) -> String {
        self.get(column).unwrap_or_default().to_owned()
    }

    /// A number; `t` and `f` are 1 and 0.
    pub fn number(&self, column: &str) -> Option<f64> {
        match self.get(column)? {
            "t" => Some(1.0),
            "f" => Some(0.0),
            text => text.parse().ok(),
        }
    }

    pub fn is_true(&self, column: &str) -> bool {
        self.get(column) == Some("t")
    }
}

/// A place in a session's queue, given back when it is dropped, also with a future that nobody waits for any more.
struct Place<'a> {
    waiting: &'a AtomicU32,
    number: u32,
}

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicU32) -> Self {
        Self { waiting, number: waiting.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Session {
    /// Runs one statement and returns its rows. Statements asked for at once travel together.
    ///
    /// # Errors
    /// When the server refuses it or does not answer in time; the session may be lost then.
    pub async fn rows(&self, doing: &str, sql: &str) -> Result<Vec<TextRow>, PgError> {
        let mut rows = vec![];
        self.stream(doing, sql, |row| rows.push(row)).await?;
        Ok(rows)
    }

    /// Runs one statement and hands out its rows one by one, so that a large result is never held whole.
    ///
    /// # Errors
    /// As [`Session::rows`]; rows may have been handed out by then.
    pub async fn each(&self, doing: &str, sql: &str, mut take: impl FnMut(&TextRow)) -> Result<(), PgError> {
        self.stream(doing, sql, |row| take(&row)).await
    }

    async fn stream(&self, doing: &str, sql: &str, take: impl FnMut(TextRow)) -> Result<(), PgError> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        let place = Place::take(&self.waiting);
        let after = self.timeout * place.number;
        let answered = tokio::time::timeout(after, self.receive(sql, take)).await;
        answered
            .map_err(|_| PgError::Timeout { doing: doing.to_owned(), after })?
            .map_err(|error| PgError::Statement { doing: doing.to_owned(), source: error.into() })
    }

    async fn receive(&self, sql: &str, mut take: impl FnMut(TextRow)) -> Result<(), tokio_postgres::Error> {
        let mut messages = pin!(self.client.simple_query_raw(sql).await?);
        while let Some(message) = messages.try_next().await? {
            if let SimpleQueryMessage::Row(row) = message {
                take(TextRow(row));
            }
        }
        Ok(())
    }

    /// How many statements were sent, those that set the guards included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// The server's process for this session.
    pub fn backend(&self) -> &str {
        &self.backend
    }

    /// The first row of a statement that always has one.
    ///
    /// # Errors
    /// As [`Session::rows`], and when there is no row.
    pub async fn row(&self, doing: &str, sql: &str) -> Result<TextRow, PgError> {
        let rows = self.rows(doing, sql).await?;
        rows.into_iter().next().ok_or_else(|| PgError::Statement {
            doing: doing.to_owned(),
            source: Cause { message: "the server gave no row".to_owned(), sqlstate: None, lost: false },
        })
    }

    /// Runs statements whose rows do not matter.
    ///
    /// # Errors
    /// As [`Session::rows`].
    pub async fn run(&self, doing: &str, sql: &str) -> Result<(), PgError> {
        self.rows(doing, sql).await.map(drop)
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}
