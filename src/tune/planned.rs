//! What tests of the plan ask: a machine, its plan, a row of that.

use super::inputs::as_size;
use super::plan::{Policy, plan};
use super::testing::dedicated;
use super::{Choice, Custom};
use crate::model::facts::{Facts, Media};
use crate::model::plan::{Plan, Row};
use crate::model::units::Bytes;

/// A machine of PostgreSQL's own with 8 CPUs and NVMe, changed as the test wants it.
pub(super) fn machine(gib: u64, change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = dedicated(Bytes::gib(gib), 8, Media::Nvme);
    change(&mut facts);
    facts
}

pub(super) fn planned(facts: &Facts) -> Plan {
    plan(facts, &Policy::default()).unwrap()
}

pub(super) fn custom(text: &str) -> Policy {
    let custom = Custom::parse(text).unwrap();
    Policy { profile: Choice::Custom, custom: Some(custom), ..Policy::default() }
}

pub(super) fn row(plan: &Plan, name: &str) -> Row {
    plan.row(name).unwrap().clone()
}

pub(super) fn size(plan: &Plan, name: &str) -> Bytes {
    as_size(&row(plan, name).planned.unwrap()).unwrap()
}
