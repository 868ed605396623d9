//! The journal: SQLite in WAL mode with full synchronisation, so that a step is on disk before it is taken.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::lifecycle::Record;
use crate::model::change::{Change, Phase};

/// The form of the tables below. A journal of a later form is refused: its phases may mean something else.
const VERSION: i64 = 1;

/// How long another process may hold the file: each of our transactions takes milliseconds.
const BUSY: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        change TEXT NOT NULL,
        -- postgresql.auto.conf as the server showed it before the first write, secrets masked
        snapshot TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS steps (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        change_id INTEGER NOT NULL REFERENCES changes (id),
        at TEXT NOT NULL,
        phase TEXT NOT NULL,
        note TEXT,
        -- the setting that the change failed for
        culprit TEXT
    ) STRICT;
    CREATE INDEX IF NOT EXISTS steps_of_change ON steps (change_id, id);
";

/// A journal that cannot be used; without it nothing is written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("making the journal's folder {path}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("opening the journal {path}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "{path}: expected a journal of form {VERSION} or older, found {found}; it was written by a newer pgpilot"
    )]
    Newer { path: PathBuf, found: i64 },
    #[error("the journal {path} is no longer the file that was opened")]
    Gone { path: PathBuf },
    #[error("writing the journal")]
    Write(#[from] rusqlite::Error),
    #[error("reading the journal: change {id} is not readable")]
    Content { id: i64, source: serde_json::Error },
    #[error("drawing a random name for the journal")]
    Random(#[from] getrandom::Error),
}

impl JournalError {
    /// What an operator can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Open { source, .. } if is_damaged(source) => {
                "move the file away to begin a new journal; entries already written then count as made by hand"
            }
            Self::Gone { .. } => {
                "somebody removed or replaced it; a new one is begun, and older entries count as made by hand"
            }
            Self::Folder { .. } | Self::Open { .. } => {
                "PGPILOT_STATE_DIR must be a folder that pgpilot may write to; in a container, a volume"
            }
            Self::Newer { .. } => "use that newer pgpilot again, or give PGPILOT_STATE_DIR another folder",
            Self::Write(_) | Self::Random(_) => {
                "check that the disk of PGPILOT_STATE_DIR is not full or read-only"
            }
            Self::Content { .. } => {
                "give PGPILOT_STATE_DIR another folder; entries already written then count as made by hand"
            }
        }
    }
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Which file a path names: device and inode; none where there is none.
fn file_at(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// What is written down of a change when it comes into a phase.
pub struct Step<'a> {
    pub phase: &'a Phase,
    /// What was said, for people.
    pub note: Option<&'a str>,
    /// The setting that the change failed for.
    pub culprit: Option<&'a str>,
    pub at: Timestamp,
}

/// The open journal.
pub struct Journal {
    db: Connection,
    /// The path, and the file that it named when it was opened; none in memory.
    file: Option<(PathBuf, Option<(u64, u64)>)>,
    /// Tells this journal from every other one, eight characters.
    pub name: String,
}

impl Journal {
    /// Opens `pgpilot.db` in a folder, and makes both where they are not there.
    ///
    /// # Errors
    /// When the folder or file cannot be used, or a newer pgpilot has written it.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| JournalError::Folder { path: folder.to_owned(), source })?;
        let path = folder.join("pgpilot.db");
        let opened = |source| JournalError::Open { path: path.clone(), source };
        let db = Connection::open(&path).map_err(opened)?;
        db.busy_timeout(BUSY).map_err(opened)?;
        db.pragma_update(None, "journal_mode", "wal").map_err(opened)?;
        db.pragma_update(None, "synchronous", "full").map_err(opened)?;
        // A journal has a few hundred rows: SQLite's two megabytes of cache would be a sixth of our memory.
        db.pragma_update(None, "cache_size", -256).map_err(opened)?;
        let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(opened)?;
        if found > VERSION {
            return Err(JournalError::Newer { path, found });
        }
        db.execute_batch(SCHEMA).map_err(opened)?;
        db.pragma_update(None, "user_version", VERSION).map_err(opened)?;
        let name = name_of(&db)?;
        let file = Some((path.clone(), file_at(&path)));
        Ok(Self { db, file, name })
    }

    /// An empty journal in memory, for looking and planning where none can be had on disk.
    ///
    /// # Errors
    /// When SQLite cannot be started at all.
    pub fn detached() -> Result<Self, JournalError> {
        let db = Connection::open_in_memory()?;
        db.execute_batch(SCHEMA)?;
        let name = name_of(&db)?;
        Ok(Self { db, file: None, name })
    }

    /// Writes down a change that nothing has been done for, and returns its id.
    ///
    /// # Errors
    /// When it is not safely on disk.
    pub fn begin(&mut self, change: &Change, snapshot: &str, now: Timestamp) -> Result<i64, JournalError> {
        self.is_in_place()?;
        let text = serde_json::to_string(change).map_err(|source| JournalError::Content { id: 0, source })?;
        let both = self.db.transaction()?;
        both.execute("INSERT INTO changes (change, snapshot) VALUES (?1, ?2)", params![text, snapshot])?;
        let id = both.last_insert_rowid();
        insert_step(&both, id, &Step { phase: &Phase::Planned, note: None, culprit: None, at: now })?;
        both.commit()?;
        Ok(id)
    }

    /// An open file outlives its name: what is written to a journal that was removed, nobody will read.
    fn is_in_place(&self) -> Result<(), JournalError> {
        match &self.file {
            Some((path, opened)) if file_at(path) != *opened => {
                Err(JournalError::Gone { path: path.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Writes down the phase that a change comes into, before what it orders is done.
    ///
    /// # Errors
    /// When it is not safely on disk.
    pub fn advance(&mut self, id: i64, step: &Step<'_>) -> Result<(), JournalError> {
        insert_step(&self.db, id, step)
    }

    /// All changes, oldest first, each in its latest phase.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what we cannot.
    pub fn records(&self) -> Result<Vec<Record>, JournalError> {
        let mut statement = self.db.prepare(
            "SELECT c.id, c.change, s.phase, s.at, s.note, s.culprit FROM changes c JOIN steps s ON s.id = \
             (SELECT max(id) FROM steps WHERE change_id = c.id) ORDER BY c.id",
        )?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, String>(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        })?;
        rows.map(|row| {
            let (id, change, phase, since, note, culprit) = row?;
            let content = |source| JournalError::Content { id, source };
            Ok(Record {
                id,
                change: serde_json::from_str(&change).map_err(content)?,
                phase: serde_json::from_str(&phase).map_err(content)?,
                since: since.parse().unwrap_or(Timestamp::UNIX_EPOCH),
                note,
                culprit,
            })
        })
        .collect()
    }

    /// One change.
    ///
    /// # Errors
    /// As [`Journal::records`].
    pub fn record(&self, id: i64) -> Result<Option<Record>, JournalError> {
        Ok(self.records()?.into_iter().find(|record| record.id == id))
    }
}

fn insert_step(db: &Connection, id: i64, step: &Step<'_>) -> Result<(), JournalError> {
    let text = serde_json::to_string(step.phase).map_err(|source| JournalError::Content { id, source })?;
    db.execute(
        "INSERT INTO steps (change_id, at, phase, note, culprit) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, step.at.to_string(), text, step.note, step.culprit],
    )?;
    Ok(())
}

/// The journal's name, drawn when it was made.
fn name_of(db: &Connection) -> Result<String, JournalError> {
    let drawn = format!("{:08x}", getrandom::u32()?);
    db.execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('name', ?1)", [&drawn])?;
    let name = db.query_row("SELECT value FROM meta WHERE key = 'name'", [], |row| row.get(0)).optional()?;
    Ok(name.unwrap_or(drawn))
}
