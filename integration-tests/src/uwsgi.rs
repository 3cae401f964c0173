use std::fmt::Display;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime};

use uwsgi_codec::PacketBuilder;

use crate::reply::{MAX_REPLY, Reply};
use crate::wait::DEADLINE;

/// Starts the packet of a GET request, as a front end would send it.
pub fn get(path: &str) -> PacketBuilder {
    request("GET", path)
}

/// Says when nginx passed a request on: so long ago.
pub fn passed_on(packet: PacketBuilder, ago: Duration) -> PacketBuilder {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let then = now.expect("after 1970") - ago;
    let start = format!("t={}.{:03}", then.as_secs(), then.subsec_millis());
    with(packet, [("HTTP_X_REQUEST_START", start)])
}

/// Starts the packet of a POST request with a body of `len` bytes, which are sent behind it.
pub fn post(path: &str, len: usize) -> PacketBuilder {
    let mut packet = request("POST", path);
    packet
        .var("CONTENT_LENGTH", len.to_string())
        .expect("short");
    packet
}

/// Adds vars to a packet.
pub fn with<K, V>(
    mut packet: PacketBuilder,
    vars: impl IntoIterator<Item = (K, V)>,
) -> PacketBuilder
where
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    packet.vars(vars).expect("a test's packet fits");
    packet
}

/// Asks to keep the connection, as `nginx-conf/keepalive` does: `sent` is the number of bytes that follow the
/// packet, or `HEAD`.
pub fn keeping(packet: PacketBuilder, sent: impl Display) -> PacketBuilder {
    with(packet, [("UWSGI_KEEP_CONN", sent.to_string())])
}

/// Starts the packet of a request without a body.
pub fn request(method: &str, path: &str) -> PacketBuilder {
    let mut packet = PacketBuilder::new();
    packet
        .vars([
            ("REQUEST_METHOD", method),
            ("PATH_INFO", path),
            ("REQUEST_URI", path),
            ("QUERY_STRING", ""),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "80"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REMOTE_ADDR", "192.0.2.1"),
        ])
        .expect("a test's path is short");
    packet
}

/// How the server ended a connection.
#[derive(Debug)]
pub enum Ending {
    /// It sent these bytes, maybe none, and closed.
    Closed(Vec<u8>),
    /// It reset the connection after these bytes: nginx would have lost some of them.
    Reset(Vec<u8>),
}

impl Ending {
    /// Returns the response.
    ///
    /// # Panics
    ///
    /// When what came is not exactly one well-formed response, or the connection was reset.
    #[track_caller]
    pub fn reply(self) -> Reply {
        match self {
            Self::Closed(bytes) => Reply::parse(&bytes).unwrap_or_else(|error| panic!("{error}")),
            Self::Reset(bytes) => panic!("reset after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }

    /// Returns what was sent before a clean end.
    ///
    /// # Panics
    ///
    /// When the connection was reset.
    #[track_caller]
    pub fn bytes(self) -> Vec<u8> {
        match self {
            Self::Closed(bytes) => bytes,
            Self::Reset(bytes) => panic!("reset after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
}

/// A front end on a Unix socket that a test drives by hand. Dropping it closes the connection.
#[derive(Debug)]
pub struct Peer {
    stream: UnixStream,
}

impl Peer {
    /// Connects and sends nothing.
    ///
    /// # Panics
    ///
    /// When nobody listens on `socket`.
    #[track_caller]
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket)
            .unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        stream.into()
    }

    /// Sends bytes.
    ///
    /// # Errors
    ///
    /// The server has closed the connection.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends bytes.
    ///
    /// # Panics
    ///
    /// When the server has closed the connection.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes.as_ref()).expect("the server reads");
        self
    }

    /// Sends a packet.
    ///
    /// # Panics
    ///
    /// When the server has closed the connection.
    #[track_caller]
    pub fn packet(&mut self, packet: &PacketBuilder) -> &mut Self {
        self.send(packet.to_vec().expect("a test's packet fits"))
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> &mut Self {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("the connection is open");
        self
    }

    /// Reads exactly `len` bytes.
    ///
    /// # Panics
    ///
    /// When they don't come.
    #[track_caller]
    pub fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stream
            .read_exact(&mut bytes)
            .unwrap_or_else(|error| panic!("of {len} bytes: {error}"));
        bytes
    }

    /// Reads until the server ends the connection.
    ///
    /// # Panics
    ///
    /// When it doesn't within [`DEADLINE`].
    #[track_caller]
    pub fn ending(&mut self) -> Ending {
        ending(&mut self.stream)
    }

    /// Reads a response up to where its head says that it ends, and no further.
    ///
    /// # Errors
    ///
    /// The connection ends before that.
    pub fn try_next_reply(&mut self, method: &str) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            bytes.extend(byte);
        }
        let head = Reply::parse(&bytes).map_err(io::Error::other)?;
        let length = match head.header("Content-Length") {
            _ if method == "HEAD" || [204, 304].contains(&head.status) => 0,
            Some(length) => length.parse().map_err(io::Error::other)?,
            None => return Err(io::Error::other("only the close ends the response")),
        };
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Reply {
            body: body.into(),
            ..head
        })
    }

    /// Reads a response up to where its head says that it ends, and no further.
    ///
    /// # Panics
    ///
    /// When the connection ends before that.
    #[track_caller]
    pub fn next_reply(&mut self, method: &str) -> Reply {
        let reply = self.try_next_reply(method);
        reply.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Says whether the server has ended the connection, or sent something.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.stream.set_nonblocking(true).expect("open");
        let peeked = rustix::net::recv(&self.stream, &mut [0_u8; 1], rustix::net::RecvFlags::PEEK);
        self.stream.set_nonblocking(false).expect("open");
        peeked.is_ok()
    }

    /// Reads the response, to the end of the connection.
    ///
    /// # Panics
    ///
    /// As [`Ending::reply`].
    #[track_caller]
    pub fn reply(&mut self) -> Reply {
        self.ending().reply()
    }
}

impl From<UnixStream> for Peer {
    fn from(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
        Self { stream }
    }
}

/// Sends a packet over a stream of any kind and returns the response.
///
/// # Panics
///
/// When no well-formed response comes.
#[track_caller]
pub fn exchange(mut stream: impl Read + Write, packet: &PacketBuilder) -> Reply {
    let bytes = packet.to_vec().expect("a test's packet fits");
    stream.write_all(&bytes).expect("the server reads");
    ending(&mut stream).reply()
}

/// Sends bytes over a stream of any kind, and returns how the server ended the connection.
///
/// # Panics
///
/// When the server does not take them, or does not end it within [`DEADLINE`].
#[track_caller]
pub fn ending_of(mut stream: impl Read + Write, bytes: &[u8]) -> Ending {
    stream.write_all(bytes).expect("the server reads");
    ending(&mut stream)
}

#[track_caller]
fn ending(stream: &mut impl Read) -> Ending {
    let mut bytes = Vec::new();
    let end = stream.take(MAX_REPLY as u64).read_to_end(&mut bytes);
    assert!(bytes.len() < MAX_REPLY, "the response has no end");
    match end {
        Ok(_) => Ending::Closed(bytes),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ending::Reset(bytes),
        Err(error) => {
            let what = match error.kind() {
                ErrorKind::WouldBlock => format!("still open {DEADLINE:?}"),
                _ => error.to_string(),
            };
            let start = &bytes[..bytes.len().min(1000)];
            panic!(
                "{what} after {} bytes: {:?}",
                bytes.len(),
                String::from_utf8_lossy(start)
            )
        }
    }
}
