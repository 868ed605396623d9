//! What our own process uses, from `/proc/self`: the names that every exporter has.

use std::fs;
use std::time::Instant;

use super::{CollectError, Outcome, Report};
use crate::model::metric::{Desc, Family, Kind};

/// Ticks a second in `/proc/<pid>/stat`: 100 on every Linux that is distributed.
const TICKS: f64 = 100.0;

const fn metric(name: &'static str, kind: Kind, help: &'static str) -> Desc {
    Desc { name, kind, labels: &[], help }
}

const MEMORY: Desc = metric("process_resident_memory_bytes", Kind::Gauge, "Memory that pgpilot uses.");
const VIRTUAL: Desc =
    metric("process_virtual_memory_bytes", Kind::Gauge, "Address space that pgpilot has reserved.");
const CPU: Desc = metric("process_cpu_seconds_total", Kind::Counter, "CPU time that pgpilot has used.");
const FDS: Desc = metric("process_open_fds", Kind::Gauge, "File descriptors that pgpilot has open.");
const START: Desc =
    metric("process_start_time_seconds", Kind::Gauge, "When pgpilot started, in seconds since 1970.");

/// What the collector gives, for the reference page.
pub const GIVES: &[Desc] = &[MEMORY, VIRTUAL, CPU, FDS, START];

/// Reads `/proc/self`.
pub fn collect() -> Report {
    let began = Instant::now();
    let outcome = read().map(Outcome::Collected);
    Report { collector: "process", outcome, took: began.elapsed() }
}

fn read() -> Result<Vec<Family>, CollectError> {
    let (resident, virtual_) = parse_status(&text("/proc/self/status")?)
        .ok_or(CollectError::Content { path: "/proc/self/status", expected: "VmRSS and VmSize" })?;
    let (cpu, since_boot) = parse_stat(&text("/proc/self/stat")?)
        .ok_or(CollectError::Content { path: "/proc/self/stat", expected: "22 fields" })?;
    let boot = parse_boot(&text("/proc/stat")?)
        .ok_or(CollectError::Content { path: "/proc/stat", expected: "btime" })?;
    // One of them is the folder that is being read.
    let open = fs::read_dir("/proc/self/fd").map_or(0, |folder| folder.count().saturating_sub(1));
    Ok(vec![
        MEMORY.single(resident),
        VIRTUAL.single(virtual_),
        CPU.single(cpu),
        FDS.single(open as f64),
        START.single(boot + since_boot),
    ])
}

fn text(path: &'static str) -> Result<String, CollectError> {
    fs::read_to_string(path).map_err(|source| CollectError::File { path, source })
}

/// Resident and virtual size in bytes.
fn parse_status(text: &str) -> Option<(f64, f64)> {
    let kib = |key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    Some((kib("VmRSS:")? * 1024.0, kib("VmSize:")? * 1024.0))
}

/// CPU time, and the start after boot, in seconds. The name in brackets may have spaces and brackets of its own.
fn parse_stat(text: &str) -> Option<(f64, f64)> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    // Fields 14, 15 and 22 of proc(5); the first after the bracket is field 3.
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(((field(14)? + field(15)?) / TICKS, field(22)? / TICKS))
}

/// When the machine started, in seconds since 1970.
fn parse_boot(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_process_is_read() {
        let Ok(Outcome::Collected(families)) = collect().outcome else { panic!("no families") };
        let value = |desc: &Desc| families.iter().find(|it| it.name == desc.name).unwrap().samples[0].value;
        assert!(value(&MEMORY) > 100_000.0 && value(&FDS) >= 3.0);
        assert!(value(&START) > 1.6e9, "{}", value(&START));
        assert_eq!(families.len(), GIVES.len());
    }

    #[test]
    fn a_hostile_process_name_does_not_shift_the_fields() {
        let stat = "7 (a) 1 (b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 2 0 12345 1 2";
        assert_eq!(parse_stat(stat), Some((3.0, 123.45)));
    }
}
