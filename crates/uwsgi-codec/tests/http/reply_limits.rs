//! The limits of the heads of replies.

use http::Method;
use uwsgi_codec::http::{ReplyError, ReplyHead, ReplyLimits};

use crate::reply_head::parse;

fn head_with(headers: usize) -> Vec<u8> {
    let lines: String = (0..headers).map(|n| format!("X-{n}: {n}\r\n")).collect();
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes()
}

#[test]
fn head_of_as_many_bytes_as_allowed_is_read() {
    let wire = head_with(3);
    for (max_bytes, is_read) in [
        (wire.len(), true),
        (wire.len() - 1, false),
        (1, false),
        (0, false),
    ] {
        let limits = ReplyLimits::new().with_max_bytes(max_bytes);
        let result = parse(&wire, &Method::GET, &limits).map(|parsed| parsed.map(|(_, len)| len));
        let expected = match is_read {
            true => Ok(Some(wire.len())),
            false => Err(ReplyError::TooLong { limit: max_bytes }),
        };
        assert_eq!(result, expected, "{max_bytes}");
        // The body behind it does not count.
        let with_body = [&wire[..], &[b'x'; 100]].concat();
        let result = ReplyHead::parse(&with_body, &Method::GET, &limits);
        assert_eq!(
            result.map(|parsed| parsed.map(|(_, len)| len)),
            expected,
            "{max_bytes}"
        );
    }
}

#[test]
fn endless_head_is_refused_as_soon_as_it_is_too_long() {
    let limits = ReplyLimits::new().with_max_bytes(100);
    for start in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\nX: ", "X-"] {
        let wire = [start.as_bytes(), &[b'x'; 100]].concat();
        let before = ReplyHead::parse(&wire[..99], &Method::GET, &limits);
        assert!(matches!(before, Ok(None)), "{start:?}");
        let result = parse(&wire, &Method::GET, &limits).map(|_| ());
        assert_eq!(result, Err(ReplyError::TooLong { limit: 100 }), "{start:?}");
    }
}

#[test]
fn as_many_headers_as_allowed_are_read() {
    for max in [0, 1, 3, 63, 64, 65, 128, 1_000] {
        let limits = ReplyLimits::new().with_max_headers(max);
        let (head, _) = ReplyHead::parse(&head_with(max), &Method::GET, &limits)
            .unwrap()
            .unwrap();
        assert_eq!(head.headers().len(), max);
        let result = ReplyHead::parse(&head_with(max + 1), &Method::GET, &limits);
        let expected = Err(ReplyError::TooManyHeaders { limit: max });
        assert_eq!(result.map(|_| ()), expected, "{max}");
    }
}

#[test]
fn limits_beyond_any_memory_are_no_danger() {
    let limits = ReplyLimits::new()
        .with_max_headers(usize::MAX)
        .with_max_bytes(usize::MAX);
    let (head, _) = ReplyHead::parse(&head_with(200), &Method::GET, &limits)
        .unwrap()
        .unwrap();
    assert_eq!(head.headers().len(), 200);
    // An http::HeaderMap holds fewer than that.
    let result = ReplyHead::parse(&head_with(40_000), &Method::GET, &limits);
    assert!(matches!(result, Err(ReplyError::TooManyHeaders { .. })));
}
