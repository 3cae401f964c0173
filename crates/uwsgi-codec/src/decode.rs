use crate::{DecodeError, Header, Limits};

/// Reads the header in front of `src` and refuses what cannot become a packet.
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

/// Checks a complete block to its end and counts its vars.
pub(crate) fn count_vars(block: &[u8], limits: &Limits) -> Result<usize, DecodeError> {
    if block.len() > usize::from(limits.max_block) {
        return Err(DecodeError::BlockTooLarge {
            datasize: block.len(),
            limit: limits.max_block,
        });
    }
    let mut rest = block;
    let mut vars = 0;
    while !rest.is_empty() {
        if vars == limits.max_vars {
            return Err(DecodeError::TooManyVars { limit: vars });
        }
        let Some((key, value_field)) = split_field(rest) else {
            return Err(key_error(block, rest));
        };
        if key.is_empty() {
            let offset = block.len() - rest.len();
            return Err(DecodeError::EmptyKey { offset });
        }
        let Some((_, next)) = split_field(value_field) else {
            return Err(value_error(block, value_field));
        };
        rest = next;
        vars += 1;
    }
    Ok(vars)
}

/// Splits one length-prefixed field from the front, if it is there in full.
#[inline]
pub(crate) fn split_field(src: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = src.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))
}

/// Says whether a packet cannot begin with these bytes, because HTTP does.
pub(crate) fn begins_http(first: [u8; Header::LEN]) -> bool {
    // The methods of RFC 9110 and RFC 5789, and RFC 9113, "HTTP/2 connection
    // preface". None of their first letters is a modifier1 in use.
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

/// Says whether a packet cannot begin with these bytes, because TLS does.
pub(crate) fn begins_tls(first: [u8; Header::LEN]) -> bool {
    // RFC 8446, "Record Layer": type handshake (22), version 3.x, then the
    // length, at most 2^14. modifier1 22 carries code to evaluate, not vars.
    matches!(first, [22, 3, 0..=4, 0..=0x40])
}

#[cold]
fn key_error(block: &[u8], at: &[u8]) -> DecodeError {
    let offset = block.len() - at.len();
    match at.split_first_chunk() {
        None => DecodeError::TrailingByte { offset },
        Some((len, rest)) => DecodeError::KeyPastEnd {
            offset,
            key_len: u16::from_le_bytes(*len),
            left: rest.len(),
        },
    }
}

#[cold]
fn value_error(block: &[u8], at: &[u8]) -> DecodeError {
    let offset = block.len() - at.len();
    match at.split_first_chunk() {
        None => DecodeError::ValueLengthPastEnd {
            offset,
            left: at.len(),
        },
        Some((len, rest)) => DecodeError::ValuePastEnd {
            offset,
            value_len: u16::from_le_bytes(*len),
            left: rest.len(),
        },
    }
}
