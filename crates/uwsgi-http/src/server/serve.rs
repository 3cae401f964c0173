use std::future::{poll_fn, ready};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tower_service::Service;
use tracing::{error, warn};
use uwsgi_codec::Limits;

use super::BoxError;
use super::connection::Connection;
use super::listener::Listener;
use super::request_body::RequestBody;
use super::settings::{HalfClose, KeepAlive, Settings};

/// Serves a tower service, such as an axum `Router`, to front ends that speak uwsgi.
///
/// The service is cloned for each request, and called once it is ready
/// (`Service::poll_ready`). Pass axum's `Router` itself, not what
/// `Router::into_make_service` returns.
///
/// # Examples
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use tokio::net::UnixListener;
/// use uwsgi_http::server::Server;
///
/// # async fn run() -> std::io::Result<()> {
/// let app = Router::new().route("/", get(|| async { "Hello" }));
/// let listener = UnixListener::bind("/run/app/app.sock")?;
/// let stop = async {
///     let _ = tokio::signal::ctrl_c().await;
/// };
/// Server::new(app).serve(listener, stop).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Server<S> {
    service: S,
    settings: Settings,
}

impl<S> Server<S> {
    /// Makes a server of a service.
    #[must_use]
    pub fn new(service: S) -> Self {
        Self {
            service,
            settings: Settings::default(),
        }
    }

    /// Sets the limits of a packet: its bytes and its variables. Beyond them a request is
    /// answered 431. Default: all that the protocol allows, 65 535 bytes, in 1 024
    /// variables.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the maximum of connections served at once. Others wait in the listener's
    /// backlog. At least 1. Default: 1 024.
    ///
    /// Each takes a descriptor; those take a second one whose client has shut down a
    /// direction, or whose body waits while the service does something else. See
    /// `ulimit -n`.
    #[must_use]
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections.clamp(1, Semaphore::MAX_PERMITS);
        self
    }

    /// Sets how long the packet of a request may take, from accept or on a kept
    /// connection from its first byte. Then the peer is answered 408, or if it has sent
    /// nothing the connection is closed. Default: 10 s.
    #[must_use]
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.settings.header_timeout = timeout;
        self
    }

    /// Sets how long the service waits for any more of a request's body, before it gets
    /// [`BodyError::TimedOut`](super::BodyError::TimedOut). Default: 60 s.
    #[must_use]
    pub fn with_body_timeout(mut self, timeout: Duration) -> Self {
        self.settings.body_timeout = timeout;
        self
    }

    /// Sets how long the peer may take to accept any more of a response, before the
    /// connection is closed. Default: 60 s.
    #[must_use]
    pub fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.settings.write_timeout = timeout;
        self
    }

    /// Sets how long a stop waits for requests that are under way. Then they are dropped.
    /// Default: 30 s. [`Duration::MAX`] is no limit.
    ///
    /// Event streams and other responses that never end hold a stop until then. Let what
    /// stops the process wait longer: systemd's `TimeoutStopSec` is 90 s, `docker stop`
    /// kills after 10 s, Kubernetes after 30 s.
    #[must_use]
    pub fn with_stop_timeout(mut self, timeout: Duration) -> Self {
        self.settings.stop_timeout = timeout;
        self
    }

    /// Sets what it means if a peer shuts down its direction. Default:
    /// [`HalfClose::Answer`].
    #[must_use]
    pub fn with_half_close(mut self, half_close: HalfClose) -> Self {
        self.settings.half_close = half_close;
        self
    }

    /// Sets how connections are kept for front ends that ask for it. Default:
    /// [`KeepAlive::new`].
    #[must_use]
    pub fn with_keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.settings.keep_alive = keep_alive;
        self
    }

    /// Serves the connections that `listener` accepts until `shutdown` is ready, and
    /// those under way to their end.
    ///
    /// After `shutdown` it takes what waits in the listener's backlog, also beyond
    /// [`with_max_connections`](Self::with_max_connections) (these are served as soon as
    /// others end), closes the listener, agrees to keep no connection, closes those that
    /// wait for a request, and returns when all responses have been sent, or after
    /// [`with_stop_timeout`](Self::with_stop_timeout). A packet that has begun is waited
    /// for, up to [`with_header_timeout`](Self::with_header_timeout); one that has not,
    /// for a second on connections that have had no request. A Unix socket's file stays.
    ///
    /// From the close of the listener until another process listens, nginx answers 502:
    /// [Restarts](crate::server#restarts) says how to avoid it.
    ///
    /// A failure to accept, for want of descriptors for instance, is logged and tried
    /// again after a pause of up to a second.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops all requests.
    pub async fn serve<L, B>(self, mut listener: L, shutdown: impl Future<Output = ()>)
    where
        L: Listener,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let room = Arc::new(Semaphore::new(self.settings.max_connections));
        let (stop, _) = watch::channel(false);
        let mut accepting = Accepting {
            service: self.service,
            keepers: Arc::new(Semaphore::new(self.settings.max_kept())),
            room: Arc::clone(&room),
            settings: Arc::new(self.settings),
            stop,
            tasks: JoinSet::new(),
        };
        let mut shutdown = pin!(shutdown);
        let mut pause = MIN_PAUSE;
        while let Some(accepted) = before(shutdown.as_mut(), next(&mut listener, &room)).await {
            match accepted {
                Ok((io, permit)) => {
                    pause = MIN_PAUSE;
                    accepting.spawn(io, ready(Some(permit)));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    error!(
                        %error, retry_in = ?pause,
                        "cannot accept connections: raise the open file limit (ulimit -n) or \
                         lower the maximum of connections if it is about files"
                    );
                    if before(shutdown.as_mut(), sleep(pause)).await.is_none() {
                        break;
                    }
                    pause = (2 * pause).min(MAX_PAUSE);
                }
            }
        }
        accepting.stop.send_replace(true);
        accepting.empty_backlog(&mut listener).await;
        drop(listener);
        accepting.finish().await;
    }

    /// Serves one connection until it ends: for streams that no [`Listener`] accepts.
    ///
    /// When `shutdown` is ready, the request under way is the last one; a connection that
    /// waits for one is closed. [`std::future::pending`] never is.
    ///
    /// Of tokio's own `UnixStream` and `TcpStream` the server knows more than of others: it
    /// sees whether the peer has closed a connection that it had half closed before, and
    /// whether anything has arrived behind a request; it resets TCP behind an incomplete
    /// response, and sets `TCP_NODELAY`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the request and closes the connection.
    pub async fn serve_connection<I, B>(self, io: I, shutdown: impl Future<Output = ()>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (stop, stopped) = watch::channel(false);
        let max_kept = self.settings.keep_alive.max_connections.min(1);
        let keepers = Arc::new(Semaphore::new(max_kept));
        let room = Arc::new(Semaphore::new(1));
        let settings = Arc::new(self.settings);
        let connection = Connection::new(io, &settings, stopped, &keepers, &room);
        let mut served = pin!(connection.serve(self.service));
        let mut shutdown = pin!(shutdown);
        if before(shutdown.as_mut(), served.as_mut()).await.is_none() {
            stop.send_replace(true);
            served.await;
        }
    }
}

/// A server that runs.
struct Accepting<S> {
    service: S,
    settings: Arc<Settings>,
    keepers: Arc<Semaphore>,
    room: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl<S> Accepting<S> {
    /// Serves a connection once there is room for it.
    fn spawn<I, B>(
        &mut self,
        io: I,
        permit: impl Future<Output = Option<OwnedSemaphorePermit>> + Send + 'static,
    ) where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        while let Some(ended) = self.tasks.try_join_next() {
            log_panic(ended);
        }
        let stop = self.stop.subscribe();
        let connection = Connection::new(io, &self.settings, stop, &self.keepers, &self.room);
        let service = self.service.clone();
        self.tasks.spawn(async move {
            let permit = permit.await;
            connection.serve(service).await;
            drop(permit);
        });
    }

    /// Takes the connections that the system has accepted already: closing the listener
    /// would reset them. Those for which there is no room wait for it.
    async fn empty_backlog<L, B>(&mut self, listener: &mut L)
    where
        L: Listener,
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let all = async {
            while let Ok(accepted) = timeout(BACKLOG_WAIT, listener.accept()).await {
                match accepted {
                    Ok(io) => {
                        let permit = Arc::clone(&self.room).acquire_owned();
                        self.spawn(io, async { permit.await.ok() });
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        error!(%error, "cannot accept the last connections: they are reset");
                        return;
                    }
                }
            }
        };
        let _ = timeout(MAX_BACKLOG_WAIT, all).await;
    }

    /// Waits for the requests that are under way.
    async fn finish(&mut self) {
        let limit = self.settings.stop_timeout;
        let all = self.all_ended();
        if timeout(limit, all).await.is_err() {
            warn!(
                connections = self.tasks.len(),
                ?limit,
                "requests were still under way at the end of the stop timeout, and are dropped"
            );
            self.tasks.shutdown().await;
        }
    }

    async fn all_ended(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            log_panic(ended);
        }
    }
}

/// Waits for room, and then for a connection.
async fn next<L: Listener>(
    listener: &mut L,
    room: &Arc<Semaphore>,
) -> io::Result<(L::Io, OwnedSemaphorePermit)> {
    let room = Arc::clone(room).acquire_owned().await;
    let permit = room.map_err(io::Error::other)?;
    Ok((listener.accept().await?, permit))
}

/// What a service does while it is called is seen elsewhere; this is what it does while
/// something of it is cloned or dropped.
fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a connection was lost");
    }
}

/// Waits for `work`, unless `end` is ready before.
async fn before<T>(
    mut end: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match end.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(None),
        Poll::Pending => work.as_mut().poll(cx).map(Some),
    })
    .await
}

/// Returns whether accepting the next connection may succeed at once (accept(2),
/// "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    let kinds = [
        ConnectionAborted,
        ConnectionRefused,
        ConnectionReset,
        Interrupted,
    ];
    kinds.contains(&error.kind())
}

const MIN_PAUSE: Duration = Duration::from_millis(10);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for a connection that the system has, but has not told of yet.
const BACKLOG_WAIT: Duration = Duration::from_millis(10);
const MAX_BACKLOG_WAIT: Duration = Duration::from_millis(100);
