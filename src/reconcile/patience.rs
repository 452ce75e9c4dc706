//! When something that failed is tried again. Pure.

use std::time::Duration;

use crate::trouble::Patience;

/// A broken ExternalSecret costs no more calls than a healthy one and this many.
const QUICK_TRIES: u32 = 10;
/// While the backend is in trouble. The breaker keeps these tries away from it.
const LONGEST_BRIEF: Duration = Duration::from_secs(30);
/// For an ExternalSecret that has no interval.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long to wait after `attempts` failures in a row (the first is 1). `jitter` is between 0 and 1; `hint` is the
/// least that the server asked for; `interval` is how long a healthy one would wait.
pub(crate) fn pause(
    patience: Patience,
    attempts: u32,
    interval: Option<Duration>,
    hint: Option<Duration>,
    jitter: f64,
) -> Duration {
    let doubled = Duration::from_secs(1).saturating_mul(1 << attempts.saturating_sub(1).min(20));
    let calm = interval.unwrap_or(LONGEST);
    let pause = match patience {
        Patience::Brief => doubled.min(LONGEST_BRIEF),
        Patience::Long if attempts > QUICK_TRIES => calm,
        Patience::Long => doubled.min(calm),
    };
    pause.max(hint.unwrap_or_default()).mul_f64(1.0 + 0.2 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause;
    use crate::trouble::Patience;

    const DAY: Duration = Duration::from_secs(86_400);

    /// How many tries fall into one day.
    fn tries_per_day(patience: Patience, interval: Duration) -> u32 {
        let (mut time, mut tries) = (Duration::ZERO, 0);
        while time < DAY {
            tries += 1;
            time += pause(patience, tries, Some(interval), None, 0.0);
        }
        tries
    }

    #[test]
    fn a_broken_one_costs_as_much_as_a_healthy_one_and_ten() {
        assert!(tries_per_day(Patience::Long, DAY) <= 11);
        assert!(tries_per_day(Patience::Long, Duration::from_secs(3600)) <= 24 + 10);
        let fast = tries_per_day(Patience::Long, Duration::from_secs(15));
        assert!(fast <= 86_400 / 15 + 10, "{fast}");
    }

    #[test]
    fn trouble_that_passes_is_noticed_within_half_a_minute() {
        assert_eq!(pause(Patience::Brief, 1, Some(DAY), None, 0.0), Duration::from_secs(1));
        assert_eq!(pause(Patience::Brief, 99, Some(DAY), None, 0.0), Duration::from_secs(30));
    }

    #[test]
    fn the_servers_hint_is_the_least() {
        let hint = Duration::from_secs(120);
        assert_eq!(pause(Patience::Brief, 1, Some(DAY), Some(hint), 0.0), hint);
    }

    #[test]
    fn jitter_only_adds() {
        let calm = pause(Patience::Long, 3, None, None, 0.0);
        let late = pause(Patience::Long, 3, None, None, 1.0);
        assert!(calm < late && late <= calm.mul_f64(1.2));
    }
}
