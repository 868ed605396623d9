//! What should be: one row per setting, each with its reason. The text here is what people read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::setting::{Context, Value};
use super::units::Bytes;

/// The answer of the planner to facts and a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub at: Timestamp,
    /// `server_version`.
    pub server: String,
    pub profile: String,
    pub budget: Budget,
    pub rows: Vec<Row>,
    /// Sentences about the whole: what was assumed, what a check found.
    pub notes: Vec<String>,
}

/// PostgreSQL's share of the machine and what the plan would use of it at most.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    pub memory: Bytes,
    /// Where the memory figure comes from, in words.
    pub how: String,
    /// None: neither seen nor declared.
    pub cpus: Option<u32>,
    /// The sum of the whole plan's memory; at most 85 % of `memory`.
    pub planned: Bytes,
    pub limit: Bytes,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    /// In force now.
    pub current: Value,
    /// What the rule gives; none where the setting is left alone.
    pub planned: Option<Value>,
    pub context: Context,
    pub verdict: Verdict,
    /// The rule with its numbers, or why not.
    pub why: String,
}

/// What becomes of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// To be written.
    Set,
    /// Good as it is.
    Keep,
    /// Written; the server's next start brings it into force.
    Pending,
    /// A fact is missing.
    Wait,
    /// Something forbids it.
    Block(Block),
}

impl Verdict {
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Keep => "keep",
            Self::Pending => "pending",
            Self::Wait => "wait",
            Self::Block(_) => "block",
        }
    }
}

/// Why a wanted value may not be written. The labels are metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    /// `-c` on the command line wins over anything we write.
    CommandLine,
    /// An entry that our journal did not write.
    ByHand,
    /// A role or a database has its own value.
    Override,
    /// Our role may not alter it.
    NoRight,
    /// The memory sum is over the budget for a reason that we may not change.
    OverBudget,
    /// The server or its build does not accept the value.
    NotAccepted,
    /// It was taken back, and its time has not come.
    Held,
    /// No setting can be written on this server.
    ReadOnly,
}

impl Block {
    /// Every reason: a metric has a sample of each.
    pub const ALL: [Self; 8] = [
        Self::CommandLine,
        Self::ByHand,
        Self::Override,
        Self::NoRight,
        Self::OverBudget,
        Self::NotAccepted,
        Self::Held,
        Self::ReadOnly,
    ];

    pub const fn as_label(self) -> &'static str {
        match self {
            Self::CommandLine => "command_line",
            Self::ByHand => "by_hand",
            Self::Override => "override",
            Self::NoRight => "no_right",
            Self::OverBudget => "over_budget",
            Self::NotAccepted => "not_accepted",
            Self::Held => "held",
            Self::ReadOnly => "read_only",
        }
    }
}

impl Plan {
    /// Rows to be written that take effect so.
    pub fn to_set(&self, context: Context) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.verdict == Verdict::Set && row.context == context)
    }

    /// Nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.rows.iter().all(|row| row.verdict != Verdict::Set)
    }

    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }
}
