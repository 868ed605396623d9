//! Control groups, both generations: which one a process is in, and what the files of it say.

use super::mounts::Mount;
use crate::model::units::Bytes;

/// Where the limits of a process lie, for one controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// 1 or 2.
    pub version: u8,
    /// The group below the mounted hierarchy; empty where the mount point itself is the group, as in a container.
    pub path: String,
}

impl Place {
    /// The group and those above it, whose limits hold too; the one at the mount point, `""`, is last.
    pub fn and_above(&self) -> Vec<&str> {
        let mut path = self.path.as_str();
        let mut all = vec![path];
        while let Some((above, _)) = path.rsplit_once('/') {
            path = above;
            all.push(path);
        }
        all
    }
}

/// From `/proc/self/cgroup` and the mounts that the same process sees.
///
/// None where no hierarchy with this controller is mounted. The first generation has a hierarchy for each controller
/// or pair, at `/sys/fs/cgroup/<controller>`; the second has one for all, at `/sys/fs/cgroup`.
pub fn place(cgroup: &str, mounts: &[Mount], controller: &str) -> Option<Place> {
    let lists = |text: &str| text.split(',').any(|name| name == controller);
    if let Some(own) = group(cgroup, lists) {
        let mount =
            mounts.iter().rev().find(|mount| mount.filesystem == "cgroup" && lists(&mount.options))?;
        return Some(Place { version: 1, path: below(own, &mount.root) });
    }
    let own = group(cgroup, str::is_empty)?;
    let unified = |mount: &&Mount| mount.filesystem == "cgroup2" && mount.point == "/sys/fs/cgroup";
    let mount = mounts.iter().rev().find(unified)?;
    Some(Place { version: 2, path: below(own, &mount.root) })
}

/// Lines are `id:controllers:path`; the second generation's has no controllers.
fn group(cgroup: &str, wanted: impl Fn(&str) -> bool) -> Option<&str> {
    cgroup.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        wanted(controllers).then_some(path)
    })
}

/// A path of another namespace (`/../…`) cannot be followed; then the mount point is the best that there is.
fn below(own: &str, root: &str) -> String {
    let path = own.strip_prefix(root.trim_end_matches('/')).unwrap_or_default();
    let known = path.starts_with('/') && !path.contains("..");
    if known { path.trim_end_matches('/').to_owned() } else { String::new() }
}

/// `memory.max` or `memory.limit_in_bytes`. None: no limit.
///
/// The first generation's "none" is 2^63 rounded down to a page. A limit above the machine's memory limits nothing.
pub fn memory_limit(text: &str, total: Option<Bytes>) -> Option<Bytes> {
    const NONE: u64 = 1 << 62;
    let limit = text.trim().parse().ok().map(Bytes)?;
    (limit.0 < NONE && total.is_none_or(|total| limit < total)).then_some(limit)
}

/// `cpu.max`: quota and period in microseconds, or `max`.
pub fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota, period)
}

/// `cpu.cfs_quota_us` and `cpu.cfs_period_us`; a quota of -1 is none.
pub fn cpu_quota(quota: &str, period: &str) -> Option<f64> {
    share(quota.trim(), period.trim())
}

fn share(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// How many CPUs a list such as `0-3,8` names; none where it is empty or no list.
pub fn cpu_list(text: &str) -> Option<u32> {
    let sizes = text.trim().split(',').map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        last.checked_sub(first)?.checked_add(1)
    });
    sizes.sum::<Option<u32>>().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::mounts;

    #[test]
    fn the_group_of_a_container_is_the_mount_point_and_a_services_is_below_it() {
        let service = "/system.slice/postgresql@17-main.service";
        let unified = "1 0 0:9 / /sys/fs/cgroup ro - cgroup2 cgroup rw";
        let v1 = "1 0 0:9 / /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct";
        let rows = [
            ("docker, v2", "0::/\n".to_owned(), unified, Some((2, ""))),
            ("service on the host, v2", format!("0::{service}\n"), unified, Some((2, service))),
            ("path of another namespace", "0::/../ab12\n".to_owned(), unified, Some((2, ""))),
            ("service on the host, v1", format!("3:cpu,cpuacct:{service}\n0::/\n"), v1, Some((1, service))),
            ("hybrid without this controller", "3:memory:/\n0::/\n".to_owned(), v1, None),
            ("nothing mounted", "0::/\n".to_owned(), "", None),
        ];
        for (case, cgroup, mount, want) in rows {
            let found = place(&cgroup, &mounts::parse(mount), "cpu");
            let want = want.map(|(version, path): (_, &str)| Place { version, path: path.to_owned() });
            assert_eq!(found, want, "{case}");
        }
    }

    #[test]
    fn a_captured_container_of_the_first_generation_is_its_own_root() {
        let cgroup = include_str!("../../tests/fixtures/host/cgroup-v1-docker");
        let mounts = mounts::parse(include_str!("../../tests/fixtures/host/mountinfo/docker-volume-ext4"));
        for controller in ["memory", "cpu", "cpuset"] {
            let found = place(cgroup, &mounts, controller);
            assert_eq!(found, Some(Place { version: 1, path: String::new() }), "{controller}");
        }
    }

    #[test]
    fn limits_of_the_groups_above_count_too() {
        let place = Place { version: 2, path: "/a.slice/b.service".to_owned() };
        assert_eq!(place.and_above(), ["/a.slice/b.service", "/a.slice", ""]);
        assert_eq!(Place { version: 2, path: String::new() }.and_above(), [""]);
    }

    #[test]
    fn no_limit_has_three_spellings() {
        let total = Some(Bytes::gib(16));
        let rows = [
            ("512 MB", "536870912\n", Some(Bytes::mib(512))),
            ("v2, none", "max\n", None),
            ("v1, none", "9223372036854771712\n", None),
            ("v1 with 64 kB pages, none", "9223372036854710272\n", None),
            ("above the machine's memory", "68719476736\n", None),
            ("empty", "", None),
        ];
        for (case, text, want) in rows {
            assert_eq!(memory_limit(text, total), want, "{case}");
        }
        assert_eq!(memory_limit("68719476736\n", None), Some(Bytes::gib(64)));
    }

    #[test]
    fn cpus_come_as_quota_and_period() {
        assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(cpu_quota("150000\n", "100000\n"), Some(1.5));
        assert_eq!(cpu_quota("-1\n", "100000\n"), None);
    }

    #[test]
    fn a_list_of_cpus_is_counted() {
        for (text, want) in
            [("0-3\n", Some(4)), ("0,2,4-5\n", Some(4)), ("7\n", Some(1)), ("\n", None), ("3-1\n", None)]
        {
            assert_eq!(cpu_list(text), want, "{text:?}");
        }
    }
}
