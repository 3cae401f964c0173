use std::io::{self, IoSlice};

/// The two directions of one client connection, as the objects that an
/// application holds need them.
///
/// The server implements it over a socket, tests over a script. No method is
/// called with a lock of this crate held, and a method that waits is called
/// with the thread detached from the interpreter.
///
/// Several threads may call at the same time: an application is free to hand
/// `wsgi.input` to a thread of its own. A deadline that passed is
/// [`io::ErrorKind::TimedOut`]; any other error means that the client is gone,
/// except [`io::ErrorKind::Interrupted`], after which the call is repeated.
pub trait Transport: Send + Sync {
    /// Sends what the kernel takes at once and returns how many bytes that was.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when the client's buffer is full.
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

    /// Ends both directions, so that a thread which waits in one of the other
    /// methods comes back.
    ///
    /// This crate never calls it: whether the response has left is the server's
    /// knowledge. See [`InputEnd::busy`](crate::InputEnd::busy).
    fn interrupt(&self);
}
