//! When the front end passed a request on.

use std::time::Duration;

/// Reads `t=1763812345.678`, or the same without `t=`: seconds with any number of decimals
/// (nginx's `$msec`), or whole milliseconds (Heroku's router) or microseconds (`%t` of
/// Apache's mod_headers), distinguished by their magnitude.
pub(super) fn time_since_epoch(text: &[u8]) -> Option<Duration> {
    let text = text.strip_prefix(b"t=").unwrap_or(text);
    let (whole, rest) = digits(text)?;
    let fraction = match rest {
        [] => &b"0"[..],
        [b'.', fraction @ ..] => fraction,
        _ => return None,
    };
    if whole < SECONDS_END {
        // Nine decimals are nanoseconds.
        let decimals = &fraction[..fraction.len().min(9)];
        let nanos = all_digits(decimals)? * u64::from(NANOS[decimals.len()]);
        return Some(Duration::new(whole, u32::try_from(nanos).ok()?));
    }
    all_digits(fraction)?;
    if whole < MILLIS_END {
        Some(Duration::from_millis(whole))
    } else {
        (whole < MICROS_END).then(|| Duration::from_micros(whole))
    }
}

/// The number in front, and what follows it.
fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    let mut length = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if length == MAX_DIGITS {
            return None;
        }
        number = number * 10 + u64::from(digit);
        length += 1;
    }
    (length > 0).then(|| (number, &text[length..]))
}

fn all_digits(text: &[u8]) -> Option<u64> {
    digits(text).and_then(|(number, rest)| rest.is_empty().then_some(number))
}

/// How many nanoseconds the last of so many decimals stands for.
const NANOS: [u32; 10] = [
    1_000_000_000,
    100_000_000,
    10_000_000,
    1_000_000,
    100_000,
    10_000,
    1_000,
    100,
    10,
    1,
];

/// The year 5138 in seconds is March 1973 in milliseconds, and so on.
const SECONDS_END: u64 = 100_000_000_000;
const MILLIS_END: u64 = SECONDS_END * 1_000;
const MICROS_END: u64 = MILLIS_END * 1_000;

/// Any number with this many digits fits a `u64`.
const MAX_DIGITS: usize = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_a_time_mean_the_same() {
        for text in [
            "t=1763812345.678",
            "1763812345.678",
            "t=1763812345.678000",
            "1763812345678",
            "t=1763812345678",
            "1763812345678.000",
            "t=1763812345678000",
            "1763812345.678000000999",
        ] {
            let time = time_since_epoch(text.as_bytes());
            assert_eq!(
                time,
                Some(Duration::from_millis(1_763_812_345_678)),
                "{text}"
            );
        }
        let whole = time_since_epoch(b"1763812345");
        assert_eq!(whole, Some(Duration::from_secs(1_763_812_345)));
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in [
            "",
            "t=",
            "t=.5",
            "t=1.",
            "t=x",
            "-5",
            "+5",
            "1e9",
            "1763812345,678",
            " 1763812345",
            "t=1763812345.67x",
            "t=t=1763812345",
            "1763812345678000000",
            "99999999999999999999",
            "1763812345678.x",
        ] {
            assert_eq!(time_since_epoch(text.as_bytes()), None, "{text}");
        }
    }
}
