//! Limits that are not to be reached by all workers at the same moment.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::config::Percent;

/// Makes a limit larger by up to `jitter`, at random.
pub(crate) fn enlarge(limit: u64, jitter: Percent) -> u64 {
    // Beyond 2^53 a double is not exact, and no limit is either.
    limit + (limit as f64 * share(jitter)) as u64
}

/// A random part of a percentage, as a fraction.
pub(crate) fn share(jitter: Percent) -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the limit is what it was set to.
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX) * f64::from(jitter.0) / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_by_no_more_than_the_jitter() {
        for _ in 0..1_000 {
            assert!((1_000..=1_100).contains(&enlarge(1_000, Percent(10))));
            assert!((0.0..=0.5).contains(&share(Percent(50))));
        }
        assert_eq!(enlarge(1_000, Percent(0)), 1_000);
    }
}
