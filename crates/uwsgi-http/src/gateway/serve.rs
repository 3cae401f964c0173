use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info, warn};
use uwsgi_codec::http::ConnectionInfo;

use super::listener::Listener;
use super::request::Requests;
use super::send_limit::SendLimit;
use crate::client::{Client, Stream};

/// An HTTP/1.1 server that passes every request on to a uwsgi server.
///
/// The [module](super) says what it answers itself.
///
/// # Examples
///
/// ```no_run
/// use tokio::net::TcpListener;
/// use uwsgi_http::client::Client;
/// use uwsgi_http::gateway::Gateway;
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new("/run/app.sock".parse()?);
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// let stop = async { tokio::signal::ctrl_c().await.expect("signals can be received") };
/// Gateway::new(client)
///     .with_max_body(10 << 20)
///     .serve(listener, stop)
///     .await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gateway {
    requests: Requests,
    max_head: usize,
    stop_timeout: Duration,
}

impl Gateway {
    /// Makes a gateway to the server of a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            requests: Requests {
                client,
                max_body: u64::MAX,
                buffered_body: 0,
                client_timeout: Duration::from_secs(60),
            },
            max_head: 64 * 1024,
            stop_timeout: Duration::from_secs(30),
        }
    }

    /// Sets the maximum bytes of a request's body; the answer to a longer one is 413. Default: no limit, since
    /// nothing of it is held.
    #[must_use]
    pub fn with_max_body(mut self, bytes: u64) -> Self {
        self.requests.max_body = bytes;
        self
    }

    /// Sets how many bytes of a chunked body are held in memory until its length is
    /// known, which uwsgi has to have before the body; the answer to a longer one is 413.
    /// Default: 0, and the answer to a chunked body is 411.
    #[must_use]
    pub fn with_buffered_body(mut self, bytes: usize) -> Self {
        self.requests.buffered_body = bytes;
        self
    }

    /// Sets the maximum bytes of a request's head; the answer to a longer one is 431.
    /// Default: 65 536. What one uwsgi packet cannot carry is answered so in any case.
    #[must_use]
    pub fn with_max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// Sets how long a client may take: for the head of a request, from the end of the
    /// response before it on; between two parts of a request's body (then the answer is
    /// 408); and to receive anything of a response. Default: 60 seconds.
    #[must_use]
    pub fn with_client_timeout(mut self, limit: Duration) -> Self {
        self.requests.client_timeout = limit;
        self
    }

    /// Sets how long requests may go on after the stop. Default: 30 seconds.
    #[must_use]
    pub fn with_stop_timeout(mut self, limit: Duration) -> Self {
        self.stop_timeout = limit;
        self
    }

    /// Serves until `stop` is ready, and then until the requests that are under way have
    /// ended, or the stop timeout has.
    ///
    /// When `stop` is ready, the listener is closed, and so are connections that wait for a
    /// request; the others are after their response.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes everything at once.
    pub async fn serve(self, listener: impl Into<Listener>, stop: impl Future<Output = ()>) {
        let listener = listener.into();
        let gateway = Arc::new(self);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                // Ended ones, so that they take no memory.
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, connection)) => {
                        gateway.spawn(stream, connection, &graceful, &mut connections);
                    }
                    Err(error) => refused(&error).await,
                },
            }
        }
        drop(listener);
        info!(connections = connections.len(), "stopping");
        if timeout(gateway.stop_timeout, graceful.shutdown())
            .await
            .is_err()
        {
            warn!(connections = connections.len(), limit = ?gateway.stop_timeout, "requests cut off at the stop");
        }
        connections.shutdown().await;
    }

    fn spawn(
        self: &Arc<Self>,
        stream: Stream,
        connection: ConnectionInfo,
        graceful: &GracefulShutdown,
        connections: &mut JoinSet<()>,
    ) {
        let gateway = Arc::clone(self);
        let service = service_fn(move |request| {
            let (gateway, connection) = (Arc::clone(&gateway), connection.clone());
            async move { Ok::<_, Infallible>(gateway.requests.respond(request, &connection).await) }
        });
        let limit = self.requests.client_timeout;
        let io = TokioIo::new(SendLimit::new(stream, limit));
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limit)
            .max_header_size(self.max_head)
            .serve_connection(io, service);
        let serving = graceful.watch(serving);
        connections.spawn(async move {
            if let Err(error) = serving.await {
                debug!(%error, "connection ended");
            }
        });
    }
}

/// No connection could be accepted: mostly for want of descriptors, so ended connections
/// help.
async fn refused(error: &io::Error) {
    if is_of_the_connection(error) {
        return;
    }
    error!(%error, advice = "raise the limit of open files", "no connection can be accepted");
    sleep(PAUSE).await;
}

/// accept(2): errors of the connection that was to be accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

const PAUSE: Duration = Duration::from_millis(100);
