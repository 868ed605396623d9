//! `/proc/self/mountinfo`: which file system a path lies on, as the process that reads the file sees it.

/// A line of mountinfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Major and minor number; major 0 is an anonymous device, as of ZFS, btrfs, overlay and network shares.
    pub device: (u32, u32),
    /// The folder within the file system that is mounted.
    pub root: String,
    pub point: String,
    pub filesystem: String,
    /// Device, dataset or share.
    pub source: String,
    /// Options of the file system itself, such as `size=65536k`.
    pub options: String,
}

/// All complete lines; what cannot be read is passed over.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

/// `id parent major:minor root point options [optional fields…] - type source super-options`.
fn line(text: &str) -> Option<Mount> {
    let (place, what) = text.split_once(" - ")?;
    let place: Vec<_> = place.split(' ').collect();
    let mut what = what.split(' ');
    Some(Mount {
        device: device(place.get(2)?)?,
        root: unescape(place.get(3)?),
        point: unescape(place.get(4)?),
        filesystem: what.next()?.to_owned(),
        source: unescape(what.next()?),
        options: what.next().unwrap_or_default().to_owned(),
    })
}

fn device(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Spaces, tabs, newlines and backslashes come as three octal digits: `\040`.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (octal, plain)| text.replace(octal, plain))
}

/// The mount that holds a path: the longest mount point above it, and of equal ones the last, which covers the others.
pub fn holding<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    mounts.iter().filter(|mount| is_below(path, &mount.point)).max_by_key(|mount| mount.point.len())
}

fn is_below(path: &str, point: &str) -> bool {
    let rest = path.strip_prefix(point.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLUME: &str = include_str!("../../tests/fixtures/host/mountinfo/docker-volume-ext4");
    const ZFS: &str = include_str!("../../tests/fixtures/host/zfs/mountinfo-2.3.9");

    #[test]
    fn the_longest_mount_point_above_a_path_holds_it() {
        let mounts = parse(VOLUME);
        let rows = [
            ("/var/lib/postgresql/data", "ext4", (254, 0)),
            ("/var/lib/postgresql/data/base/1", "ext4", (254, 0)),
            ("/var/lib/postgresql/datax", "overlay", (0, 39)),
            ("/dev/shm", "tmpfs", (0, 47)),
            ("/", "overlay", (0, 39)),
        ];
        for (path, filesystem, device) in rows {
            let mount = holding(&mounts, path).unwrap();
            assert_eq!((mount.filesystem.as_str(), mount.device), (filesystem, device), "{path}");
        }
    }

    #[test]
    fn a_dataset_with_a_space_keeps_its_name() {
        let mounts = parse(ZFS);
        let spaced = mounts.iter().find(|mount| mount.source.contains(' ')).unwrap();
        assert_eq!((spaced.source.as_str(), spaced.device.0), ("tank/with space", 0));
    }

    #[test]
    fn of_two_mounts_at_one_point_the_later_one_counts() {
        let text = "1 0 8:1 / /data rw - ext4 /dev/sda1 rw\n2 1 259:1 / /data rw - xfs /dev/nvme0n1p1 rw\n";
        assert_eq!(holding(&parse(text), "/data/pg").unwrap().filesystem, "xfs");
    }

    #[test]
    fn a_line_that_was_cut_off_is_passed_over() {
        assert_eq!(
            parse("1 0 8:1 / /data rw - ext4 /dev/sda1 rw\n2 1 259:1 / /da"),
            parse("1 0 8:1 / /data rw - ext4 /dev/sda1 rw")
        );
    }
}
