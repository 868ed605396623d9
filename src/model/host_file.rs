//! The files of the kernel that tell of a machine and of a container's limits: a fixed table.
//!
//! PostgreSQL reads them for us where it runs, through `pgpilot.host_file(name)`, whose SQL is made from this table; we
//! read the same ones ourselves where we run.

use super::setting::quote;

/// A file, or files that differ in one part of their path.
pub struct HostFile {
    /// What it is asked for by; the variable part follows.
    pub name: &'static str,
    before: &'static str,
    part: Part,
    after: &'static str,
}

/// The part of a path that varies; each has a pattern that lets nothing out of its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    /// `major:minor`.
    Device,
    /// A disk's name.
    Disk,
    /// A control group: empty, or `/a.slice/b.service`; no part of it starts with a dot.
    Group,
}

impl Part {
    /// An advanced regular expression of PostgreSQL.
    const fn pattern(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Device => "[0-9]{1,4}:[0-9]{1,7}",
            Self::Disk => "[A-Za-z0-9_-]{1,32}",
            Self::Group => r"(/[A-Za-z0-9_:@\\-][A-Za-z0-9_.:@\\-]{0,254}){0,16}",
        }
    }

    /// The same for us.
    fn fits(self, text: &str) -> bool {
        let digits = |part: &str, most| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        match self {
            Self::None => text.is_empty(),
            Self::Device => text.split_once(':').is_some_and(|(a, b)| digits(a, 4) && digits(b, 7)),
            Self::Disk => {
                (1..=32).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            }
            Self::Group => {
                let mut parts = text.split('/');
                parts.next() == Some("") && text.matches('/').count() <= 16 && parts.all(is_group)
            }
        }
    }
}

fn is_group(part: &str) -> bool {
    (1..=255).contains(&part.len())
        && !part.starts_with('.')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:@\\-".contains(&byte))
}

const fn fixed(name: &'static str, path: &'static str) -> HostFile {
    HostFile { name, before: path, part: Part::None, after: "" }
}

const fn group(name: &'static str, before: &'static str, after: &'static str) -> HostFile {
    HostFile { name, before, part: Part::Group, after }
}

/// The table. A name must not be the beginning of another one, but for what its part's pattern tells apart.
pub const FILES: &[HostFile] = &[
    fixed("boot_id", "/proc/sys/kernel/random/boot_id"),
    fixed("meminfo", "/proc/meminfo"),
    fixed("cpu_online", "/sys/devices/system/cpu/online"),
    fixed("clocksource", "/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    fixed("overcommit_memory", "/proc/sys/vm/overcommit_memory"),
    fixed("arcstats", "/proc/spl/kstat/zfs/arcstats"),
    fixed("zfs_arc_max", "/sys/module/zfs/parameters/zfs_arc_max"),
    fixed("cgroup", "/proc/self/cgroup"),
    fixed("mountinfo", "/proc/self/mountinfo"),
    group("memory.max", "/sys/fs/cgroup", "/memory.max"),
    group("cpu.max", "/sys/fs/cgroup", "/cpu.max"),
    group("cpuset.cpus.effective", "/sys/fs/cgroup", "/cpuset.cpus.effective"),
    group("memory.limit_in_bytes", "/sys/fs/cgroup/memory", "/memory.limit_in_bytes"),
    group("cpu.cfs_quota_us", "/sys/fs/cgroup/cpu", "/cpu.cfs_quota_us"),
    group("cpu.cfs_period_us", "/sys/fs/cgroup/cpu", "/cpu.cfs_period_us"),
    group("cpuset.cpus", "/sys/fs/cgroup/cpuset", "/cpuset.cpus"),
    HostFile { name: "device:", before: "/sys/dev/block/", part: Part::Device, after: "/uevent" },
    HostFile { name: "rotational:", before: "/sys/block/", part: Part::Disk, after: "/queue/rotational" },
    HostFile { name: "vendor:", before: "/sys/block/", part: Part::Disk, after: "/device/vendor" },
];

/// How much of a file is read. The longest is mountinfo: about 1 kB for each container of a host.
pub const MOST_BYTES: usize = 256 << 10;

/// The names without a variable part: what is asked first.
pub fn first_names() -> Vec<String> {
    let plain = FILES.iter().filter(|file| matches!(file.part, Part::None));
    plain.map(|file| file.name.to_owned()).collect()
}

/// The path that a name stands for; none for a name outside the table.
pub fn path(name: &str) -> Option<String> {
    FILES.iter().find_map(|file| {
        let part = name.strip_prefix(file.name).filter(|part| file.part.fits(part))?;
        Some(format!("{}{part}{}", file.before, file.after))
    })
}

/// The same table as one SQL expression: the path that `name` stands for.
pub fn sql_path() -> String {
    let rows = FILES.iter().map(|file| match file.part {
        Part::None => format!("    WHEN name = {} THEN {}\n", quote(file.name), quote(file.before)),
        part @ (Part::Device | Part::Disk | Part::Group) => format!(
            "    WHEN name ~ {} THEN {} || substr(name, {}) || {}\n",
            quote(&format!("^{}{}$", file.name.replace('.', r"\."), part.pattern())),
            quote(file.before),
            file.name.len() + 1,
            quote(file.after),
        ),
    });
    format!("CASE\n{}  END", rows.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_path() {
        let rows = [
            ("meminfo", Some("/proc/meminfo")),
            ("memory.max", Some("/sys/fs/cgroup/memory.max")),
            ("memory.max/a.slice/b@1.service", Some("/sys/fs/cgroup/a.slice/b@1.service/memory.max")),
            ("cpuset.cpus.effective", Some("/sys/fs/cgroup/cpuset.cpus.effective")),
            ("cpuset.cpus", Some("/sys/fs/cgroup/cpuset/cpuset.cpus")),
            ("device:254:0", Some("/sys/dev/block/254:0/uevent")),
            ("rotational:nvme0n1", Some("/sys/block/nvme0n1/queue/rotational")),
            ("rotational:dm-0", Some("/sys/block/dm-0/queue/rotational")),
        ];
        for (name, want) in rows {
            assert_eq!(path(name).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_table() {
        for name in [
            "",
            "passwd",
            "/etc/passwd",
            "meminfo2",
            "device:254:0/..",
            "device:",
            "device:254:",
            "rotational:../../etc",
            "rotational:sda\n",
            "memory.max/..",
            "memory.max/a/../../etc",
            "memory.max//a",
            "memory.max/",
            "memory.maxx",
            "memory.max/.hidden",
        ] {
            assert_eq!(path(name), None, "{name}");
        }
    }

    #[test]
    fn every_row_is_in_the_sql() {
        let sql = sql_path();
        for file in FILES {
            assert!(sql.contains(file.before) && sql.contains(file.after), "{}", file.name);
        }
        assert_eq!(sql.matches("WHEN").count(), FILES.len());
    }
}
