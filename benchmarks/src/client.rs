use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, sockopt,
};

use crate::expectation::Repeated;
use crate::fault::{Fault, Sent};
use crate::options::Protocol;
use crate::reply::{End, Progress, Reading, Reply};
use crate::request::Request;
use crate::tally::Tally;

/// What all clients have in common.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) family: AddressFamily,
    pub(crate) address: SocketAddrAny,
    /// Whether Nagle's algorithm would hold something back: only where one
    /// connection takes more than one `send`.
    pub(crate) without_delay: bool,
    pub(crate) requests: Vec<Request>,
    pub(crate) body: Repeated,
    pub(crate) reading: Reading,
}

/// One of the clients: at most one connection, at most one request.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Option<Connection>,
    /// Which of the requests this is; `None` between them.
    pub(crate) kind: Option<usize>,
    /// The request's number in its round, from 1.
    pub(crate) number: u64,
    pub(crate) started: Instant,
    sent: u64,
    reply: Reply,
}

#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    connected: bool,
    /// Whether a reply has come over it.
    used: bool,
    /// Whether the server takes nothing more.
    deaf: bool,
}

/// What has become of a client whose socket was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// There is more to come.
    Waits,
    /// The reply to a request of this kind is complete, and right.
    Complete { kind: usize },
    /// A new connection is needed, and the server's backlog is full.
    Full,
}

/// What has become of a request that was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    Sent,
    /// The server's backlog is full.
    Full,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            connection: None,
            kind: None,
            number: 0,
            started: Instant::now(),
            sent: 0,
            reply: Reply::default(),
        }
    }

    /// Takes the next request on; the clock runs from here.
    pub(crate) fn begin(&mut self, kind: usize, number: u64) {
        self.kind = Some(kind);
        self.number = number;
        self.sent = 0;
        self.reply.restart();
        self.started = Instant::now();
    }

    /// Connects if need be, and sends as much as the socket takes.
    pub(crate) fn depart(
        &mut self,
        server: &Server,
        tally: &mut Tally,
    ) -> Result<Departure, Fault> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::new(server)?),
        };
        if !connection.connected {
            match net::connect(&connection.socket, &server.address) {
                // A TCP connection that is under way: `send` says when it is there.
                Ok(()) | Err(Errno::INPROGRESS) => connection.connected = true,
                // EAGAIN of a Unix socket, and all ports taken by connections just closed.
                Err(Errno::AGAIN | Errno::ADDRNOTAVAIL) => {
                    tally.retries += 1;
                    return Ok(Departure::Full);
                }
                Err(error) => return Err(Fault::Connect(error.into())),
            }
        }
        self.send(server, tally)?;
        Ok(Departure::Sent)
    }

    /// Returns the socket and what it should be ready for, if there is
    /// something to come.
    pub(crate) fn poll_fd(&self, server: &Server) -> Option<PollFd<'_>> {
        let connection = self.connection.as_ref()?;
        if !connection.connected {
            return None;
        }
        let unsent = self
            .kind
            .is_some_and(|kind| self.sent < server.requests[kind].len);
        let wanted = if unsent && !connection.deaf {
            PollFlags::IN | PollFlags::OUT
        } else {
            PollFlags::IN
        };
        Some(PollFd::new(&connection.socket, wanted))
    }

    /// Does what the socket is ready for.
    pub(crate) fn advance(
        &mut self,
        ready: PollFlags,
        server: &Server,
        buffer: &mut [u8],
        tally: &mut Tally,
    ) -> Result<Advance, Fault> {
        // The server may answer before it has read the whole body.
        if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            let advance = self.receive(server, buffer, tally)?;
            if advance != Advance::Waits {
                return Ok(advance);
            }
        }
        if ready.contains(PollFlags::OUT) {
            self.send(server, tally)?;
        }
        Ok(Advance::Waits)
    }

    fn send(&mut self, server: &Server, tally: &mut Tally) -> Result<(), Fault> {
        let (Some(connection), Some(kind)) = (&mut self.connection, self.kind) else {
            return Ok(());
        };
        let request = &server.requests[kind];
        while !connection.deaf && self.sent < request.len {
            let piece = request.piece(self.number, self.sent, &server.body);
            match net::send(&connection.socket, piece, SendFlags::NOSIGNAL) {
                Ok(len) => {
                    self.sent += len as u64;
                    tally.bytes_sent += len as u64;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                // What came before the end may be a reply all the same.
                Err(Errno::PIPE | Errno::CONNRESET) => connection.deaf = true,
                Err(error) => return Err(Fault::Connect(error.into())),
            }
        }
        Ok(())
    }

    fn receive(
        &mut self,
        server: &Server,
        buffer: &mut [u8],
        tally: &mut Tally,
    ) -> Result<Advance, Fault> {
        let Some(connection) = &mut self.connection else {
            return Ok(Advance::Waits);
        };
        let Some(kind) = self.kind else {
            // Between two requests there is nothing to come but the connection's end.
            self.connection = None;
            return Ok(Advance::Waits);
        };
        // Not without end: the others' replies wait meanwhile.
        for _ in 0..MAX_RECEIVED_AT_ONCE {
            let len = match net::recv(&connection.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((_, len)) => len,
                Err(Errno::AGAIN) => return Ok(Advance::Waits),
                Err(Errno::INTR) => continue,
                Err(Errno::CONNRESET) => return self.take_end(End::Reset, kind, server, tally),
                Err(error) => return Err(Fault::Connect(error.into())),
            };
            if len == 0 {
                return self.take_end(End::Closed, kind, server, tally);
            }
            tally.bytes_received += len as u64;
            match self
                .reply
                .feed(&buffer[..len], &server.reading, &mut tally.headers)?
            {
                Progress::Incomplete => {}
                Progress::Complete { keeps } => {
                    let keeps = keeps && self.sent == server.requests[kind].len;
                    if keeps && server.reading.protocol == Protocol::Http {
                        connection.used = true;
                    } else {
                        self.connection = None;
                    }
                    self.kind = None;
                    return Ok(Advance::Complete { kind });
                }
            }
        }
        Ok(Advance::Waits)
    }

    fn take_end(
        &mut self,
        end: End,
        kind: usize,
        server: &Server,
        tally: &mut Tally,
    ) -> Result<Advance, Fault> {
        let used = self
            .connection
            .take()
            .is_some_and(|connection| connection.used);
        // RFC 9112, 9.3.1: a server may close a connection that is kept at any time.
        if used && self.reply.is_untouched() {
            tally.retries += 1;
            self.sent = 0;
            return match self.depart(server, tally)? {
                Departure::Sent => Ok(Advance::Waits),
                Departure::Full => Ok(Advance::Full),
            };
        }
        let sent = match server.requests[kind].len {
            of if of > self.sent => Sent::Partly {
                sent: self.sent,
                of,
            },
            _ => Sent::Whole,
        };
        self.reply.end(end, sent, &server.reading)?;
        self.kind = None;
        Ok(Advance::Complete { kind })
    }
}

impl Connection {
    fn new(server: &Server) -> Result<Self, Fault> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let system = |what| {
            move |error: Errno| Fault::System {
                what,
                source: error.into(),
            }
        };
        let socket = net::socket_with(server.family, SocketType::STREAM, flags, None)
            .map_err(system("a socket"))?;
        if server.without_delay {
            sockopt::set_tcp_nodelay(&socket, true).map_err(system("TCP_NODELAY"))?;
        }
        Ok(Self {
            socket,
            connected: false,
            used: false,
            deaf: false,
        })
    }
}

/// Times the buffer is filled before other clients have their turn.
const MAX_RECEIVED_AT_ONCE: usize = 8;
