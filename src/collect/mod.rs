//! Layer 2: reads the world into facts and metrics. Reading and parsing are apart, so that captures can test the
//! parsing; a collector gives families of metrics, or says why it has none.

pub mod arcstats;
pub mod auto_conf;
pub mod block;
pub mod cgroup;
pub mod facts;
pub mod files;
pub mod host;
pub mod limits;
pub mod managed;
pub mod meminfo;
pub mod mounts;
pub mod own_files;
pub mod process;
pub mod role;
pub mod server;
pub mod shm;
pub mod space;
pub mod sql;
pub mod storage;
pub mod their_files;

use std::time::Duration;

use crate::client::postgres::PgError;
use crate::model::metric::Family;

/// What a collector that worked gives.
#[derive(Debug)]
pub enum Outcome {
    Collected(Vec<Family>),
    /// There is none of it here; not a fault.
    Nothing(Absence),
}

/// Why there is nothing to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// The server is older than the first that has it.
    OlderServer,
    /// The extension is not installed in the database.
    NoExtension,
    /// The role lacks a right, named as in `pgpilot_missing_privilege`.
    MissingRight(&'static str),
}

/// Why a collector gave nothing this round.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    #[error(transparent)]
    Postgres(#[from] PgError),
    #[error("reading {path}")]
    File { path: &'static str, source: std::io::Error },
    #[error("{path}: expected {expected}")]
    Content { path: &'static str, expected: &'static str },
}

/// One collector's round.
#[derive(Debug)]
pub struct Report {
    pub collector: &'static str,
    pub outcome: Result<Outcome, CollectError>,
    pub took: Duration,
}

impl Report {
    /// The word of the outcome: one of [`LABELS`].
    pub const fn label(&self) -> &'static str {
        match self.outcome {
            Ok(Outcome::Collected(_)) => "ok",
            Ok(Outcome::Nothing(_)) => "nothing",
            Err(_) => "error",
        }
    }
}

/// Every word that [`Report::label`] can give.
pub const LABELS: &[&str] = &["ok", "nothing", "error"];
