//! Formulas of what the server measures and logs.

use super::inputs::{Inputs, Proposal};

/// Reading these clocks takes a microsecond, twice for each block; the others take some 20 ns.
const SLOW_CLOCKS: &[&str] = &["hpet", "acpi_pm", "jiffies", "pit"];

pub(super) fn io_timing(inputs: &Inputs<'_>) -> Proposal {
    let clock = inputs.facts.host.get().and_then(|host| host.clocksource.as_deref());
    match clock {
        Some(clock) if SLOW_CLOCKS.contains(&clock) => {
            Proposal::switch(false, format!("reading the clock {clock} takes a microsecond"))
        }
        Some(clock) => Proposal::switch(true, format!("the clock {clock} is read in nanoseconds")),
        None => Proposal::Wait("the kernel's clock source, which the host did not show".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::proposed_text;
    use super::super::testing::dedicated;
    use crate::model::facts::{Media, Seen};
    use crate::model::units::Bytes;

    #[test]
    fn timing_is_measured_where_the_clock_is_cheap() {
        for (clock, want) in
            [(Some("tsc"), "on"), (Some("kvm-clock"), "on"), (Some("hpet"), "off"), (None, "wait")]
        {
            let mut facts = dedicated(Bytes::gib(8), 4, Media::Ssd);
            if let Seen::Now(host) = &mut facts.host {
                host.clocksource = clock.map(ToOwned::to_owned);
            }
            assert_eq!(proposed_text(&facts, "track_io_timing"), want, "{clock:?}");
            assert_eq!(proposed_text(&facts, "track_wal_io_timing"), want, "{clock:?}");
        }
    }
}
