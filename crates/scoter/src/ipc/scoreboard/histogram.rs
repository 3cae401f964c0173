//! Histograms of times, with the same fixed bounds everywhere.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::writer::Writer;
use crate::sys::durations::nanos;

/// A histogram in shared memory.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Histogram {
    counts: [AtomicU64; BUCKETS],
    /// The sum of all values in nanoseconds.
    sum: AtomicU64,
}

/// What a histogram, or several together, have counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Distribution {
    /// For each of [`BOUNDS`], the values up to it and above the one before; then those above all.
    counts: Vec<u64>,
    pub(crate) sum: Duration,
}

impl Histogram {
    pub(super) fn note(&self, value: Duration, writer: Writer) {
        let nanos = nanos(value);
        writer.add(&self.counts[bucket(nanos)], 1);
        writer.add(&self.sum, nanos);
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
            sum: AtomicU64::new(0),
        }
    }
}

impl Distribution {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&histogram.counts) {
            *count += more.load(Relaxed);
        }
        self.sum += Duration::from_nanos(histogram.sum.load(Relaxed));
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many values are at most `bound`, which must be one of the bounds.
    pub(crate) fn up_to(&self, bound: Duration) -> u64 {
        let below = BOUNDS.partition_point(|it| *it <= nanos(bound));
        self.counts.iter().take(below).sum()
    }

    /// The values that were added after `earlier` was read.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let counts = self.counts.iter().zip(&earlier.counts);
        Self {
            counts: counts
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
            sum: self.sum.saturating_sub(earlier.sum),
        }
    }

    /// An estimate of the value that the share `rank` of all values, from 0 to 1, does not exceed;
    /// `None` without any value. Within a bucket values count as evenly spread, and what lies above
    /// all bounds counts as the last one: as in `histogram_quantile()` of Prometheus.
    pub(crate) fn quantile(&self, rank: f64) -> Option<Duration> {
        let wanted = rank * self.count() as f64;
        let mut before = 0.0;
        for (index, count) in self.counts.iter().enumerate() {
            let count = *count as f64;
            if count > 0.0 && before + count >= wanted {
                let lower = index.checked_sub(1).map_or(0, |index| BOUNDS[index]);
                let upper = BOUNDS.get(index).copied().unwrap_or(lower);
                let part = ((wanted - before) / count).clamp(0.0, 1.0);
                let within = Duration::from_nanos(upper - lower).mul_f64(part);
                return Some(Duration::from_nanos(lower) + within);
            }
            before += count;
        }
        None
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            sum: Duration::ZERO,
        }
    }
}

/// The bucket of a value: the first whose bound is not below it.
fn bucket(nanos: u64) -> usize {
    // From the number of binary digits it is a few steps at most.
    let mut index = usize::from(FIRST_OF_DIGITS[(u64::BITS - nanos.leading_zeros()) as usize]);
    while index < BOUNDS.len() && BOUNDS[index] < nanos {
        index += 1;
    }
    index
}

/// Upper bounds in nanoseconds, from 0.1 ms to 60 s, six in a decade. An upgrade passes counts on,
/// so they stay as they are.
const BOUNDS: [u64; 36] = {
    const MS: u64 = 1_000_000;
    const STEPS: [u64; 6] = [10, 15, 25, 35, 50, 75];
    let mut bounds = [0; 36];
    let mut index = 0;
    let mut scale = MS / 100;
    while index < 30 {
        bounds[index] = STEPS[index % 6] * scale;
        if index % 6 == 5 {
            scale *= 10;
        }
        index += 1;
    }
    let seconds = [10, 15, 20, 30, 45, 60];
    while index < 36 {
        bounds[index] = seconds[index - 30] * 1_000 * MS;
        index += 1;
    }
    bounds
};

const BUCKETS: usize = BOUNDS.len() + 1;

/// For each number of binary digits, the bucket of the smallest value that has so many.
const FIRST_OF_DIGITS: [u8; 65] = {
    let mut first = [0; 65];
    let mut digits = 1;
    while digits <= 64 {
        let smallest = 1 << (digits - 1);
        let mut index = 0;
        while index < BOUNDS.len() && BOUNDS[index] < smallest {
            index += 1;
        }
        first[digits] = index as u8;
        digits += 1;
    }
    first
};

#[cfg(test)]
impl Distribution {
    /// A distribution of these values.
    pub(crate) fn of(values: &[Duration]) -> Self {
        let histogram = Histogram::default();
        for value in values {
            histogram.note(*value, Writer::Only);
        }
        let mut distribution = Self::default();
        distribution.add(&histogram);
        distribution
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_ascend_from_a_tenth_of_a_millisecond_to_a_minute() {
        assert!(BOUNDS.is_sorted_by(|one, next| one < next));
        assert_eq!((BOUNDS[0], BOUNDS[35]), (100_000, 60_000_000_000));
    }

    proptest! {
        #[test]
        fn bucket_is_the_first_whose_bound_is_not_exceeded(nanos: u64, digits in 0..64_u32) {
            let nanos = nanos >> digits;
            prop_assert_eq!(bucket(nanos), BOUNDS.partition_point(|bound| *bound < nanos));
        }
    }

    #[test]
    fn value_at_a_bound_is_counted_as_up_to_it() {
        for (index, bound) in BOUNDS.into_iter().enumerate() {
            assert_eq!(bucket(bound), index);
            assert_eq!(bucket(bound + 1), index + 1);
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, 36));
    }

    #[test]
    fn quantiles_are_estimated_within_their_bucket() {
        let ms = Duration::from_millis;
        for (values, rank, expected) in [
            (&[][..], 0.5, None),
            // Ten values between 5 and 7.5 ms.
            (&[ms(6); 10], 0.5, Some(6.25)),
            (&[ms(6); 10], 1.0, Some(7.5)),
            (
                &[ms(1), ms(1), ms(1), ms(90)],
                0.5,
                Some(0.75 + 0.25 * 2.0 / 3.0),
            ),
            (
                &[ms(1), ms(1), ms(1), ms(90)],
                0.99,
                Some(75.0 + 25.0 * 0.96),
            ),
            (&[ms(100_000)], 0.5, Some(60_000.0)),
        ] {
            let quantile = Distribution::of(values).quantile(rank);
            let quantile = quantile.map(|time| (time.as_secs_f64() * 1e6).round() / 1e3);
            let expected = expected.map(|ms: f64| (ms * 1e3).round() / 1e3);
            assert_eq!(quantile, expected, "{values:?} {rank}");
        }
    }

    #[test]
    fn difference_has_only_what_came_later() {
        let ms = Duration::from_millis;
        let earlier = Distribution::of(&[ms(1), ms(7)]);
        let later = Distribution::of(&[ms(1), ms(7), ms(7), ms(90_000)]);
        let difference = later.since(&earlier);
        assert_eq!((difference.count(), difference.sum), (2, ms(90_007)));
        assert_eq!((difference.up_to(ms(5)), difference.up_to(ms(10))), (0, 1));
    }
}
