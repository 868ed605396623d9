//! `/proc/spl/kstat/zfs/arcstats`: ZFS's cache. Fields come and go between releases, so each is looked up by name.

use crate::model::facts::Arc;
use crate::model::units::Bytes;

/// From the kstat and from the module's parameter `zfs_arc_max`, where 0 means the built-in rule.
pub fn parse(arcstats: &str, zfs_arc_max: Option<&str>) -> Option<Arc> {
    Some(Arc {
        min: field(arcstats, "c_min")?,
        max: field(arcstats, "c_max")?,
        size: field(arcstats, "size")?,
        configured_max: zfs_arc_max
            .and_then(|text| text.trim().parse().ok())
            .filter(|max| *max > 0)
            .map(Bytes),
    })
}

/// Rows are `name type data`; type 4 is an unsigned 64-bit number.
fn field(text: &str, name: &str) -> Option<Bytes> {
    text.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [found, "4", data] if found == name => data.parse().ok().map(Bytes),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_of_the_file_are_read() {
        for text in [
            include_str!("../../tests/fixtures/host/zfs/arcstats-2.1.11"),
            include_str!("../../tests/fixtures/host/zfs/arcstats-2.3.9"),
        ] {
            let arc = parse(text, Some("0\n")).unwrap();
            assert!(arc.min < arc.max && arc.size.0 > 0, "{arc:?}");
            assert_eq!(arc.configured_max, None, "0 is the built-in rule, not a limit");
            assert_eq!(parse(text, Some("1073741824\n")).unwrap().configured_max, Some(Bytes::gib(1)));
        }
    }

    #[test]
    fn no_zfs_gives_nothing() {
        assert_eq!(parse("", None), None);
    }
}
