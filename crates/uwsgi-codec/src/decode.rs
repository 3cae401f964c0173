use crate::{DecodeError, Header, Limits, Var};

/// Reads the header at the front of `src` and rejects what cannot become a packet.
pub(crate) fn decode_header(src: &[u8], limits: &Limits) -> Result<Option<Header>, DecodeError> {
    let Some(&first) = src.first_chunk() else {
        return Ok(None);
    };
    if begins_http(first) {
        return Err(DecodeError::PlainHttp);
    }
    if begins_tls(first) {
        return Err(DecodeError::TlsHandshake);
    }
    let header = Header::from_bytes(first);
    if header.datasize > limits.max_block {
        return Err(DecodeError::BlockTooLarge {
            datasize: usize::from(header.datasize),
            limit: limits.max_block,
        });
    }
    Ok(Some(header))
}

/// Checks a complete block, passes each var to the callback, and counts them.
pub(crate) fn check_vars<'a>(
    block: &'a [u8],
    limits: &Limits,
    mut see: impl FnMut(Var<'a>),
) -> Result<usize, DecodeError> {
    if block.len() > usize::from(limits.max_block) {
        return Err(DecodeError::BlockTooLarge {
            datasize: block.len(),
            limit: limits.max_block,
        });
    }
    let mut at = 0;
    let mut vars = 0;
    while at < block.len() {
        if vars == limits.max_vars {
            return Err(DecodeError::TooManyVars { limit: vars });
        }
        let Some((key, value_at)) = field_at(block, at) else {
            return Err(key_error(block, at));
        };
        if key.is_empty() {
            return Err(DecodeError::EmptyKey { offset: at });
        }
        let Some((value, next)) = field_at(block, value_at) else {
            return Err(value_error(block, value_at));
        };
        see(Var {
            key,
            value,
            offset: value_at + 2,
        });
        at = next;
        vars += 1;
    }
    Ok(vars)
}

/// Reads the length-prefixed field at an offset, if it is there in full;
/// returns it with the offset of what follows.
// Each length is found through the one before it, so that chain of loads is
// what a walk costs. Offsets into one slice keep it shorter than slices of
// slices do: 130 ns instead of 153 to check and walk 24 vars.
#[inline]
pub(crate) fn field_at(block: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let start = at + 2;
    let &[low, high] = block.get(at..start)? else {
        return None;
    };
    let end = start + usize::from(u16::from_le_bytes([low, high]));
    Some((block.get(start..end)?, end))
}

/// Whether these bytes begin an HTTP request, and so no packet.
pub(crate) fn begins_http(first: [u8; Header::LEN]) -> bool {
    // The methods of RFC 9110 and RFC 5789, and RFC 9113, "HTTP/2 connection
    // preface". Of their first letters only H is a modifier1, that of replies.
    matches!(
        &first,
        b"GET "
            | b"HEAD"
            | b"POST"
            | b"PUT "
            | b"DELE"
            | b"CONN"
            | b"OPTI"
            | b"TRAC"
            | b"PATC"
            | b"PRI "
    )
}

/// Whether these bytes begin a TLS handshake, and so no packet.
pub(crate) fn begins_tls(first: [u8; Header::LEN]) -> bool {
    // RFC 8446, "Record Layer": type handshake (22), version 3.x, then the
    // length, at most 2^14. modifier1 22 carries code to evaluate, not vars.
    matches!(first, [22, 3, 0..=4, 0..=0x40])
}

#[cold]
#[inline(never)]
fn key_error(block: &[u8], offset: usize) -> DecodeError {
    match length_at(block, offset) {
        Ok((key_len, left)) => DecodeError::KeyPastEnd {
            offset,
            key_len,
            left,
        },
        Err(_) => DecodeError::TrailingByte { offset },
    }
}

#[cold]
#[inline(never)]
fn value_error(block: &[u8], offset: usize) -> DecodeError {
    match length_at(block, offset) {
        Ok((value_len, left)) => DecodeError::ValuePastEnd {
            offset,
            value_len,
            left,
        },
        Err(left) => DecodeError::ValueLengthPastEnd { offset, left },
    }
}

/// Reads a length and the number of bytes after it, or returns how many bytes
/// there are instead.
fn length_at(block: &[u8], offset: usize) -> Result<(u16, usize), usize> {
    let rest = block.get(offset..).unwrap_or_default();
    match rest.split_first_chunk() {
        Some((len, behind)) => Ok((u16::from_le_bytes(*len), behind.len())),
        None => Err(rest.len()),
    }
}
