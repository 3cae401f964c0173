//! The end of the gateway.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use uwsgi_http::client::Client;
use uwsgi_http::gateway::Gateway;

use crate::front::{Browser, Front};
use crate::server::{DEADLINE, Server};

#[tokio::test]
async fn requests_under_way_end_and_waiting_connections_are_closed() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let (address, task) = (front.address, front.task);
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut browser = Browser(TcpStream::connect(address).await.unwrap());
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;

    front.stop.send(()).unwrap();
    let mut rest = Vec::new();
    let closed = idle.read_to_end(&mut rest);
    timeout(DEADLINE, closed)
        .await
        .expect("it is closed")
        .unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!task.is_finished());

    accepted
        .write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert!(browser.rest().await.ends_with("\r\n\r\nok"));
    timeout(DEADLINE, task).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn stop_waits_so_long_for_requests() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address()));
    let front = Front::new(gateway.with_stop_timeout(Duration::from_millis(50))).await;
    let mut browser = front.connect().await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    front.stop.send(()).unwrap();
    timeout(DEADLINE, front.task)
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(browser.rest().await, "");
    assert!(accepted.closes().await);
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Serves one request, and says whether the response to it has come.
async fn is_answered(server: &Server, browser: Browser) -> bool {
    let (response, ()) = tokio::join!(browser.rest(), async {
        let mut accepted = server.accept().await;
        accepted.packet().await;
        accepted.write(OK).await;
    });
    response.contains("\r\nconnection: close\r\n") && response.ends_with("\r\n\r\nok")
}

#[tokio::test]
async fn request_that_was_sent_before_the_stop_is_answered() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut kept = front.connect().await;
    kept.write(GET).await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted.write(OK).await;
    kept.until("ok").await;

    // From here to the stop this thread does not wait: the gateway sees all at once.
    let mut waiting = std::net::TcpStream::connect(front.address).unwrap();
    std::io::Write::write_all(&mut waiting, GET).unwrap();
    assert_eq!(kept.0.try_write(GET).unwrap(), GET.len());
    front.stop.send(()).unwrap();

    assert!(is_answered(&server, kept).await);
    waiting.set_nonblocking(true).unwrap();
    let waiting = Browser(TcpStream::from_std(waiting).unwrap());
    assert!(is_answered(&server, waiting).await);
    timeout(DEADLINE, front.task)
        .await
        .expect("it ends")
        .unwrap();
}

#[tokio::test]
async fn request_whose_connection_was_made_before_the_stop_is_answered() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    // Accepted after it, and answered: so it is accepted.
    let response = front.ask("CONNECT a:1 HTTP/1.0\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.0 405 "), "{response}");
    front.stop.send(()).unwrap();
    while TcpStream::connect(front.address).await.is_ok() {}
    browser.write(GET).await;
    assert!(is_answered(&server, browser).await);
}

#[tokio::test]
async fn half_a_head_does_not_hold_up_the_stop() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut first = front.connect().await;
    first.write(b"GET / HT").await;
    let mut next = front.connect().await;
    next.write(GET).await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted.write(OK).await;
    next.until("ok").await;
    next.write(b"GET / HT").await;
    front.stop.send(()).unwrap();
    timeout(DEADLINE, front.task)
        .await
        .expect("long before the stop timeout of 30 s")
        .unwrap();
    for browser in [first, next] {
        assert_eq!(browser.rest().await, "");
    }
}

#[tokio::test]
async fn stop_takes_the_connections_beyond_the_maximum() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address())).with_max_connections(1);
    let front = Front::new(gateway).await;
    let mut first = front.connect().await;
    first.write(GET).await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    let mut second = front.connect().await;
    second.write(GET).await;
    front.stop.send(()).unwrap();
    assert!(is_answered(&server, second).await);
    accepted.write(OK).await;
    assert!(first.rest().await.ends_with("\r\n\r\nok"));
    timeout(DEADLINE, front.task)
        .await
        .expect("it ends")
        .unwrap();
}
