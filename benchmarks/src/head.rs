use std::mem::MaybeUninit;

use crate::expectation::excerpt;
use crate::fault::Fault;
use crate::options::Protocol;
use crate::tally::HeaderCounts;

/// What of a reply's head decides how its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Whether the connection may be used again.
    pub(crate) keeps: bool,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// A head that was parsed.
#[derive(Debug)]
pub(crate) struct Parsed<'b> {
    pub(crate) head: Head,
    pub(crate) reason: &'b str,
    /// Bytes of it.
    pub(crate) len: usize,
}

/// Parses the head at the front of `bytes`, and counts its headers. `None`:
/// there is more to come.
pub(crate) fn parse<'b>(
    bytes: &'b [u8],
    protocol: Protocol,
    counts: &mut HeaderCounts,
) -> Result<Option<Parsed<'b>>, Fault> {
    let malformed = |reason: &dyn ToString| Fault::Head {
        got: excerpt(bytes),
        reason: reason.to_string(),
    };
    let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut reply = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut reply,
        bytes,
        &mut headers,
    );
    let len = match parsed {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() > MAX_HEAD => {
            return Err(malformed(&"it does not end"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(malformed(&error)),
    };
    let (Some(status), Some(version)) = (reply.code, reply.version) else {
        return Err(malformed(&"it has no status"));
    };

    let mut length = None;
    let mut chunked = false;
    let mut keeps = version == 1;
    for header in reply.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") {
            let Some(value) = decimal(header.value) else {
                return Err(malformed(&"its Content-Length is no number"));
            };
            if length.is_some_and(|length| length != value) {
                return Err(malformed(&"it has two values of Content-Length"));
            }
            length = Some(value);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked |= header.value.eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case("connection") {
            if header.value.eq_ignore_ascii_case(b"close") {
                keeps = false;
            } else if header.value.eq_ignore_ascii_case(b"keep-alive") {
                keeps = true;
            }
        }
        counts.count(name, header.value);
    }
    // nginx's uwsgi module does not decode chunks, so that they are part of the body there.
    let framing = match (protocol, chunked, length) {
        (Protocol::Http, true, _) => Framing::Chunked,
        (_, _, Some(length)) => Framing::Length(length),
        _ => Framing::UntilClose,
    };
    Ok(Some(Parsed {
        head: Head {
            status,
            framing,
            keeps: keeps && framing != Framing::UntilClose,
        },
        reason: reply.reason.unwrap_or_default(),
        len,
    }))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 * 1024;
