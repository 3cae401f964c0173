//! Connections that serve several requests, by `KEEPALIVE.md`.

use std::net::Shutdown;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Full};
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};
use uwsgi_http::client::{Client, ClientError, Exchange, KeptConnections, ReplyBody};

use crate::server::{Accepted, DEADLINE, Server, connect};

const AGREED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok";

fn keeping(server: &Server) -> Client {
    Client::new(server.address()).with_kept_connections(KeptConnections::new())
}

async fn send(
    client: &Client,
    method: Method,
    body: &'static str,
) -> Result<Response<ReplyBody>, ClientError> {
    let request = Request::builder().method(method).uri("/");
    let request = request.body(Full::<Bytes>::from(body)).unwrap();
    client.send(request).await
}

async fn get(client: &Client) -> Result<Bytes, ClientError> {
    let response = send(client, Method::GET, "").await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

/// Makes a request, answered on a new connection.
async fn first(client: &Client, server: &Server, answer: &[u8]) -> Accepted {
    let (body, accepted) = tokio::join!(get(client), async {
        let mut accepted = server.accept().await;
        assert_eq!(accepted.packet().await["UWSGI_KEEP_CONN"], "0");
        accepted.write(answer).await;
        accepted
    });
    assert_eq!(body.unwrap(), "ok");
    accepted
}

#[tokio::test]
async fn connection_is_used_again_if_both_agree() {
    let server = Server::new();
    let client = keeping(&server);
    let mut accepted = first(&client, &server, AGREED).await;
    for _ in 0..3 {
        // Of clones, too.
        let client = client.clone();
        let (body, ()) = tokio::join!(get(&client), async {
            accepted.packet().await;
            accepted.write(AGREED).await;
        });
        assert_eq!(body.unwrap(), "ok");
    }
    let (reply, ()) = tokio::join!(send(&client, Method::POST, "hello"), async {
        assert_eq!(accepted.packet().await["UWSGI_KEEP_CONN"], "5");
        assert_eq!(accepted.read(5).await, b"hello");
        accepted
            .write(b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n")
            .await;
    });
    drop(reply.unwrap());
    let (reply, ()) = tokio::join!(send(&client, Method::HEAD, ""), async {
        assert_eq!(accepted.packet().await["UWSGI_KEEP_CONN"], "HEAD");
        accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
    });
    drop(reply.unwrap());
    // The last reply did not agree.
    assert!(accepted.closes().await);
}

#[tokio::test]
async fn connection_is_closed_unless_all_is_as_it_should_be() {
    for answer in [
        // The server has not agreed.
        &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..],
        // A byte too many.
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok!",
    ] {
        let server = Server::new();
        let accepted = first(&keeping(&server), &server, answer).await;
        assert!(accepted.closes().await);
    }
}

#[tokio::test]
async fn agreement_without_being_asked_keeps_nothing() {
    let server = Server::new();
    let client = Client::new(server.address());
    let (body, accepted) = tokio::join!(get(&client), async {
        let mut accepted = server.accept().await;
        assert!(!accepted.packet().await.contains_key("UWSGI_KEEP_CONN"));
        accepted.write(AGREED).await;
        accepted
    });
    assert_eq!(body.unwrap(), "ok");
    assert!(accepted.closes().await);
}

#[tokio::test]
async fn reply_before_the_end_of_the_request_closes_the_connection() {
    let server = Server::new();
    let client = keeping(&server);
    let (mut parts, body) = Channel::<Bytes>::new(1);
    let request = Request::post("/").header("Content-Length", 10).body(body);
    let (response, accepted) = tokio::join!(client.send(request.unwrap()), async {
        let mut accepted = server.accept().await;
        accepted.packet().await;
        parts.send_data("hello".into()).await.unwrap();
        accepted.read(5).await;
        accepted.write(AGREED).await;
        accepted
    });
    let body = response.unwrap().into_body().collect().await;
    assert_eq!(body.unwrap().to_bytes(), "ok");
    assert!(accepted.closes().await);
}

#[tokio::test]
async fn dropping_a_body_before_its_end_closes_the_connection() {
    let server = Server::new();
    let client = keeping(&server);
    let (response, accepted) = tokio::join!(send(&client, Method::GET, ""), async {
        let mut accepted = server.accept().await;
        accepted.packet().await;
        accepted.write(&AGREED[..AGREED.len() - 2]).await;
        accepted
    });
    drop(response.unwrap());
    assert!(accepted.closes().await);
}

/// The client asks the system: its runtime has had no turn since.
#[tokio::test]
async fn idle_connection_on_which_something_comes_is_not_used() {
    for surplus in [
        &b"!"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
        b"",
    ] {
        let server = Server::new();
        let client = keeping(&server);
        let accepted = first(&client, &server, AGREED).await;
        match surplus {
            [] => drop(accepted),
            bytes => {
                assert_eq!(accepted.0.try_write(bytes).unwrap(), bytes.len());
                tokio::spawn(accepted.closes());
            }
        }
        first(&client, &server, AGREED).await;
    }
}

#[tokio::test]
async fn idle_connection_is_closed_when_something_comes() {
    for is_closing in [false, true] {
        let server = Server::new();
        let client = keeping(&server);
        let mut accepted = first(&client, &server, AGREED).await;
        match is_closing {
            true => accepted.0.shutdown().await.unwrap(),
            false => accepted.write(b"!").await,
        }
        let closes = timeout(DEADLINE, accepted.closes()).await;
        assert!(closes.expect("the client closes"), "{is_closing}");
    }
}

#[tokio::test]
async fn exchange_gives_its_connection_away_unless_something_comes() {
    for surplus in [&b""[..], b"!"] {
        let server = Server::new();
        let (stream, mut accepted) = connect(&server).await;
        accepted.write(AGREED).await;
        let exchange = Exchange::new(crate::server::get(), Method::GET);
        let reply = exchange.send(stream, Full::<Bytes>::default()).await;
        let mut body = reply.unwrap().body;
        while body.frame().await.is_some() {}
        assert_eq!(accepted.0.try_write(surplus).unwrap(), surplus.len());
        let kept = body.into_kept();
        assert_eq!(kept.is_some(), surplus.is_empty());
        if let Some(stream) = kept {
            assert!(stream.is_idle());
            assert_eq!(accepted.0.try_write(b"!").unwrap(), 1);
            assert!(!stream.is_idle());
        }
    }
}

/// The server closes when it sees the request: a race that it lost.
async fn closing_at_a_request(
    client: &Client,
    server: &Server,
    method: Method,
    body: &'static str,
    before: &[u8],
) -> Result<Response<ReplyBody>, ClientError> {
    let mut accepted = first(client, server, AGREED).await;
    let (response, ()) = tokio::join!(send(client, method, body), async {
        accepted.packet().await;
        accepted.write(before).await;
        drop(accepted);
        tokio::select! {
            mut again = server.accept() => {
                again.packet().await;
                again.write(AGREED).await;
            }
            () = sleep(Duration::from_millis(50)) => {}
        }
    });
    response
}

#[tokio::test]
async fn idempotent_request_without_a_body_is_repeated_on_a_new_connection() {
    for (method, body, before, is_repeated) in [
        (Method::GET, "", &b""[..], true),
        (Method::DELETE, "", b"", true),
        (Method::PUT, "", b"", true),
        (Method::PUT, "body", b"", false),
        (Method::POST, "", b"", false),
        (Method::PATCH, "", b"", false),
        (Method::GET, "", b"HTTP", false),
    ] {
        let server = Server::new();
        let client = keeping(&server);
        let response = closing_at_a_request(&client, &server, method.clone(), body, before).await;
        assert_eq!(
            response.is_ok(),
            is_repeated,
            "{method} {body} {response:?}"
        );
        if let Err(error) = response {
            assert_eq!(error.http_status(), 502);
        }
    }
}

/// `KEEPALIVE.md`, "Closing": a server that refuses what it has not received yet.
#[tokio::test]
async fn request_of_which_nothing_was_sent_is_sent_on_a_new_connection() {
    for method in [Method::GET, Method::POST, Method::PATCH] {
        let server = Server::new();
        let client = keeping(&server);
        let accepted = first(&client, &server, AGREED).await;
        SockRef::from(&accepted.0).shutdown(Shutdown::Read).unwrap();
        let (mut parts, body) = Channel::<Bytes>::new(2);
        parts.send_data("hel".into()).await.unwrap();
        parts.send_data("lo".into()).await.unwrap();
        let request = Request::builder().method(&method).uri("/");
        let request = request.header("Content-Length", 5).body(body).unwrap();
        let (response, ()) = tokio::join!(client.send(request), async {
            // The client has met the refusal.
            drop(accepted);
            let mut accepted = server.accept().await;
            assert_eq!(accepted.packet().await["REQUEST_METHOD"], method.as_str());
            assert_eq!(accepted.read(5).await, b"hello");
            accepted.write(AGREED).await;
        });
        let body = response.unwrap().into_body().collect().await;
        assert_eq!(body.unwrap().to_bytes(), "ok", "{method}");
    }
}

#[tokio::test]
async fn request_on_a_new_connection_is_not_repeated() {
    let server = Server::new();
    let client = keeping(&server);
    let (response, ()) = tokio::join!(get(&client), async {
        server.accept().await.packet().await;
    });
    assert!(matches!(response, Err(ClientError::NoReply { .. })));
    assert!(server.has_no_connection());
}

#[tokio::test]
async fn so_many_connections_wait() {
    let server = Server::new();
    let kept = KeptConnections::new().with_max_idle(1);
    let client = Client::new(server.address()).with_kept_connections(kept);
    let (one, two, (first, second)) = tokio::join!(get(&client), get(&client), async {
        let (mut first, mut second) = (server.accept().await, server.accept().await);
        first.packet().await;
        second.packet().await;
        first.write(AGREED).await;
        // The client's turn.
        tokio::task::yield_now().await;
        second.write(AGREED).await;
        (first, second)
    });
    assert_eq!((one.unwrap(), two.unwrap()), ("ok".into(), "ok".into()));
    // One of the two is closed, the other is not.
    tokio::select! {
        closed = first.closes() => assert!(closed),
        closed = second.closes() => assert!(closed),
    }
}

#[tokio::test(start_paused = true)]
async fn connection_waits_so_long() {
    let server = Server::new();
    let kept = KeptConnections::new().with_idle_timeout(Duration::from_secs(30));
    let client = Client::new(server.address()).with_kept_connections(kept);
    let mut accepted = first(&client, &server, AGREED).await;
    sleep(Duration::from_secs(29)).await;
    let (body, ()) = tokio::join!(get(&client), async {
        accepted.packet().await;
        accepted.write(AGREED).await;
    });
    assert_eq!(body.unwrap(), "ok");
    let start = tokio::time::Instant::now();
    assert!(accepted.closes().await);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn connection_does_not_outlive_its_client() {
    let server = Server::new();
    let client = keeping(&server);
    let accepted = first(&client, &server, AGREED).await;
    drop(client);
    assert!(accepted.closes().await);
}
