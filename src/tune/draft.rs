//! One setting on its way to a row of the plan: what is there, what is wanted, what stands between.

use super::barriers;
use super::inputs::{Inputs, Proposal};
use super::knobs::{Kind, Knob};
use super::profile::LOW_MEMORY;
use crate::model::plan::{Block, Row, Verdict};
use crate::model::postgres::Postgres;
use crate::model::setting::{Context, Setting, Value};

/// A setting while it is being planned.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub knob: &'static Knob,
    pub setting: &'a Setting,
    pub in_force: Value,
    /// What the server will have if nothing is done: the entry in `postgresql.auto.conf`, else the value in force.
    pub configured: Value,
    pub proposal: Proposal,
    /// A check lowered the proposal: a higher present value is not good enough, however near.
    pub capped: bool,
    /// Something about the value itself forbids it.
    pub veto: Option<(Block, String)>,
    /// `postgresql.auto.conf` names it.
    has_entry: bool,
    /// The custom profile named this setting, so the card's figure is no longer worth a remark.
    named_by_custom: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(knob: &'static Knob, setting: &'a Setting, inputs: &Inputs<'_>) -> Self {
        let configured = Self::configured(inputs.server, knob.name, setting);
        let rule = inputs.policy.rule(knob.name);
        let formula = (knob.formula)(inputs);
        let proposal = match rule {
            Some(rule) => rule.apply(formula, setting, &configured),
            None => formula,
        };
        let mut draft = Self {
            knob,
            setting,
            in_force: setting.value(),
            configured,
            proposal,
            capped: false,
            veto: None,
            has_entry: inputs.server.entry(knob.name).is_some(),
            named_by_custom: rule.is_some(),
        };
        draft.bring_into_bounds();
        draft
    }

    /// The entry of `postgresql.auto.conf`, which the next reload or start will read; a value on the command line
    /// outranks it.
    pub(super) fn configured(server: &Postgres, name: &str, setting: &Setting) -> Value {
        match server.entry(name) {
            Some(entry) if setting.source != barriers::COMMAND_LINE => setting.parse(entry),
            _ => setting.value(),
        }
    }

    /// A formula's number is brought into the server's bounds; what a person wrote, and words, are refused instead.
    fn bring_into_bounds(&mut self) {
        let Proposal::Set(value, why) = &self.proposal else { return };
        if self.setting.accepts(value) {
            return;
        }
        match self.nearest(value).filter(|_| !self.named_by_custom) {
            Some(nearest) => self.proposal = Proposal::set(nearest, format!("{why}; the server's bound")),
            None => self.veto = Some((Block::NotAccepted, self.not_accepted(value))),
        }
    }

    fn nearest(&self, value: &Value) -> Option<Value> {
        let number = self.setting.in_unit(value)?;
        let bound = match (self.setting.min, self.setting.max) {
            (Some(min), _) if number < min => min,
            (_, Some(max)) if number > max => max,
            _ => return None,
        };
        Some(self.setting.parse(&format!("{bound}")))
    }

    fn not_accepted(&self, value: &Value) -> String {
        let setting = self.setting;
        if !setting.enumvals.is_empty() {
            return format!("this server does not know {value}: it takes {}", setting.enumvals.join(", "));
        }
        let bound = |bound: Option<f64>| {
            bound.map_or_else(String::new, |b| setting.parse(&format!("{b}")).to_string())
        };
        format!("{value} is outside of {} to {}", bound(setting.min), bound(setting.max))
    }

    /// The value that the plan aims at: the wanted one, or what is configured where that may not be moved.
    ///
    /// Unlike the outcome it does not depend on how near the present value happens to be, so that what is computed
    /// from it is the same before and after the plan is applied.
    pub(super) fn aim(&self, inputs: &Inputs<'_>) -> Value {
        match &self.proposal {
            Proposal::Set(value, _) => match self.barrier(inputs) {
                None => value.clone(),
                // What is held back may come back by its name at any time: room is kept for it.
                Some((Block::Held, _)) if value.as_number() > self.configured.as_number() => value.clone(),
                Some(_) => self.configured.clone(),
            },
            Proposal::Leave(_) | Proposal::Wait(_) => self.configured.clone(),
        }
    }

    fn barrier(&self, inputs: &Inputs<'_>) -> Option<(Block, String)> {
        barriers::first(self, inputs)
    }

    /// The value that the setting will have once the plan is in force.
    pub(super) fn outcome(&self, inputs: &Inputs<'_>) -> Value {
        match (&self.proposal, self.judge(inputs).0) {
            (Proposal::Set(value, _), Verdict::Set) => value.clone(),
            (Proposal::Set(..) | Proposal::Leave(_) | Proposal::Wait(_), _) => self.configured.clone(),
        }
    }

    pub(super) fn judge(&self, inputs: &Inputs<'_>) -> (Verdict, String) {
        let (value, why) = match &self.proposal {
            Proposal::Leave(why) => return (Verdict::Keep, why.clone()),
            Proposal::Wait(fact) => return (Verdict::Wait, format!("needs {fact}")),
            Proposal::Set(value, why) => (value, why),
        };
        if self.is_good(value) {
            return self.present(value, why);
        }
        match self.barrier(inputs) {
            Some((block, sentence)) => (Verdict::Block(block), sentence),
            None => (Verdict::Set, why.clone() + &self.role_remark(inputs)),
        }
    }

    /// Whether what is configured already is near enough to the wanted value.
    fn is_good(&self, wanted: &Value) -> bool {
        // In force, but only until the next start: somebody took the entry away.
        if self.setting.context == Context::Restart && self.setting.pending_restart && !self.has_entry {
            return false;
        }
        if same(wanted, &self.configured) {
            return true;
        }
        let (Some(wanted), Some(present)) = (wanted.as_number(), self.configured.as_number()) else {
            return false;
        };
        // Zero, and -1 for "automatic" or "none", are words rather than amounts.
        let amounts = wanted > 0.0 && present > 0.0;
        let band = self.knob.dead_band_percent as f64 * wanted.max(present) / 100.0;
        // What a person wrote is meant to the letter.
        let near = !self.named_by_custom && (wanted - present).abs() <= band.max(self.knob.step.0 as f64);
        amounts && near && !(self.capped && present > wanted)
    }

    /// The verdict on a value that is good as it is configured.
    fn present(&self, wanted: &Value, why: &str) -> (Verdict, String) {
        let loaded = same(&self.configured, &self.in_force);
        match (loaded, self.setting.context) {
            (true, _) if same(wanted, &self.configured) => (Verdict::Keep, why.to_owned()),
            (true, _) => {
                (Verdict::Keep, format!("within {} % of {wanted}: {why}", self.knob.dead_band_percent))
            }
            (false, Context::Restart) => {
                (Verdict::Pending, format!("written: {} at the server's next start", self.configured))
            }
            (false, _) => {
                (Verdict::Keep, format!("written: {}; our session shows {}", self.configured, self.in_force))
            }
        }
    }

    fn role_remark(&self, inputs: &Inputs<'_>) -> String {
        let winner = inputs.server.overrides.iter().find(|other| other.name == self.knob.name);
        winner.map_or_else(String::new, |winner| {
            format!("; for {} its own {} wins", barriers::owner(winner), winner.value)
        })
    }

    pub(super) fn into_row(self, inputs: &Inputs<'_>) -> Row {
        let (verdict, mut why) = self.judge(inputs);
        let is_rule = matches!(verdict, Verdict::Set | Verdict::Keep) && !self.named_by_custom;
        let small = inputs.profile.name == LOW_MEMORY.name;
        if let Some(card) = self.knob.card.filter(|card| is_rule && card.small == small) {
            why = format!("{why}; {}", card.remark);
        }
        Row {
            name: self.knob.name.to_owned(),
            current: self.in_force,
            planned: match self.proposal {
                Proposal::Set(value, _) => Some(value),
                Proposal::Leave(_) | Proposal::Wait(_) => None,
            },
            context: self.setting.context,
            verdict,
            why,
        }
    }
}

/// The same value, whatever its notation.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one.as_number(), other.as_number()) {
        (Some(one), Some(other)) => (one - other).abs() < 1e-9,
        _ => one == other,
    }
}

/// A list is never a number: its knob merges.
pub(super) const fn is_amount(kind: Kind) -> bool {
    matches!(kind, Kind::Whole | Kind::Real)
}
