use std::io::{self, IoSlice};

use crate::ResponseHead;

/// Both directions of one client connection, as the application's objects need
/// them.
///
/// The server implements it over a socket, tests over a script. No method is called
/// while this crate holds a lock, and methods that wait are called with the thread
/// detached from the interpreter.
///
/// Several threads may call it at the same time: an application may pass
/// `wsgi.input` to a thread of its own. A missed deadline is
/// [`io::ErrorKind::TimedOut`]. Any other error means that the client has
/// disconnected, except [`io::ErrorKind::Interrupted`], after which the call is
/// repeated.
pub trait Transport: Send + Sync {
    /// Takes the head of the response as data, before anything of the response is sent. Called
    /// once for each response. Never waits.
    ///
    /// After `true` only the body is sent, and left to the server in
    /// [`ResponseTail`](crate::ResponseTail). The default is `false`: the head is sent as the text
    /// of HTTP/1.1, which front ends expect from a uwsgi server.
    fn take_head(&self, head: ResponseHead<'_>) -> bool {
        let _ = head;
        false
    }

    /// Sends as much as the kernel accepts without waiting; returns the number of
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] if the client's buffer is full.
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Waits until [`try_send`](Self::try_send) is worth another try, up to the
    /// write deadline.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline passed.
    fn wait_writable(&self) -> io::Result<()>;

    /// Receives at least one byte of the request body, up to the body deadline.
    /// Returns 0 when the client will send nothing more.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline passed.
    fn recv(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Says whether the client has sent nothing since its request, and has not closed: it
    /// then waits for the response, as it must. Never waits. Asked before the last part of
    /// a response is sent after which the connection may be kept.
    ///
    /// The default is `false`: the connection is not kept.
    fn is_quiet(&self) -> bool {
        false
    }

    /// Takes the connection back, for the next request on it. Called once, and only if the head says
    /// [`KeepAlive`](crate::Persistence::KeepAlive), after the last byte that the head announced has
    /// been sent while the application still runs: its client, which has the whole response, may
    /// already send the next request. Never waits. After `true` no other method sends or receives
    /// anything.
    ///
    /// The default is `false`: the connection is this request's until the application has finished.
    fn take_back(&self) -> bool {
        false
    }

    /// Shuts down both directions, so that a thread waiting in one of the other
    /// methods returns.
    ///
    /// This crate never calls it: only the server knows whether the response has been
    /// sent. See [`InputEnd::busy`](crate::InputEnd::busy).
    fn interrupt(&self);
}
