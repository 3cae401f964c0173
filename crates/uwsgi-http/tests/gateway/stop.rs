//! The end of the gateway.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use uwsgi_http::client::Client;
use uwsgi_http::gateway::Gateway;

use crate::front::Front;
use crate::server::{DEADLINE, Server};

#[tokio::test]
async fn requests_under_way_end_and_waiting_connections_are_closed() {
    let server = Server::new();
    let front = Front::of(server.address()).await;
    let (address, task) = (front.address, front.task);
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut browser = crate::front::Browser(TcpStream::connect(address).await.unwrap());
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut accepted = server.accept().await;
    accepted.packet().await;

    front.stop.send(()).unwrap();
    let mut rest = Vec::new();
    let closed = tokio::io::AsyncReadExt::read_to_end(&mut idle, &mut rest);
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
