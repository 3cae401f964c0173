//! How uWSGI reads values.

/// A number, as `atoi` reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Number {
    /// The text is a number. A name alone is 1 (`uwsgi_opt_set_int`).
    Whole(u64),
    /// A number and further text, which has no effect.
    Cut { value: u64, rest: String },
    /// Not a number: uWSGI reads 0.
    None,
    /// uWSGI does not start.
    Negative,
}

impl Number {
    /// What counts, unless uWSGI does not start.
    pub(super) fn value(&self) -> Option<u64> {
        match self {
            Self::Whole(value) | Self::Cut { value, .. } => Some(*value),
            Self::None => Some(0),
            Self::Negative => None,
        }
    }
}

pub(super) fn number(value: Option<&str>) -> Number {
    let Some(text) = value else {
        return Number::Whole(1);
    };
    let text = text.trim();
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = unsigned.split_at(end);
    if digits.is_empty() {
        return Number::None;
    }
    let value = digits.parse().unwrap_or(u64::MAX);
    match rest.trim() {
        _ if is_negative && value > 0 => Number::Negative,
        "" => Number::Whole(value),
        rest => Number::Cut {
            value,
            rest: rest.to_owned(),
        },
    }
}

/// Whether a flag is on: by everything except `false`, `off`, `no` and `0` (`uwsgi_opt_true`).
pub(super) fn is_on(value: Option<&str>) -> bool {
    let off = ["false", "off", "no", "0"];
    !value.is_some_and(|value| off.iter().any(|it| it.eq_ignore_ascii_case(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_digits_end() {
        let cut = |value, rest: &str| Number::Cut {
            value,
            rest: rest.to_owned(),
        };
        for (text, expected) in [
            (None, Number::Whole(1)),
            (Some("8"), Number::Whole(8)),
            (Some(" +8 "), Number::Whole(8)),
            (Some("512 # mb"), cut(512, "# mb")),
            (Some("2g"), cut(2, "g")),
            (Some("1.5"), cut(1, ".5")),
            (Some("true"), Number::None),
            (Some(""), Number::None),
            (Some("%(cpus)"), Number::None),
            (Some("-0"), Number::Whole(0)),
            (Some("-1"), Number::Negative),
            (Some("99999999999999999999"), Number::Whole(u64::MAX)),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn flags_are_on_unless_they_say_otherwise() {
        for (value, expected) in [
            (None, true),
            (Some(""), true),
            (Some("true"), true),
            (Some("1"), true),
            (Some("nope"), true),
            (Some("2"), true),
            (Some("0"), false),
            (Some("FALSE"), false),
            (Some("Off"), false),
            (Some("no"), false),
        ] {
            assert_eq!(is_on(value), expected, "{value:?}");
        }
    }
}
