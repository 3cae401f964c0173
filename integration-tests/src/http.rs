use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::reply::{MAX_REPLY, Reply};
use crate::wait::DEADLINE;

/// A request body.
pub type Body = BoxBody<Bytes, Infallible>;

/// Makes a request body of no bytes.
pub fn empty() -> Body {
    Empty::new().boxed()
}

/// Makes a request body that is all there at once; hyper adds its `Content-Length`.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// An HTTP/1.1 client for the Unix socket that an nginx of the tests listens on, a server's control socket, or an
/// address of this machine.
///
/// Every request has a connection of its own. Blocking, with [`DEADLINE`] for each step.
#[derive(Clone, Debug)]
pub struct Client {
    server: Server,
}

#[derive(Clone, Debug)]
enum Server {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Client {
    /// Makes a client for one Unix socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            server: Server::Unix(socket.into()),
        }
    }

    /// Makes a client for one TCP address.
    pub fn tcp(address: SocketAddr) -> Self {
        Self {
            server: Server::Tcp(address),
        }
    }

    /// Returns the path of the socket.
    ///
    /// # Panics
    ///
    /// When it is a TCP address.
    #[track_caller]
    pub fn socket(&self) -> &Path {
        match &self.server {
            Server::Unix(path) => path,
            Server::Tcp(address) => panic!("{address} is no Unix socket"),
        }
    }

    /// Gets `path`, which goes to nginx as it stands.
    ///
    /// # Panics
    ///
    /// When no complete response comes.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        let request = Request::get(path).body(empty());
        self.send(request.expect("a test's path is well-formed"))
    }

    /// Posts `body` as `application/octet-stream`.
    ///
    /// # Panics
    ///
    /// When no complete response comes.
    #[track_caller]
    pub fn post(&self, path: &str, body: impl Into<Bytes>) -> Reply {
        let request = Request::post(path)
            .header("Content-Type", "application/octet-stream")
            .body(whole(body));
        self.send(request.expect("a test's path is well-formed"))
    }

    /// Sends a request and returns the complete response.
    ///
    /// # Panics
    ///
    /// When no complete response comes.
    #[track_caller]
    pub fn send(&self, request: Request<Body>) -> Reply {
        self.open(request).into_reply()
    }

    /// Sends a request and returns as soon as the head of the response is there.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn open(&self, mut request: Request<Body>) -> Open {
        if !request.headers().contains_key(HOST) {
            let host = HeaderValue::from_static("example.com");
            request.headers_mut().insert(HOST, host);
        }
        let what = format!("{} {} of {}", request.method(), request.uri(), self.server);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs an epoll instance only");
        let response = within_deadline(&runtime, &what, async {
            match &self.server {
                Server::Unix(path) => {
                    send_over(&what, tokio::net::UnixStream::connect(path).await, request).await
                }
                Server::Tcp(address) => {
                    send_over(
                        &what,
                        tokio::net::TcpStream::connect(address).await,
                        request,
                    )
                    .await
                }
            }
        });
        Open {
            response: response.unwrap_or_else(|error| panic!("{what}: {error:?}")),
            runtime,
            what,
        }
    }

    /// Sends bytes as they stand and returns everything that comes back until nginx closes the connection.
    ///
    /// For what no HTTP library sends. The bytes should ask for `Connection: close`.
    ///
    /// # Panics
    ///
    /// When the connection isn't closed in time.
    #[track_caller]
    pub fn raw(&self, bytes: &[u8]) -> String {
        match &self.server {
            Server::Unix(_) => raw(self.connect(), bytes),
            Server::Tcp(address) => raw(connect_tcp(*address), bytes),
        }
    }

    /// Connects, for a test that writes HTTP by hand.
    #[track_caller]
    pub fn connect(&self) -> UnixStream {
        let socket = self.socket();
        let stream = UnixStream::connect(socket)
            .unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
        stream
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "{address}"),
        }
    }
}

fn raw(mut stream: impl Read + Write, bytes: &[u8]) -> String {
    stream.write_all(bytes).expect("the front end reads");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("the front end answers and closes");
    String::from_utf8_lossy(&answer).into_owned()
}

fn connect_tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
    stream
}

/// A response whose body is still under way. Dropping it closes the connection.
#[derive(Debug)]
pub struct Open {
    response: Response<Incoming>,
    runtime: Runtime,
    what: String,
}

impl Open {
    /// Returns the status code.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Returns the next piece of the body as it came, `None` at its end.
    ///
    /// # Errors
    ///
    /// The connection was cut before the end of the body.
    #[track_caller]
    pub fn piece(&mut self) -> Result<Option<Bytes>, hyper::Error> {
        loop {
            let body = self.response.body_mut();
            let frame = within_deadline(&self.runtime, &self.what, body.frame());
            match frame.transpose()?.map(Frame::into_data) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => return Ok(Some(data)),
                // Trailers: not sent by nginx for uwsgi.
                Some(Err(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// Reads until `len` bytes have come, and returns them and what came with the last of them.
    ///
    /// # Panics
    ///
    /// When the body ends before.
    #[track_caller]
    pub fn read(&mut self, len: usize) -> Bytes {
        let mut read = BytesMut::new();
        while read.len() < len {
            match self.piece() {
                Ok(Some(piece)) => read.extend_from_slice(&piece),
                end => panic!("{}: {end:?} after {read:?}", self.what),
            }
        }
        read.freeze()
    }

    /// Reads the rest of the body; the flag says whether it was complete or cut.
    #[track_caller]
    pub fn rest(&mut self) -> (Bytes, Completeness) {
        let mut rest = BytesMut::new();
        loop {
            assert!(rest.len() < MAX_REPLY, "{} has no end", self.what);
            match self.piece() {
                Ok(Some(piece)) => rest.extend_from_slice(&piece),
                Ok(None) => return (rest.freeze(), Completeness::Complete),
                Err(_) => return (rest.freeze(), Completeness::Cut),
            }
        }
    }

    /// Reads the rest of the body.
    ///
    /// # Panics
    ///
    /// When it is cut.
    #[track_caller]
    pub fn into_reply(mut self) -> Reply {
        let (body, completeness) = self.rest();
        assert_eq!(completeness, Completeness::Complete, "{}", self.what);
        let headers = self.response.headers().iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.as_str().to_owned(), value.into_owned())
        });
        let reason = self.response.extensions().get::<hyper::ext::ReasonPhrase>();
        Reply {
            status: self.status(),
            reason: match reason {
                Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
                // hyper keeps it only where it is not the usual one.
                None => self
                    .response
                    .status()
                    .canonical_reason()
                    .unwrap_or_default()
                    .to_owned(),
            },
            headers: headers.collect(),
            body,
        }
    }
}

/// Whether a response body came whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It ended as its framing says.
    Complete,
    /// The connection was closed before.
    Cut,
}

/// A long body that repeats only after 60 491 bytes, so that a lost or a doubled buffer shows; never held in
/// memory as a whole. `apps/transfer.py` makes the same.
#[derive(Debug)]
pub struct Pattern {
    left: u64,
    position: usize,
    announced: bool,
    block: Bytes,
}

impl Pattern {
    const PERIOD: usize = 251 * 241;

    /// Makes a body of `len` bytes with a `Content-Length`.
    pub fn with_length(len: u64) -> Self {
        let bytes = (0..2 * Self::PERIOD).map(|i| (i % 251) as u8 ^ (i / 251 % 241) as u8);
        Self {
            left: len,
            position: 0,
            announced: true,
            block: bytes.collect(),
        }
    }

    /// Makes a body of `len` bytes that is sent chunked.
    pub fn chunked(len: u64) -> Self {
        Self {
            announced: false,
            ..Self::with_length(len)
        }
    }
}

impl Iterator for Pattern {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        // 50 000 and the period have no common divisor that matters: the pieces all differ.
        let len = self.left.min(50_000) as usize;
        if len == 0 {
            return None;
        }
        let piece = self.block.slice(self.position..self.position + len);
        self.left -= len as u64;
        self.position = (self.position + len) % Self::PERIOD;
        Some(piece)
    }
}

impl hyper::body::Body for Pattern {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        match self.announced {
            true => SizeHint::with_exact(self.left),
            false => SizeHint::default(),
        }
    }
}

/// Sends `request` on a new connection and receives the head of the response.
async fn send_over<S>(
    what: &str,
    connected: io::Result<S>,
    request: Request<Body>,
) -> hyper::Result<Response<Incoming>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = connected.unwrap_or_else(|error| panic!("{what}: cannot connect: {error}"));
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .expect("nothing is sent yet");
    // Its error is seen by whoever reads the response.
    tokio::spawn(connection);
    sender.send_request(request).await
}

#[track_caller]
fn within_deadline<T>(runtime: &Runtime, what: &str, future: impl Future<Output = T>) -> T {
    runtime
        .block_on(async { timeout(DEADLINE, future).await })
        .unwrap_or_else(|_| panic!("{what}: nothing came within {DEADLINE:?}"))
}
