//! Connections that are not there at once.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::Empty;
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;
use tokio::net::TcpListener;
use uwsgi_http::Address;
use uwsgi_http::client::{ClientError, Exchange, Stream, Wait};

use crate::server::{Accepted, get};

#[tokio::test]
async fn address_without_a_server_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("nobody");
    let address = Address::Unix(path.clone());
    let error = Stream::connect(&address, Duration::MAX).await.unwrap_err();
    let expected = format!("no connection to unix:{}", path.display());
    assert_eq!(error.to_string(), expected);
    let cause = error.source().unwrap().to_string();
    assert!(cause.starts_with("No such file"), "{cause}");
    assert_eq!(error.http_status(), 502);
}

#[tokio::test]
async fn tcp_works_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap().to_string());
    let stream = Stream::connect(&address, Duration::MAX).await.unwrap();
    let server = tokio::spawn(async move {
        let (mut accepted, _) = listener.accept().await.unwrap();
        let mut packet = vec![0; get().len()];
        tokio::io::AsyncReadExt::read_exact(&mut accepted, &mut packet)
            .await
            .unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut accepted, b"HTTP/1.1 204 No\r\n\r\n").await
    });
    let exchange = Exchange::new(get(), Method::GET);
    let reply = exchange.send(stream, Empty::<Bytes>::new()).await.unwrap();
    assert_eq!(reply.head.status(), 204);
    server.await.unwrap().unwrap();
}

/// A listener whose backlog is one connection, and it is taken.
fn full_backlog() -> (TempDir, Address, Socket, std::os::unix::net::UnixStream) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let first = std::os::unix::net::UnixStream::connect(&path).unwrap();
    (folder, Address::Unix(path), listener, first)
}

#[tokio::test]
async fn full_backlog_is_waited_for() {
    let (_folder, address, listener, _first) = full_backlog();
    let mut connecting =
        tokio::spawn(async move { Stream::connect(&address, Duration::MAX).await });
    // It has met the full backlog.
    let early = tokio::time::timeout(Duration::from_millis(100), &mut connecting).await;
    assert!(early.is_err(), "{early:?}");
    drop(listener.accept().unwrap());
    let stream = connecting.await.unwrap().unwrap();

    let (accepted, _) = listener.accept().unwrap();
    accepted.set_nonblocking(true).unwrap();
    let mut accepted = Accepted(tokio::net::UnixStream::from_std(accepted.into()).unwrap());
    accepted.write(b"HTTP/1.1 204 No\r\n\r\n").await;
    let exchange = Exchange::new(get(), Method::GET);
    let reply = exchange.send(stream, Empty::<Bytes>::new()).await.unwrap();
    assert_eq!(reply.head.status(), 204);
}

#[tokio::test]
async fn full_backlog_is_waited_for_until_the_limit() {
    let (_folder, address, _listener, _first) = full_backlog();
    let error = Stream::connect(&address, Duration::from_millis(100)).await;
    let error = error.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Timeout {
                wait: Wait::Connect,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.http_status(), 504);
}
