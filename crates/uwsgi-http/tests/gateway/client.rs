//! Clients that leave or take their time.

use std::time::Duration;

use uwsgi_http::client::Client;
use uwsgi_http::gateway::Gateway;

use crate::front::Front;
use crate::server::Server;

const SHORT: Duration = Duration::from_millis(100);

async fn impatient(server: &Server) -> Front {
    let client = Client::new(server.address());
    Front::new(Gateway::new(client).with_client_timeout(SHORT)).await
}

#[tokio::test]
async fn connection_to_the_server_ends_with_that_of_the_client() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    drop(browser);
    assert!(accepted.closes().await);
}

#[tokio::test]
async fn upload_that_ends_early_closes_the_connection_to_the_server() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let mut browser = front.connect().await;
    browser
        .write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        .await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    assert_eq!(accepted.read(5).await, b"hello");
    drop(browser);
    assert!(accepted.closes().await);
}

#[tokio::test]
async fn upload_that_stands_still_is_a_request_timeout() {
    let server = Server::new();
    let front = impatient(&server).await;
    let mut browser = front.connect().await;
    browser
        .write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        .await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    let response = browser.until("\r\n").await;
    assert_eq!(response, "HTTP/1.1 408 Request Timeout\r\n");
    assert_eq!(accepted.rest().await, b"hello");
}

#[tokio::test]
async fn client_that_sends_no_request_is_disconnected() {
    let server = Server::new();
    let front = impatient(&server).await;
    for start in ["", "GET / HT"] {
        let mut browser = front.connect().await;
        browser.write(start.as_bytes()).await;
        browser.rest().await;
    }
}

#[tokio::test]
async fn client_that_reads_nothing_is_disconnected() {
    let server = Server::new();
    let front = impatient(&server).await;
    let mut browser = front.connect().await;
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let part = vec![b'x'; 1 << 20];
    let writing = async {
        while tokio::io::AsyncWriteExt::write_all(&mut accepted.0, &part)
            .await
            .is_ok()
        {}
    };
    tokio::time::timeout(crate::server::DEADLINE, writing)
        .await
        .expect("the gateway closes the connection");
    drop(browser);
}

#[tokio::test]
async fn connections_beyond_the_maximum_wait() {
    let server = Server::new();
    let gateway = Gateway::new(Client::new(server.address())).with_max_connections(1);
    let front = Front::new(gateway).await;
    let mut first = front.connect().await;
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    first.write(request).await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    let mut second = front.connect().await;
    second.write(request).await;
    let early = tokio::time::timeout(SHORT, server.accept()).await;
    assert!(early.is_err(), "a second request is under way");
    drop(first);
    server.accept().await.packet().await;
}

/// The server has answered early, and the client may not care for the rest of its upload.
#[tokio::test]
async fn upload_that_stands_still_does_not_end_the_response() {
    let server = Server::new();
    let front = impatient(&server).await;
    let mut browser = front.connect().await;
    browser
        .write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        .await;
    let mut accepted = server.accept().await;
    accepted.packet().await;
    accepted
        .write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nda")
        .await;
    browser.until("\r\n\r\nda").await;
    tokio::time::sleep(3 * SHORT).await;
    accepted.write(b"ta").await;
    browser.until("ta").await;
}
