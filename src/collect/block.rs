//! What a block device is, from its name and the kernel's `rotational` flag.

use crate::model::facts::Media;

/// What sysfs says of the device that a file system lies on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// Of the device or partition: `nvme0n1p2`, `sda1`, `dm-0`.
    pub name: String,
    /// Of the whole disk's queue; none where it could not be read.
    pub rotational: Option<bool>,
    /// A SCSI disk's vendor: hypervisors put their own name there.
    pub vendor: Option<String>,
}

/// Vendors of SCSI disks that are files or shares of a host.
const VIRTUAL: &[&str] = &["QEMU", "VMware", "Msft", "VBOX", "Xen", "Google", "Amazon", "Nutanix", "DO"];

/// `DEVNAME` of a uevent file.
pub fn name(uevent: &str) -> Option<&str> {
    uevent.lines().find_map(|line| line.strip_prefix("DEVNAME="))
}

/// The whole disk of a partition: `sda1` → `sda`, `nvme0n1p2` → `nvme0n1`; a whole disk stays itself.
pub fn disk(name: &str) -> &str {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let numbered = ["nvme", "mmcblk", "loop", "md", "nbd", "zd", "dm-", "zram", "ram", "sr", "rbd", "drbd"];
    match numbered.iter().any(|prefix| name.starts_with(prefix)) {
        // These end in a digit themselves, so that their partitions have a `p` between: `p` after a digit.
        true => match stem.strip_suffix('p') {
            Some(disk) if disk.ends_with(|c: char| c.is_ascii_digit()) && stem != name => disk,
            _ => name,
        },
        false => stem,
    }
}

/// The media, and how we know.
///
/// A 0 is believed: device mapper and md pass it on only when every disk below them says so. A 1 is believed of a
/// plain SCSI or SATA disk only: virtio says 1 of SSDs too (seen: vda with `rotational` 1 and 2 ms fdatasync).
pub fn media(device: &Device) -> (Media, String) {
    let Device { name, rotational, vendor } = device;
    let vendor = vendor.as_deref().map_or("", str::trim);
    let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if is(&["nvme"]) {
        return (Media::Nvme, format!("the device is {name}"));
    }
    if is(&["nbd", "rbd", "drbd"]) {
        return (Media::Network, format!("the device is {name}, a network block device"));
    }
    if is(&["loop", "zd", "zram", "ram"]) {
        return (Media::Unknown, format!("the device is {name}, which tells nothing of the disk below it"));
    }
    match rotational {
        Some(false) => (Media::Ssd, format!("{name} says that it does not rotate")),
        Some(true) if is(&["vd", "xvd"]) || VIRTUAL.contains(&vendor) => {
            (Media::Unknown, format!("{name} says that it rotates, which virtual disks say of SSDs too"))
        }
        Some(true) if is(&["sd", "hd"]) => (Media::Hdd, format!("{name} says that it rotates")),
        Some(true) => (Media::Unknown, format!("{name} says that it rotates, or something below it does")),
        None => (Media::Unknown, format!("{name} does not say whether it rotates")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_leads_to_its_disk() {
        let rows = [
            ("sda1", "sda"),
            ("sda", "sda"),
            ("vda15", "vda"),
            ("nvme0n1p2", "nvme0n1"),
            ("nvme0n1", "nvme0n1"),
            ("mmcblk0p1", "mmcblk0"),
            ("md127", "md127"),
            ("md127p1", "md127"),
            ("dm-0", "dm-0"),
            ("loop3", "loop3"),
        ];
        for (partition, want) in rows {
            assert_eq!(disk(partition), want, "{partition}");
        }
    }

    #[test]
    fn the_name_comes_from_the_uevent() {
        let text = include_str!("../../tests/fixtures/host/uevent/vda");
        assert_eq!(name(text), Some("vda"));
        assert_eq!(name("MAJOR=254\n"), None);
    }

    #[test]
    fn a_zero_is_believed_and_a_one_only_of_a_real_disk() {
        let rows = [
            ("nvme0n1p2", None, "", Media::Nvme),
            ("sda", Some(false), "ATA     ", Media::Ssd),
            ("sda", Some(true), "ATA     ", Media::Hdd),
            ("sda", Some(true), "QEMU    \n", Media::Unknown),
            ("vda1", Some(true), "", Media::Unknown),
            ("vda1", Some(false), "", Media::Ssd),
            ("dm-0", Some(false), "", Media::Ssd),
            ("dm-0", Some(true), "", Media::Unknown),
            ("mmcblk0p2", Some(false), "", Media::Ssd),
            ("rbd0", Some(false), "", Media::Network),
            ("loop0", Some(false), "", Media::Unknown),
            ("sda", None, "", Media::Unknown),
        ];
        for (name, rotational, vendor, want) in rows {
            let device = Device { name: name.to_owned(), rotational, vendor: Some(vendor.to_owned()) };
            let (media, how) = media(&device);
            assert_eq!(media, want, "{name} {rotational:?} {vendor}: {how}");
        }
    }
}
