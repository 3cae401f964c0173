//! Text and numbers in HTML.

use std::fmt::{self, Write};

/// Text that anybody may have chosen, as characters of HTML, in an element or a quoted attribute.
///
/// What would not be seen is written as an escape: control characters, and those that reorder the
/// characters around them (UAX 9) or take no room, with which one URI can pass for another.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' | '\\' => f.write_char(letter)?,
                _ => write!(f, "{}", letter.escape_debug())?,
            }
        }
        Ok(())
    }
}

/// A whole number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number and the noun behind it, in the plural if need be.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(number as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        for (text, expected) in [
            ("/a?b=1&c=%2F", "/a?b=1&amp;c=%2F"),
            ("</td><script>", "&lt;/td&gt;&lt;script&gt;"),
            ("\" onclick='x'", "&quot; onclick=&#39;x&#39;"),
            ("a\\b\tc\nd", "a\\b\tc\nd"),
            ("schön/日本/שלום", "schön/日本/שלום"),
            ("\0\r\x1b[2J\u{9b}", "\\0\\r\\u{1b}[2J\\u{9b}"),
            ("gpj\u{202e}exe.\u{2066}", "gpj\\u{202e}exe.\\u{2066}"),
            ("pay\u{200b}pal\u{feff}", "pay\\u{200b}pal\\u{feff}"),
        ] {
            assert_eq!(Text(text).to_string(), expected);
        }
    }

    #[test]
    fn thousands_are_apart() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }
}
