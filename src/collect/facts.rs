//! Puts together everything that was seen.

use std::path::Path;

use jiff::Timestamp;

use super::files::{self, Files, Reader};
use super::space::{self, Space};
use super::their_files::Through;
use super::{host, limits, server, shm, storage};
use crate::client::postgres::{PgError, Session};
use crate::client::{Place, Target};
use crate::model::error::chain;
use crate::model::facts::{Declared, Facts, Host, Limits, Ours, Seen, Storage};
use crate::model::postgres::Postgres;
use crate::model::units::Bytes;

/// What is needed to look.
pub struct Inputs<'a> {
    pub at: Timestamp,
    pub declared: Declared,
    /// Where the data directory is mounted for us, if the operator says so.
    pub data_dir: Option<&'a Path>,
    pub ours: Ours,
    /// The settings to read.
    pub names: &'a [&'a str],
    pub target: &'a Target,
    pub session: Result<&'a Session, &'a PgError>,
}

/// Looks at everything. What cannot be seen has a reason; nothing of it is an error.
pub async fn facts(inputs: Inputs<'_>) -> Facts {
    let postgres = match inputs.session {
        Ok(session) => server::read(session, inputs.names).await.map_err(|error| chain(&error)),
        Err(error) => Err(chain(error)),
    };
    let place = inputs.target.place().await;
    let theirs = match (&postgres, inputs.session) {
        (Ok(server), Ok(session)) => their_files(server, session).await,
        (Err(why), _) => Err(why.clone()),
        (Ok(_), Err(error)) => Err(chain(error)),
    };
    let own = files::read(Reader::Own, inputs.data_dir.and_then(Path::to_str)).await;
    let view = View { beside: beside(&place, postgres.as_ref().ok()), theirs, own };
    let folder = postgres.as_ref().map(|server| server.data_directory.clone()).unwrap_or_default();
    let space = view.space(inputs.data_dir, &folder).await;
    let seen = storage::with_space(view.storage(inputs.data_dir, &folder), &space);
    Facts {
        at: inputs.at,
        pgpilot: env!("CARGO_PKG_VERSION").to_owned(),
        host: view.host(),
        limits: view.limits(),
        own_limits: limits::from_files(&view.own),
        shm: inputs.declared.shm.map_or_else(|| view.shm(), Seen::Now),
        storage: storage::with_option(seen, &inputs.declared),
        postgres: postgres.map_or_else(Seen::Not, Seen::Now),
        declared: inputs.declared,
        ours: inputs.ours,
    }
}

/// What PostgreSQL reads for us, or why it does not.
async fn their_files(server: &Postgres, session: &Session) -> Result<Files, String> {
    let through = match (server.role.superuser, server.role.reads_host) {
        (true, _) => Through::Superuser,
        (false, true) => Through::Function,
        (false, false) => {
            return Err(format!(
                "role {} may not call pgpilot.host_file, which shows where PostgreSQL runs: run `pgpilot setup`",
                server.role.name
            ));
        }
    };
    let folder = Some(server.data_directory.as_str()).filter(|folder| !folder.is_empty());
    Ok(files::read(Reader::Server(session, through), folder).await)
}

/// Whether PostgreSQL runs on our machine, as far as its address tells.
fn beside(place: &Place, server: Option<&Postgres>) -> Result<(), String> {
    if let Some(who) = server.and_then(|server| server.managed.as_deref()) {
        return Err(who.to_owned());
    }
    match place {
        Place::Here | Place::Private(_) => Ok(()),
        Place::Public(address) => Err(format!("PostgreSQL is at {address}, which is not this machine")),
        Place::Unknown(why) => Err(why.clone()),
    }
}

/// Both views of the machine: PostgreSQL's, and our own.
struct View {
    theirs: Result<Files, String>,
    own: Files,
    /// Why our own machine is not PostgreSQL's.
    beside: Result<(), String>,
}

impl View {
    fn host(&self) -> Seen<Host> {
        let theirs = self.theirs.as_ref().map_or_else(|why| Seen::Not(why.clone()), host::from_files);
        match (theirs, &self.beside) {
            (Seen::Not(_), Ok(())) => host::own(&self.own),
            (Seen::Not(why), Err(elsewhere)) => Seen::Not(format!("{why}; and {elsewhere}")),
            (seen, _) => seen,
        }
    }

    /// Never our own: what our container may use says nothing of PostgreSQL's.
    fn limits(&self) -> Seen<Limits> {
        match &self.theirs {
            Ok(files) => limits::from_files(files),
            Err(why) => Seen::Not(format!("{why}; or set PGPILOT_MEMORY and PGPILOT_CPUS")),
        }
    }

    fn shm(&self) -> Seen<Bytes> {
        match &self.theirs {
            Ok(files) => shm::from_files(files),
            Err(why) => Seen::Not(format!("{why}; or set PGPILOT_SHM_SIZE")),
        }
    }

    fn storage(&self, data_dir: Option<&Path>, folder: &str) -> Seen<Storage> {
        let why = match &self.theirs {
            Ok(files) if !folder.is_empty() => match storage::from_files(files, folder) {
                Seen::Now(storage) => return Seen::Now(storage),
                Seen::Not(why) => why,
            },
            Ok(_) => "the data directory is not shown to this role: grant pg_monitor".to_owned(),
            Err(why) => why.clone(),
        };
        match data_dir.and_then(Path::to_str) {
            Some(ours) => storage::from_files(&self.own, ours),
            None => Seen::Not(format!(
                "{why}; or set PGPILOT_STORAGE, or mount the data and set PGPILOT_DATA_DIR"
            )),
        }
    }

    /// Size and free space of the file system that holds the data.
    ///
    /// PostgreSQL's own path for it is no use to us; another mount of the same file system is. Docker gives every
    /// container some: `/etc/hosts` lies where its named volumes lie.
    async fn space(&self, data_dir: Option<&Path>, folder: &str) -> Result<Space, String> {
        if self.has_wal_elsewhere(folder) {
            return Err(
                "pg_wal is a mount of its own: PGPILOT_WAL_DISK_FREE says what is free there".to_owned()
            );
        }
        let theirs = self.theirs.as_ref().ok().and_then(|files| storage::mount(files, folder));
        let shared = theirs.filter(|_| self.is_one_kernel());
        if let Some(ours) = data_dir {
            let space = space::look(ours).await.map_err(|why| format!("PGPILOT_DATA_DIR: {why}"))?;
            // Network shares and btrfs number each mount or subvolume by itself: only a real device's number tells.
            let other = shared.is_some_and(|mount| mount.device.0 > 0 && mount.device != space.device);
            return if other {
                Err(format!("{} is not where PostgreSQL's data lies", ours.display()))
            } else {
                Ok(space)
            };
        }
        let ours = match shared {
            Some(theirs) => self.own.mounts().into_iter().find(|mount| mount.device == theirs.device),
            None => None,
        };
        match ours {
            Some(mount) => space::look(Path::new(&mount.point)).await,
            None if self.theirs.is_err() && self.beside.is_ok() && !folder.is_empty() => {
                space::look(Path::new(folder)).await
            }
            None => Err("no file system here is the one of the data: mount the data read-only and set PGPILOT_DATA_DIR".to_owned()),
        }
    }

    /// A mount for `pg_wal` shows; a link to another disk does not.
    fn has_wal_elsewhere(&self, folder: &str) -> bool {
        let Ok(files) = &self.theirs else { return false };
        let device = |path: &str| storage::mount(files, path).map(|mount| mount.device);
        !folder.is_empty() && device(&format!("{folder}/pg_wal")) != device(folder)
    }

    /// Device numbers mean the same to both of us only under one kernel, whose boot has an identifier.
    fn is_one_kernel(&self) -> bool {
        let theirs = self.theirs.as_ref().ok().and_then(|files| files.get("boot_id"));
        theirs.is_some() && theirs == self.own.get("boot_id")
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::captured;
    use super::*;
    use crate::model::facts::Origin;

    const MEMINFO: &str = "MemTotal: 1048576 kB\n";
    const MOUNTS: &str =
        "1 0 0:30 / / rw - overlay overlay rw\n2 1 8:1 /docker/volumes/x /data rw - ext4 /dev/sda1 rw\n";

    fn view(theirs: Result<Files, String>, beside: Result<(), String>) -> View {
        let own = [("meminfo", MEMINFO), ("mountinfo", MOUNTS), ("boot_id", "b\n"), ("cgroup", "0::/\n")];
        View { theirs, own: captured(Origin::Own, &own), beside }
    }

    #[test]
    fn our_own_machine_stands_in_only_where_postgresql_runs_on_it_and_our_own_limits_never() {
        let near = view(Err("no right".to_owned()), Ok(()));
        assert_eq!(near.host().get().map(|host| host.from), Some(Origin::Own));
        assert_eq!(near.limits().reason(), Some("no right; or set PGPILOT_MEMORY and PGPILOT_CPUS"));
        let far = view(Err("no right".to_owned()), Err("it is far away".to_owned()));
        assert_eq!(far.host().reason(), Some("no right; and it is far away"));
        let seen =
            view(Ok(captured(Origin::Postgres, &[("meminfo", MEMINFO), ("cpu_online", "0-3\n")])), Ok(()));
        assert_eq!(seen.host().get().map(|host| (host.from, host.cpus)), Some((Origin::Postgres, 4)));
    }

    #[test]
    fn an_address_outside_is_another_machine() {
        assert_eq!(beside(&Place::Here, None), Ok(()));
        assert_eq!(beside(&Place::Private([172, 18, 0, 2].into()), None), Ok(()));
        assert!(beside(&Place::Public([8, 8, 8, 8].into()), None).unwrap_err().contains("8.8.8.8"));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn room_is_looked_for_under_the_same_kernel_only() {
        let theirs = |boot| captured(Origin::Postgres, &[("mountinfo", MOUNTS), ("boot_id", boot)]);
        let none = view(Ok(theirs("other\n")), Ok(())).space(None, "/data/pg").await.unwrap_err();
        assert!(none.contains("PGPILOT_DATA_DIR"), "{none}");
        let missing = view(Ok(theirs("b\n")), Ok(())).space(None, "/data/pg").await.unwrap_err();
        assert!(missing.starts_with("/data: "), "the mount of device 8:1 was looked at: {missing}");
        let elsewhere = view(Ok(theirs("b\n")), Ok(())).space(Some(Path::new("/")), "/data/pg").await;
        assert!(elsewhere.unwrap_err().contains("not where PostgreSQL's data lies"));
        let told = view(Ok(theirs("other\n")), Ok(())).space(Some(Path::new("/")), "/data/pg").await;
        assert!(told.is_ok(), "under another kernel numbers say nothing, and the operator is believed");
    }
}
