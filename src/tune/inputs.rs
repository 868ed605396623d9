//! What a formula may look at, and what it may answer.

use super::budget::Share;
use super::draft::Draft;
use super::knobs::KNOBS;
use super::plan::Policy;
use super::profile::Profile;
use crate::model::facts::{Facts, Media};
use crate::model::postgres::Postgres;
use crate::model::setting::Value;
use crate::model::units::{Bytes, Millis};

/// A formula's answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Proposal {
    /// The value, and the rule with its numbers.
    Set(Value, String),
    /// The setting is not to be moved, and why.
    Leave(String),
    /// The fact that is missing, and the option that names it.
    Wait(String),
}

impl Proposal {
    pub(super) fn set(value: Value, why: impl Into<String>) -> Self {
        Self::Set(value, why.into())
    }

    pub(super) fn size(bytes: Bytes, why: impl Into<String>) -> Self {
        Self::set(Value::Size(bytes), why)
    }

    pub(super) fn time(millis: u64, why: impl Into<String>) -> Self {
        Self::set(Value::Time(Millis(millis)), why)
    }

    /// A count; one beyond PostgreSQL's integers is brought into the server's bounds later.
    pub(super) fn int(n: u64, why: impl Into<String>) -> Self {
        Self::set(Value::Int(i64::try_from(n).unwrap_or(i64::MAX)), why)
    }

    pub(super) fn real(x: f64, why: impl Into<String>) -> Self {
        Self::set(Value::Real(x), why)
    }

    pub(super) fn switch(on: bool, why: impl Into<String>) -> Self {
        Self::set(Value::Bool(on), why)
    }

    pub(super) fn word(word: &str, why: impl Into<String>) -> Self {
        Self::set(Value::Word(word.to_owned()), why)
    }

    pub(super) fn leave(why: impl Into<String>) -> Self {
        Self::Leave(why.into())
    }
}

/// The facts as formulas need them.
///
/// Nothing in here changes when the plan is applied, except what is asked of the server by name; a formula that
/// does so must give the same answer before and after, or planning would never come to rest.
pub(super) struct Inputs<'a> {
    pub facts: &'a Facts,
    pub server: &'a Postgres,
    pub policy: &'a Policy,
    pub profile: &'static Profile,
    pub share: Share,
    pub cpus: Option<u32>,
    pub media: Media,
    /// The size of `/dev/shm`; none is treated as Docker's 64 MB.
    pub shm: Option<Bytes>,
    /// Free on the disk that holds `pg_wal`, as far as that is a folder of the data directory.
    pub disk_free: Option<Bytes>,
    pub disk_size: Option<Bytes>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(
        facts: &'a Facts,
        server: &'a Postgres,
        policy: &'a Policy,
        profile: &'static Profile,
        share: Share,
    ) -> Self {
        let storage = facts.storage.get();
        let declared_free = facts.declared.wal_disk_free;
        Self {
            cpus: super::budget::cpus(facts),
            media: media(facts),
            shm: facts.declared.shm.or(facts.shm.get().copied()),
            disk_free: declared_free.or(storage.and_then(|storage| storage.free)),
            // A declared disk for WAL is another one than the data's, so the size that we see is not its.
            disk_size: storage.filter(|_| declared_free.is_none()).and_then(|storage| storage.size),
            facts,
            server,
            policy,
            profile,
            share,
        }
    }

    /// R: what PostgreSQL may use.
    pub(super) fn memory(&self) -> Bytes {
        self.share.memory
    }

    /// The value that the plan aims at for another setting, before the checks over the whole.
    ///
    /// Computed from the other setting's own formula, so the order of the table does not matter.
    pub(super) fn will_be(&self, name: &str) -> Option<Value> {
        let setting = self.server.settings.get(name)?;
        let Some(knob) = KNOBS.iter().find(|knob| knob.name == name && knob.is_for(self.server.major()))
        else {
            return Some(Draft::configured(self.server, name, setting));
        };
        Some(Draft::new(knob, setting, self).aim(self))
    }

    pub(super) fn size(&self, name: &str) -> Option<Bytes> {
        as_size(&self.will_be(name)?)
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        as_count(&self.will_be(name)?)
    }

    /// What the server has written down for a setting: ours or another's.
    pub(super) fn configured(&self, name: &str) -> Option<Value> {
        let setting = self.server.settings.get(name)?;
        Some(Draft::configured(self.server, name, setting))
    }

    pub(super) fn configured_count(&self, name: &str) -> Option<u64> {
        as_count(&self.configured(name)?)
    }

    /// Asks for the number of CPUs, and waits where nobody knows it.
    pub(super) fn with_cpus(&self, formula: impl FnOnce(u64) -> Proposal) -> Proposal {
        self.cpus.map_or_else(
            || Proposal::Wait("the number of CPUs, which PGPILOT_CPUS gives".to_owned()),
            |cpus| formula(u64::from(cpus)),
        )
    }

    /// TimescaleDB is installed in the database that we are connected to.
    pub(super) fn has_timescaledb(&self) -> bool {
        let extension = self.server.extensions.get("timescaledb");
        self.server.timescale.is_some() || extension.is_some_and(|ext| ext.installed.is_some())
    }

    /// The data directory lies on ZFS, whose cache is not the page cache.
    pub(super) fn is_zfs(&self) -> bool {
        self.facts.storage.get().is_some_and(|storage| storage.filesystem == "zfs")
    }
}

/// What the data lie on: the operator's word, else what was seen. Who says only "ZFS" says nothing of the disks.
pub(super) fn media(facts: &Facts) -> Media {
    let seen = facts.storage.get().map(|storage| storage.media);
    facts.declared.storage.filter(|media| *media != Media::Unknown).or(seen).unwrap_or(Media::Unknown)
}

/// The size, where the value is one; -1 and the like are not.
pub(super) const fn as_size(value: &Value) -> Option<Bytes> {
    match value {
        Value::Size(bytes) => Some(*bytes),
        Value::Time(_)
        | Value::Int(_)
        | Value::Real(_)
        | Value::Bool(_)
        | Value::Word(_)
        | Value::List(_) => None,
    }
}

pub(super) fn as_count(value: &Value) -> Option<u64> {
    match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        Value::Size(_)
        | Value::Time(_)
        | Value::Real(_)
        | Value::Bool(_)
        | Value::Word(_)
        | Value::List(_) => None,
    }
}
