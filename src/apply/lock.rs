//! Two locks: a file beside the journal against ourselves, an advisory lock against every other pgpilot.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::client::postgres::{Cause, PgError, Session};

/// First half of the advisory locks' key: `pgpi` in ASCII.
const SPACE: i32 = 0x7067_7069;

/// What a lock stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// A change is being written.
    Write = 1,
    /// A `serve` looks after this server.
    Serve = 2,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another pgpilot is at work with this journal: {path} is locked")]
    File { path: PathBuf },
    #[error("locking {path}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("another pgpilot looks after this server: {holder}")]
    Server { holder: String },
    #[error(transparent)]
    Postgres(#[from] PgError),
}

impl LockError {
    /// As an error of the session that wanted the lock.
    pub fn into_pg(self) -> PgError {
        match self {
            Self::Postgres(error) => error,
            Self::File { .. } | Self::Io { .. } | Self::Server { .. } => PgError::Statement {
                doing: "taking the lock again".to_owned(),
                source: Cause { message: self.to_string(), sqlstate: None, lost: true },
            },
        }
    }

    /// What an operator can do about it.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File { .. } => Some("a change takes seconds; two `serve` need a PGPILOT_STATE_DIR each"),
            Self::Server { .. } => {
                Some("run one pgpilot per PostgreSQL server, or set PGPILOT_MODE=observe in the others")
            }
            Self::Io { .. } | Self::Postgres(_) => None,
        }
    }
}

/// Holds a right's lock file until it is dropped.
///
/// # Errors
/// When another process holds it, or the file cannot be made.
pub fn lock_file(folder: &Path, right: Right) -> Result<File, LockError> {
    let path = folder.join(match right {
        Right::Write => "write.lock",
        Right::Serve => "serve.lock",
    });
    let io = |source| LockError::Io { path: path.clone(), source };
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::File { path }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Takes an advisory lock for the life of the session, and refuses where another session holds it.
///
/// Advisory locks are per database and two pgpilots may use two: so the holders in all databases are looked at. Of two
/// that took it at the same moment the one that connected first keeps it.
///
/// # Errors
/// When another session holds it, or the server does not answer.
pub async fn lock_server(session: &Session, right: Right) -> Result<(), LockError> {
    if let Some(holder) = other_holder(session, right).await? {
        return Err(LockError::Server { holder: holder.who });
    }
    let sql = format!("SELECT pg_try_advisory_lock({SPACE}, {}) AS taken", right as i32);
    let taken = session.row("taking the advisory lock", &sql).await?.is_true("taken");
    match other_holder(session, right).await? {
        None if taken => Ok(()),
        Some(holder) if taken && !holder.is_older => Ok(()),
        holder => {
            if taken {
                unlock_server(session, right).await?;
            }
            Err(LockError::Server {
                holder: holder.map_or_else(|| "it has just gone".to_owned(), |other| other.who),
            })
        }
    }
}

/// Gives a lock back before the session ends.
///
/// # Errors
/// When the server does not answer; the lock then ends with the session.
pub async fn unlock_server(session: &Session, right: Right) -> Result<(), PgError> {
    let sql = format!("SELECT pg_advisory_unlock({SPACE}, {})", right as i32);
    session.run("giving the advisory lock back", &sql).await
}

/// Another session that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub application_name: String,
    /// Process, address and application, for a person.
    pub who: String,
    /// Its server process.
    pub backend: String,
    /// It connected before us.
    pub is_older: bool,
}

/// The oldest session, other than ours, that holds a lock in whatever database; none when nobody does.
///
/// # Errors
/// When the server does not answer.
pub async fn other_holder(session: &Session, right: Right) -> Result<Option<Holder>, PgError> {
    let sql = format!(
        "SELECT a.pid, a.application_name, coalesce(host(a.client_addr), 'a local socket') AS addr, \
         (coalesce(a.backend_start, '-infinity'), a.pid) < (me.backend_start, me.pid) AS older \
         FROM pg_locks l JOIN pg_stat_activity a USING (pid), \
              (SELECT backend_start, pid FROM pg_stat_activity WHERE pid = pg_backend_pid()) me \
         WHERE l.locktype = 'advisory' AND l.granted AND l.classid = {SPACE} AND l.objid = {} AND l.objsubid = 2 \
           AND a.pid <> me.pid ORDER BY older DESC, a.pid LIMIT 1",
        right as i32
    );
    let rows = session.rows("looking for another pgpilot", &sql).await?;
    Ok(rows.first().map(|row| {
        let (backend, name, addr) = (row.text("pid"), row.text("application_name"), row.text("addr"));
        let who = format!("process {backend} from {addr}, {name}");
        Holder { who, application_name: name, backend, is_older: row.is_true("older") }
    }))
}
