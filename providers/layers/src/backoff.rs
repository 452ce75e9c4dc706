//! How long to pause between two tries. Pure.

use std::time::Duration;

/// A pause between `base` and three times the last one, but never above `cap`; `random` lies in `0..1`. Callers that
/// failed together thus spread out more with every try.
pub(crate) fn decorrelated(base: Duration, last: Duration, cap: Duration, random: f64) -> Duration {
    let spread = (last * 3).saturating_sub(base);
    (base + spread.mul_f64(random.clamp(0.0, 1.0))).min(cap)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::decorrelated;

    proptest! {
        #[test]
        fn pauses_stay_within_their_bounds(randoms in prop::collection::vec(0.0..1.0, 1..20)) {
            let (base, cap) = (Duration::from_millis(100), Duration::from_secs(5));
            let mut last = base;
            for random in randoms {
                let pause = decorrelated(base, last, cap, random);
                prop_assert!(pause >= base && pause <= cap && pause <= last * 3);
                last = pause;
            }
        }
    }

    #[test]
    fn a_base_above_the_cap_is_capped() {
        let (base, cap) = (Duration::from_secs(9), Duration::from_secs(5));
        assert_eq!(decorrelated(base, base, cap, 0.5), cap);
    }
}
