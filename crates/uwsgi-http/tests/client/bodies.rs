//! Bodies of requests, and replies that come meanwhile.

use std::convert::Infallible;
use std::error::Error;
use std::io;

use bytes::Bytes;
use http::{Method, Request};
use http_body::Body;
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use tokio::io::AsyncWriteExt;
use uwsgi_http::client::{Client, ClientError, Exchange};

use crate::server::{Server, connect, get};

#[tokio::test]
async fn body_follows_the_packet() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let exchange = Exchange::new(get(), Method::POST);
    let (reply, ()) = tokio::join!(exchange.send(stream, Full::from("hello")), async {
        assert_eq!(accepted.packet().await["REQUEST_METHOD"], "GET");
        assert_eq!(accepted.read(5).await, b"hello");
        accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
    });
    assert_eq!(reply.unwrap().head.status(), 200);
}

/// Each part of the body is made when the reply to the one before has come.
#[tokio::test]
async fn body_is_sent_while_the_reply_is_read() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let echo = tokio::spawn(async move {
        accepted.packet().await;
        accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        for _ in 0..3 {
            let part = accepted.read(4).await;
            accepted.write(&part).await;
        }
    });
    let (mut parts, body) = Channel::<Bytes, Infallible>::new(1);
    let reply = Exchange::new(get(), Method::POST).send(stream, body).await;
    let mut reply = reply.unwrap().body;
    for part in ["1111", "2222", "3333"] {
        parts.send_data(part.into()).await.unwrap();
        let echoed = reply.frame().await.unwrap().unwrap();
        assert_eq!(echoed.into_data().unwrap(), part);
    }
    echo.await.unwrap();
    assert!(reply.frame().await.is_none());
}

#[tokio::test]
async fn server_may_answer_and_close_without_reading_the_body() {
    // With a length, and without: then it is the end of the connection that counts, a
    // reset because of what the server has not read.
    for head in [
        "HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 413 No\r\n\r\n",
    ] {
        let server = Server::new();
        let (stream, mut accepted) = connect(&server).await;
        let exchange = Exchange::new(get(), Method::POST);
        let body = Full::new(Bytes::from(vec![b'x'; 4 << 20]));
        let (reply, ()) = tokio::join!(exchange.send(stream, body), async {
            accepted.packet().await;
            accepted.write(format!("{head}hello").as_bytes()).await;
            drop(accepted);
        });
        let reply = reply.unwrap();
        assert_eq!(reply.head.status(), 413);
        let body = reply.body.collect().await.unwrap().to_bytes();
        assert_eq!(body, "hello", "{head}");
    }
}

#[tokio::test]
async fn server_that_closes_without_reading_or_answering_is_an_error() {
    let server = Server::new();
    let (stream, accepted) = connect(&server).await;
    drop(accepted);
    let body = Full::new(Bytes::from(vec![b'x'; 4 << 20]));
    let error = Exchange::new(get(), Method::POST).send(stream, body).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, ClientError::NoReply { error: Some(_) }),
        "{error}"
    );
    let message = "the server closed the connection without a reply";
    assert_eq!(error.to_string(), message);
    assert!(error.source().unwrap().is::<io::Error>());
}

#[tokio::test]
async fn reset_in_a_reply_to_a_complete_request_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut accepted, _) = listener.accept().await.unwrap();
    let server = tokio::spawn(async move {
        accepted
            .write_all(b"HTTP/1.1 200 OK\r\n\r\nhel")
            .await
            .unwrap();
        // The packet is left unread: a reset.
        accepted
    });
    let exchange = Exchange::new(get(), Method::GET);
    let reply = exchange.send(stream.into(), Full::<Bytes>::default()).await;
    let mut body = reply.unwrap().body;
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "hel"
    );
    drop(server.await.unwrap());
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::CutShort {
                received: 3,
                expected: None,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn error_of_the_body_closes_the_connection() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let (mut parts, body) = Channel::<Bytes, io::Error>::new(1);
    let exchange = Exchange::new(get(), Method::POST);
    let (reply, closed) = tokio::join!(exchange.send(stream, body), async {
        accepted.packet().await;
        parts.send_data("hello".into()).await.unwrap();
        accepted.read(5).await;
        parts.abort(io::Error::other("the disk is gone"));
        accepted.closes().await
    });
    let error = reply.unwrap_err();
    assert_eq!(error.to_string(), "the body of the request failed");
    assert_eq!(error.source().unwrap().to_string(), "the disk is gone");
    assert_eq!(error.http_status(), 400);
    assert!(closed);
}

#[tokio::test]
async fn reply_is_received_although_the_body_gives_an_error() {
    // Already when the sending begins; behind the head.
    for is_early in [true, false] {
        let server = Server::new();
        let (stream, mut accepted) = connect(&server).await;
        let (mut parts, body) = Channel::<Bytes, io::Error>::new(1);
        parts.send_data("hello".into()).await.unwrap();
        let head = b"HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\n";
        // The client's runtime has had no turn since.
        assert_eq!(accepted.0.try_write(head).unwrap(), head.len());
        let exchange = Exchange::new(get(), Method::POST);
        let mut reply = match is_early {
            true => {
                parts.abort(io::Error::other("the disk is gone"));
                exchange.send(stream, body).await.unwrap()
            }
            false => {
                let reply = exchange.send(stream, body).await.unwrap();
                parts.abort(io::Error::other("the disk is gone"));
                reply
            }
        };
        assert_eq!(reply.head.status(), 413);
        for part in ["no", "way"] {
            accepted.write(part.as_bytes()).await;
            let frame = reply.body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), part);
        }
        assert!(reply.body.frame().await.is_none());
        assert!(!reply.body.has_sent_request());
    }
}

#[tokio::test]
async fn body_that_is_too_short_does_not_end_a_reply_that_has_begun() {
    let server = Server::new();
    let client = Client::new(server.address());
    let (mut parts, body) = Channel::<Bytes, Infallible>::new(1);
    let request = Request::post("/").header("Content-Length", 10).body(body);
    let (response, mut accepted) = tokio::join!(client.send(request.unwrap()), async {
        let mut accepted = server.accept().await;
        accepted.packet().await;
        accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        accepted
    });
    let mut body = response.unwrap().into_body();
    parts.send_data("hel".into()).await.unwrap();
    drop(parts);
    accepted.write(b"ok").await;
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "ok");
    drop(accepted);
    assert!(body.frame().await.is_none());
    assert!(!body.has_sent_request());
}

#[tokio::test]
async fn reply_says_whether_the_request_was_sent_whole() {
    for (upload, is_read, is_whole) in [
        (0, true, true),
        (5, true, true),
        // More than a socket holds.
        (4 << 20, true, true),
        (4 << 20, false, false),
    ] {
        let server = Server::new();
        let (stream, mut accepted) = connect(&server).await;
        let body = Full::new(Bytes::from(vec![b'x'; upload]));
        let exchange = Exchange::new(get(), Method::POST);
        let (reply, _accepted) = tokio::join!(exchange.send(stream, body), async {
            accepted.packet().await;
            if is_read {
                accepted.read(upload).await;
            }
            accepted
                .write(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n")
                .await;
            accepted
        });
        let body = reply.unwrap().body;
        assert!(body.is_end_stream());
        assert_eq!(body.has_sent_request(), is_whole, "{upload} {is_read}");
    }
}

#[tokio::test]
async fn dropping_the_future_or_the_body_closes_the_connection() {
    let server = Server::new();
    let (stream, mut accepted) = connect(&server).await;
    let exchange = Exchange::new(get(), Method::GET);
    tokio::select! {
        reply = exchange.send(stream, Full::<Bytes>::default()) => panic!("{reply:?}"),
        _ = accepted.packet() => {}
    }
    assert!(accepted.closes().await);

    let (stream, mut accepted) = connect(&server).await;
    let exchange = Exchange::new(get(), Method::GET);
    accepted
        .write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
        .await;
    let reply = exchange
        .send(stream, Full::<Bytes>::default())
        .await
        .unwrap();
    accepted.packet().await;
    drop(reply);
    assert!(accepted.closes().await);
}
