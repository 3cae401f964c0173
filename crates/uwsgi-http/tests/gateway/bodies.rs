//! Bodies on their way through.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use uwsgi_http::client::Client;
use uwsgi_http::gateway::Gateway;

use crate::front::Front;
use crate::server::{Accepted, DEADLINE, Server};

#[tokio::test]
async fn each_part_arrives_before_the_next_is_made() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    browser
        .write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n")
        .await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
    for part in ["part1", "part2", "part3"] {
        browser.write(part.as_bytes()).await;
        assert_eq!(accepted.read(5).await, part.as_bytes());
        accepted.write(part.as_bytes()).await;
        browser.until(part).await;
    }
    drop(accepted);
    assert_eq!(browser.until("0\r\n\r\n").await, "\r\n0\r\n\r\n");
}

/// The server has a worker for each request, and the client may be slow.
#[tokio::test]
async fn body_that_fits_in_the_buffer_is_received_before_the_server_is_asked() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address())).with_buffered_body(5);
    let front = Front::new(gateway).await;
    for (length, is_held) in [(5, true), (6, false)] {
        let mut browser = front.connect().await;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\
            Expect: 100-continue\r\n\r\n"
        );
        browser.write(head.as_bytes()).await;
        browser.until("100 Continue\r\n\r\n").await;
        assert_eq!(server.has_no_connection(), is_held);
        browser.write(&b"hello!"[..length]).await;
        if is_held {
            let mut accepted = server.accept().await;
            assert_eq!(accepted.packet().await["CONTENT_LENGTH"], "5");
            assert_eq!(accepted.read(5).await, b"hello");
        }
    }
}

#[tokio::test]
async fn client_is_told_to_go_on_with_its_body() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    browser
        .write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(
        browser.until("\r\n\r\n").await,
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    browser.write(b"hello").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    assert_eq!(accepted.read(5).await, b"hello");
    accepted
        .write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    browser.until("ok").await;
}

#[tokio::test]
async fn reply_cut_short_looks_incomplete() {
    for (head, ending) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
            "\r\n\r\nhello",
        ),
        // A reset, which only an unread request causes.
        ("HTTP/1.1 200 OK\r\n\r\n", "\r\n\r\n5\r\nhello\r\n"),
    ] {
        let server = Server::new();
        let front = Front::of(server.address()).await;
        let mut browser = front.connect().await;
        let length = match head.contains("Content-Length") {
            true => 0,
            false => 5,
        };
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        browser.write(request.as_bytes()).await;
        browser.write(&b"hello"[..length]).await;
        let mut accepted = server.accept().await;
        accepted.packet().await;
        if length > 0 {
            // The whole body has come, and is not read.
            accepted.0.readable().await.unwrap();
        }
        accepted.write(format!("{head}hello").as_bytes()).await;
        let first = browser.until("hello").await;
        drop(accepted);
        let response = first + &browser.rest().await;
        assert!(response.ends_with(ending), "{}", response.escape_debug());
    }
}

/// The end of the connection is the end of such a response, so only a reset is none.
#[tokio::test]
async fn reply_cut_short_looks_incomplete_to_http_1_0() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    browser
        .write(b"POST / HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello")
        .await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    // The whole body has come, and is not read: the gateway sees a reset.
    accepted.0.readable().await.unwrap();
    accepted.write(b"HTTP/1.1 200 OK\r\n\r\nhello").await;
    let response = browser.until("hello").await;
    assert!(!response.contains("keep-alive"), "{response}");
    drop(accepted);
    let end = timeout(DEADLINE, browser.0.read_u8()).await;
    let error = end.expect("the connection ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// Head, a part of the body and the end of the connection come at once.
#[tokio::test]
async fn reply_that_is_cut_short_at_once_has_a_head() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted
        .write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        .await;
    drop(accepted);
    let response = browser.rest().await;
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\nhello"), "{response}");
}

/// A client that sends its whole upload before it looks for a response.
#[tokio::test]
async fn response_to_an_upload_that_nobody_reads_arrives() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    let length = 8 << 20;
    let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    browser.write(request.as_bytes()).await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted
        .write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        .await;
    drop(accepted);
    browser.write(&vec![b'x'; length]).await;
    let response = browser.until("no").await;
    assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
}

#[tokio::test]
async fn slow_client_holds_up_the_server_not_the_memory() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted
        .write(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
        .await;
    browser.until("\r\n\r\n").await;
    let sent = send_until_held_up(&mut accepted).await;
    // The buffers of two sockets and of the gateway.
    assert!(sent < 20 << 20, "{sent}");
    let rest = tokio::spawn(async move {
        accepted.write(&vec![b'x'; (64 << 20) - sent]).await;
    });
    let mut received = vec![0; 64 << 20];
    browser.0.read_exact(&mut received).await.unwrap();
    assert!(received.iter().all(|&byte| byte == b'x'));
    rest.await.unwrap();
}

async fn send_until_held_up(accepted: &mut Accepted) -> usize {
    let part = [b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 64 << 20 {
        let write = timeout(Duration::from_millis(300), accepted.0.write(&part)).await;
        let Ok(written) = write else { break };
        sent += written.unwrap();
    }
    sent
}
