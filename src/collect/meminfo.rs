//! `/proc/meminfo`: the machine's memory, also inside a container (the file knows nothing of cgroups).

use crate::model::units::Bytes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemInfo {
    pub total: Bytes,
    /// Since Linux 3.14.
    pub available: Option<Bytes>,
}

/// None where there is no `MemTotal`, which every Linux has.
pub fn parse(text: &str) -> Option<MemInfo> {
    Some(MemInfo { total: row(text, "MemTotal")?, available: row(text, "MemAvailable") })
}

/// The kernel's `kB` are 1024 bytes.
fn row(text: &str, name: &str) -> Option<Bytes> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok().map(Bytes::kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_and_available_are_read_and_the_rest_is_passed_over() {
        let read = parse(include_str!("../../tests/fixtures/host/meminfo")).unwrap();
        assert_eq!(read, MemInfo { total: Bytes::kib(24_684_084), available: Some(Bytes::kib(23_886_928)) });
    }

    #[test]
    fn a_file_without_a_total_gives_nothing() {
        assert_eq!(parse(""), None);
        assert_eq!(parse("MemTotal: many kB\n"), None);
        assert_eq!(parse("MemTotal: 1024 kB\n").unwrap().available, None);
    }
}
