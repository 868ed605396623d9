//! What PostgreSQL may use of the machine: R and C.

use crate::model::facts::{Facts, Host, Reserve};
use crate::model::units::Bytes;

/// Below this there is nothing to plan: PostgreSQL with its own defaults takes 150 MB.
const LEAST: Bytes = Bytes::mib(128);

/// Why there is no plan at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlan {
    #[error("the server was not seen: {0}")]
    NoServer(String),
    #[error("PostgreSQL {0} is too old: 14 is the first version whose settings pgpilot plans")]
    TooOld(String),
    #[error("the memory that PostgreSQL may use is not known ({0}): set PGPILOT_MEMORY, for example to 4GB")]
    NoMemory(String),
    #[error(
        "{0} leaves PostgreSQL {1}, and less than 128MB cannot be planned: set PGPILOT_MEMORY or PGPILOT_RESERVE"
    )]
    TooSmall(String, String),
    #[error("profile custom needs a file: set PGPILOT_PROFILE_FILE")]
    NoProfileFile,
}

/// PostgreSQL's share of the memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Share {
    /// R.
    pub memory: Bytes,
    pub how: String,
    /// What the machine, or PostgreSQL's container where it has a limit, has: the profile is chosen by it.
    pub has: Bytes,
    /// Nobody else draws on R, so its page cache is PostgreSQL's too.
    pub alone: bool,
    /// What ZFS caches besides R.
    pub arc: Option<Bytes>,
    pub notes: Vec<String>,
}

/// R, from the best source there is: an option, PostgreSQL's container, the host.
pub(super) fn share(facts: &Facts) -> Result<Share, NoPlan> {
    let host = facts.host.get();
    let limit = container_limit(facts);
    let arc = host.and_then(|host| arc_reserve(facts, host));
    let mut share = match (facts.declared.memory, limit, host) {
        (Some(memory), ..) => declared_share(memory, limit.or(host.map(|host| host.memory_total))),
        (None, Some(limit), _) => {
            Share::alone(limit, "the memory limit of PostgreSQL's container".to_owned())
        }
        (None, None, Some(host)) => of_host(facts, host, arc),
        (None, None, None) => return Err(NoPlan::NoMemory(why_no_host(facts))),
    };
    share.has = limit.or(host.map(|host| host.memory_total)).unwrap_or(share.memory);
    share.arc = arc;
    share.notes.extend(arc_note(host, arc));
    if share.memory < LEAST {
        return Err(NoPlan::TooSmall(share.how, share.memory.about()));
    }
    Ok(share)
}

impl Share {
    fn alone(memory: Bytes, how: String) -> Self {
        Self { memory, how, has: memory, alone: true, arc: None, notes: vec![] }
    }
}

/// The operator's figure, but no more than there is: a larger one would start, and be killed when it is used.
fn declared_share(memory: Bytes, most: Option<Bytes>) -> Share {
    match most.filter(|most| *most < memory) {
        Some(most) => {
            let how = format!(
                "{}, for PGPILOT_MEMORY={} is more than PostgreSQL's machine has",
                most.about(),
                memory
            );
            Share::alone(most, how)
        }
        None => Share::alone(memory, "PGPILOT_MEMORY".to_owned()),
    }
}

/// The limit of PostgreSQL's container. One above the machine's memory limits nothing.
fn container_limit(facts: &Facts) -> Option<Bytes> {
    let limit = facts.limits.get()?.memory?;
    facts.host.get().is_none_or(|host| limit <= host.memory_total).then_some(limit)
}

fn why_no_host(facts: &Facts) -> String {
    facts.host.reason().unwrap_or("neither a container limit nor the host's memory was seen").to_owned()
}

/// The stated share of a host without a container limit.
fn of_host(facts: &Facts, host: &Host, arc: Option<Bytes>) -> Share {
    let declared = &facts.declared;
    let left = host.memory_total.minus(arc.unwrap_or_default());
    let (ours, part) = match declared.reserve {
        Reserve::Percent(0) | Reserve::Size(Bytes(0)) => (left, "all".to_owned()),
        Reserve::Percent(percent) => {
            let ours = 100 - u64::from(percent.min(100));
            (left.percent(ours), format!("{ours} %"))
        }
        Reserve::Size(size) => (left.minus(size), format!("all but {}", size.about())),
    };
    let servers = u64::from(declared.servers.max(1));
    let zfs = arc.map_or_else(String::new, |arc| format!(" less {} for ZFS", arc.about()));
    let among = if servers > 1 { format!(", one of {servers} servers") } else { String::new() };
    let why = if ours == left { "" } else { "; no container limit is known" };
    Share {
        memory: Bytes(ours.0 / servers),
        how: format!("{part} of the host's {}{zfs}{among}{why}", host.memory_total.about()),
        has: host.memory_total,
        alone: ours == left && servers == 1,
        arc: None,
        notes: vec![],
    }
}

/// What ZFS's cache is given: its limit where one is set, else a quarter of memory within the module's bounds.
///
/// ARC is neither page cache nor available memory. It is left out where the data directory was seen on another file
/// system: a loaded module without a pool holds next to nothing.
fn arc_reserve(facts: &Facts, host: &Host) -> Option<Bytes> {
    let arc = host.arc?;
    let elsewhere = |filesystem: &str| !matches!(filesystem, "" | "zfs");
    if facts.storage.get().is_some_and(|storage| elsewhere(&storage.filesystem)) {
        return None;
    }
    let quarter = host.memory_total.percent(25);
    Some(arc.configured_max.unwrap_or_else(|| quarter.max(arc.min).min(arc.max)))
}

fn arc_note(host: Option<&Host>, reserve: Option<Bytes>) -> Option<String> {
    let reserve = reserve?;
    let open = host?.arc?.configured_max.is_none();
    open.then(|| {
        format!("ZFS: set zfs_arc_max to {} ({}), which the plan counts with", reserve.0, reserve.about())
    })
}

/// C: the operator's number, else what the host has and the container's limit leaves of it.
pub(super) fn cpus(facts: &Facts) -> Option<u32> {
    let host = facts.host.get().map(|host| host.cpus);
    let limit = facts.limits.get().and_then(|limits| limits.cpus).map(whole_cpus);
    let seen = match (host, limit) {
        (Some(host), Some(limit)) => Some(host.min(limit)),
        (host, limit) => host.or(limit),
    };
    facts.declared.cpus.or(seen).map(|cpus| cpus.max(1))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float saturates when cast")]
fn whole_cpus(limit: f64) -> u32 {
    limit.ceil() as u32
}

#[cfg(test)]
mod tests {
    use super::super::testing::{self, host};
    use super::*;
    use crate::model::facts::{Arc, Limits, Media, Origin, Seen};

    fn limited(memory: Option<Bytes>, cpus: Option<f64>) -> Seen<Limits> {
        Seen::Now(Limits { memory, cpus, cgroup: Some(2), from: Origin::Postgres })
    }

    #[test]
    fn memory_cases() {
        let base = || host(Bytes::gib(16), 8, Media::Nvme);
        let arc = |configured_max| Arc {
            min: Bytes::mib(512),
            max: Bytes::gib(8),
            size: Bytes::gib(3),
            configured_max,
        };
        type Change = Box<dyn Fn(&mut Facts)>;
        let rows: Vec<(&str, Change, Bytes)> = vec![
            ("half of a host without a limit", Box::new(|_| {}), Bytes::gib(8)),
            ("the option wins", Box::new(|f| f.declared.memory = Some(Bytes::gib(3))), Bytes::gib(3)),
            (
                "the container's limit",
                Box::new(|f| f.limits = limited(Some(Bytes::gib(6)), None)),
                Bytes::gib(6),
            ),
            (
                "a limit above the machine is none",
                Box::new(|f| f.limits = limited(Some(Bytes::gib(64)), None)),
                Bytes::gib(8),
            ),
            ("a machine of its own", Box::new(|f| f.declared.reserve = Reserve::Percent(0)), Bytes::gib(16)),
            ("two servers", Box::new(|f| f.declared.servers = 2), Bytes::gib(4)),
            (
                "a size kept for others",
                Box::new(|f| f.declared.reserve = Reserve::Size(Bytes::gib(10))),
                Bytes::gib(6),
            ),
            (
                "ZFS without a limit keeps a quarter",
                Box::new(move |f| testing::on_zfs(f, arc(None))),
                Bytes::gib(6),
            ),
            (
                "ZFS with a limit keeps that",
                Box::new(move |f| testing::on_zfs(f, arc(Some(Bytes::gib(2))))),
                Bytes::gib(7),
            ),
            (
                "a loaded module without our data on it keeps nothing",
                Box::new(move |f| {
                    testing::on_zfs(f, arc(None));
                    testing::storage(f, |storage| storage.filesystem = "ext4".to_owned());
                }),
                Bytes::gib(8),
            ),
        ];
        for (case, change, want) in rows {
            let mut facts = base();
            change(&mut facts);
            assert_eq!(share(&facts).unwrap().memory, want, "{case}");
        }
    }

    #[test]
    fn advice_names_the_number_that_the_plan_counts_with() {
        let mut facts = host(Bytes::gib(16), 8, Media::Nvme);
        let arc = Arc { min: Bytes::mib(512), max: Bytes::gib(8), size: Bytes::gib(1), configured_max: None };
        testing::on_zfs(&mut facts, arc);
        let notes = share(&facts).unwrap().notes;
        assert_eq!(notes, ["ZFS: set zfs_arc_max to 4294967296 (4GB), which the plan counts with"]);
    }

    #[test]
    fn without_any_figure_there_is_no_plan_but_a_sentence() {
        let mut facts = host(Bytes::gib(16), 8, Media::Nvme);
        facts.host = Seen::Not("/proc is not readable".to_owned());
        let error = share(&facts).unwrap_err().to_string();
        assert!(error.contains("PGPILOT_MEMORY") && error.contains("/proc is not readable"), "{error}");
        facts = host(Bytes::gib(16), 8, Media::Nvme);
        facts.declared.reserve = Reserve::Size(Bytes::gib(20));
        assert!(share(&facts).unwrap_err().to_string().contains("all but 20GB of the host's 16GB"));
    }

    #[test]
    fn cpu_cases() {
        let rows = [
            ("the host's", None, None, Some(8)),
            ("a limit is rounded up", None, Some(1.5), Some(2)),
            ("a limit above the host's is none", None, Some(64.0), Some(8)),
            ("the option wins", Some(3), Some(1.5), Some(3)),
        ];
        for (case, declared, limit, want) in rows {
            let mut facts = host(Bytes::gib(16), 8, Media::Nvme);
            facts.declared.cpus = declared;
            facts.limits = limited(None, limit);
            assert_eq!(cpus(&facts), want, "{case}");
        }
    }
}
