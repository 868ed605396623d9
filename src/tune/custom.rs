//! The custom profile: a TOML file of values and bounds over a base profile.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft::{is_amount, same};
use super::inputs::Proposal;
use super::knobs::{KNOBS, Kind, Knob};
use super::profile::Choice;
use crate::model::setting::{Setting, Value};
use crate::model::units::{Bytes, Millis, Unit};

/// What a custom profile says.
#[derive(Debug, Clone, PartialEq)]
pub struct Custom {
    /// The profile whose bounds hold for what the file does not name; detected where the file names none.
    pub base: Choice,
    pub(super) rules: BTreeMap<String, Rule>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rule {
    Value(Value),
    Bounds { min: Option<Value>, max: Option<Value> },
}

impl Custom {
    /// Reads a file's text. All bad rows are told at once, each with its line.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let (document, broken) = DeTable::parse_recoverable(text);
        let mut reader = Reader { text, bad: vec![], rules: BTreeMap::new(), base: Choice::Auto };
        for error in broken {
            reader.bad_at(error.span().map_or(0, |span| span.start), error.message());
        }
        for (key, value) in document.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("base", DeValue::String(name)) => reader.read_base(value, name),
                ("settings", DeValue::Table(rows)) => reader.read_rows("", rows),
                (name, _) => reader.bad_at(
                    key.span().start,
                    &format!(
                        "`{name}` is not known here: a profile has `base = \"…\"` and a table [settings]"
                    ),
                ),
            }
        }
        reader.finish()
    }
}

/// As many rows as there are settings: a file with more errors is no profile.
const MOST_ERRORS: usize = 50;

struct Reader<'t> {
    text: &'t str,
    /// (line, sentence).
    bad: Vec<(usize, String)>,
    rules: BTreeMap<String, Rule>,
    base: Choice,
}

impl Reader<'_> {
    fn bad_at(&mut self, offset: usize, sentence: &str) {
        let before = self.text.as_bytes().iter().take(offset);
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        self.bad.push((line, sentence.to_owned()));
    }

    fn read_base(&mut self, value: &Spanned<DeValue<'_>>, name: &str) {
        match name.parse() {
            Ok(Choice::Custom) => self.bad_at(value.span().start, "`custom` cannot be its own base"),
            Ok(base) => self.base = base,
            Err(sentence) => self.bad_at(value.span().start, &sentence),
        }
    }

    /// A name with a dot may be written without quotes; TOML then reads it as a table in a table.
    fn read_rows(&mut self, prefix: &str, rows: &DeTable<'_>) {
        for (key, value) in rows {
            let name = format!("{prefix}{}", key.get_ref());
            let inner = format!("{name}.");
            let knob = KNOBS.iter().find(|knob| knob.name == name);
            let row = match (knob, value.get_ref()) {
                (Some(knob), DeValue::Table(bounds)) => read_bounds(knob, bounds),
                (Some(knob), value) => read_value(knob, value).map(Rule::Value),
                (None, DeValue::Table(rows)) if KNOBS.iter().any(|knob| knob.name.starts_with(&inner)) => {
                    self.read_rows(&inner, rows);
                    continue;
                }
                (None, _) => {
                    Err("is not a setting that pgpilot moves; docs/settings.md lists them".to_owned())
                }
            };
            match row {
                Ok(rule) => drop(self.rules.insert(name, rule)),
                Err(sentence) => self.bad_at(key.span().start, &format!("{name}: {sentence}")),
            }
        }
    }

    fn finish(mut self) -> Result<Custom, Vec<String>> {
        if self.bad.is_empty() {
            return Ok(Custom { base: self.base, rules: self.rules });
        }
        self.bad.sort();
        let more = self.bad.len().saturating_sub(MOST_ERRORS);
        let told = self.bad.into_iter().take(MOST_ERRORS);
        let mut told: Vec<_> = told.map(|(line, sentence)| format!("line {line}: {sentence}")).collect();
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        Err(told)
    }
}

fn read_bounds(knob: &Knob, bounds: &DeTable<'_>) -> Result<Rule, String> {
    if !is_amount(knob.kind) {
        return Err("takes a value, not bounds".to_owned());
    }
    let (mut min, mut max) = (None, None);
    for (key, value) in bounds {
        let side = match key.get_ref().as_ref() {
            "min" => &mut min,
            "max" => &mut max,
            other => return Err(format!("`{other}` is no bound: write {{ min = …, max = … }}")),
        };
        *side = Some(read_value(knob, value.get_ref())?);
    }
    match (&min, &max) {
        (None, None) => Err("has neither min nor max".to_owned()),
        (Some(low), Some(high)) if low.as_number() > high.as_number() => {
            Err(format!("min {low} is above max {high}"))
        }
        _ => Ok(Rule::Bounds { min, max }),
    }
}

fn read_value(knob: &Knob, value: &DeValue<'_>) -> Result<Value, String> {
    let text = match value {
        DeValue::String(text) => text.as_ref(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        DeValue::Boolean(true) => "on",
        DeValue::Boolean(false) => "off",
        DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return Err("is neither text nor a number, on or off, or { min = …, max = … }".to_owned());
        }
    };
    match (knob.kind, knob.unit) {
        (Kind::List, _) => Err("is merged with what the server has; it cannot be given".to_owned()),
        (Kind::Word, _) => Ok(Value::Word(text.to_owned())),
        (Kind::Switch, _) => match text {
            "on" | "off" => Ok(Value::Bool(text == "on")),
            _ => Err(format!("`{text}` is neither on nor off")),
        },
        // These two mean "automatic", "none" or "no limit" and have no unit.
        (_, Unit::Size(_) | Unit::Time(_)) if matches!(text, "-1" | "0") => read_number(knob.kind, text),
        (_, Unit::Size(unit)) => {
            let size: Bytes = text.parse()?;
            in_steps(size.0, unit, text, Value::Size(size), knob.unit)
        }
        (_, Unit::Time(unit)) => {
            let time: Millis = text.parse()?;
            in_steps(time.0, unit, text, Value::Time(time), knob.unit)
        }
        (_, Unit::Plain) => read_number(knob.kind, text),
    }
}

/// PostgreSQL would round a value between two steps, and it would never read back as it was written.
fn in_steps(amount: u64, unit: u64, text: &str, value: Value, name: Unit) -> Result<Value, String> {
    let fits = amount.is_multiple_of(unit);
    fits.then_some(value)
        .ok_or_else(|| format!("{text} is no multiple of the setting's unit, {}", name.as_pg()))
}

fn read_number(kind: Kind, text: &str) -> Result<Value, String> {
    let whole = text.parse().map(Value::Int).ok();
    let real = text.parse().ok().filter(|x: &f64| x.is_finite() && kind == Kind::Real).map(Value::Real);
    let article = if kind == Kind::Real { "number" } else { "whole number" };
    whole.or(real).ok_or_else(|| format!("`{text}` is no {article}"))
}

impl Rule {
    /// The file's word on a formula's proposal.
    pub(super) fn apply(&self, formula: Proposal, setting: &Setting, configured: &Value) -> Proposal {
        match self {
            // Read once more in the server's own type: `wal_compression` is a switch in 14 and a word from 15 on.
            Self::Value(value) => {
                Proposal::set(setting.parse(&value.to_string()), "the custom profile says so")
            }
            Self::Bounds { min, max } => match formula {
                Proposal::Set(value, why) => match bounded(&value, min.as_ref(), max.as_ref()) {
                    Some(bound) => {
                        Proposal::set(bound, format!("the custom profile's bound; the rule gives {value}"))
                    }
                    None => Proposal::Set(value, why),
                },
                Proposal::Leave(_) | Proposal::Wait(_) => {
                    match bounded(configured, min.as_ref(), max.as_ref()) {
                        Some(bound) => Proposal::set(bound, "the custom profile's bound"),
                        None => formula,
                    }
                }
            },
        }
    }
}

/// The bound that a value breaks.
fn bounded(value: &Value, min: Option<&Value>, max: Option<&Value>) -> Option<Value> {
    let beyond = |bound: &&Value, order| {
        let pair = value.as_number().zip(bound.as_number());
        pair.is_some_and(|(value, bound)| value.partial_cmp(&bound) == Some(order))
    };
    let low = min.filter(|bound| beyond(bound, std::cmp::Ordering::Less));
    let high = max.filter(|bound| beyond(bound, std::cmp::Ordering::Greater));
    low.or(high).filter(|bound| !same(bound, value)).cloned()
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Policy, plan};
    use super::super::testing::dedicated;
    use super::*;
    use crate::model::facts::Media;

    #[test]
    fn every_bad_row_is_told_with_its_line() {
        let text = "\
base = 'fast'
colour = 'red'

[settings]
shared_bufers = '4GB'
work_mem = '256'
max_connections = 1.5
checkpoint_timeout = '5 minutes'
jit = 'maybe'
maintenance_work_mem = { min = '2GB', max = '1GB' }
wal_buffers = { least = '2GB' }
effective_cache_size = {}
shared_preload_libraries = 'auto_explain'
wal_compression = { min = 'lz4' }
temp_file_limit = '100B'
random_page_cost = [1, 2]
max_wal_size = 16GB
";
        let bad = Custom::parse(text).unwrap_err();
        let starts = [
            "line 1: `fast` is no profile",
            "line 2: `colour` is not known here",
            "line 5: shared_bufers: is not a setting that pgpilot moves",
            "line 6: work_mem: `256` is no size: write a number and a unit",
            "line 7: max_connections: `1.5` is no whole number",
            "line 8: checkpoint_timeout: `5 minutes` is no length of time",
            "line 9: jit: `maybe` is neither on nor off",
            "line 10: maintenance_work_mem: min 2GB is above max 1GB",
            "line 11: wal_buffers: `least` is no bound",
            "line 12: effective_cache_size: has neither min nor max",
            "line 13: shared_preload_libraries: is merged with what the server has",
            "line 14: wal_compression: takes a value, not bounds",
            "line 15: temp_file_limit: 100B is no multiple of the setting's unit, kB",
            "line 16: random_page_cost: is neither text nor a number",
        ];
        for start in starts {
            assert!(bad.iter().any(|sentence| sentence.starts_with(start)), "{start} in {bad:#?}");
        }
        assert!(bad.iter().any(|sentence| sentence.starts_with("line 17: ")), "{bad:#?}");
    }

    #[test]
    fn values_may_be_written_as_toml_or_as_postgres_writes_them() {
        let text = "\
base = 'standard'
[settings]
work_mem = '16MB'
jit = true
random_page_cost = 1.25
max_connections = 120
temp_file_limit = -1
autovacuum_naptime = '1min'
timescaledb.max_background_workers = 24
";
        let custom = Custom::parse(text).unwrap();
        assert_eq!(custom.base, Choice::Standard);
        let value = |name: &str| match &custom.rules[name] {
            Rule::Value(value) => value.to_string(),
            Rule::Bounds { .. } => panic!("{name} has a value"),
        };
        for (name, want) in [
            ("work_mem", "16MB"),
            ("jit", "on"),
            ("random_page_cost", "1.25"),
            ("max_connections", "120"),
            ("temp_file_limit", "-1"),
            ("autovacuum_naptime", "1min"),
            ("timescaledb.max_background_workers", "24"),
        ] {
            assert_eq!(value(name), want, "{name}");
        }
    }

    #[test]
    fn values_and_bounds_stand_over_the_base() {
        let text = "\
base = 'low-memory'
[settings]
checkpoint_timeout = '30min'
max_wal_size = { min = '6GB' }
maintenance_work_mem = { max = '512MB' }
max_connections = { max = 40 }
jit = 'on'
";
        let policy = Policy {
            profile: Choice::Custom,
            custom: Some(Custom::parse(text).unwrap()),
            ..Policy::default()
        };
        let plan = plan(&dedicated(Bytes::gib(16), 8, Media::Nvme), &policy).unwrap();
        assert_eq!(plan.profile, "custom over low-memory");
        let text = |name: &str| plan.row(name).unwrap().planned.clone().unwrap().to_string();
        assert_eq!(text("checkpoint_timeout"), "30min");
        assert_eq!(text("max_wal_size"), "6GB");
        assert_eq!(text("maintenance_work_mem"), "512MB");
        assert_eq!(text("max_connections"), "40");
        assert_eq!(text("shared_buffers"), "1GB");
        assert_eq!(plan.row("max_wal_size").unwrap().why, "the custom profile's bound; the rule gives 4GB");
    }

    #[test]
    fn a_file_without_rows_is_a_profile_too() {
        let empty = Custom::parse("").unwrap();
        assert_eq!((empty.base, empty.rules.len()), (Choice::Auto, 0));
    }
}
