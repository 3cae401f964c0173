use std::fmt::{self, Write};

/// A peer's bytes as text for a terminal.
///
/// Printable characters are as they are. Control characters, other characters that do not print, bytes that are not
/// UTF-8 and backslashes are escaped, so that nothing is ambiguous and no terminal obeys.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '"' | '\'' => f.write_char(character)?,
                    '\0'..='\x7f' => write!(f, "{}", (character as u8).escape_ascii())?,
                    _ => write!(f, "{}", character.escape_debug())?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_does_not_print_is_escaped() {
        for (bytes, text) in [
            (&b"/a?b=\"c\" 'd'"[..], "/a?b=\"c\" 'd'"),
            ("/\u{e4}\u{65e5}".as_bytes(), "/\u{e4}\u{65e5}"),
            (b"\x1b[2J\r\n\t\0", r"\x1b[2J\r\n\t\x00"),
            (b"a\\n\xff\xc3", r"a\\n\xff\xc3"),
            ("\u{202e}".as_bytes(), r"\u{202e}"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), text, "{bytes:?}");
        }
    }
}
