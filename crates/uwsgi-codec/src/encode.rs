use bytes::{BufMut, BytesMut};

use crate::decode::{begins_http, begins_tls};
use crate::{EncodeError, Header};

/// Returns the header for a block, unless a decoder would reject it.
pub(crate) fn header_for(
    modifier1: u8,
    block: &[u8],
    modifier2: u8,
) -> Result<Header, EncodeError> {
    let Ok(datasize) = u16::try_from(block.len()) else {
        return Err(EncodeError::BlockTooLarge { len: block.len() });
    };
    let header = Header {
        modifier1,
        datasize,
        modifier2,
    };
    let first = header.to_bytes();
    if begins_http(first) || begins_tls(first) {
        return Err(EncodeError::MisleadingHeader { header });
    }
    Ok(header)
}

/// Appends header and block, growing `dst` at most once.
pub(crate) fn encode(header: Header, block: &[u8], dst: &mut BytesMut) {
    dst.reserve(header.packet_len());
    dst.put_slice(&header.to_bytes());
    dst.put_slice(block);
}
