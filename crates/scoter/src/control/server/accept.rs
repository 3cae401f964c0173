//! The loops that accept connections, for as long as the master runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Uid;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::ControlListener;
use super::access::Access;
use super::connections::Connections;
use super::http::serve_connection;
use super::reader_listener::{ReaderListener, Service};
use super::rejected::Rejected;
use super::socket::{Accepted, Peer, RegisteredSocket};
use super::stats::send_stats;
use crate::control::Order;
use crate::control::protocol::Scope;
use crate::control::uwsgi_stats::Transport;

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
    let mut rejected = Rejected::default();
    let begin = |accepted: Accepted, connections: &mut Connections| {
        let Accepted { stream, peer } = accepted;
        let user = match peer {
            Peer::User(user) => user,
            Peer::Host(_) => None,
        };
        let admitted = user.filter(|user| listener.admitted().includes(*user));
        if admitted.is_none() && rejected.is_new(user) {
            let uid = user.map(Uid::as_raw);
            warn!(uid, "control: refused a user without permission");
        }
        let access = match admitted {
            Some(_) => Access::Granted(Scope::All, orders.clone()),
            None => Access::Denied,
        };
        connections.add(admitted, |seen| serve_connection(stream, access, seen))
    };
    accept(&socket, &token, begin).await;
    Ok(())
}

/// Serves the socket of `--metrics` or `--uwsgi-stats` in the same way to those who may read. They share
/// one limit, because who they are is not known.
///
/// # Errors
///
/// When the socket cannot be registered with the runtime.
pub(crate) async fn serve_readers(
    listener: Arc<ReaderListener>,
    orders: mpsc::Sender<Order>,
    token: CancellationToken,
) -> io::Result<()> {
    let socket = listener.register()?;
    let service = listener.service();
    let mut rejected = Rejected::default();
    let begin = |accepted: Accepted, connections: &mut Connections| {
        let Accepted { stream, peer } = accepted;
        if let Peer::Host(peer) = peer {
            if !listener.admits(peer) {
                if rejected.is_new(peer) {
                    warn!(%peer, "{service}: refused a peer that no --metrics-allow network contains");
                }
                return false;
            }
        }
        let orders = orders.clone();
        let scope = match service {
            Service::Metrics => Scope::Read,
            Service::UwsgiStats(Transport::Http) => Scope::UwsgiStats,
            // Whoever has connected has asked. At the limit the slowest reader is in the way of others,
            // so it counts as one that has sent nothing yet.
            Service::UwsgiStats(Transport::Plain) => {
                return connections.add(None, |_| send_stats(stream, orders));
            }
        };
        let access = Access::Granted(scope, orders);
        connections.add(None, |seen| serve_connection(stream, access, seen))
    };
    accept(&socket, &token, begin).await;
    Ok(())
}

/// Accepts connections, and has `begin` serve each. It returns whether the peer was admitted and below
/// its limit; one that was not and connects continually must not keep the master busy.
async fn accept(
    socket: &RegisteredSocket,
    token: &CancellationToken,
    mut begin: impl FnMut(Accepted, &mut Connections) -> bool,
) {
    let mut connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            () = token.cancelled() => break,
            Some(()) = connections.ended() => continue,
            accepted = socket.accept() => accepted,
        };
        let Ok(accepted) = accepted else {
            // No descriptor is available; the connection waits in the kernel.
            sleep(ACCEPT_RETRY_DELAY).await;
            continue;
        };
        if !begin(accepted, &mut connections) {
            sleep(REJECTION_DELAY).await;
        }
    }
    finish(connections).await;
}

/// Waits for the last responses.
async fn finish(mut connections: Connections) {
    let _ = timeout(SHUTDOWN_TIMEOUT, async {
        while connections.ended().await.is_some() {}
    })
    .await;
}

/// How long the shutdown waits for responses.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Pause before another accept(2) when no descriptor was available.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// Pause after a peer that was not admitted, or beyond its limit.
const REJECTION_DELAY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

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
