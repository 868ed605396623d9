//! All settings of a plan while it is being checked.

use super::draft::Draft;
use super::inputs::{Inputs, Proposal, as_count, as_size};
use super::knobs::KNOBS;
use super::sum;
use crate::model::plan::{Block, Verdict};
use crate::model::setting::Value;
use crate::model::units::Bytes;

#[derive(Clone)]
pub(super) struct Drafts<'a> {
    pub inputs: &'a Inputs<'a>,
    pub rows: Vec<Draft<'a>>,
    pub notes: Vec<String>,
}

impl<'a> Drafts<'a> {
    pub(super) fn new(inputs: &'a Inputs<'a>) -> Self {
        let major = inputs.server.major();
        let rows = KNOBS.iter().filter(|knob| knob.is_for(major)).filter_map(|knob| {
            let setting = inputs.server.settings.get(knob.name)?;
            Some(Draft::new(knob, setting, inputs))
        });
        Self { inputs, rows: rows.collect(), notes: vec![] }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|draft| draft.knob.name == name)
    }

    /// What a setting will have when this plan is in force.
    pub(super) fn outcome(&self, name: &str) -> Option<Value> {
        match self.position(name) {
            Some(at) => Some(self.rows[at].outcome(self.inputs)),
            None => self.inputs.will_be(name),
        }
    }

    pub(super) fn size(&self, name: &str) -> Option<Bytes> {
        as_size(&self.outcome(name)?)
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        as_count(&self.outcome(name)?)
    }

    pub(super) fn aim(&self, name: &str) -> Option<Value> {
        match self.position(name) {
            Some(at) => Some(self.rows[at].aim(self.inputs)),
            None => self.inputs.will_be(name),
        }
    }

    /// Brings a setting that has a wanted value down to a lower one, unless something forbids that. True: it ends at
    /// or below it.
    pub(super) fn lower(&mut self, name: &str, to: Value, why: &str) -> bool {
        let Some(at) = self.position(name) else { return false };
        let mut lowered = self.rows[at].clone();
        // Near enough is not good enough where it is above the bound.
        lowered.capped |= lowered.configured.as_number() > to.as_number();
        let has_wanted = matches!(lowered.proposal, Proposal::Set(..));
        if has_wanted && lowered.aim(self.inputs).as_number() > to.as_number() {
            lowered.proposal = Proposal::set(to.clone(), why);
        }
        let fits = lowered.outcome(self.inputs).as_number() <= to.as_number();
        if fits {
            self.rows[at] = lowered;
        }
        fits
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        let at = self.position(name);
        at.is_some_and(|at| self.rows[at].judge(self.inputs).0 == Verdict::Set)
    }

    pub(super) fn veto(&mut self, name: &str, block: Block, why: String) {
        if let Some(at) = self.position(name) {
            self.rows[at].veto = Some((block, why));
        }
    }

    /// The sum of the memory of what will be in force.
    pub(super) fn total(&self) -> Bytes {
        sum::total(self.inputs, &|name| self.worst(name, self.outcome(name)?))
    }

    /// The sum of the memory that the plan aims at, optionally with one value changed.
    pub(super) fn total_aimed(&self, changed: Option<(&str, &Value)>) -> Bytes {
        sum::total(self.inputs, &|name| match changed {
            Some((other, value)) if other == name => self.worst(name, value.clone()),
            _ => self.worst(name, self.aim(name)?),
        })
    }

    /// A value, or the one of its own that a role or a database has, if that is more.
    pub(super) fn worst(&self, name: &str, value: Value) -> Option<Value> {
        let setting = self.inputs.server.settings.get(name)?;
        let others = self.inputs.server.overrides.iter().filter(|other| other.name == name);
        let values = others.map(|other| setting.parse(&other.value));
        Some(
            values.fold(value, |most, value| if value.as_number() > most.as_number() { value } else { most }),
        )
    }
}
