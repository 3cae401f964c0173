use http::Method;
use uwsgi_codec::modifier::{self, Contents};
use uwsgi_codec::{
    ContentLength, ContentLengthError, DecodeError, Limits, RawPacket, VarsRef, content_length,
};

/// A packet of a captured stream, and how long the body behind it is.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Where the packet begins, in bytes from the start of the stream.
    pub(crate) offset: u64,
    pub(crate) packet: RawPacket,
    pub(crate) contents: Contents,
    pub(crate) body_len: u64,
}

impl Request {
    /// Looks into a packet.
    pub(crate) fn new(offset: u64, packet: RawPacket) -> Result<Self, Malformed> {
        let header = packet.header;
        let contents = match modifier::contents(header.modifier1, header.modifier2) {
            Some(Contents::Vars) => {
                packet.vars(&LIMITS)?;
                Contents::Vars
            }
            Some(Contents::Array) => {
                packet.items(&LIMITS)?;
                Contents::Array
            }
            Some(_) => Contents::Bytes,
            // Bytes that happen to be vars are improbable.
            None if packet.vars(&LIMITS).is_ok() => Contents::Vars,
            None => Contents::Bytes,
        };
        let mut request = Self {
            offset,
            packet,
            contents,
            body_len: 0,
        };
        request.body_len = request.announced_len()?;
        Ok(request)
    }

    /// Returns the vars; none if the block is something else.
    pub(crate) fn vars(&self) -> VarsRef<'_> {
        match self.contents {
            Contents::Vars => self.packet.vars(&LIMITS).unwrap_or_default(),
            _ => VarsRef::default(),
        }
    }

    /// Returns the name of `modifier1`.
    pub(crate) fn modifier(&self) -> &'static str {
        modifier::name(self.packet.header.modifier1).unwrap_or("unknown")
    }

    /// Returns the method and the target of an HTTP request, as far as they are known.
    pub(crate) fn line(&self) -> Option<(&[u8], &[u8])> {
        let vars = self.vars();
        let method = vars.get("REQUEST_METHOD")?;
        let target = vars.get("REQUEST_URI").or_else(|| vars.get("PATH_INFO"));
        Some((method, target.unwrap_or_default()))
    }

    /// Returns the method by which the end of the reply is found, if the reply is HTTP.
    pub(crate) fn http_method(&self) -> Option<Method> {
        match self.packet.header.modifier1 {
            modifier::SPOOLER
            | modifier::MESSAGE_VARS
            | modifier::CLUSTER
            | modifier::CONFIG
            | modifier::CACHE
            | modifier::ROUTER_SIGNAL
            | modifier::SUBSCRIBE => None,
            _ if self.contents != Contents::Vars => None,
            _ => {
                let method = self.vars().get("REQUEST_METHOD").unwrap_or(b"GET");
                Some(Method::from_bytes(method).unwrap_or_default())
            }
        }
    }

    fn announced_len(&self) -> Result<u64, ContentLengthError> {
        let header = self.packet.header;
        let vars = self.vars();
        match (header.modifier1, header.modifier2) {
            // `modifier::CACHE`: a value to be set follows the packet.
            (modifier::CACHE, 17) => match (vars.get("cmd"), vars.get("size")) {
                (Some(b"set" | b"update"), Some(size)) => ContentLength::parse(size),
                _ => Ok(0),
            },
            _ => Ok(content_length(vars)?.unwrap_or(0)),
        }
    }
}

/// Why the end of a request cannot be known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    #[error(transparent)]
    Packet(#[from] DecodeError),
    #[error(transparent)]
    Length(#[from] ContentLengthError),
}

impl Malformed {
    /// Returns where in the block the fault is, if it is at one place.
    pub(crate) fn block_offset(&self) -> Option<usize> {
        match *self {
            Self::Packet(
                DecodeError::EmptyKey { offset }
                | DecodeError::TrailingByte { offset }
                | DecodeError::KeyPastEnd { offset, .. }
                | DecodeError::ValueLengthPastEnd { offset, .. }
                | DecodeError::ValuePastEnd { offset, .. }
                | DecodeError::ItemPastEnd { offset, .. },
            ) => Some(offset),
            _ => None,
        }
    }

    /// Returns the cause as a label.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Packet(error) => error.kind(),
            Self::Length(error) => error.kind(),
        }
    }
}

/// As many vars as a block has room for: this is a tool to look at packets with.
pub(crate) const LIMITS: Limits = Limits::new().with_max_vars(u16::MAX as usize);
