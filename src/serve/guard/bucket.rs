//! A token bucket: so many requests at once, and one more each interval.

use std::time::Instant;

use crate::serve::web_config::Rate;

#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Requests that may come now; a part of one is on its way.
    left: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn full(rate: Rate, now: Instant) -> Self {
        Self { rate, left: f64::from(rate.burst), at: now }
    }

    /// Takes one; false if there is none.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.at).as_secs_f64() / self.rate.interval.as_secs_f64();
        self.left = (self.left + gained).min(f64::from(self.rate.burst));
        self.at = now;
        let is_there = self.left >= 1.0;
        self.left -= if is_there { 1.0 } else { 0.0 };
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_passes_and_then_one_each_interval() {
        let since = Instant::now();
        let mut bucket = Bucket::full(Rate { interval: Duration::from_secs(1), burst: 2 }, since);
        let rows =
            [(0, true), (0, true), (0, false), (900, false), (1000, true), (1000, false), (60_000, true)];
        for (millis, want) in rows {
            assert_eq!(bucket.take(since + Duration::from_millis(millis)), want, "{millis}");
        }
        // However long nobody came, a burst is what there is.
        let later = since + Duration::from_secs(3600);
        assert_eq!((0..5).filter(|_| bucket.take(later)).count(), 2);
    }
}
