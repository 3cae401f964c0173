//! Durations and sizes as operators write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A span of time: `500ms`, `30s`, `5m`, `2h`, `7d`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let millis = |text| {
            let (number, unit) = split(text)?;
            number.checked_mul(match unit {
                "ms" => 1,
                "" | "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            })
        };
        millis(text)
            .map(Duration::from_millis)
            // A timeout of zero would refuse every request.
            .filter(|span| !span.is_zero() && *span <= MAX_SPAN)
            .map(Self)
            .ok_or(EXPECTED_SPAN)
    }
}

/// A number of bytes: `65536`, `64K`, `1M`, `2G` (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) struct Size(pub(crate) usize);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = |text| {
            let (number, unit) = split(text)?;
            number.checked_mul(match unit.to_ascii_lowercase().as_str() {
                "" | "b" => 1,
                "k" | "kb" | "kib" => 1 << 10,
                "m" | "mb" | "mib" => 1 << 20,
                "g" | "gb" | "gib" => 1 << 30,
                _ => return None,
            })
        };
        bytes(text)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Self)
            .ok_or(EXPECTED_SIZE)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 byte"),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// A share from `0%` to `100%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Percent(pub(crate) u8);

impl Percent {
    /// The share from 0 to 1.
    pub(crate) fn fraction(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl FromStr for Percent {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        split(text)
            .filter(|(_, unit)| matches!(*unit, "" | "%"))
            .and_then(|(number, _)| u8::try_from(number).ok())
            .filter(|percent| *percent <= 100)
            .map(Self)
            .ok_or(EXPECTED_PERCENT)
    }
}

const EXPECTED_SPAN: &str = "expected a time from 1ms to 30d, such as 500ms, 30s, 5m, 2h or 7d";
const EXPECTED_SIZE: &str = "expected a size such as 65536, 64K, 1M or 2G";
const EXPECTED_PERCENT: &str = "expected a percentage from 0% to 100%";

/// 30 days.
const MAX_SPAN: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A number and the unit after it.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_take_units_and_default_to_seconds() {
        for (text, millis) in [
            ("30", 30_000),
            ("500ms", 500),
            ("2 s", 2_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Span(Duration::from_millis(millis))),
                "{text}"
            );
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "-3s",
            "3 weeks",
            "31d",
            "0s",
            "18446744073709551616",
            "2^3",
        ] {
            assert_eq!(text.parse::<Span>(), Err(EXPECTED_SPAN), "{text}");
        }
        for text in ["", "-1", "1.5M", "1T", "99999999999G"] {
            assert_eq!(text.parse::<Size>(), Err(EXPECTED_SIZE), "{text}");
        }
        for text in ["", "-1%", "101%", "256", "5s"] {
            assert_eq!(text.parse::<Percent>(), Err(EXPECTED_PERCENT), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("64K", 65_536),
            ("1M", 1 << 20),
            ("2gib", 2 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }
}
