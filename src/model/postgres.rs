//! What was seen of the PostgreSQL server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::Seen;
use super::setting::Setting;
use super::units::Bytes;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Postgres {
    /// `server_version_num`, such as 170010.
    pub version_num: u32,
    /// `server_version`, such as `17.10`.
    pub version: String,
    /// Tells this data directory from every other one.
    pub system_identifier: String,
    /// `pg_postmaster_start_time()`, seconds since 1970.
    pub started_at: f64,
    pub in_recovery: bool,
    pub data_directory: String,
    pub role: Role,
    /// Why ALTER SYSTEM is not to be had here, if it is not.
    pub managed: Option<String>,
    /// Those settings that a knob or a check reads, by name.
    pub settings: BTreeMap<String, Setting>,
    /// `postgresql.auto.conf` as the server shows it; values that may hold secrets are masked.
    pub auto_conf: Seen<BTreeMap<String, String>>,
    /// `ALTER ROLE … SET` and `ALTER DATABASE … SET`, which win over what we write.
    pub overrides: Vec<Override>,
    pub extensions: BTreeMap<String, Extension>,
    pub timescale: Option<Timescale>,
    pub databases: u32,
    pub data_size: Seen<Bytes>,
    /// Client sessions at this moment, ours left out.
    pub sessions: u32,
    /// What those sessions call themselves.
    pub beside: Vec<Application>,
    /// Those that last; a base backup's own slot is gone with it.
    pub replication_slots: u32,
    /// The most WAL that one of them holds back.
    #[serde(default)]
    pub slots_retain: Bytes,
}

impl Postgres {
    pub const fn major(&self) -> u32 {
        self.version_num / 10_000
    }

    /// The entry of `postgresql.auto.conf`, where it can be read.
    pub fn entry(&self, name: &str) -> Option<&str> {
        self.auto_conf.get()?.get(name).map(String::as_str)
    }
}

/// What the role that we are connected as may do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Role {
    pub name: String,
    pub superuser: bool,
    /// Settings that `ALTER SYSTEM` is granted on (15 and later).
    pub may_set: Vec<String>,
    /// `pg_reload_conf()`.
    pub may_reload: bool,
    /// `pg_file_settings`, without which an entry cannot be told from a default.
    pub sees_file_settings: bool,
    /// `pgpilot.host_file` is there and ours to call, or we are superuser.
    pub reads_host: bool,
    /// Member of `pg_monitor`, without which the sessions and sizes of others are hidden.
    #[serde(default)]
    pub monitors: bool,
}

impl Role {
    pub fn may_alter(&self, name: &str) -> bool {
        self.superuser || self.may_set.iter().any(|granted| granted == name)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Override {
    pub name: String,
    pub value: String,
    pub role: Option<String>,
    pub database: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// The library and control file are there.
    pub available: bool,
    /// Version in the database that we are connected to.
    pub installed: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timescale {
    pub hypertables: u32,
    /// Chunks of the hypertable that has most.
    pub max_chunks: u32,
    pub jobs: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    pub name: String,
    pub sessions: u32,
}
