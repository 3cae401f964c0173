//! HTTP on one connection: one request, one response.

use std::convert::Infallible;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::sleep;
use tracing::debug;

use super::access::Access;
use super::connections::RequestSeen;
use super::respond::{forbidden, respond};

/// Serves one request.
pub(super) async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    access: Access,
    seen: RequestSeen,
) {
    let (access, seen, answered) = (&access, &seen, &Notify::new());
    let service = service_fn(move |request: Request<Incoming>| async move {
        seen.set();
        let response = match access {
            Access::Granted(scope, orders) => respond(&request, *scope, orders).await,
            Access::Denied => forbidden(),
        };
        answered.notify_one();
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        // One request per connection, so that no client keeps one open without sending anything.
        .keep_alive(false)
        // `nc -N` and similar clients close their sending direction immediately.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // While the master works on an order, only its own deadline applies.
    let unread = async {
        answered.notified().await;
        sleep(SEND_TIMEOUT).await;
    };
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                debug!(%error, "control connection ended");
            }
        }
        () = unread => debug!("control connection cut: the peer does not read the response"),
    }
}

/// Maximum bytes of a request's head.
const MAX_HEAD: usize = 16 * 1_024;

/// How long a client may take to send its request's head.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to read the response.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::sync::mpsc;

    use super::super::fixture::{Fixture, receive, some_status};
    use super::super::respond::FORBIDDEN;
    use super::*;
    use crate::control::protocol::Scope;
    use crate::control::{Order, Status, WorkerStatus};

    #[tokio::test]
    async fn user_who_may_not_give_orders_is_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut client = theirs;
        client
            .write_all(b"POST /stop HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        serve_connection(ours, Access::Denied, RequestSeen::default()).await;
        assert_eq!(receive(client).await, (403, FORBIDDEN.to_owned()));
    }

    #[tokio::test]
    async fn half_closed_connection_gets_its_response() {
        let mut fixture = Fixture::new();
        let mut stream = fixture.send("GET /ready").await;
        stream.shutdown().await.unwrap();
        let Order::Status(reply) = fixture.order().await else {
            panic!("/ready asks for the status");
        };
        reply.send(some_status()).unwrap();
        assert_eq!(receive(stream).await.0, 503);
    }

    #[tokio::test]
    async fn body_is_not_waited_for() {
        let mut fixture = Fixture::new();
        let mut stream = fixture.connect().await;
        let head = "POST /stop HTTP/1.1\r\nHost: scoter\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let Order::Stop(reply) = fixture.order().await else {
            panic!("/stop asks for a stop");
        };
        reply.send(()).unwrap();
        assert_eq!(receive(stream).await.0, 202);
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_are_closed() {
        let fixture = Fixture::new();
        for head in ["", "GET /sta"] {
            let mut stream = fixture.connect().await;
            stream.write_all(head.as_bytes()).await.unwrap();
            let started = tokio::time::Instant::now();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert!(started.elapsed() >= HEAD_TIMEOUT, "{head:?}");
            assert!(started.elapsed() < 2 * HEAD_TIMEOUT, "{head:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sending_an_unread_response_times_out() {
        let (ours, mut client) = UnixStream::pair().unwrap();
        client
            .write_all(b"GET /status HTTP/1.1\r\nHost: scoter\r\n\r\n")
            .await
            .unwrap();
        let (sender, mut orders) = mpsc::channel(1);
        let master = async {
            let Some(Order::Status(reply)) = orders.recv().await else {
                panic!("/status asks for the status");
            };
            // Far more than the kernel buffers.
            let workers = vec![WorkerStatus::default(); 10_000];
            reply
                .send(Status {
                    workers,
                    ..Status::default()
                })
                .unwrap();
        };
        let started = tokio::time::Instant::now();
        tokio::join!(
            serve_connection(
                ours,
                Access::Granted(Scope::All, sender),
                RequestSeen::default()
            ),
            master
        );
        assert!(started.elapsed() >= SEND_TIMEOUT);
        assert!(started.elapsed() < 2 * SEND_TIMEOUT);
    }
}
