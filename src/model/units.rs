//! Sizes and times in PostgreSQL's notation, and the base units of its settings.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A size in bytes. Prints and reads as PostgreSQL does: `8kB`, `512MB`, `4GB` (powers of 1024, case matters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Suffixes from the largest on; `B` is last and divides everything.
const SIZES: &[(&str, u64)] = &[("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];

impl Bytes {
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// This many hundredths of the size, rounded down.
    pub const fn percent(self, hundredths: u64) -> Self {
        self.scale(hundredths, 100)
    }

    /// `self × numerator ÷ denominator`, rounded down.
    #[expect(clippy::cast_possible_truncation, reason = "a share of memory or disk is far below 16 EiB")]
    pub const fn scale(self, numerator: u64, denominator: u64) -> Self {
        Self((self.0 as u128 * numerator as u128 / denominator as u128) as u64)
    }

    /// The nearest lower multiple of `step`, but at least one step.
    pub fn round_down(self, step: Self) -> Self {
        Self((self.0 / step.0 * step.0).max(step.0))
    }

    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// For a person: one decimal in the largest fitting unit, `15.6GB`.
    pub fn about(self) -> String {
        let (suffix, size) = SIZES.iter().find(|(_, size)| self.0 >= *size).unwrap_or(&("B", 1));
        let tenths = u128::from(self.0) * 10 / u128::from(*size);
        match tenths % 10 {
            0 => format!("{}{suffix}", tenths / 10),
            rest => format!("{}.{rest}{suffix}", tenths / 10),
        }
    }
}

impl fmt::Display for Bytes {
    /// Exact, in the largest unit that divides the size: what ALTER SYSTEM is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZES.iter().find(|(_, size)| self.0.is_multiple_of(*size) && self.0 > 0);
        match exact {
            Some((suffix, size)) => write!(f, "{}{suffix}", self.0 / size),
            None => write!(f, "0"),
        }
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is no size: write a number and a unit, such as 512MB or 8GB");
        let text_ = text.trim();
        let split = text_.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = text_[..split].parse().map_err(|_| bad())?;
        let suffix = text_[split..].trim();
        let (_, size) = SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(suffix)).ok_or_else(bad)?;
        number.checked_mul(*size).map(Self).ok_or_else(bad)
    }
}

/// A length of time in milliseconds. Prints as PostgreSQL does: `200ms`, `30s`, `15min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

const TIMES: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)];

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = TIMES.iter().find(|(_, size)| self.0.is_multiple_of(*size) && self.0 > 0);
        match exact {
            Some((suffix, size)) => write!(f, "{}{suffix}", self.0 / size),
            None => write!(f, "0"),
        }
    }
}

impl FromStr for Millis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!("`{text}` is no length of time: write a number and a unit, such as 500ms, 30s or 5min")
        };
        let text_ = text.trim();
        let split = text_.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = text_[..split].parse().map_err(|_| bad())?;
        let suffix = text_[split..].trim();
        let (_, size) = TIMES.iter().find(|(name, _)| *name == suffix).ok_or_else(bad)?;
        number.checked_mul(*size).map(Self).ok_or_else(bad)
    }
}

/// The unit in which `pg_settings` gives a setting's bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// A plain number, or no number at all.
    Plain,
    /// Bytes, times this many: `kB` is 1024, `8kB` is 8192.
    Size(u64),
    /// Milliseconds, times this many: `s` is 1000.
    Time(u64),
}

/// `pg_settings.unit` as PostgreSQL spells it. A block is 8 kB in every build that is distributed.
const UNITS: &[(&str, Unit)] = &[
    ("B", Unit::Size(1)),
    ("kB", Unit::Size(1 << 10)),
    ("8kB", Unit::Size(8 << 10)),
    ("MB", Unit::Size(1 << 20)),
    ("ms", Unit::Time(1)),
    ("s", Unit::Time(1000)),
    ("min", Unit::Time(60_000)),
];

impl Unit {
    /// From `pg_settings.unit`; an unknown or missing one is [`Unit::Plain`].
    pub fn from_pg(text: Option<&str>) -> Self {
        let known = UNITS.iter().find(|(name, _)| Some(*name) == text);
        known.map_or(Self::Plain, |(_, unit)| *unit)
    }

    /// As `pg_settings.unit` spells it; empty for a plain number.
    pub fn as_pg(self) -> &'static str {
        UNITS.iter().find(|(_, unit)| *unit == self).map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_exactly_and_read_back() {
        let rows = [
            (0, "0"),
            (1, "1B"),
            (8 << 10, "8kB"),
            (1536 << 20, "1536MB"),
            (4 << 30, "4GB"),
            (3 << 40, "3TB"),
        ];
        for (bytes, text) in rows {
            assert_eq!(Bytes(bytes).to_string(), text);
            if bytes > 0 {
                assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
            }
        }
    }

    #[test]
    fn a_size_without_a_unit_is_refused() {
        for bad in ["8", "", "GB", "-1GB", "8XB", "99999999999TB"] {
            assert!(bad.parse::<Bytes>().unwrap_err().contains("8GB"), "{bad}");
        }
    }

    #[test]
    fn times_print_exactly_and_read_back() {
        for (millis, text) in [(200, "200ms"), (30_000, "30s"), (900_000, "15min"), (3_600_000, "1h")] {
            assert_eq!(Millis(millis).to_string(), text);
            assert_eq!(text.parse(), Ok(Millis(millis)), "{text}");
        }
        assert!("5".parse::<Millis>().is_err());
    }

    #[test]
    fn about_has_at_most_one_decimal() {
        for (bytes, text) in
            [(Bytes::mib(15_974), "15.5GB"), (Bytes::gib(2), "2GB"), (Bytes(900), "900B"), (Bytes(0), "0B")]
        {
            assert_eq!(bytes.about(), text);
        }
    }
}
