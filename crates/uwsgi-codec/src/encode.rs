use bytes::{Buf, BufMut};

use crate::foreign::{recognise, recognise_raw};
use crate::{EncodeError, Header, modifier};

/// Returns the header for a block of vars, unless a decoder would reject it.
pub(crate) fn header_for(
    modifier1: u8,
    block: &[u8],
    modifier2: u8,
) -> Result<Header, EncodeError> {
    let header = sized(modifier1, block.len(), modifier2)?;
    // modifier1 0 first, as in the decoder.
    if modifier1 != modifier::WSGI && recognise(header.to_bytes()).is_some() {
        return Err(EncodeError::MisleadingHeader { header });
    }
    Ok(header)
}

/// Returns the header for whatever block, unless a decoder would reject it.
pub(crate) fn raw_header_for(
    modifier1: u8,
    block: &[u8],
    modifier2: u8,
) -> Result<Header, EncodeError> {
    let header = sized(modifier1, block.len(), modifier2)?;
    match recognise_raw(header.to_bytes()) {
        Some(_) => Err(EncodeError::MisleadingHeader { header }),
        None => Ok(header),
    }
}

fn sized(modifier1: u8, len: usize, modifier2: u8) -> Result<Header, EncodeError> {
    let Ok(datasize) = u16::try_from(len) else {
        return Err(EncodeError::BlockTooLarge { len });
    };
    Ok(Header {
        modifier1,
        datasize,
        modifier2,
    })
}

/// Appends header and block, growing `dst` at most once.
pub(crate) fn encode(
    header: Header,
    block: &[u8],
    dst: &mut impl BufMut,
) -> Result<(), EncodeError> {
    let (need, room) = (header.packet_len(), dst.remaining_mut());
    if need > room {
        return Err(EncodeError::NoRoom { need, room });
    }
    dst.put((&header.to_bytes()[..]).chain(block));
    Ok(())
}
