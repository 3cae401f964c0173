//! The loops that accept connections, for as long as the master runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Uid;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::ControlListener;
use super::access::Access;
use super::connections::Connections;
use super::http::serve_connection;
use super::metrics_listener::{Accepted, MetricsListener};
use super::rejected::Rejected;
use crate::control::Order;
use crate::control::protocol::Scope;

/// Serves the control socket until `token` is cancelled. Requests received by then are still
/// answered, for up to [`SHUTDOWN_TIMEOUT`]. The socket's file is left alone.
///
/// # Errors
///
/// When the socket cannot be registered with the runtime.
pub(crate) async fn serve(
    listener: Arc<ControlListener>,
    orders: mpsc::Sender<Order>,
    token: CancellationToken,
) -> io::Result<()> {
    let socket = listener.register()?;
    let mut connections = Connections::default();
    let mut rejected = Rejected::default();
    loop {
        tokio::select! {
            () = token.cancelled() => break,
            Some(()) = connections.ended() => {}
            accepted = socket.accept() => {
                let Ok((stream, _)) = accepted else {
                    // No descriptor is available; the connection waits in the kernel.
                    sleep(ACCEPT_RETRY_DELAY).await;
                    continue;
                };
                let peer = peer_uid(&stream);
                let is_admitted = peer.is_some_and(|peer| listener.admitted().includes(peer));
                if !is_admitted && rejected.is_new(peer) {
                    let uid = peer.map(Uid::as_raw);
                    warn!(uid, "control: refused a user without permission");
                }
                let access = match is_admitted {
                    true => Access::Granted(Scope::All, orders.clone()),
                    false => Access::Denied,
                };
                let user = peer.filter(|_| is_admitted);
                if !connections.add(user, |seen| serve_connection(stream, access, seen)) {
                    // A client that reconnects continually must not keep the master busy.
                    sleep(REJECTION_DELAY).await;
                }
            }
        }
    }
    finish(connections).await;
    Ok(())
}

/// Serves the socket of `--metrics` in the same way to those who may read. They share one limit, because
/// who they are is not known.
///
/// # Errors
///
/// When the socket cannot be registered with the runtime.
pub(crate) async fn serve_readers(
    listener: Arc<MetricsListener>,
    orders: mpsc::Sender<Order>,
    token: CancellationToken,
) -> io::Result<()> {
    let socket = listener.register()?;
    let mut connections = Connections::default();
    let mut rejected = Rejected::default();
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => break,
            Some(()) = connections.ended() => continue,
            accepted = socket.accept() => accepted,
        };
        let access = Access::Granted(Scope::Read, orders.clone());
        let is_below_limit = match accepted {
            Ok(Accepted::Unix(stream)) => {
                connections.add(None, |seen| serve_connection(stream, access, seen))
            }
            Ok(Accepted::Tcp(stream, peer)) if listener.admits(peer) => {
                connections.add(None, |seen| serve_connection(stream, access, seen))
            }
            Ok(Accepted::Tcp(_, peer)) => {
                if rejected.is_new(peer.ip()) {
                    let peer = peer.ip();
                    warn!(%peer, "metrics: refused a peer that no --metrics-allow network contains");
                }
                false
            }
            Err(_) => {
                sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        if !is_below_limit {
            sleep(REJECTION_DELAY).await;
        }
    }
    finish(connections).await;
    Ok(())
}

/// Waits for the last responses.
async fn finish(mut connections: Connections) {
    let _ = timeout(SHUTDOWN_TIMEOUT, async {
        while connections.ended().await.is_some() {}
    })
    .await;
}

fn peer_uid(stream: &UnixStream) -> Option<Uid> {
    let credentials = stream.peer_cred().ok()?;
    Some(Uid::from_raw(credentials.uid()))
}

/// How long the shutdown waits for responses.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause before another accept(2) when no descriptor was available.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Pause after a connection beyond its user's limit.
const REJECTION_DELAY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::super::connections::MAX_PER_USER;
    use super::super::fixture::{Fixture, receive, some_status};
    use super::super::http::HEAD_TIMEOUT;
    use super::*;

    #[tokio::test]
    async fn silent_connections_do_not_lock_out_others() {
        let mut fixture = Fixture::new();
        let mut silent = Vec::new();
        for _ in 0..80 {
            silent.push(fixture.connect().await);
        }
        let answered = async {
            let stream = fixture.send("GET /ready").await;
            let Order::Status(reply) = fixture.order().await else {
                panic!("/ready asks for the status");
            };
            reply.send(some_status()).unwrap();
            receive(stream).await.0
        };
        // Before any of them is closed for its silence.
        assert_eq!(timeout(HEAD_TIMEOUT / 2, answered).await, Ok(503));
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_if_all_have_sent_requests() {
        let mut fixture = Fixture::new();
        let mut waiting = Vec::new();
        let mut pending = Vec::new();
        for _ in 0..MAX_PER_USER {
            waiting.push(fixture.send("POST /reload").await);
            pending.push(fixture.order().await);
        }
        let mut text = String::new();
        // It may be reset, because its request is not read.
        let _ = fixture.connect().await.read_to_string(&mut text).await;
        assert_eq!(text, "");
        drop(pending.pop());
        assert_eq!(receive(waiting.pop().unwrap()).await.0, 503);
        let late = fixture.send("POST /stop").await;
        let Order::Stop(reply) = fixture.order().await else {
            panic!("the late one comes next");
        };
        reply.send(()).unwrap();
        assert_eq!(receive(late).await.0, 202);
    }

    #[tokio::test]
    async fn cancelled_server_sends_its_last_responses_and_stops_accepting() {
        let mut fixture = Fixture::new();
        let stream = fixture.send("POST /stop").await;
        let order = fixture.order().await;
        fixture.token.cancel();
        let Order::Stop(reply) = order else {
            panic!("/stop asks for a stop");
        };
        reply.send(()).unwrap();
        assert_eq!(receive(stream).await.0, 202);
        fixture.serving.await.unwrap().unwrap();
        assert!(UnixStream::connect(&fixture.path).await.is_err());
    }
}
