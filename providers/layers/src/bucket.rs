//! A token bucket as pure data: it says when, somebody else waits.

use std::time::Duration;

use tokio::time::Instant;

/// Lets `burst` through at once and `rate` a second in the long run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// Between two, in the long run.
    period: Duration,
    /// How far the schedule may run ahead of the clock.
    slack: Duration,
    /// When the bucket will be full again.
    full_at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: u32, burst: u32, now: Instant) -> Self {
        let period = Duration::from_secs(1) / rate.max(1);
        Self { period, slack: period * burst.max(1), full_at: now }
    }

    /// Takes a token, and says from when on it may be used.
    pub(crate) fn take(&mut self, now: Instant) -> Instant {
        self.full_at = self.full_at.max(now) + self.period;
        self.full_at.checked_sub(self.slack).unwrap_or(now).max(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::Bucket;

    #[test]
    fn after_the_burst_one_each_period() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10, 3, now);
        let waits: Vec<_> = (0..5).map(|_| (bucket.take(now) - now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
    }

    #[test]
    fn a_pause_fills_it_up_to_the_burst_and_no_further() {
        let now = Instant::now();
        let mut bucket = Bucket::new(10, 2, now);
        for _ in 0..2 {
            bucket.take(now);
        }
        let later = now + Duration::from_secs(3600);
        let waits: Vec<_> = (0..3).map(|_| (bucket.take(later) - later).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100]);
    }

    proptest! {
        /// Whenever they come, in no second more begin than the bucket allows.
        #[test]
        fn no_second_sees_more_than_burst_and_rate(
            gaps in prop::collection::vec(0_u64..40, 1..400),
            rate in 1_u32..100,
            burst in 1_u32..50,
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate, burst, start);
            let mut now = start;
            let mut begun = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                begun.push(bucket.take(now));
            }
            for first in &begun {
                let within = begun.iter().filter(|at| (*first..*first + Duration::from_secs(1)).contains(at)).count();
                // One more for the period that is cut at the window's edge.
                prop_assert!(within <= (rate + burst + 1) as usize, "{within} in a second");
            }
        }
    }
}
