/// Writes a value as nginx does: `-` for none, `\xXX` for what could forge a line.
pub(super) fn escape(line: &mut Vec<u8>, value: Option<&[u8]>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let Some(value) = value else {
        return line.push(b'-');
    };
    // Most values need no escapes, and a search without an early exit finds that out faster.
    if !value
        .iter()
        .fold(false, |any, &byte| any | is_harmful(byte))
    {
        return line.extend_from_slice(value);
    }
    for &byte in value {
        if is_harmful(byte) {
            let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
            line.extend_from_slice(&[b'\\', b'x', HEX[high], HEX[low]]);
        } else {
            line.push(byte);
        }
    }
}

fn is_harmful(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f | 0x7f..)
}
