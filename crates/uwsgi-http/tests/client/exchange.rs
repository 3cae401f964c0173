//! Heads, ends and errors of replies.

use std::error::Error;
use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use uwsgi_codec::http::{ReplyError, ReplyLimits};
use uwsgi_http::client::{ClientError, Exchange, ReplyBody};

use crate::server::{answered, answered_to, get};

async fn text(body: ReplyBody) -> Result<String, ClientError> {
    let bytes = body.collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn body_ends_after_its_length_however_it_comes() {
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for size in [1, 7, wire.len()] {
        let pieces: Vec<_> = wire.chunks(size).collect();
        let reply = answered(Method::GET, &pieces).await.unwrap();
        assert_eq!(reply.head.status(), StatusCode::OK);
        assert_eq!(reply.head_bytes, &wire[..wire.len() - 5]);
        assert_eq!(reply.body.size_hint().exact(), Some(5));
        assert_eq!(text(reply.body).await.unwrap(), "hello", "{size}");
    }
}

#[tokio::test]
async fn body_without_a_length_ends_with_the_connection() {
    let pieces: &[&[u8]] = &[b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"];
    let reply = answered(Method::GET, pieces).await.unwrap();
    assert_eq!(reply.body.size_hint().exact(), None);
    assert_eq!(text(reply.body).await.unwrap(), "hello");
}

#[tokio::test]
async fn some_replies_have_no_body_whatever_they_say() {
    for (method, status) in [
        (Method::HEAD, "200 OK"),
        (Method::GET, "204 No Content"),
        (Method::GET, "304 Not Modified"),
    ] {
        let wire = format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n");
        let reply = answered(method, &[wire.as_bytes()]).await.unwrap();
        assert!(reply.body.is_end_stream(), "{status}");
        assert_eq!(text(reply.body).await.unwrap(), "", "{status}");
    }
}

#[tokio::test]
async fn reply_cut_short_says_how_much_has_come() {
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel";
    let reply = answered(Method::GET, &[wire]).await.unwrap();
    let error = text(reply.body).await.unwrap_err();
    assert_eq!(error.to_string(), "reply cut short: 3 of 5 bytes have come");
    assert_eq!(error.http_status(), 502);
}

#[tokio::test]
async fn nothing_follows_an_error() {
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let mut body = answered(Method::GET, &[wire]).await.unwrap().body;
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn connection_that_ends_before_the_head_is_an_error() {
    for (wire, expected) in [
        (&b""[..], "the server closed the connection without a reply"),
        (
            b"HTTP/1.1 200 OK\r\nA: b",
            "the server closed the connection after 21 bytes of a head",
        ),
    ] {
        let error = answered(Method::GET, &[wire]).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.http_status(), 502);
    }
}

#[tokio::test]
async fn surplus_is_counted_and_not_part_of_the_body() {
    let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, world";
    let mut body = answered(Method::GET, &[wire]).await.unwrap().body;
    let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(part, "hello");
    assert!(body.frame().await.is_none());
    assert_eq!((body.received(), body.surplus()), (5, 7));
}

#[tokio::test]
async fn tunnel_is_refused() {
    let wire = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let error = answered(Method::GET, &[wire]).await.unwrap_err();
    assert!(matches!(error, ClientError::Tunnel { status } if status == 101));
    assert_eq!(
        error.to_string(),
        "the server answered 101 Switching Protocols and wants a tunnel, which is not supported"
    );
}

#[tokio::test]
async fn interim_heads_are_delivered_as_they_come_and_skipped() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&seen);
    let exchange = Exchange::new(get(), Method::GET).with_on_interim(move |head| {
        let link = head.headers().get("link").cloned();
        calls.lock().unwrap().push((head.status().as_u16(), link));
    });
    let wire = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 200 OK\r\n\r\nhello";
    for pieces in [vec![&wire[..]], wire.chunks(1).collect()] {
        let reply = answered(Method::GET, &pieces).await.unwrap();
        assert_eq!(reply.head.status(), 200);
        assert_eq!(reply.head_bytes, "HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(text(reply.body).await.unwrap(), "hello");
    }
    answered_to(exchange, &[wire]).await.unwrap();
    let link = "</a>".parse().ok();
    assert_eq!(*seen.lock().unwrap(), [(103, link), (100, None)]);
}

#[tokio::test]
async fn head_has_limits_and_interim_heads_count() {
    let limited = |bytes| {
        let limits = ReplyLimits::new().with_max_bytes(bytes);
        Exchange::new(get(), Method::GET).with_limits(limits)
    };
    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
    let last = b"HTTP/1.1 200 OK\r\n\r\n";
    let both = interim.len() + last.len();
    for (limit, pieces, fits) in [
        (last.len(), vec![&last[..]], true),
        (last.len() - 1, vec![&last[..]], false),
        (both, vec![&interim[..], last], true),
        (both - 1, vec![&interim[..], last], false),
        (100, vec![&interim[..]; 10], false),
        // Without an end of a line.
        (100, vec![&[b'x'; 50][..]; 3], false),
    ] {
        match answered_to(limited(limit), &pieces).await {
            Ok(_) => assert!(fits, "{pieces:?}"),
            Err(ClientError::Head(ReplyError::TooLong { .. })) => assert!(!fits, "{pieces:?}"),
            Err(error) => panic!("{pieces:?}: {error}"),
        }
    }
}

#[tokio::test]
async fn what_is_not_a_reply_is_an_error() {
    let error = answered(Method::GET, &[b"<html>\r\n\r\n"])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the reply is not valid");
    assert!(matches!(error, ClientError::Head(_)), "{error}");
    assert!(error.source().unwrap().is::<ReplyError>());
    assert_eq!(error.http_status(), 502);
}

#[tokio::test]
async fn large_body_arrives_whole() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let reply = answered(Method::GET, &[head.as_bytes(), &body])
        .await
        .unwrap();
    let received = reply.body.collect().await.unwrap().to_bytes();
    assert!(received == body);
}
