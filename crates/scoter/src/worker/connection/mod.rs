//! An accepted connection. It never blocks, and every wait has a deadline.

pub(super) mod async_connection;
pub(super) mod claim;
pub(super) mod owner;
pub(super) mod place;

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, connect_unspec, recv, send, sendmsg,
    shutdown, sockopt,
};
use wsgi_environ::Transport;

use crate::ipc::connection_queue::PassedConnection;
use crate::net::Family;
use crate::sys::descriptors::{above_standard, move_aside};
use crate::sys::fork::{self, Own};
use crate::sys::raw_fd;
use crate::worker::connection::claim::Claim;
use crate::worker::connection::owner::ResponseOwner;
use crate::worker::connection::place::{Place, Ticket};

/// How long the server waits for a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionTimeouts {
    /// Until the next bytes of a request body arrive.
    pub(crate) body: Duration,
    /// Until the peer takes more of a response.
    pub(crate) write: Duration,
}

/// A connection from nginx, and the request that is being served on it. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Its place among the kept connections, if it has one. Dropped before the descriptor, whose
    /// number may be reused as soon as it is closed.
    place: Mutex<Option<Place>>,
    /// Present until the connection is dropped.
    fd: Option<Own>,
    claim: Claim,
    family: Family,
    timeouts: ConnectionTimeouts,
    /// When it was accepted, or, if it is kept, when its request began to arrive.
    accepted: Instant,
    /// Requests before this one.
    served: u32,
    /// Whether the peer has sent something before the response was complete.
    has_spoken_early: AtomicBool,
    owner: ResponseOwner,
    /// Whether the send buffer has been enlarged.
    widened: AtomicBool,
}

impl Connection {
    pub(crate) fn new(fd: impl Into<Own>, family: Family, timeouts: ConnectionTimeouts) -> Self {
        Self::passed(fd, family, timeouts, 0)
    }

    /// A connection from another worker, which has served `served` requests on it.
    pub(crate) fn passed(
        fd: impl Into<Own>,
        family: Family,
        timeouts: ConnectionTimeouts,
        served: u32,
    ) -> Self {
        let fd = above_standard(fd.into());
        Self {
            place: Mutex::new(None),
            claim: Claim::new(fd.as_raw_fd()),
            fd: Some(fd),
            family,
            timeouts,
            accepted: Instant::now(),
            served,
            has_spoken_early: AtomicBool::new(false),
            owner: ResponseOwner::default(),
            widened: AtomicBool::new(false),
        }
    }

    /// A connection that another worker has left. If nothing has been served on it, it is as old as
    /// it was there.
    pub(crate) fn taken(passed: PassedConnection, timeouts: ConnectionTimeouts) -> Self {
        let PassedConnection {
            fd,
            family,
            served,
            wait,
        } = passed;
        let mut connection = Self::passed(fd, family, timeouts, served);
        if served == 0 {
            connection.accepted = wait.accepted();
        }
        connection
    }

    /// The descriptor, as long as it is this connection's.
    ///
    /// # Errors
    ///
    /// EBADF once application code has closed it, and another connection has the number.
    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>, Errno> {
        let fd = self.fd.as_ref().filter(|_| self.claim.counts());
        fd.map(Own::as_fd).ok_or(Errno::BADF)
    }

    /// Whether the descriptor is still this connection's, as far as can be known without a system
    /// call.
    pub(crate) fn is_claimed(&self) -> bool {
        self.claim.counts()
    }

    /// Whether application code has closed the descriptor. Takes a system call, so it is for use
    /// after a failure.
    pub(crate) fn is_lost(&self) -> bool {
        let Ok(fd) = self.fd() else { return true };
        let kind = sockopt::socket_type(fd);
        matches!(kind, Err(Errno::BADF | Errno::NOTSOCK))
    }

    pub(crate) fn accepted(&self) -> Instant {
        self.accepted
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    /// The number of requests before the one that is being served.
    pub(crate) fn served(&self) -> u32 {
        self.served
    }

    /// Its place among those that are kept, if it has one.
    pub(crate) fn place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ticket of its place, if it has one.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        self.place().as_ref().map(Place::ticket)
    }

    /// Forgets the request whose response has been sent.
    pub(crate) fn begin_anew(&mut self) {
        self.served = self.served.saturating_add(1);
        self.owner = ResponseOwner::default();
        self.has_spoken_early = AtomicBool::new(false);
    }

    /// The same connection for its next request, while something of the last one still refers to
    /// this value: from now on that sends and receives nothing, and its end ends nothing. `None`
    /// if the reactor has revoked the response, or if the descriptor has been lost.
    pub(crate) fn succeed(&self) -> Option<Self> {
        if !(self.claim.is_watched() && self.claim.counts() && self.owner.complete()) {
            return None;
        }
        #[expect(unsafe_code, reason = "requests may still refer to this value")]
        // SAFETY: the claim counted, so it was open. `complete` lets nobody come here twice, and
        // the new claim below makes `fd` and `drop` of this value leave the number alone.
        let fd: Own = unsafe { raw_fd::take_over(self.fd.as_ref()?) }.into();
        Some(Self {
            place: Mutex::new(self.place().take()),
            // The later claim to a number is the one that counts.
            claim: Claim::new(fd.as_raw_fd()),
            fd: Some(fd),
            family: self.family,
            timeouts: self.timeouts,
            accepted: self.accepted,
            served: self.served.saturating_add(1),
            has_spoken_early: AtomicBool::new(false),
            owner: ResponseOwner::default(),
            widened: AtomicBool::new(self.widened.load(Ordering::Relaxed)),
        })
    }

    /// Notes that a request has begun to arrive on a connection that waited for it.
    pub(crate) fn begin_request(&mut self) {
        self.accepted = Instant::now();
    }

    /// Gives the descriptor a high number for a wait that may be long. Application code that closes
    /// descriptors that are not its own then does not close it, and closing it does not close one
    /// of the application's. Connections with a single request are spared the two system calls.
    pub(crate) fn move_aside(&mut self) {
        if !self.claim.counts() {
            return;
        }
        if let Some(fd) = self.fd.take() {
            self.claim.give_up();
            let fd: Own = fork::held_off(|| move_aside(fd));
            self.claim = Claim::new(fd.as_raw_fd());
            self.fd = Some(fd);
        }
    }

    /// Whether the peer has sent something before the response was complete.
    pub(crate) fn has_spoken_early(&self) -> bool {
        self.has_spoken_early.load(Ordering::Relaxed)
    }

    /// Closes a connection on which nothing has arrived. If something has, the connection comes
    /// back: a request has crossed the close, and can still be served.
    ///
    /// On a Unix socket no request is lost that the peer believes it has sent: after the shutdown
    /// of the reading side it can no longer write (`unix_stream_sendmsg`: EPIPE). Over TCP a later
    /// request is reset, and has not been read.
    pub(crate) fn close_unless_readable(self: Arc<Self>) -> Option<Arc<Self>> {
        // First, because the shutdown would cut off a body that does not fit into the socket.
        if self.has_input() {
            return Some(self);
        }
        if self.family == Family::Unix {
            let _ = self.shut_down(Shutdown::Read);
        }
        self.has_input().then_some(self)
    }

    /// Who may send the response.
    pub(crate) fn owner(&self) -> &ResponseOwner {
        &self.owner
    }

    /// Appends what has arrived to `buffer`, up to its capacity. Returns 0 at the end.
    pub(crate) fn recv_into(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.recv_with(buffer, RecvFlags::empty())
    }

    /// The same without taking it: it can be received again.
    pub(crate) fn peek_into(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.recv_with(buffer, RecvFlags::PEEK | RecvFlags::DONTWAIT)
    }

    fn recv_with(&self, buffer: &mut BytesMut, flags: RecvFlags) -> io::Result<usize> {
        loop {
            let received = match recv(self.fd()?, buffer.spare_capacity_mut(), flags) {
                Ok(((arrived, _), _)) => arrived.len(),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            #[expect(unsafe_code, reason = "the only way to keep what the kernel wrote")]
            // SAFETY: recv(2) initialised the first `received` bytes of the spare capacity.
            unsafe {
                buffer.advance_mut(received);
            }
            return Ok(received);
        }
    }

    /// Receives at least one byte of a request body, as long as the slot owns the response. Returns
    /// 0 at the end.
    pub(crate) fn recv_within(&self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        loop {
            // The reactor discards what still arrives.
            if self.owner.revoked().is_some() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match recv(self.fd()?, &mut *buffer, RecvFlags::empty()) {
                Ok((received, _)) => return Ok(received),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, timeout)?,
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Throws away what has arrived, up to the size of `scratch`; 0 is the end.
    pub(crate) fn discard(&self, scratch: &mut [u8]) -> io::Result<usize> {
        let (received, _) = recv(self.fd()?, scratch, RecvFlags::empty())?;
        Ok(received)
    }

    /// Waits until there is something to read, or the time is over.
    pub(crate) fn wait_readable(&self, timeout: Duration) -> io::Result<()> {
        self.wait(PollFlags::IN, timeout)
    }

    /// Waits until the peer has taken enough for more to be worth sending. Returns whether it
    /// has, within that time.
    pub(crate) fn drains(&self, timeout: Duration) -> bool {
        self.wait(PollFlags::OUT, timeout).is_ok()
    }

    /// Whether the peer has closed its end. To have only said all it had to say is not that.
    ///
    /// Over TCP a close cannot be told from a half-close before something is sent.
    pub(crate) fn peer_is_gone(&self) -> bool {
        // poll(2) reports these two whatever is asked for.
        let gone = PollFlags::HUP | PollFlags::ERR;
        let Ok(fd) = self.fd() else { return true };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().intersects(gone)
    }

    /// Whether nothing will arrive but what has: the peer has said all it had to say, or is gone.
    pub(crate) fn peer_has_finished(&self) -> bool {
        let finished = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        let Ok(fd) = self.fd() else { return true };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::RDHUP)];
        poll(&mut fds, Some(&Timespec::default())).is_ok() && fds[0].revents().intersects(finished)
    }

    /// Sends what the kernel takes at once, whoever writes the response.
    pub(crate) fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        // MSG_NOSIGNAL: an application may have given SIGPIPE back its deadly default.
        const FLAGS: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);
        loop {
            let sent = match parts {
                [part] => send(self.fd()?, part, FLAGS),
                parts => sendmsg(
                    self.fd()?,
                    &parts[..parts.len().min(MAX_PARTS)],
                    &mut SendAncillaryBuffer::default(),
                    FLAGS,
                ),
            };
            match sent {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.widen(BYTES_IN_KERNEL) => {}
                sent => return Ok(sent?),
            }
        }
    }

    /// Makes the kernel take up to `bytes` at once, the first time that it is called: to be
    /// tried when it takes nothing. Returns whether there may be room now.
    ///
    /// Whoever waits for room is woken when three quarters of it are empty, so twice the room
    /// is half the context switches. Most responses fit into what there is anyway, and are
    /// spared the call. TCP sees to it by itself, unless somebody interferes.
    pub(crate) fn widen(&self, bytes: usize) -> bool {
        // The kernel doubles the number, for its bookkeeping, and goes by
        // net.core.wmem_max where that is less.
        let grow = |fd: BorrowedFd<'_>| {
            sockopt::socket_send_buffer_size(fd).is_ok_and(|now| now < bytes)
                && sockopt::set_socket_send_buffer_size(fd, bytes / 2).is_ok()
        };
        self.family == Family::Unix
            && !self.widened.swap(true, Ordering::Relaxed)
            && self.fd().is_ok_and(grow)
    }

    /// Says that the response has ended, while the peer may still be sending.
    pub(crate) fn shutdown_write(&self) {
        // ENOTCONN: the peer has gone, and nothing is left to say.
        let _ = self.shut_down(Shutdown::Write);
    }

    /// Makes the close that follows a reset where the transport has such a thing, so that
    /// nginx does not take a broken response for a complete one.
    ///
    /// On a Unix socket only unread input makes the kernel report ECONNRESET
    /// (`unix_release_sock`); where there is none the unmet Content-Length has to tell.
    pub(crate) fn abort(&self) {
        match self.family {
            Family::Tcp => {
                let reset = |fd| sockopt::set_socket_linger(fd, Some(Duration::ZERO));
                let _ = self.fd().and_then(reset);
            }
            Family::Unix if self.has_input() => {}
            Family::Unix => self.shutdown_write(),
        }
    }

    /// Ends a response of which a part has been sent, under the hands of the slot that is
    /// writing it: there nothing can be sent or received any more, and waits are over.
    ///
    /// A Unix socket has no reset, as in [`abort`](Self::abort): there an unmet
    /// Content-Length has to tell.
    pub(crate) fn cut(&self) {
        let _ = match self.family {
            // tcp_disconnect(): a reset, although the descriptor stays open.
            Family::Tcp => self.fd().and_then(connect_unspec),
            Family::Unix => self.shut_down(Shutdown::Both),
        };
    }

    fn shut_down(&self, how: Shutdown) -> Result<(), Errno> {
        shutdown(self.fd()?, how)
    }

    /// Whether something has arrived that has not been received.
    pub(crate) fn has_input(&self) -> bool {
        self.peek().is_ok_and(|count| count > 0)
    }

    /// Whether something has arrived, or the peer has ended the connection.
    pub(crate) fn has_news(&self) -> bool {
        self.peek() != Err(Errno::AGAIN)
    }

    /// Looks at the next byte without receiving it: 1, 0 at the end, or EAGAIN if there is none yet.
    fn peek(&self) -> Result<usize, Errno> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        recv(self.fd()?, &mut [0u8; 1], flags).map(|(count, _)| count)
    }

    fn wait(&self, events: PollFlags, timeout: Duration) -> io::Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            if self.owner.revoked().is_some() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout =
                Timespec::try_from(left.min(WAIT_STEP)).map_err(|_| io::ErrorKind::InvalidInput)?;
            let mut fds = [PollFd::from_borrowed_fd(self.fd()?, events)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) if left > WAIT_STEP => {}
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                // Hang-ups and errors count as ready: the next call says what happened.
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.claim.number()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.claim.give_up() {
            // The number is another connection's: closing it would end that one, and what is noted
            // of it concerns that one.
            std::mem::forget(self.fd.take());
        }
    }
}

impl Transport for Connection {
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.owner.claim() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.send(parts)
    }

    fn wait_writable(&self) -> io::Result<()> {
        self.wait(PollFlags::OUT, self.timeouts.write)
    }

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_within(buffer, self.timeouts.body)
    }

    /// One look, and no wait.
    fn is_quiet(&self) -> bool {
        match self.peek() {
            Err(Errno::AGAIN) => true,
            Ok(1..) => {
                self.has_spoken_early.store(true, Ordering::Relaxed);
                false
            }
            // The peer has closed, or the connection has failed.
            Ok(0) | Err(_) => false,
        }
    }

    fn interrupt(&self) {
        let _ = self.shut_down(Shutdown::Both);
    }
}

/// How soon a slot that waits notices that the response has been taken away from it.
const WAIT_STEP: Duration = Duration::from_millis(500);

/// Bytes of a response that a slow peer may leave in the kernel: copies, so that more would
/// not fit into a processor's cache either.
const BYTES_IN_KERNEL: usize = 1 << 20;

/// Buffers of one sendmsg(2): IOV_MAX is 1024 on Linux.
pub(crate) const MAX_PARTS: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn connection(fd: impl Into<OwnedFd>, family: Family) -> Connection {
        let timeouts = ConnectionTimeouts {
            body: Duration::ZERO,
            write: Duration::ZERO,
        };
        let fd: OwnedFd = fd.into();
        Connection::new(fd, family, timeouts)
    }

    fn room(connection: &Connection) -> usize {
        sockopt::socket_send_buffer_size(connection.fd().unwrap()).unwrap()
    }

    #[test]
    fn number_that_another_connection_has_is_left_alone() {
        let ((one, _peer), (other, mut client)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let first = connection(one, Family::Unix);
        let number = first.as_raw_fd();
        // As if the application had closed the number, and the kernel given it out again.
        let mut number_taken = raw_fd::own(number).unwrap();
        rustix::io::dup2(&other, &mut number_taken).unwrap();
        let second = connection(number_taken, Family::Unix);
        assert_eq!(second.as_raw_fd(), number);
        assert!(first.is_lost() && !second.is_lost());
        let lost = first.send(&[IoSlice::new(b"first")]).unwrap_err();
        assert_eq!(lost.raw_os_error(), Some(Errno::BADF.raw_os_error()));
        first.interrupt();
        drop(first);
        second.send(&[IoSlice::new(b"second")]).unwrap();
        drop((second, other));
        let mut received = String::new();
        io::Read::read_to_string(&mut client, &mut received).unwrap();
        assert_eq!(received, "second");
    }

    #[test]
    fn room_is_asked_for_once() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        sockopt::set_socket_send_buffer_size(&socket, 8 << 10).unwrap();
        let connection = connection(socket, Family::Unix);
        assert!(connection.widen(64 << 10));
        assert_eq!(room(&connection), 64 << 10);
        assert!(!connection.widen(128 << 10));
        assert_eq!(room(&connection), 64 << 10);
    }

    #[test]
    fn room_that_is_there_is_not_taken_away() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        sockopt::set_socket_send_buffer_size(&socket, 64 << 10).unwrap();
        let connection = connection(socket, Family::Unix);
        let before = room(&connection);
        assert!(!connection.widen(before / 2));
        assert_eq!(room(&connection), before);
    }

    #[test]
    fn tcp_is_left_to_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = connection(socket, Family::Tcp);
        let before = room(&connection);
        assert!(!connection.widen(2 * before));
        assert_eq!(room(&connection), before);
    }
}
