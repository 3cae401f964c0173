use core::error::Error;
use core::fmt;
use std::io::{self, Read};
use std::vec::Vec;

use bytes::Bytes;

use crate::decode::{decode_header, decode_raw_header};
use crate::{DecodeError, Header, Limits, Packet, RawPacket, Vars};

/// Reads one packet, and not a byte more; `None` if the reader ends before the first
/// byte.
///
/// The request body, or the next packet, is the next thing to read. There are two
/// reads at least, for the header and for the block. The reader must block: after
/// [`WouldBlock`](io::ErrorKind::WouldBlock), or a timeout, what has been read is lost.
///
/// # Errors
///
/// [`ReadError::Decode`] as [`PacketRef::decode`](crate::PacketRef::decode), before a
/// byte of the block is read if the header is enough; [`ReadError::Incomplete`] if
/// the reader ends within the packet; [`ReadError::Io`] if it fails.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use uwsgi_codec::{Limits, read_packet};
///
/// let mut socket = &b"\x00\x06\x00\x00\x01\x00k\x01\x00vbody"[..];
/// let packet = read_packet(&mut socket, &Limits::default())?.ok_or("no request")?;
/// assert_eq!(packet.vars.get("k"), Some(&b"v"[..]));
///
/// let mut body = String::new();
/// socket.read_to_string(&mut body)?;
/// assert_eq!(body, "body");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_packet(
    reader: &mut (impl Read + ?Sized),
    limits: &Limits,
) -> Result<Option<Packet>, ReadError> {
    let read = read_block(reader, |first| decode_header(first, limits))?;
    read.map(|(header, block)| {
        let vars = Vars::decode(block, limits)?;
        Ok(Packet { header, vars })
    })
    .transpose()
}

/// Reads one packet as [`read_packet`] does, whatever its block is.
///
/// # Errors
///
/// As [`read_packet`], with the [`DecodeError`]s of
/// [`RawPacketRef::decode`](crate::RawPacketRef::decode).
pub fn read_raw_packet(
    reader: &mut (impl Read + ?Sized),
    limits: &Limits,
) -> Result<Option<RawPacket>, ReadError> {
    let read = read_block(reader, |first| decode_raw_header(first, limits))?;
    Ok(read.map(|(header, block)| RawPacket { header, block }))
}

fn read_block(
    reader: &mut (impl Read + ?Sized),
    decode_header: impl Fn(&[u8]) -> Result<Option<Header>, DecodeError>,
) -> Result<Option<(Header, Bytes)>, ReadError> {
    let mut first = [0; Header::LEN];
    let have = fill(reader, &mut first)?;
    if have == 0 {
        return Ok(None);
    }
    let Some(header) = decode_header(&first[..have])? else {
        let need = Header::LEN;
        return Err(ReadError::Incomplete { have, need });
    };
    let datasize = u64::from(header.datasize);
    let mut block = Vec::with_capacity(usize::from(header.datasize));
    reader.take(datasize).read_to_end(&mut block)?;
    if block.len() < usize::from(header.datasize) {
        return Err(ReadError::Incomplete {
            have: Header::LEN + block.len(),
            need: header.packet_len(),
        });
    }
    Ok(Some((header, block.into())))
}

/// Reads until the buffer is full or the reader ends; returns how much that was.
fn fill(reader: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match reader.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Why no packet could be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// The peer sent something that is not a packet.
    Decode(DecodeError),
    /// The reader ended within a packet.
    Incomplete {
        /// Bytes of the packet that were there.
        have: usize,
        /// Bytes of the packet; of its header, if that is all that is known.
        need: usize,
    },
    /// The reader failed.
    Io(io::Error),
}

impl ReadError {
    /// Returns the cause as a label for metrics: `incomplete_packet`, `io`, or that of
    /// the inner error.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Decode(error) => error.kind(),
            Self::Incomplete { .. } => "incomplete_packet",
            Self::Io(_) => "io",
        }
    }

    /// Returns the status of an HTTP response to the peer: that of the inner error, 408
    /// if the reader failed because its time was over, otherwise 400.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self {
            Self::Decode(error) => error.http_status(),
            Self::Incomplete { .. } => 400,
            Self::Io(error) => status_of_io(error),
        }
    }
}

/// A socket whose read timeout is over gives either kind of error, by platform
/// (`std::net::TcpStream::set_read_timeout`).
pub(crate) fn status_of_io(error: &io::Error) -> u16 {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => 408,
        _ => 400,
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => error.fmt(f),
            Self::Incomplete { have, need } => incomplete_packet(f, *have, *need),
            Self::Io(error) => error.fmt(f),
        }
    }
}

/// What every reader says of an end within a packet.
pub(crate) fn incomplete_packet(
    f: &mut fmt::Formatter<'_>,
    have: usize,
    need: usize,
) -> fmt::Result {
    write!(
        f,
        "the stream ended within a packet: {have} of {need} bytes"
    )
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The message is that of the inner error, so its source comes next.
        match self {
            Self::Decode(error) => error.source(),
            Self::Incomplete { .. } => None,
            Self::Io(error) => error.source(),
        }
    }
}

impl From<DecodeError> for ReadError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
