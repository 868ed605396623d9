//! One way to change anything: a batch of moves from states that we saw to states that we want.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A setting of the server, by its name.
    PgSetting(String),
}

impl Subject {
    pub fn name(&self) -> &str {
        match self {
            Self::PgSetting(name) => name,
        }
    }
}

/// The state of a subject as it can be read and written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The entry in `postgresql.auto.conf`; none: there is no entry, and RESET writes that.
    Setting(Option<String>),
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(Some(text)) => f.write_str(text),
            Self::Setting(None) => f.write_str("(no entry)"),
        }
    }
}

/// One subject's part of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    pub subject: Subject,
    /// What the plan saw; if the world differs, the change is dropped.
    pub expect: State,
    pub desired: State,
    /// In force before, as a person reads it.
    pub from: String,
    /// In force afterwards, as a person reads it.
    pub to: String,
    pub why: String,
}

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disruption {
    /// One reload; sessions go on.
    Reload,
    /// The next start of the server.
    Restart,
}

/// Why a change was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Plan,
    /// Takes back the change with this id.
    Rollback(i64),
}

/// A batch that is written, verified and undone together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub cause: Cause,
    pub made_at: Timestamp,
    /// The data directory that it was made for: a restored or replaced one voids it.
    pub system_identifier: String,
    /// `pg_postmaster_start_time()` in whole milliseconds, to tell a restart from none.
    pub server_started_ms: i64,
    pub disruption: Disruption,
    pub moves: Vec<Move>,
}

/// The stage of a change's life. Terminal ones stay in the journal for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// In the journal; nothing was touched.
    Planned,
    /// Entries are being written, one by one.
    Writing,
    /// All are written; the server has been, or will be, asked to read them.
    Loading,
    /// Read; in force is being compared with wanted.
    Verifying,
    /// Written and checked as far as can be before the server's next start.
    AwaitingRestart,
    /// Former entries are being written back.
    Reverting(Reason),
    /// They are written back; the server has been, or will be, asked to read them.
    Unloading(Reason),
    /// It has read them; a last look tells whether a late write of ours came after.
    Checking(Reason),
    /// In force as wanted.
    Kept,
    /// Former entries are in force again.
    Reverted(Reason),
    /// Nothing was written, or nothing of it is left.
    Dropped(Reason),
    /// Neither wanted nor former entries can be reached: a person is called, and the next start tries again.
    Stuck(Reason),
    /// It stood, until another change took it back.
    TakenBack,
}

impl Phase {
    pub const fn as_label(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Writing => "writing",
            Self::Loading => "loading",
            Self::Verifying => "verifying",
            Self::AwaitingRestart => "awaiting_restart",
            Self::Reverting(_) => "reverting",
            Self::Unloading(_) => "unloading",
            Self::Checking(_) => "checking",
            Self::Kept => "kept",
            Self::Reverted(_) => "reverted",
            Self::Dropped(_) => "dropped",
            Self::Stuck(_) => "stuck",
            Self::TakenBack => "taken_back",
        }
    }

    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::Reverting(reason) | Self::Unloading(reason) | Self::Checking(reason) => Some(*reason),
            Self::Reverted(reason) | Self::Dropped(reason) | Self::Stuck(reason) => Some(*reason),
            Self::Planned | Self::Writing | Self::Loading | Self::Verifying => None,
            Self::AwaitingRestart | Self::Kept | Self::TakenBack => None,
        }
    }

    /// What it wrote is what should be there.
    pub const fn stands(&self) -> bool {
        matches!(self, Self::Kept | Self::AwaitingRestart)
    }

    /// Nothing more will happen by itself.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Kept | Self::Reverted(_) | Self::Dropped(_) | Self::Stuck(_) | Self::TakenBack)
    }

    /// Between the first write and its verdict: a crash here is finished or undone at the next start.
    pub const fn is_in_flight(&self) -> bool {
        !self.is_over() && !matches!(self, Self::AwaitingRestart)
    }
}

/// Why a change ended otherwise than kept. Labels are fixed: they are metric labels and journal words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    AlreadySo,
    MovedByOthers,
    WriteFailed,
    LoadRefused,
    NotInForce,
    Interrupted,
}

/// (reason, label, sentence for a person).
const REASONS: &[(Reason, &str, &str)] = &[
    (Reason::AlreadySo, "already_so", "everything is as wanted already"),
    (Reason::MovedByOthers, "moved_by_others", "somebody changed a setting after the plan was made"),
    (Reason::WriteFailed, "write_failed", "the server refused a value"),
    (Reason::LoadRefused, "load_refused", "the server did not take the reload; see its log"),
    (Reason::NotInForce, "not_in_force", "a value was written but is not in force"),
    (Reason::Interrupted, "interrupted", "pgpilot was interrupted half-way"),
];

impl Reason {
    fn row(self) -> &'static (Self, &'static str, &'static str) {
        REASONS.iter().find(|(reason, ..)| *reason == self).expect("every reason has a row")
    }

    pub fn as_label(self) -> &'static str {
        self.row().1
    }

    pub fn sentence(self) -> &'static str {
        self.row().2
    }
}
