//! The rate of `--access-log-sample`.

use std::str::FromStr;

/// The share of successes that have a line: from `0.001%` to `100%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SampleRate {
    /// Thousandths of a per cent.
    parts: u32,
}

impl SampleRate {
    /// Whether a request is in the sample. That depends on nothing but its ID: each server that
    /// knows a request by the same ID, with the same rate or a higher one, takes it as well.
    pub(super) fn takes(self, request_id: &[u8]) -> bool {
        let share = hash(request_id) >> 32;
        share * u64::from(WHOLE) < u64::from(self.parts) << 32
    }

    /// The share, up to 1. Each line stands for the inverse of it.
    pub(in crate::log::access) fn ratio(self) -> f64 {
        f64::from(self.parts) / f64::from(WHOLE)
    }
}

impl FromStr for SampleRate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parts(text)
            .filter(|parts| (1..=WHOLE).contains(parts))
            .map(|parts| Self { parts })
            .ok_or("expected a percentage from 0.001% to 100%, such as 10% or 0.5%")
    }
}

fn parts(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str, longest| {
        (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole, 3) || !is_number(decimals, 3) {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let thousandths: u32 = format!("{decimals:0<3}").parse().ok()?;
    Some(whole * 1_000 + thousandths)
}

/// FNV-1a, and the last steps of SplitMix64, without which IDs that differ in their last digit are
/// close to each other. Other releases must not decide otherwise.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Thousandths in 100 %.
const WHOLE: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> SampleRate {
        text.parse().unwrap()
    }

    #[test]
    fn rates_are_percentages() {
        for (text, ratio) in [
            ("100%", 1.0),
            ("10%", 0.1),
            ("0.5%", 0.005),
            ("0.001%", 0.000_01),
            ("33.333%", 0.333_33),
        ] {
            assert!((rate(text).ratio() - ratio).abs() < 1e-12, "{text}");
        }
        for text in [
            "", "%", "10", "0.1", "1/10", "0%", "0.0001%", "101%", "100.001%", "-1%", "+1%",
            "1e1%", ".5%", "5.%", "10 %", "10%%", "off",
        ] {
            assert!(text.parse::<SampleRate>().is_err(), "{text}");
        }
    }

    #[test]
    fn share_of_the_ids_is_taken() {
        for ids in [
            |number: u32| format!("{number}"),
            |number: u32| format!("{number:032x}"),
            |number: u32| format!("{:032x}", u128::from(number) << 96),
        ] {
            for (text, expected) in [("100%", 100_000), ("50%", 50_000), ("1%", 1_000)] {
                let takes = |number: &u32| rate(text).takes(ids(*number).as_bytes());
                let taken = (0..100_000).filter(takes).count();
                // More than six standard deviations.
                assert!(
                    taken.abs_diff(expected) <= 1_000.min(expected / 4),
                    "{text} {taken}"
                );
            }
        }
    }

    #[test]
    fn what_a_low_rate_takes_a_higher_one_takes_too() {
        for number in 0..10_000 {
            let id = format!("id-{number}");
            let id = id.as_bytes();
            assert!(rate("5%").takes(id) <= rate("20%").takes(id));
        }
    }

    #[test]
    fn decision_is_the_same_in_every_release() {
        let taken: Vec<_> = (0..40)
            .filter(|number: &u32| rate("10%").takes(format!("request-{number}").as_bytes()))
            .collect();
        assert_eq!(taken, [7, 12, 16, 24]);
    }
}
