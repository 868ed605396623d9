//! One PostgreSQL setting: its value with a unit, what the server says of it, and how ALTER SYSTEM spells it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::units::{Bytes, Millis, Unit};

/// A typed value of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    Size(Bytes),
    Time(Millis),
    Int(i64),
    Real(f64),
    Bool(bool),
    /// An enum's word or a plain string.
    Word(String),
    /// A list of names, such as `shared_preload_libraries`.
    List(Vec<String>),
}

impl Value {
    /// The value as a number in base units: bytes, milliseconds, 0 or 1 for booleans.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Size(bytes) => Some(bytes.0 as f64),
            Self::Time(millis) => Some(millis.0 as f64),
            Self::Int(n) => Some(*n as f64),
            Self::Real(x) => Some(*x),
            Self::Bool(on) => Some(f64::from(u8::from(*on))),
            Self::Word(_) | Self::List(_) => None,
        }
    }

    /// For people: an empty list has a word.
    pub fn shown(&self) -> String {
        let text = self.to_string();
        if text.is_empty() { "(none)".to_owned() } else { text }
    }

    /// What stands after `ALTER SYSTEM SET name TO`.
    ///
    /// Each element of a list is quoted by itself: one string `'a,b'` would be stored as a single name, and the
    /// server would not start. An empty list has no spelling at all, for `''` is stored as `""`, with the same end.
    pub fn to_sql(&self) -> Option<String> {
        match self {
            Self::List(items) if items.is_empty() || items.iter().any(|item| item.trim().is_empty()) => None,
            Self::List(items) => Some(items.iter().map(|item| quote(item)).collect::<Vec<_>>().join(", ")),
            Self::Size(_) | Self::Time(_) | Self::Int(_) | Self::Real(_) | Self::Bool(_) | Self::Word(_) => {
                Some(quote(&self.to_string()))
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(bytes) => bytes.fmt(f),
            Self::Time(millis) => millis.fmt(f),
            Self::Int(n) => n.fmt(f),
            Self::Real(x) => x.fmt(f),
            Self::Bool(on) => f.write_str(if *on { "on" } else { "off" }),
            Self::Word(word) => f.write_str(word),
            Self::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

/// A string literal: quotes doubled, and the escape form where there is a backslash.
pub fn quote(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// An identifier; a setting's name may have one dot, each part is quoted by itself.
pub fn quote_name(name: &str) -> String {
    name.split('.').map(quote_identifier).collect::<Vec<_>>().join(".")
}

/// A name of one part, such as a role's or a schema's: a dot in it is no separator.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The elements of a list as PostgreSQL stores it: `a, "b,c"` is `a` and `b,c`.
pub fn split_list(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(String::new()),
            _ => items.last_mut().expect("starts with one").push(c),
        }
    }
    items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// When a change of a setting takes effect: `pg_settings.context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Context {
    /// `postmaster`: at the next start.
    Restart,
    /// `sighup`, `user` and `superuser`: at a reload.
    Reload,
    /// `internal`, `backend` and the like: not ours to move.
    Fixed,
}

impl Context {
    pub fn from_pg(text: &str) -> Self {
        match text {
            "postmaster" => Self::Restart,
            "sighup" | "user" | "superuser" => Self::Reload,
            _ => Self::Fixed,
        }
    }

    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Fixed => "fixed",
        }
    }
}

/// A row of `pg_settings`, as the server gave it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// In force in our session, as a bare number in `unit` for numeric types.
    pub setting: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// `bool`, `integer`, `real`, `enum` or `string`.
    pub vartype: String,
    pub context: Context,
    /// `default`, `configuration file`, `command line`, …
    pub source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enumvals: Vec<String>,
    #[serde(default)]
    pub pending_restart: bool,
}

impl Setting {
    /// The typed form of a text that stands in this setting's base unit or in PostgreSQL's notation.
    pub fn parse(&self, text: &str) -> Value {
        let unit = Unit::from_pg(self.unit.as_deref());
        match (self.vartype.as_str(), unit) {
            ("bool", _) => Value::Bool(is_true(text)),
            ("integer" | "real", Unit::Size(size)) => scaled(text, size).map_or_else(
                || text.parse().map_or_else(|_| number(text), Value::Size),
                |n| Value::Size(Bytes(n)),
            ),
            ("integer" | "real", Unit::Time(size)) => scaled(text, size).map_or_else(
                || text.parse().map_or_else(|_| number(text), Value::Time),
                |n| Value::Time(Millis(n)),
            ),
            ("integer" | "real", Unit::Plain) => number(text),
            // Of the strings we move only `shared_preload_libraries`, which is a list.
            ("string", _) => Value::List(split_list(text)),
            _ => Value::Word(text.to_owned()),
        }
    }

    /// The typed value in force.
    pub fn value(&self) -> Value {
        self.parse(&self.setting)
    }

    /// Whether a value lies within what the server accepts.
    pub fn accepts(&self, value: &Value) -> bool {
        let Some(number) = self.in_unit(value) else {
            return self.enumvals.is_empty()
                || matches!(value, Value::Word(word) if self.enumvals.iter().any(|known| known == word));
        };
        self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max)
    }

    /// A value as a bare number in this setting's own unit.
    pub fn in_unit(&self, value: &Value) -> Option<f64> {
        let number = value.as_number()?;
        match (Unit::from_pg(self.unit.as_deref()), value) {
            (Unit::Size(size), Value::Size(_)) | (Unit::Time(size), Value::Time(_)) => {
                Some(number / size as f64)
            }
            _ => Some(number),
        }
    }
}

/// As PostgreSQL reads booleans: any case, and the words may be cut short.
fn is_true(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    text == "1"
        || text == "on"
        || (!text.is_empty() && ["true", "yes"].iter().any(|word| word.starts_with(&text)))
}

/// A non-negative bare number times the unit's size.
fn scaled(text: &str, size: u64) -> Option<u64> {
    text.parse::<u64>().ok().and_then(|n| n.checked_mul(size))
}

fn number(text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(n), _) => Value::Int(n),
        (_, Ok(x)) => Value::Real(x),
        _ => Value::Word(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(vartype: &str, unit: Option<&str>, text: &str) -> Setting {
        Setting {
            setting: text.to_owned(),
            unit: unit.map(ToOwned::to_owned),
            vartype: vartype.to_owned(),
            context: Context::Reload,
            source: "default".to_owned(),
            min: None,
            max: None,
            enumvals: vec![],
            pending_restart: false,
        }
    }

    #[test]
    fn values_are_read_in_the_settings_unit_or_in_postgres_notation() {
        let rows = [
            ("integer", Some("8kB"), "16384", Value::Size(Bytes::mib(128))),
            ("integer", Some("8kB"), "4GB", Value::Size(Bytes::gib(4))),
            ("integer", Some("MB"), "-1", Value::Int(-1)),
            ("integer", Some("s"), "900", Value::Time(Millis(900_000))),
            ("real", None, "0.9", Value::Real(0.9)),
            ("bool", None, "on", Value::Bool(true)),
            ("bool", None, "TRUE", Value::Bool(true)),
            ("bool", None, "o", Value::Bool(false)),
            ("enum", None, "lz4", Value::Word("lz4".to_owned())),
            ("string", None, "a, \"b,c\"", Value::List(vec!["a".to_owned(), "b,c".to_owned()])),
        ];
        for (vartype, unit, text, want) in rows {
            assert_eq!(setting(vartype, unit, text).value(), want, "{text}");
        }
    }

    #[test]
    fn each_element_of_a_list_is_quoted_by_itself_and_an_empty_one_cannot_be_spelled() {
        let list = |items: &[&str]| Value::List(items.iter().map(|item| (*item).to_owned()).collect());
        assert_eq!(
            list(&["timescaledb", "pg_stat_statements"]).to_sql().unwrap(),
            "'timescaledb', 'pg_stat_statements'"
        );
        assert_eq!(list(&[]).to_sql(), None);
        assert_eq!(list(&[""]).to_sql(), None);
    }

    #[test]
    fn quotes_and_backslashes_cannot_leave_the_literal() {
        assert_eq!(quote("o'clock"), "'o''clock'");
        assert_eq!(quote(r"a\'b"), r"E'a\\''b'");
        assert_eq!(quote_name("pg_stat_statements.max"), "\"pg_stat_statements\".\"max\"");
    }

    #[test]
    fn bounds_are_in_the_settings_own_unit() {
        let row = Setting {
            min: Some(16.0),
            max: Some(1_073_741_823.0),
            ..setting("integer", Some("8kB"), "16384")
        };
        assert!(row.accepts(&Value::Size(Bytes::kib(128))));
        assert!(!row.accepts(&Value::Size(Bytes::kib(64))));
        let words = Setting { enumvals: vec!["pglz".to_owned()], ..setting("enum", None, "pglz") };
        assert!(!words.accepts(&Value::Word("lz4".to_owned())));
    }
}
