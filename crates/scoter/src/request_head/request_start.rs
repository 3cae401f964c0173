//! When the front end passed a request on.

use std::time::Duration;

/// Reads `t=1763812345.678`, or the same without `t=`: seconds with any number of decimals
/// (nginx's `$msec`), or whole milliseconds (Heroku's router) or microseconds (`%t` of
/// Apache's mod_headers), distinguished by their magnitude.
pub(super) fn time_since_epoch(text: &[u8]) -> Option<Duration> {
    let text = text.strip_prefix(b"t=").unwrap_or(text);
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let whole = digits(parts.next()?)?;
    let fraction = parts.next().unwrap_or(b"0");
    if whole < SECONDS_END {
        // Nine decimals are nanoseconds.
        let decimals = &fraction[..fraction.len().min(9)];
        let scale = 10u64.pow(9 - u32::try_from(decimals.len()).ok()?);
        let nanos = digits(decimals)? * scale;
        return Some(Duration::new(whole, u32::try_from(nanos).ok()?));
    }
    digits(fraction)?;
    if whole < MILLIS_END {
        Some(Duration::from_millis(whole))
    } else {
        (whole < MICROS_END).then(|| Duration::from_micros(whole))
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > MAX_DIGITS {
        return None;
    }
    text.iter().try_fold(0, |number: u64, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

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
