//! Any bytes are the head of a reply, too few, or refused, however they are cut; what was
//! read has no ambiguous end, can be written, and is then read as the same.

#![no_main]

use arbitrary::Arbitrary;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::Method;
use libfuzzer_sys::fuzz_target;
use uwsgi_codec::http::{BodyEnd, ReplyError, ReplyHead, ReplyLimits};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    is_head: bool,
    max_bytes: u8,
    max_headers: u8,
    cut: u8,
    has_status_line: bool,
    wire: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let method = match input.is_head {
        true => Method::HEAD,
        false => Method::GET,
    };
    let start: &[u8] = match input.has_status_line {
        true => b"HTTP/1.1 200 OK\r\n",
        false => b"",
    };
    let wire = [start, input.wire].concat();
    let limits = ReplyLimits::new()
        .with_max_bytes(64 + 4 * usize::from(input.max_bytes))
        .with_max_headers(usize::from(input.max_headers));
    let whole = ReplyHead::parse(&wire, &method, &limits);
    check_cut(&wire[..wire.len().min(input.cut.into())], &method, &limits, &whole);
    if let Ok(Some((head, len))) = whole {
        assert!(len <= wire.len() && len <= limits.max_bytes);
        assert!(head.headers().len() <= limits.max_headers);
        check_head(&head, &method);
    }
});

/// What the first bytes showed, the others do not change.
fn check_cut(
    cut: &[u8],
    method: &Method,
    limits: &ReplyLimits,
    whole: &Result<Option<(ReplyHead, usize)>, ReplyError>,
) {
    let early = ReplyHead::parse(cut, method, limits);
    if !matches!(early, Ok(None)) {
        assert_eq!(format!("{early:?}"), format!("{whole:?}"));
    }
}

fn check_head(head: &ReplyHead, method: &Method) {
    let headers = head.headers();
    assert!(!headers.contains_key(TRANSFER_ENCODING));
    let lengths: Vec<_> = headers.get_all(CONTENT_LENGTH).iter().collect();
    assert!(lengths.len() <= 1);
    match head.body_end() {
        BodyEnd::Length(length) => assert_eq!(lengths[0], length.to_string().as_str()),
        BodyEnd::Close => assert!(lengths.is_empty()),
        BodyEnd::None | BodyEnd::Tunnel => {}
    }
    if head.keeps_connection() {
        assert!(matches!(head.body_end(), BodyEnd::None | BodyEnd::Length(_)));
        assert!(!head.is_interim());
    }

    let mut out = Vec::new();
    head.encode(&mut out).expect("a Vec grows");
    let limits = ReplyLimits::new().with_max_headers(1_000);
    let again = ReplyHead::parse(&out, method, &limits).expect("it was read before");
    let (again, len) = again.expect("it was written whole");
    assert_eq!(len, out.len());
    assert_eq!(head.status(), again.status());
    assert_eq!(head.reason(), again.reason());
    assert_eq!(head.headers(), again.headers());
    assert_eq!(head.body_end(), again.body_end());

    if head.is_interim() {
        return;
    }
    let made = ReplyHead::new(head.status(), headers.clone(), method).expect("it is a head");
    assert_eq!(made.headers(), headers);
    assert_eq!(made.body_end(), head.body_end());
}
