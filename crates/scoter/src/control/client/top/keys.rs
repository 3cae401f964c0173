//! Keys, as a terminal sends them.

/// The letters among the bytes that a terminal has sent, and Ctrl-C and Ctrl-D. Control sequences,
/// which other keys send, are skipped (ECMA-48, 5.4; xterm's SS3).
pub(super) fn letters(bytes: &[u8]) -> Vec<char> {
    let mut letters = Vec::new();
    let mut rest = bytes.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            ESCAPE => match rest.next() {
                Some(b'[') => {
                    let is_final = |byte: &u8| (0x40..=0x7e).contains(byte);
                    let _ = rest.by_ref().find(is_final);
                }
                Some(b'O') => drop(rest.next()),
                // With Alt.
                Some(_) | None => {}
            },
            CTRL_C | CTRL_D => letters.push(QUIT),
            byte if byte.is_ascii_graphic() => letters.push(char::from(byte)),
            _ => {}
        }
    }
    letters
}

/// The key that ends `top`; Ctrl-C and Ctrl-D count as the same.
pub(super) const QUIT: char = 'q';

const ESCAPE: u8 = 0x1b;
const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_of_other_keys_are_no_letters() {
        for (bytes, expected) in [
            (&b"q"[..], "q"),
            (b"cm", "cm"),
            (b"\x03", "q"),
            (b"\x04", "q"),
            // Arrows, F5, Page Up, a mouse, a paste.
            (b"\x1b[A\x1b[Dc", "c"),
            (b"\x1bOq", ""),
            (b"\x1b[15~", ""),
            (b"\x1b[5;2~r", "r"),
            (b"\x1b[<0;10;20M", ""),
            (b"\x1b[", ""),
            (b"\x1b", ""),
            (b"\x1bq", ""),
            (b"\r\n \t\x80\xff", ""),
        ] {
            let found: String = letters(bytes).into_iter().collect();
            assert_eq!(found, expected, "{bytes:?}");
        }
    }
}
