//! The storage below the data directory: what it is made of, and how much room it has.

use super::block::{self, Device};
use super::files::Files;
use super::mounts::{self, Mount};
use super::space::Space;
use crate::model::facts::{Declared, Media, Origin, Seen, Storage};

/// File systems that lie on another machine, or on the host of a virtual one.
const NETWORK: &[&str] =
    &["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "lustre", "afs", "gpfs"];

/// File systems that hide their disks, and what to say of them.
const OPAQUE: &[(&str, &str)] = &[
    ("zfs", "ZFS does not tell a container what its pool lies on; PGPILOT_STORAGE can"),
    (
        "overlay",
        "the data lies in the container's own layer, which is slow and is deleted with the container: use a volume",
    ),
    ("tmpfs", "the data lies in memory, and is lost at a restart of the machine"),
    ("ramfs", "the data lies in memory, and is lost at a restart of the machine"),
];

/// The names of the files to read next, once it is known what the folder lies on.
pub fn names(files: &Files, folder: &str) -> Vec<String> {
    let mounts = files.mounts();
    let Some(mount) = mounts::holding(&mounts, folder) else { return vec![] };
    if is_network(mount) || opaque(mount).is_some() {
        return vec![];
    }
    match device_name(files, mount) {
        Some(name) => {
            let disk = block::disk(&name);
            vec![format!("rotational:{disk}"), format!("vendor:{disk}")]
        }
        None if mount.device.0 > 0 => vec![device_file(mount)],
        None => vec![],
    }
}

/// What a folder lies on, as the process that read the files sees it.
pub fn from_files(files: &Files, folder: &str) -> Seen<Storage> {
    let mounts = files.mounts();
    let Some(mount) = mounts::holding(&mounts, folder) else {
        let why = files.refused("mountinfo").unwrap_or("there are no mounts in /proc/self/mountinfo");
        return Seen::Not(why.to_owned());
    };
    let name = device_name(files, mount);
    let (media, how) = media(files, mount, name.as_deref());
    Seen::Now(Storage {
        media,
        filesystem: mount.filesystem.clone(),
        source: name.map_or_else(|| mount.source.clone(), |name| format!("/dev/{name}")),
        size: None,
        free: None,
        how: format!("{folder} is on {}; {how}", mount.filesystem),
        from: files.origin,
    })
}

fn media(files: &Files, mount: &Mount, name: Option<&str>) -> (Media, String) {
    if is_network(mount) {
        return (Media::Network, "a share of another machine or of the host".to_owned());
    }
    match (opaque(mount), name) {
        (Some(why), _) => (Media::Unknown, why.to_owned()),
        (None, Some(name)) => block::media(&device(files, name)),
        (None, None) => (Media::Unknown, format!("nothing is known of the device {}", mount.source)),
    }
}

fn is_network(mount: &Mount) -> bool {
    NETWORK.contains(&mount.filesystem.as_str()) || mount.filesystem.starts_with("fuse.")
}

fn opaque(mount: &Mount) -> Option<&'static str> {
    OPAQUE.iter().find(|(name, _)| *name == mount.filesystem).map(|(_, why)| *why)
}

fn device_file(mount: &Mount) -> String {
    format!("device:{}:{}", mount.device.0, mount.device.1)
}

/// From the device's numbers; btrfs has none of its own, but names its first device as the source.
fn device_name(files: &Files, mount: &Mount) -> Option<String> {
    let by_number = files.get(&device_file(mount)).and_then(block::name);
    let by_source = || mount.source.strip_prefix("/dev/").filter(|name| !name.contains('/'));
    let name = if mount.device.0 == 0 { by_source() } else { by_number };
    name.map(ToOwned::to_owned)
}

fn device(files: &Files, name: &str) -> Device {
    let disk = block::disk(name);
    let rotational = files.get(&format!("rotational:{disk}"));
    Device {
        name: name.to_owned(),
        rotational: rotational.map(|text| text.trim() == "1"),
        vendor: files.get(&format!("vendor:{disk}")).map(ToOwned::to_owned),
    }
}

/// The mount that holds a folder, as the process that read the files sees it.
pub fn mount(files: &Files, folder: &str) -> Option<Mount> {
    mounts::holding(&files.mounts(), folder).cloned()
}

/// Adds what statvfs said, or why there is nothing to say.
pub fn with_space(storage: Seen<Storage>, space: &Result<Space, String>) -> Seen<Storage> {
    let Seen::Now(mut storage) = storage else { return storage };
    match space {
        Ok(space) => (storage.size, storage.free) = (Some(space.size), Some(space.free)),
        Err(why) => storage.how = format!("{}; free space is not known: {why}", storage.how),
    }
    Seen::Now(storage)
}

/// The operator's word outranks what we saw; the rest of what we saw stays.
///
/// `zfs` names the file system only: what the pool lies on stays as it was seen.
pub fn with_option(storage: Seen<Storage>, declared: &Declared) -> Seen<Storage> {
    if declared.storage.is_none() && !declared.zfs {
        return storage;
    }
    let seen = match storage {
        Seen::Now(storage) => storage,
        Seen::Not(why) => unseen(why),
    };
    Seen::Now(Storage {
        media: declared.storage.filter(|_| !declared.zfs).unwrap_or(seen.media),
        filesystem: if declared.zfs { "zfs".to_owned() } else { seen.filesystem },
        how: format!("PGPILOT_STORAGE says so; {}", seen.how),
        from: Origin::Option,
        ..seen
    })
}

/// The file system stays empty: nothing may be concluded from it.
fn unseen(why: String) -> Storage {
    Storage {
        media: Media::Unknown,
        filesystem: String::new(),
        source: String::new(),
        size: None,
        free: None,
        how: why,
        from: Origin::Option,
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::captured;
    use super::*;
    use crate::model::units::Bytes;

    const DATA: &str = "/var/lib/postgresql/data";

    fn storage(mountinfo: &str, more: &[(&str, &str)], folder: &str) -> Storage {
        let texts = [&[("mountinfo", mountinfo)], more].concat();
        from_files(&captured(Origin::Postgres, &texts), folder).get().cloned().unwrap()
    }

    #[test]
    fn a_volume_leads_to_its_device_and_the_device_to_its_disk() {
        let text = include_str!("../../tests/fixtures/host/mountinfo/docker-volume-ext4");
        let first = captured(Origin::Postgres, &[("mountinfo", text)]);
        assert_eq!(names(&first, DATA), ["device:254:0"]);
        let uevent = ("device:254:0", include_str!("../../tests/fixtures/host/uevent/vda"));
        let second = captured(Origin::Postgres, &[("mountinfo", text), uevent]);
        assert_eq!(names(&second, DATA), ["rotational:vda", "vendor:vda"]);
        let found = storage(text, &[uevent, ("rotational:vda", "1\n")], DATA);
        assert_eq!((found.media, found.filesystem.as_str()), (Media::Unknown, "ext4"));
        assert_eq!((found.source.as_str(), found.from), ("/dev/vda", Origin::Postgres));
    }

    #[test]
    fn the_images_of_18_have_their_volume_one_level_up() {
        let text = include_str!("../../tests/fixtures/host/mountinfo/docker-v2-nvme");
        let uevent = ("device:259:2", include_str!("../../tests/fixtures/host/uevent/nvme0n1p2"));
        let found = storage(text, &[uevent], "/var/lib/postgresql/18/docker");
        assert_eq!((found.media, found.source.as_str()), (Media::Nvme, "/dev/nvme0n1p2"));
    }

    #[test]
    fn each_file_system_is_what_it_is() {
        let zfs = include_str!("../../tests/fixtures/host/zfs/mountinfo-2.3.9");
        let rows = [
            ("zfs", zfs, "/srv/pg/data", Media::Unknown, "zfs", "tank/pg/data"),
            ("zfs, WAL", zfs, "/srv/pg/data/pg_wal", Media::Unknown, "zfs", "tank/pg/wal"),
            ("nfs", "1 0 0:50 / /data rw - nfs4 nas:/pg rw", "/data", Media::Network, "nfs4", "nas:/pg"),
            (
                "docker desktop",
                "1 0 0:50 / /data rw - virtiofs host rw",
                "/data",
                Media::Network,
                "virtiofs",
                "host",
            ),
            ("wsl", "1 0 0:50 / /data rw - 9p C:\\134 rw", "/data", Media::Network, "9p", "C:\\"),
            (
                "sshfs",
                "1 0 0:50 / /data rw - fuse.sshfs a:/ rw",
                "/data",
                Media::Network,
                "fuse.sshfs",
                "a:/",
            ),
            (
                "no volume",
                "1 0 0:50 / / rw - overlay overlay rw",
                "/data",
                Media::Unknown,
                "overlay",
                "overlay",
            ),
            ("in memory", "1 0 0:50 / /data rw - tmpfs tmpfs rw", "/data", Media::Unknown, "tmpfs", "tmpfs"),
        ];
        for (case, mountinfo, folder, media, filesystem, source) in rows {
            let found = storage(mountinfo, &[], folder);
            let want = (media, filesystem, source);
            assert_eq!((found.media, found.filesystem.as_str(), found.source.as_str()), want, "{case}");
        }
        assert!(storage(rows[6].1, &[], "/data").how.contains("use a volume"));
    }

    #[test]
    fn btrfs_names_its_device_although_it_has_no_number() {
        let text = "1 0 0:33 /@pg /data rw - btrfs /dev/nvme0n1p3 rw,ssd,subvol=/@pg";
        assert_eq!(storage(text, &[], "/data").media, Media::Nvme);
        let mapped = "1 0 0:33 /@pg /data rw - btrfs /dev/mapper/luks rw";
        assert_eq!(storage(mapped, &[], "/data").media, Media::Unknown);
    }

    #[test]
    fn the_operator_outranks_what_was_seen() {
        let seen = || Seen::Now(storage("1 0 0:50 / / rw - zfs tank/pg rw", &[], "/data"));
        let none = Declared::default();
        let nvme = Declared { storage: Some(Media::Nvme), ..none.clone() };
        let zfs = Declared { storage: Some(Media::Unknown), zfs: true, ..none.clone() };
        let found = with_option(seen(), &nvme).get().cloned().unwrap();
        assert_eq!(
            (found.media, found.filesystem.as_str(), found.from),
            (Media::Nvme, "zfs", Origin::Option)
        );
        let unseen = || Seen::Not("no".to_owned());
        assert_eq!(with_option(unseen(), &zfs).get().unwrap().filesystem, "zfs");
        assert_eq!(with_option(unseen(), &nvme).get().unwrap().filesystem, "");
        assert_eq!(with_option(seen(), &none), seen());
    }

    #[test]
    fn room_that_was_not_seen_has_a_reason() {
        let seen = || Seen::Now(storage("1 0 0:50 / / rw - zfs tank/pg rw", &[], "/data"));
        let space = Space { device: (0, 50), size: Bytes::gib(100), free: Bytes::gib(40) };
        assert_eq!(with_space(seen(), &Ok(space)).get().unwrap().free, Some(Bytes::gib(40)));
        let without = with_space(seen(), &Err("no mount".to_owned()));
        assert!(without.get().unwrap().how.ends_with("free space is not known: no mount"));
    }
}
