//! Durations and sizes as operators write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// A span of time: `500ms`, `30s`, `5m`, `2h`, `7d`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)?;
        let millis_per_unit = match unit {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => {
                return Err(UnitError::UnknownUnit {
                    unit: unit.to_owned(),
                    known: "ms, s, m, h, d",
                });
            }
        };
        let millis = number
            .checked_mul(millis_per_unit)
            .filter(|&millis| millis <= MAX_SPAN.as_millis() as u64)
            .ok_or(UnitError::TooLarge { limit: "30d" })?;
        if millis == 0 {
            return Err(UnitError::Zero);
        }
        Ok(Self(Duration::from_millis(millis)))
    }
}

/// A number of bytes: `65536`, `64K`, `1M`, `2G` (powers of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(crate) struct Size(pub(crate) usize);

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split(text)?;
        let bytes_per_unit = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            _ => {
                return Err(UnitError::UnknownUnit {
                    unit: unit.to_owned(),
                    known: "K, M, G",
                });
            }
        };
        number
            .checked_mul(bytes_per_unit)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .map(Self)
            .ok_or(UnitError::TooLarge { limit: "16E" })
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
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        match split(text)? {
            (number, "" | "%") => u8::try_from(number)
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self)
                .ok_or(UnitError::TooLarge { limit: "100%" }),
            (_, unit) => Err(UnitError::UnknownUnit {
                unit: unit.to_owned(),
                known: "%",
            }),
        }
    }
}

/// Why a duration, size or percentage could not be parsed.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum UnitError {
    /// It does not begin with digits.
    #[error("expected a number, optionally followed by a unit")]
    NoNumber,
    /// The letters after the number are not a unit.
    #[error("unknown unit {unit:?}; use one of {known}")]
    UnknownUnit {
        /// The letters after the number.
        unit: String,
        /// The known units.
        known: &'static str,
    },
    /// The value exceeds the limit.
    #[error("larger than {limit}")]
    TooLarge {
        /// The largest value allowed.
        limit: &'static str,
    },
    /// A deadline of zero would refuse every request.
    #[error("must be more than zero")]
    Zero,
}

const MAX_SPAN: Duration = Duration::from_secs(30 * 24 * 3_600);

fn split(text: &str) -> Result<(u64, &str), UnitError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    let number = number
        .parse()
        .map_err(|_| UnitError::TooLarge { limit: "2^64" })?;
    Ok((number, unit.trim_start()))
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
    fn nonsense_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "expected a number, optionally followed by a unit"),
            ("-3s", "expected a number, optionally followed by a unit"),
            (
                "3 weeks",
                "unknown unit \"weeks\"; use one of ms, s, m, h, d",
            ),
            ("31d", "larger than 30d"),
            ("0s", "must be more than zero"),
        ] {
            assert_eq!(
                text.parse::<Span>().unwrap_err().to_string(),
                reason,
                "{text}"
            );
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
        assert!("1.5M".parse::<Size>().is_err());
        assert!("99999999999G".parse::<Size>().is_err());
    }
}
