//! A connection to the socket of `--uwsgi-stats` on which no request is read.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::ask::{ask, within_timeout};
use crate::control::Order;

/// Sends the statistics and ends the connection.
pub(super) async fn send_stats(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    orders: mpsc::Sender<Order>,
) {
    // A client that gets nothing tries again: better than half of it.
    let Some(json) = within_timeout(ask(&orders, Order::UwsgiStats)).await else {
        return;
    };
    let sending = async {
        stream.write_all(json.as_bytes()).await?;
        stream.shutdown().await?;
        // A socket that is closed with unread bytes in it is reset, and what the client has not read yet
        // is lost (RFC 9112, 9.6).
        let mut ignored = [0; 1_024];
        while stream.read(&mut ignored).await? > 0 {}
        std::io::Result::Ok(())
    };
    match timeout(SEND_TIMEOUT, sending).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "connection for statistics ended"),
        Err(_) => {
            debug!("connection for statistics cut: the peer does not read them or does not end")
        }
    }
}

/// How long a client may take to read them, and to end the connection.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
