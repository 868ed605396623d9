//! `/dev/shm` where PostgreSQL runs: parallel hash joins fail with SQLSTATE 53100 when it is full.

use super::files::Files;
use super::meminfo;
use super::mounts::{self, Mount};
use crate::model::facts::Seen;
use crate::model::units::Bytes;

/// The size of the tmpfs that holds `/dev/shm`.
pub fn from_files(files: &Files) -> Seen<Bytes> {
    let mounts = files.mounts();
    let Some(mount) = mounts::holding(&mounts, "/dev/shm") else {
        let why = files.refused("mountinfo").unwrap_or("there are no mounts in /proc/self/mountinfo");
        return Seen::Not(why.to_owned());
    };
    if mount.filesystem != "tmpfs" {
        return Seen::Not(format!("/dev/shm lies on {}, not on a tmpfs of its own", mount.filesystem));
    }
    // A tmpfs without a size takes up to half of the machine's memory.
    let half = || files.get("meminfo").and_then(meminfo::parse).map(|memory| memory.total.scale(1, 2));
    size(mount).or_else(half).map_or_else(
        || Seen::Not("the tmpfs at /dev/shm has no size, and the machine's memory is not known".to_owned()),
        Seen::Now,
    )
}

/// The kernel prints whole kibibytes: `size=65536k`.
fn size(mount: &Mount) -> Option<Bytes> {
    let option = mount.options.split(',').find_map(|option| option.strip_prefix("size="))?;
    option.strip_suffix('k')?.parse().ok().map(Bytes::kib)
}

#[cfg(test)]
mod tests {
    use super::super::files::captured;
    use super::*;
    use crate::model::facts::Origin;

    #[test]
    fn the_size_is_the_mounts_or_half_of_the_memory() {
        let docker = include_str!("../../tests/fixtures/host/mountinfo/docker-volume-ext4");
        let bare = "1 0 0:2 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /dev/shm rw - tmpfs tmpfs rw,inode64\n";
        let rows = [
            ("docker's default", docker, Some(Bytes::mib(64))),
            ("no size given", bare, Some(Bytes::mib(512))),
            ("absent, and / is no tmpfs", "1 0 0:2 / / rw - overlay overlay rw\n", None),
            (
                "below a /dev of 64 MB",
                "1 0 0:2 / /dev rw - tmpfs tmpfs rw,size=65536k\n",
                Some(Bytes::mib(64)),
            ),
            ("no mounts", "", None),
        ];
        for (case, mountinfo, want) in rows {
            let files = captured(
                Origin::Postgres,
                &[("mountinfo", mountinfo), ("meminfo", "MemTotal: 1048576 kB\n")],
            );
            assert_eq!(from_files(&files).get().copied(), want, "{case}");
        }
    }
}
