//! Connections that are kept: uwsgi-codec's `KEEPALIVE.md`.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use http_body_util::channel::Channel;
use tokio::sync::Semaphore;
use uwsgi_codec::PacketBuilder;
use uwsgi_http::server::{KeepAlive, RequestBody, Server};

use crate::harness::{
    End, Log, Of, On, QUIET, Running, for_ever, get, keeping, piece, post, request, with, within,
};

/// What to answer is in the path.
async fn answer(
    request: Request<RequestBody>,
) -> Result<Response<Either<Full<Bytes>, Channel<Bytes>>>, &'static str> {
    let (parts, mut body) = request.into_parts();
    let text = match parts.uri.path() {
        "/read" => {
            let mut text = vec![];
            while let Some(data) = piece(&mut body).await {
                text.extend(data.unwrap());
            }
            String::from_utf8(text).unwrap()
        }
        "/unknown-length" => {
            let (_, body) = Channel::new(1);
            return Ok(Response::new(Either::Right(body)));
        }
        "/short" => {
            let mut response = Response::new(Either::Left(Full::new("hello".into())));
            let length = HeaderValue::from_static("6");
            response.headers_mut().insert("content-length", length);
            return Ok(response);
        }
        "/long" => {
            let mut response = Response::new(Either::Left(Full::new("hello".into())));
            let length = HeaderValue::from_static("4");
            response.headers_mut().insert("content-length", length);
            return Ok(response);
        }
        "/failing" => return Err("no"),
        "/panicking" => panic!("on purpose"),
        path => path.to_owned(),
    };
    let mut response = Response::new(Either::Left(Full::new(text.into())));
    if parts.uri.path() == "/204" {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    Ok(response)
}

type Either<L, R> = http_body_util::Either<L, R>;

#[tokio::test]
async fn connection_is_kept_if_the_front_end_asks() {
    for on in [On::Unix, On::Tcp] {
        let running = Running::start(on, Server::new(Of(answer))).await;
        let mut peer = running.connect().await;
        for _ in 0..100 {
            for (packet, body, method, expected) in [
                (keeping(get("/a"), 0), "", "GET", "/a"),
                (keeping(post("/read", 5), 5), "hello", "POST", "hello"),
                (keeping(post("/unread", 5), 5), "hello", "POST", "/unread"),
                (keeping(request("HEAD", "/b"), "HEAD"), "", "HEAD", ""),
                (keeping(get("/204"), 0), "", "GET", ""),
                (keeping(get("/long"), 0), "", "GET", "hell"),
            ] {
                // At once: a body that has not arrived with the response cannot be kept.
                peer.send([&packet.to_vec().unwrap(), body.as_bytes()].concat())
                    .await;
                let method = Method::from_bytes(method.as_bytes()).unwrap();
                let reply = peer.reply(&method).await;
                assert_eq!((reply.text().as_str(), reply.is_kept), (expected, true));
            }
        }
        peer.packet(&get("/last")).await;
        let reply = peer.reply(&Method::GET).await;
        assert_eq!((reply.text().as_str(), reply.is_kept), ("/last", false));
        assert_eq!(peer.end().await, End::Closed(String::new()));
    }
}

#[tokio::test]
async fn connection_is_closed_unless_every_condition_is_met() {
    let running = Running::start(On::Unix, Server::new(Of(answer))).await;
    let modified = |mut packet: PacketBuilder| {
        packet.modifier1(30);
        packet
    };
    for (name, packet, body) in [
        ("not asked", get("/"), ""),
        ("asked for nothing", keeping(get("/"), ""), ""),
        ("another length", keeping(post("/read", 5), 4), "hello"),
        (
            "a body that is not announced",
            keeping(get("/"), 5),
            "hello",
        ),
        (
            "two lengths",
            with(keeping(post("/read", 5), 5), "CONTENT_LENGTH", ""),
            "",
        ),
        ("GET taken for HEAD", keeping(get("/"), "HEAD"), ""),
        ("HEAD taken for GET", keeping(request("HEAD", "/"), 0), ""),
        ("another modifier", modified(keeping(get("/"), 0)), ""),
        ("bytes behind the request", keeping(get("/"), 0), "more"),
        (
            "bytes behind the body",
            keeping(post("/read", 5), 5),
            "hello, world",
        ),
        ("unknown length", keeping(get("/unknown-length"), 0), ""),
        ("response cut short", keeping(get("/short"), 0), ""),
        ("failure", keeping(get("/failing"), 0), ""),
        ("panic", keeping(get("/panicking"), 0), ""),
        ("malformed request", keeping(get("no path"), 0), ""),
    ] {
        let mut peer = running.connect().await;
        let mut wire = packet.to_vec().unwrap();
        wire.extend(body.as_bytes());
        peer.send(wire).await;
        let End::Closed(all) = peer.end().await else {
            panic!("{name}: reset");
        };
        let keeps = all.contains("keep-alive");
        // The server cannot know that it will be too short.
        assert_eq!(keeps, name == "response cut short", "{name}: {all}");
        assert_eq!(all.matches("HTTP/1.1").count(), 1, "{name}: {all}");
    }
}

#[tokio::test]
async fn body_that_has_arrived_and_is_not_read_keeps_the_connection() {
    const LEN: usize = 100_000;
    let running = Running::start(On::Unix, Server::new(Of(answer))).await;
    let mut peer = running.connect().await;
    let packet = keeping(post("/unread", LEN as u64), LEN).to_vec().unwrap();
    for _ in 0..3 {
        // More than comes with the packet, and all of it is there: this is the only thread.
        peer.send([&packet[..], &[b'.'; LEN]].concat()).await;
        let reply = peer.reply(&Method::GET).await;
        assert_eq!((reply.text().as_str(), reply.is_kept), ("/unread", true));
    }
}

#[tokio::test]
async fn body_that_has_not_arrived_closes_the_connection() {
    let running = Running::start(On::Unix, Server::new(Of(answer))).await;
    let mut peer = running.connect().await;
    peer.packet(&keeping(post("/unread", 5), 5)).await;
    let reply = peer.reply(&Method::GET).await;
    assert_eq!((reply.text().as_str(), reply.is_kept), ("/unread", false));
    peer.packet(&keeping(get("/"), 0)).await;
    assert_eq!(peer.end().await, End::Closed(String::new()));
}

#[tokio::test]
async fn bytes_within_a_response_close_the_connection_and_are_logged() {
    let log = Log::new();
    let gate = Arc::new(Semaphore::new(0));
    let service = {
        let gate = Arc::clone(&gate);
        Of(move |_| {
            let gate = Arc::clone(&gate);
            async move {
                let (mut sender, body) = Channel::<Bytes>::new(1);
                tokio::spawn(async move {
                    sender.send_data("hel".into()).await.unwrap();
                    gate.acquire().await.unwrap().forget();
                    sender.send_data("lo".into()).await.unwrap();
                });
                let mut response = Response::new(body);
                let length = HeaderValue::from_static("5");
                response.headers_mut().insert("content-length", length);
                Ok::<_, Infallible>(response)
            }
        })
    };
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    let packet = keeping(get("/"), 0);
    peer.packet(&packet).await;
    assert!(peer.head(&Method::GET).await.keeps_connection());
    assert_eq!(peer.read(3).await, b"hel");
    peer.packet(&packet).await;
    gate.add_permits(2);
    assert_eq!(peer.end().await, End::Closed("lo".to_owned()));
    log.with("bytes behind the request");
}

#[tokio::test]
async fn next_request_does_not_wait_for_the_rest_of_a_body() {
    let service = Of(|_| async {
        let (mut sender, body) = Channel::<Bytes>::new(1);
        tokio::spawn(async move {
            sender.send_data("hello".into()).await.unwrap();
            // It neither ends the body nor sends anything.
            for_ever::<()>().await;
            drop(sender);
        });
        let mut response = Response::new(body);
        let length = HeaderValue::from_static("5");
        response.headers_mut().insert("content-length", length);
        Ok::<_, Infallible>(response)
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    for _ in 0..3 {
        peer.packet(&keeping(get("/"), 0)).await;
        assert!(peer.reply(&Method::GET).await.is_kept);
    }
}

#[tokio::test]
async fn requests_on_a_connection_are_limited() {
    let keep_alive = KeepAlive::new().with_max_requests(3);
    let server = Server::new(Of(answer)).with_keep_alive(keep_alive);
    let running = Running::start(On::Unix, server).await;
    let mut peer = running.connect().await;
    for is_kept in [true, true, false] {
        peer.packet(&keeping(get("/"), 0)).await;
        assert_eq!(peer.reply(&Method::GET).await.is_kept, is_kept);
    }
    assert_eq!(peer.end().await, End::Closed(String::new()));
}

#[tokio::test]
async fn connections_that_are_kept_are_limited() {
    let keep_alive = KeepAlive::new().with_max_connections(1);
    let server = Server::new(Of(answer)).with_keep_alive(keep_alive);
    let running = Running::start(On::Unix, server).await;
    let packet = keeping(get("/"), 0);
    let mut first = running.connect().await;
    first.packet(&packet).await;
    assert!(first.reply(&Method::GET).await.is_kept);
    assert!(!running.ask(&packet).await.is_kept);
    first.packet(&packet).await;
    assert!(first.reply(&Method::GET).await.is_kept);
    first.packet(&get("/")).await;
    first.end().await;
    assert!(running.ask(&packet).await.is_kept);
}

#[tokio::test]
async fn kept_connections_leave_room_for_others() {
    let server = Server::new(Of(answer)).with_max_connections(2);
    let running = Running::start(On::Unix, server).await;
    let packet = keeping(get("/"), 0);
    let mut kept = running.connect().await;
    kept.packet(&packet).await;
    assert!(kept.reply(&Method::GET).await.is_kept);
    for _ in 0..3 {
        assert!(!running.ask(&packet).await.is_kept);
    }
}

#[tokio::test]
async fn connection_that_waits_too_long_is_closed() {
    for on in [On::Unix, On::Tcp] {
        let keep_alive = KeepAlive::new().with_idle_timeout(QUIET);
        let server = Server::new(Of(answer)).with_keep_alive(keep_alive);
        let running = Running::start(on, server).await;
        let mut peer = running.connect().await;
        peer.packet(&keeping(get("/"), 0)).await;
        assert!(peer.reply(&Method::GET).await.is_kept);
        let end = within("the close", peer.end()).await;
        assert_eq!(end, End::Closed(String::new()));
    }
}
