//! Numbers as HTTP has them: digits and nothing else.

/// Why a text is not a valid length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDecimal {
    Syntax,
    TooLarge,
}

/// Reads one or more digits, up to 2^63-1.
pub(crate) fn parse(text: &[u8]) -> Result<u64, NotDecimal> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(NotDecimal::Syntax);
    }
    text.iter()
        .try_fold(0_u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .filter(|&number| number <= MAX)
        .ok_or(NotDecimal::TooLarge)
}

// The largest value that fits a signed file offset in every language.
const MAX: u64 = i64::MAX as u64;
