//! A server on sockets of its own, and a front end that speaks uwsgi by hand.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::{Pending, poll_fn};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_service::Service;
use uwsgi_codec::PacketBuilder;
use uwsgi_codec::http::{BodyEnd, ReplyHead, ReplyLimits};
use uwsgi_http::BoxError;
use uwsgi_http::server::{RequestBody, Server};

/// Starts the packet of a request without a body, as nginx writes it.
pub(crate) fn request(method: &str, path: &str) -> PacketBuilder {
    with_length(method, path, "")
}

fn with_length(method: &str, path: &str, length: &str) -> PacketBuilder {
    let mut packet = PacketBuilder::new();
    let vars = [
        ("REQUEST_METHOD", method),
        ("REQUEST_URI", path),
        ("PATH_INFO", path),
        ("QUERY_STRING", ""),
        ("CONTENT_LENGTH", length),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "52814"),
        ("HTTP_HOST", "example.com"),
    ];
    packet.vars(vars).unwrap();
    packet
}

pub(crate) fn get(path: &str) -> PacketBuilder {
    request("GET", path)
}

/// Starts the packet of a request whose body has so many bytes.
pub(crate) fn post(path: &str, len: u64) -> PacketBuilder {
    with_length("POST", path, &len.to_string())
}

pub(crate) fn with(mut packet: PacketBuilder, key: &str, value: impl Display) -> PacketBuilder {
    packet.var(key, value.to_string()).unwrap();
    packet
}

/// Asks to keep the connection.
pub(crate) fn keeping(packet: PacketBuilder, sent: impl Display) -> PacketBuilder {
    with(packet, "UWSGI_KEEP_CONN", sent)
}

/// A server that runs on a Unix socket or on TCP.
pub(crate) struct Running {
    place: Place,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
    _folder: TempDir,
}

#[derive(Clone, Debug)]
enum Place {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// Where a test's server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum On {
    Unix,
    Tcp,
}

impl Running {
    pub(crate) async fn start<S, B>(on: On, server: Server<S>) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let folder = TempDir::new().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            // A test that has ended stops its server, too.
            let _ = stopped.await;
        };
        let (place, served) = match on {
            On::Unix => {
                let path = folder.path().join("socket");
                let listener = UnixListener::bind(&path).unwrap();
                let served = tokio::spawn(server.serve(listener, stopped));
                (Place::Unix(path), served)
            }
            On::Tcp => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let served = tokio::spawn(server.serve(listener, stopped));
                (Place::Tcp(address), served)
            }
        };
        Self {
            place,
            stop: Some(stop),
            served,
            _folder: folder,
        }
    }

    pub(crate) async fn connect(&self) -> Peer {
        match &self.place {
            Place::Unix(path) => Peer::new(Stream::Unix(UnixStream::connect(path).await.unwrap())),
            Place::Tcp(address) => {
                Peer::new(Stream::Tcp(TcpStream::connect(address).await.unwrap()))
            }
        }
    }

    /// Sends a packet on a new connection, and returns the response.
    pub(crate) async fn ask(&self, packet: &PacketBuilder) -> Reply {
        let mut peer = self.connect().await;
        peer.packet(packet).await;
        peer.reply(&Method::GET).await
    }

    /// Begins to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the server has returned.
    pub(crate) async fn ended(self) {
        within("the end of the server", self.served).await.unwrap();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.served.is_finished()
    }
}

#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Other(tokio::io::DuplexStream),
}

trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// A front end's side of a connection. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) stream: Stream,
    received: Vec<u8>,
}

/// How a connection ended, and what came before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Closed(String),
    Reset,
}

impl Peer {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            received: vec![],
        }
    }

    fn io(&mut self) -> &mut dyn Io {
        match &mut self.stream {
            Stream::Unix(stream) => stream,
            Stream::Tcp(stream) => stream,
            Stream::Other(stream) => stream,
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.io().write_all(bytes.as_ref());
        within("the server reads", sent).await.unwrap();
    }

    /// Sends bytes if the server still receives them.
    pub(crate) async fn trickle(&mut self, bytes: &[u8]) {
        let _ = self.io().write_all(bytes).await;
    }

    pub(crate) async fn packet(&mut self, packet: &PacketBuilder) {
        self.send(packet.to_vec().unwrap()).await;
    }

    /// Ends the front end's direction.
    pub(crate) async fn finish(&mut self) {
        self.io().shutdown().await.unwrap();
    }

    /// Sends as much as the server takes without being asked, until it takes no more.
    pub(crate) async fn send_until_full(&mut self, piece: &[u8], max: usize) -> usize {
        let mut sent = 0;
        while sent < max {
            let written = tokio::time::timeout(QUIET, self.io().write(piece)).await;
            match written {
                Ok(written) => sent += written.unwrap(),
                Err(_) => return sent,
            }
        }
        sent
    }

    pub(crate) fn close(self) {}

    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        match &self.stream {
            Stream::Tcp(stream) => {
                let linger = Some(Duration::ZERO);
                socket2::SockRef::from(stream).set_linger(linger).unwrap();
            }
            other => panic!("{other:?} has no reset"),
        }
    }

    /// Waits until there are so many bytes, and takes them.
    pub(crate) async fn read(&mut self, len: usize) -> Vec<u8> {
        while self.received.len() < len {
            let count = self.receive().await.unwrap();
            let received = String::from_utf8_lossy(&self.received);
            assert_ne!(count, 0, "ended after {received:?}");
        }
        self.received.drain(..len).collect()
    }

    /// Takes everything up to the end of the connection.
    pub(crate) async fn end(&mut self) -> End {
        loop {
            match self.receive().await {
                Ok(0) => {
                    let received = std::mem::take(&mut self.received);
                    return End::Closed(String::from_utf8_lossy(&received).into_owned());
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return End::Reset,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Waits until something has come.
    pub(crate) async fn wait(&mut self) {
        assert_ne!(self.receive().await.unwrap(), 0, "ended");
    }

    /// Returns whether anything, be it the end, has come within a moment.
    pub(crate) async fn has_news(&mut self) -> bool {
        tokio::time::timeout(QUIET, self.receive()).await.is_ok()
    }

    pub(crate) async fn head(&mut self, method: &Method) -> ReplyHead {
        loop {
            let limits = ReplyLimits::default();
            match ReplyHead::parse(&self.received, method, &limits).unwrap() {
                Some((head, len)) => {
                    self.received.drain(..len);
                    return head;
                }
                None => {
                    let count = self.receive().await.unwrap();
                    let received = String::from_utf8_lossy(&self.received);
                    assert_ne!(count, 0, "ended after {received:?}");
                }
            }
        }
    }

    /// Reads a response to where its head says that it ends, and no further.
    pub(crate) async fn reply(&mut self, method: &Method) -> Reply {
        let head = self.head(method).await;
        let body = match head.body_end() {
            BodyEnd::None => vec![],
            BodyEnd::Length(length) => self.read(usize::try_from(length).unwrap()).await,
            BodyEnd::Close | BodyEnd::Tunnel => match self.end().await {
                End::Closed(body) => body.into_bytes(),
                End::Reset => panic!("reset after {head:?}"),
            },
        };
        Reply {
            status: head.status().as_u16(),
            is_kept: head.keeps_connection(),
            headers: head.headers().clone(),
            body,
        }
    }

    async fn receive(&mut self) -> io::Result<usize> {
        let mut piece = vec![0; 64 * 1_024];
        let count = within("bytes of the server", self.io().read(&mut piece)).await?;
        self.received.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) is_kept: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }
}

/// A service made of a function.
#[derive(Clone)]
pub(crate) struct Of<F>(pub(crate) F);

impl<F, Fut, B, E> Service<Request<RequestBody>> for Of<F>
where
    F: FnMut(Request<RequestBody>) -> Fut,
    Fut: Future<Output = Result<Response<B>, E>>,
{
    type Response = Response<B>;
    type Error = E;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Fut {
        self.0(request)
    }
}

/// Waits for the next piece of a body, `None` at its end.
pub(crate) async fn piece<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
) -> Option<Result<Bytes, B::Error>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Tells when it is dropped.
pub(crate) struct Dropped(Option<oneshot::Sender<()>>);

impl Dropped {
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Some(sender)), receiver)
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(());
        }
    }
}

/// Never returns.
pub(crate) fn for_ever<T>() -> Pending<T> {
    std::future::pending()
}

/// The log of what happens on this thread, and so of a test with a runtime of one thread.
pub(crate) struct Log;

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(vec![]) };
}

impl Log {
    /// Begins to log. One subscriber for all threads: whether an event is logged at all is
    /// remembered for all of them.
    pub(crate) fn new() -> Self {
        static BEGUN: Once = Once::new();
        BEGUN.call_once(|| {
            tracing_subscriber::fmt()
                .with_writer(|| Lines)
                .with_ansi(false)
                .without_time()
                .with_max_level(tracing::Level::DEBUG)
                .init();
        });
        Self
    }

    /// Returns the lines that contain `text`.
    #[track_caller]
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
        let all = LINES.with_borrow(|lines| String::from_utf8_lossy(lines).into_owned());
        let lines: Vec<_> = all.lines().filter(|line| line.contains(text)).collect();
        assert!(!lines.is_empty(), "no {text:?} in the log:\n{all}");
        lines.into_iter().map(str::to_owned).collect()
    }
}

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| Write::write(lines, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for what is about to happen.
#[track_caller]
pub(crate) fn within<T>(what: &str, work: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let waited = tokio::time::timeout(DEADLINE, work).await;
        waited.unwrap_or_else(|_| panic!("{place}: waited {DEADLINE:?} for {what}"))
    }
}

/// How long anything may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How long nothing has to happen for a test to believe that nothing will.
pub(crate) const QUIET: Duration = Duration::from_millis(200);
