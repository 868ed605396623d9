//! What a process and its container may use of the machine.

use super::cgroup::{self, Place};
use super::files::Files;
use super::meminfo;
use super::mounts::Mount;
use crate::model::facts::{Limits, Seen};
use crate::model::units::Bytes;

/// The files that hold limits, by controller and generation.
const HOLDERS: &[(&str, u8, &[&str])] = &[
    ("memory", 1, &["memory.limit_in_bytes"]),
    ("cpu", 1, &["cpu.cfs_quota_us", "cpu.cfs_period_us"]),
    ("cpuset", 1, &["cpuset.cpus"]),
    ("memory", 2, &["memory.max"]),
    ("cpu", 2, &["cpu.max"]),
    ("cpuset", 2, &["cpuset.cpus.effective"]),
];

/// The names of the files to read next, once the group is known.
pub fn names(files: &Files) -> Vec<String> {
    let Some(text) = files.get("cgroup") else { return vec![] };
    let mounts = files.mounts();
    let mut names = vec![];
    for (controller, version, holders) in HOLDERS {
        let place = cgroup::place(text, &mounts, controller).filter(|place| place.version == *version);
        for group in place.iter().flat_map(Place::and_above) {
            names.extend(holders.iter().map(|holder| format!("{holder}{group}")));
        }
    }
    names
}

/// The narrowest limit of the group and of those above it.
pub fn from_files(files: &Files) -> Seen<Limits> {
    let refused = names(files).into_iter().chain(["cgroup".to_owned(), "mountinfo".to_owned()]);
    if let Some(why) = refused.into_iter().find_map(|name| files.refused(&name).map(ToOwned::to_owned)) {
        return Seen::Not(why);
    }
    let (Some(text), mounts) = (files.get("cgroup"), files.mounts()) else {
        return Seen::Not("there is no /proc/self/cgroup".to_owned());
    };
    let Some(memory) = cgroup::place(text, &mounts, "memory") else {
        return Seen::Not(
            "no control group with a memory controller is mounted below /sys/fs/cgroup".to_owned(),
        );
    };
    let cpu = cgroup::place(text, &mounts, "cpu").and_then(|place| cpu_limit(files, &place));
    Seen::Now(Limits {
        memory: memory_limit(files, &memory),
        cpus: [cpu, cpuset_limit(files, text, &mounts)].into_iter().flatten().reduce(f64::min),
        cgroup: Some(memory.version),
        from: files.origin,
    })
}

fn memory_limit(files: &Files, place: &Place) -> Option<Bytes> {
    let total = files.get("meminfo").and_then(meminfo::parse).map(|memory| memory.total);
    let holder = if place.version == 1 { "memory.limit_in_bytes" } else { "memory.max" };
    let groups = place.and_above();
    let texts = groups.iter().filter_map(|group| files.get(&format!("{holder}{group}")));
    texts.filter_map(|text| cgroup::memory_limit(text, total)).min()
}

fn cpu_limit(files: &Files, place: &Place) -> Option<f64> {
    let groups = place.and_above();
    let of = |group: &&str| match place.version {
        1 => cgroup::cpu_quota(
            files.get(&format!("cpu.cfs_quota_us{group}"))?,
            files.get(&format!("cpu.cfs_period_us{group}"))?,
        ),
        _ => cgroup::cpu_max(files.get(&format!("cpu.max{group}"))?),
    };
    groups.iter().filter_map(of).reduce(f64::min)
}

/// The set of CPUs, where it is smaller than the machine; sets of groups above are wider.
fn cpuset_limit(files: &Files, text: &str, mounts: &[Mount]) -> Option<f64> {
    let place = cgroup::place(text, mounts, "cpuset")?;
    let holder = if place.version == 1 { "cpuset.cpus" } else { "cpuset.cpus.effective" };
    let cpus = files.get(&format!("{holder}{}", place.path)).and_then(cgroup::cpu_list)?;
    let online = files.get("cpu_online").and_then(cgroup::cpu_list);
    online.is_none_or(|online| cpus < online).then(|| f64::from(cpus))
}

#[cfg(test)]
mod tests {
    use super::super::files::captured;
    use super::*;
    use crate::model::facts::Origin;

    const MEMINFO: &str = include_str!("../../tests/fixtures/host/meminfo");
    const V2: &str = include_str!("../../tests/fixtures/host/mountinfo/docker-v2-nvme");

    fn limits(texts: &[(&str, &str)]) -> Limits {
        from_files(&captured(Origin::Postgres, texts)).get().cloned().unwrap()
    }

    #[test]
    fn a_docker_container_of_the_first_generation() {
        let found = limits(&[
            ("cgroup", include_str!("../../tests/fixtures/host/cgroup-v1-docker")),
            ("mountinfo", include_str!("../../tests/fixtures/host/mountinfo/docker-volume-ext4")),
            ("meminfo", MEMINFO),
            ("cpu_online", "0-1\n"),
            ("memory.limit_in_bytes", "536870912\n"),
            ("cpu.cfs_quota_us", "150000\n"),
            ("cpu.cfs_period_us", "100000\n"),
            ("cpuset.cpus", "0-1\n"),
        ]);
        assert_eq!((found.memory, found.cpus), (Some(Bytes::mib(512)), Some(1.5)));
        assert_eq!((found.cgroup, found.from), (Some(1), Origin::Postgres));
    }

    #[test]
    fn a_docker_container_of_the_second_generation() {
        let base = [("cgroup", "0::/\n"), ("mountinfo", V2), ("meminfo", MEMINFO), ("cpu_online", "0-7\n")];
        let with = |more: &[(&str, &str)]| limits(&[&base, more].concat());
        let found = with(&[
            ("memory.max", "4294967296\n"),
            ("cpu.max", "max 100000\n"),
            ("cpuset.cpus.effective", "0-3\n"),
        ]);
        assert_eq!((found.memory, found.cpus, found.cgroup), (Some(Bytes::gib(4)), Some(4.0), Some(2)));
        let found = with(&[("memory.max", "max\n"), ("cpuset.cpus.effective", "0-7\n")]);
        assert_eq!((found.memory, found.cpus), (None, None), "looked, and there is none");
    }

    #[test]
    fn a_service_on_the_host_has_the_narrowest_limit_of_its_slices() {
        let found = limits(&[
            ("cgroup", "0::/db.slice/postgresql.service\n"),
            ("mountinfo", V2),
            ("meminfo", MEMINFO),
            ("memory.max/db.slice/postgresql.service", "max\n"),
            ("memory.max/db.slice", "8589934592\n"),
            ("cpu.max/db.slice/postgresql.service", "200000 100000\n"),
        ]);
        assert_eq!((found.memory, found.cpus), (Some(Bytes::gib(8)), Some(2.0)));
    }

    #[test]
    fn no_hierarchy_is_no_knowledge() {
        let files = captured(Origin::Postgres, &[("cgroup", "0::/\n"), ("mountinfo", "")]);
        assert!(from_files(&files).reason().unwrap().contains("/sys/fs/cgroup"));
        assert!(from_files(&Files::new(Origin::Own)).reason().is_some());
    }
}
