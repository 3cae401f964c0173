use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, warn};
use uwsgi_codec::http::ConnectionInfo;

use super::activity::Activity;
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
/// let shutdown = async { tokio::signal::ctrl_c().await.expect("signals can be received") };
/// Gateway::new(client)
///     .with_max_body(10 << 20)
///     .serve(listener, shutdown)
///     .await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gateway {
    requests: Requests,
    max_connections: usize,
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
                speaks_uwsgi: Arc::new(AtomicBool::new(false)),
            },
            max_connections: 1_024,
            max_head: 64 * 1024,
            stop_timeout: Duration::from_secs(30),
        }
    }

    /// Sets the maximum of connections of clients that are served at once. Others wait in
    /// the listener's backlog. At least 1. Default: 1 024.
    ///
    /// Each takes a descriptor, and a second one while it has a request. See `ulimit -n`.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets the maximum bytes of a request's body; the answer to a longer one is 413.
    /// Default: no limit, since nothing of it is held.
    #[must_use]
    pub fn with_max_body(mut self, bytes: u64) -> Self {
        self.requests.max_body = bytes;
        self
    }

    /// Sets up to how many bytes a request's body is held in memory, and the server asked
    /// only once it is complete: then a slow upload keeps no worker of the server waiting.
    ///
    /// A longer body of known length is streamed. The length of a chunked one has to be
    /// known before, by uwsgi's rules; the answer to a longer one is 413. Each connection
    /// may hold so much: see [`with_max_connections`](Self::with_max_connections).
    /// Default: 0, every body is streamed, and the answer to a chunked one is 411.
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

    /// Serves until `shutdown` is ready, and then until the requests that are under way have
    /// ended, or [`with_stop_timeout`](Self::with_stop_timeout) cuts them off.
    ///
    /// After `shutdown` it takes what waits in the listener's backlog, beyond
    /// [`with_max_connections`](Self::with_max_connections) too, and closes the listener. A
    /// client that has connected has a second for the head of its request; a kept
    /// connection on which none comes at once is closed. Each connection is closed after
    /// its response. A Unix socket's file stays.
    ///
    /// A failure to accept, for want of descriptors for instance, is logged and tried
    /// again after 100 ms.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes everything at once.
    pub async fn serve(self, listener: impl Into<Listener>, shutdown: impl Future<Output = ()>) {
        let listener = listener.into();
        let room = Arc::new(Semaphore::new(self.max_connections));
        let mut accepting = Accepting {
            gateway: Arc::new(self),
            stop: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                // Ended ones, so that they take no memory.
                Some(ended) = accepting.tasks.join_next() => log_panic(ended),
                accepted = next(&listener, &room) => match accepted {
                    Ok((stream, connection, permit)) => {
                        accepting.spawn(stream, connection, Some(permit));
                    }
                    Err(error) => refused(&error).await,
                },
            }
        }
        accepting.stop.send_replace(true);
        accepting.empty_backlog(&listener);
        drop(listener);
        accepting.finish().await;
    }
}

/// A gateway that runs.
struct Accepting {
    gateway: Arc<Gateway>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Accepting {
    fn spawn(
        &mut self,
        stream: Stream,
        connection: ConnectionInfo,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let gateway = Arc::clone(&self.gateway);
        let stop = self.stop.subscribe();
        self.tasks.spawn(async move {
            gateway.serve_connection(stream, connection, stop).await;
            drop(permit);
        });
    }

    /// Takes the connections that the system has accepted already: closing the listener
    /// would reset them.
    fn empty_backlog(&mut self, listener: &Listener) {
        // Of those that go on connecting, not without end.
        for _ in 0..MAX_BACKLOG {
            match listener.accept_now() {
                Ok((stream, connection)) => self.spawn(stream, connection, None),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => return log_refused(&error),
            }
        }
    }

    /// Waits for the requests that are under way.
    async fn finish(&mut self) {
        debug!(connections = self.tasks.len(), "stopping");
        let limit = self.gateway.stop_timeout;
        let all_ended = async {
            while let Some(ended) = self.tasks.join_next().await {
                log_panic(ended);
            }
        };
        if timeout(limit, all_ended).await.is_err() {
            warn!(
                connections = self.tasks.len(),
                ?limit,
                "requests cut off at the stop"
            );
            self.tasks.shutdown().await;
        }
    }
}

impl Gateway {
    async fn serve_connection(
        self: Arc<Self>,
        stream: Stream,
        connection: ConnectionInfo,
        mut stop: watch::Receiver<bool>,
    ) {
        let activity = Activity::new();
        let limit = self.requests.client_timeout;
        let io = TokioIo::new(SendLimit::new(stream, limit, activity.clone()));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(limit)
            .max_header_size(self.max_head)
            .max_headers(MAX_HEADERS);
        let service = service_fn(|request| {
            let (gateway, connection) = (Arc::clone(&self), connection.clone());
            let under_way = activity.begin();
            async move {
                let response = gateway.requests.respond(request, &connection, under_way);
                Ok::<_, Infallible>(response.await)
            }
        });
        let mut serving = pin!(http.serve_connection(io, service));
        let ended = tokio::select! {
            biased;
            ended = serving.as_mut() => Some(ended),
            is_last = async {
                // An error: the stop is over.
                let _ = stop.wait_for(|stop| *stop).await.is_ok();
                activity.last_request().await
            } => match is_last {
                true => None,
                false => return debug!("connection closed at the stop, before a whole head"),
            },
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = ended {
            debug!(%error, "connection ended");
        }
    }
}

/// Waits for room, and then for a connection.
async fn next(
    listener: &Listener,
    room: &Arc<Semaphore>,
) -> io::Result<(Stream, ConnectionInfo, OwnedSemaphorePermit)> {
    let room = Arc::clone(room).acquire_owned().await;
    let permit = room.map_err(io::Error::other)?;
    let (stream, connection) = listener.accept().await?;
    Ok((stream, connection, permit))
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a connection was lost");
    }
}

/// No connection could be accepted: mostly for want of descriptors, so ended connections
/// help.
async fn refused(error: &io::Error) {
    if is_of_the_connection(error) {
        return;
    }
    log_refused(error);
    sleep(PAUSE).await;
}

fn log_refused(error: &io::Error) {
    let advice = match lacks_descriptors(error) {
        true => "raise the limit of open files (ulimit -n), or lower the maximum of connections",
        false => "see accept(2)",
    };
    error!(%error, advice, "no connection can be accepted");
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

/// errno(3): `ENFILE` and `EMFILE`, which have these numbers on every Unix.
pub(super) fn lacks_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// More than a backlog holds: Linux limits it to `net.core.somaxconn`, 4 096 by default.
const MAX_BACKLOG: usize = 8_192;

/// With the variables of the front end about the 1,000 that servers accept by default
/// (scoter's `--max-vars`). A request with more is answered 431.
const MAX_HEADERS: usize = 950;

const PAUSE: Duration = Duration::from_millis(100);
