//! The machine below PostgreSQL.

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::files::Files;
use super::{arcstats, cgroup, meminfo};
use crate::model::facts::{Host, Origin, Seen};
use crate::model::units::Bytes;

/// From the files that PostgreSQL read where it runs.
pub fn from_files(files: &Files) -> Seen<Host> {
    let Some(memory) = files.get("meminfo").and_then(meminfo::parse) else {
        let why = files.refused("meminfo").unwrap_or("it has no MemTotal");
        return Seen::Not(format!("PostgreSQL cannot read /proc/meminfo: {why}"));
    };
    let Some(cpus) = files.get("cpu_online").and_then(cgroup::cpu_list) else {
        let why = files.refused("cpu_online").unwrap_or("it is empty");
        return Seen::Not(format!("PostgreSQL cannot read /sys/devices/system/cpu/online: {why}"));
    };
    Seen::Now(Host {
        memory_total: memory.total,
        memory_available: memory.available,
        cpus,
        arc: files.get("arcstats").and_then(|text| arcstats::parse(text, files.get("zfs_arc_max"))),
        clocksource: files.get("clocksource").map(|text| text.trim().to_owned()),
        from: files.origin,
    })
}

/// As we see it ourselves; the machine is the same one when PostgreSQL runs beside us.
pub fn own(files: &Files) -> Seen<Host> {
    let what = RefreshKind::nothing()
        .with_memory(MemoryRefreshKind::nothing().with_ram())
        .with_cpu(CpuRefreshKind::nothing());
    let unknown = "our own /proc does not tell the machine's memory and CPUs";
    let Ok(system) = System::new_with_specifics(what) else {
        return Seen::Not(unknown.to_owned());
    };
    if system.total_memory() == 0 || system.cpus().is_empty() {
        return Seen::Not(unknown.to_owned());
    }
    Seen::Now(Host {
        memory_total: Bytes(system.total_memory()),
        memory_available: Some(Bytes(system.available_memory())),
        cpus: u32::try_from(system.cpus().len()).unwrap_or(u32::MAX),
        arc: files.get("arcstats").and_then(|text| arcstats::parse(text, files.get("zfs_arc_max"))),
        clocksource: files.get("clocksource").map(|text| text.trim().to_owned()),
        from: Origin::Own,
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::captured;
    use super::*;

    #[test]
    fn a_machine_is_known_from_five_files() {
        let files = captured(
            Origin::Postgres,
            &[
                ("meminfo", include_str!("../../tests/fixtures/host/meminfo")),
                ("cpu_online", "0-7\n"),
                ("clocksource", "tsc\n"),
                ("arcstats", include_str!("../../tests/fixtures/host/zfs/arcstats-2.3.9")),
                ("zfs_arc_max", "0\n"),
            ],
        );
        let host = from_files(&files).get().cloned().unwrap();
        assert_eq!((host.memory_total, host.cpus), (Bytes::kib(24_684_084), 8));
        assert_eq!((host.clocksource.as_deref(), host.from), (Some("tsc"), Origin::Postgres));
        assert!(host.arc.unwrap().configured_max.is_none());
    }

    #[test]
    fn what_cannot_be_read_has_a_reason() {
        let host = from_files(&Files::new(Origin::Postgres));
        assert!(host.reason().unwrap().contains("/proc/meminfo"));
    }

    #[test]
    fn our_own_view_agrees_with_the_kernels_file() {
        let files = captured(Origin::Own, &[]);
        let own = own(&files).get().cloned().unwrap();
        let text = std::fs::read_to_string("/proc/meminfo").unwrap();
        assert_eq!(own.memory_total, meminfo::parse(&text).unwrap().total);
    }
}
