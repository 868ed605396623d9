//! `rate_limit`: how many requests are answered in a length of time.

use std::time::Duration;

use super::yaml::{Bad, Map};

const KEYS: &[&str] = &["interval", "burst"];

/// A bucket that holds `burst` requests and gains one each `interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) struct Rate {
    pub(in crate::serve) interval: Duration,
    pub(in crate::serve) burst: u32,
}

pub(super) fn read(top: &mut Map) -> Result<Option<Rate>, Bad> {
    let mut section = top.take_map("rate_limit")?;
    let (interval_at, burst_at) = (section.path("interval"), section.path("burst"));
    let interval = section.take_text("interval")?;
    let burst = section.take_text("burst")?;
    section.end(KEYS)?;
    let interval = interval.map_or(Ok(Duration::ZERO), |text| duration(&interval_at, &text))?;
    if interval.is_zero() {
        return Ok(None);
    }
    match burst.as_deref().unwrap_or("0").parse() {
        Ok(burst) if burst >= 1 => Ok(Some(Rate { interval, burst })),
        _ => {
            Err(Bad::new(&burst_at, "expected a whole number from 1 on: with less, nothing is ever answered"))
        }
    }
}

/// Nanoseconds in a unit, as Go spells it; the longer of two that begin alike stands first.
const UNITS: &[(&str, f64)] =
    &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Go's notation: numbers with units, such as `1s`, `1m30s` or `0.5s`; a bare 0 has none.
fn duration(at: &str, text: &str) -> Result<Duration, Bad> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let bad = || Bad::new(at, format!("expected a length of time such as 1s or 500ms, found `{text}`"));
    let (mut nanos, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..end].parse().map_err(|_| bad())?;
        let unit = rest[end..].split(|c: char| c.is_ascii_digit() || c == '.').next().unwrap_or_default();
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        nanos += number * size;
        rest = &rest[end + unit.len()..];
    }
    Duration::try_from_secs_f64(nanos / 1e9).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_gos() {
        let rows =
            [("1s", 1000), ("500ms", 500), ("1m30s", 90_000), ("0.5s", 500), ("0", 0), ("1h", 3_600_000)];
        for (text, millis) in rows {
            assert_eq!(duration("x", text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["1", "s", "1 s", "-1s", "1d", "1..5s", "1e400h"] {
            assert!(duration("x", bad).is_err(), "{bad}");
        }
    }
}
