//! Other protocols that turn up on a uwsgi socket, told by the four bytes where a
//! header should be.
//!
//! A prefix is listed only if no packet in use begins with it: the first byte would
//! have to be a `modifier1` that neither uwsgi-docs ("The uwsgi Protocol") nor a
//! plugin of uWSGI 2.0.31 assigns, or one whose block is not what is being decoded.
//! Of the letters A to Z, 65 to 90, only H (72, not a packet but the reply itself),
//! I (73) and J (74) are assigned, and no prefix below begins with I or J. Four
//! bytes have to be enough: a decoder that waited for more would treat the same
//! header differently, depending on how the bytes were split.

use crate::{DecodeError, Header, modifier};

/// Returns which other protocol these bytes begin, if any.
///
/// `modifier1` 0, that of requests, begins none: the caller checks that first.
#[cold]
#[inline(never)]
pub(crate) fn recognise(first: [u8; Header::LEN]) -> Option<DecodeError> {
    match first {
        // RFC 8446, "Record Layer": type handshake (22), version 3.x, then the
        // length, at most 2^14. modifier1 22 carries code to evaluate, not vars.
        [22, 3, 0..=4, 0..=0x40] => Some(DecodeError::TlsHandshake),
        // haproxy, proxy-protocol.txt, 2.2: the signature begins with two line
        // ends. modifier1 13 is not assigned.
        [b'\r', b'\n', b'\r', b'\n'] => Some(DecodeError::ProxyHeader { version: 2 }),
        // RFC 9112, 2.2: a server ignores an empty line in front of a request, so
        // clients may send one. With a bare line feed this would be modifier1 10,
        // which is assigned, so that is not recognised.
        [b'\r', b'\n', a, b] if begins_method([a, b]) => Some(DecodeError::PlainHttp),
        // haproxy, proxy-protocol.txt, 2.1.
        [b'P', b'R', b'O', b'X'] => Some(DecodeError::ProxyHeader { version: 1 }),
        // RFC 4253, 4.2: an identification string, which either side sends first.
        [b'S', b'S', b'H', b'-'] => Some(DecodeError::Ssh),
        // RFC 9112, 4: a status line. modifier1 72 is listed in uwsgi-docs for it.
        [b'H', b'T', b'T', b'P'] => Some(DecodeError::HttpReply),
        _ if is_method(first) => Some(DecodeError::PlainHttp),
        _ => None,
    }
}

/// Returns which other protocol these bytes begin, if whatever block is valid.
///
/// That leaves out TLS: the code that `modifier1` 22 carries may have any length.
pub(crate) fn recognise_raw(first: [u8; Header::LEN]) -> Option<DecodeError> {
    match first[0] {
        modifier::EVAL => None,
        _ => recognise(first),
    }
}

fn is_method(first: [u8; Header::LEN]) -> bool {
    METHODS.contains(&&first)
}

fn begins_method(letters: [u8; 2]) -> bool {
    METHODS.iter().any(|method| method[..2] == letters)
}

/// The first four bytes of request lines: the methods of IANA's "Hypertext Transfer
/// Protocol (HTTP) Method Registry" (among them `QUERY` and those of WebDAV), the
/// HTTP/2 preface (RFC 9113, 3.4), and `PURGE`, which caches use.
const METHODS: &[&[u8; Header::LEN]] = &[
    b"ACL ", b"BASE", b"BIND", b"CHEC", b"CONN", b"COPY", b"DELE", b"GET ", b"HEAD", b"LABE",
    b"LINK", b"LOCK", b"MERG", b"MKAC", b"MKCA", b"MKCO", b"MKRE", b"MKWO", b"MOVE", b"OPTI",
    b"ORDE", b"PATC", b"POST", b"PRI ", b"PROP", b"PURG", b"PUT ", b"QUER", b"REBI", b"REPO",
    b"SEAR", b"TRAC", b"UNBI", b"UNCH", b"UNLI", b"UNLO", b"UPDA", b"VERS",
];
