//! Keeping a connection as soon as the client has the whole response, while the application still
//! runs.
//!
//! With the last byte that the head has announced the front end is done with the request, and may
//! send the next one on the same connection: perhaps of somebody else. What the application does
//! after that, for as long as it likes, must neither delay that request nor end its connection.

use std::io::{self, IoSlice};
use std::sync::Arc;

use wsgi_environ::Transport;

use crate::worker::Shared;
use crate::worker::connection::Connection;

/// The connection of a request, which is given back before the application has finished.
pub(crate) struct EarlyTransport {
    connection: Arc<Connection>,
    shared: Arc<Shared>,
}

impl EarlyTransport {
    /// Out of line, because most front ends do not ask.
    #[inline(never)]
    pub(crate) fn new(connection: &Arc<Connection>, shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            connection: Arc::clone(connection),
            shared: Arc::clone(shared),
        })
    }
}

impl Transport for EarlyTransport {
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.try_send(parts)
    }

    fn wait_writable(&self) -> io::Result<()> {
        self.connection.wait_writable()
    }

    fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.connection.recv(buffer)
    }

    fn is_quiet(&self) -> bool {
        self.connection.is_quiet()
    }

    fn take_back(&self) -> bool {
        let Some(next) = self.connection.succeed() else {
            return false;
        };
        // This slot is still busy with the application.
        let mut noted = self.shared.kept.put(Arc::new(next));
        while let Some(connection) = noted {
            noted = if connection.has_news() {
                // For whoever is free first, in this worker or in another one.
                self.shared.look_after(connection);
                None
            } else {
                // The event was that of the request that has been served.
                self.shared.kept.put(connection)
            };
        }
        true
    }

    fn interrupt(&self) {
        self.connection.interrupt();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::Ordering::Relaxed;

    use rustix::event::Timespec;
    use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
    use tempfile::TempDir;

    use super::*;
    use crate::net::Family;
    use crate::sys::fork::Own;
    use crate::worker::connection::place::Ticket;

    /// The connections of a worker, as a slot sees them that looks at its poller.
    struct Bench {
        _folder: TempDir,
        shared: Arc<Shared>,
        poller: Arc<Own>,
        client: UnixStream,
        connection: Arc<Connection>,
    }

    /// The ticket of the next event, if there is one.
    fn event_at(poller: &Own) -> Option<Ticket> {
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }];
        let count = epoll::wait(poller, &mut events, Some(&Timespec::default()));
        (count == Ok(1)).then(|| Ticket::from_u64(events[0].data.u64()))
    }

    impl Bench {
        /// A connection that is serving its second request.
        fn new() -> Self {
            let folder = TempDir::new().unwrap();
            let (shared, _) = Shared::of_test(&folder.path().join("socket"), &["--threads", "1"]);
            let poller: Arc<Own> = Arc::new(epoll::create(CreateFlags::CLOEXEC).unwrap().into());
            shared.kept.add_poller(Arc::clone(&poller));
            let (ours, client) = UnixStream::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            let ours = OwnedFd::from(ours);
            let connection = Connection::new(ours, Family::Unix, shared.connection_timeouts);
            assert!(shared.kept.keep(Arc::new(connection)).is_none());
            (&client).write_all(b"request").unwrap();
            let connection = shared.kept.claim(event_at(&poller).unwrap()).unwrap();
            let mut request = bytes::BytesMut::with_capacity(64);
            connection.recv_into(&mut request).unwrap();
            Self {
                _folder: folder,
                shared,
                poller,
                client,
                connection,
            }
        }

        fn event(&self) -> Option<Ticket> {
            event_at(&self.poller)
        }

        fn claim(&self) -> Option<Arc<Connection>> {
            self.shared.kept.claim(self.event()?)
        }

        fn take_back(&self) -> bool {
            EarlyTransport::new(&self.connection, &self.shared).take_back()
        }

        fn idle(&self) -> u64 {
            self.shared.board.totals().kept.load(Relaxed)
        }
    }

    #[test]
    fn connection_waits_for_its_next_request_although_an_event_came_late() {
        let bench = Bench::new();
        // Another slot sees the event of the request that is being served.
        let ticket = bench.connection.ticket().unwrap();
        assert!(bench.shared.kept.claim(ticket).is_none());
        assert!(bench.take_back());
        assert_eq!((bench.idle(), bench.event()), (1, None));
        (&bench.client).write_all(b"next").unwrap();
        assert!(bench.claim().is_some());
    }

    #[test]
    fn request_that_came_before_is_a_new_event() {
        for end in [false, true] {
            let bench = Bench::new();
            match end {
                true => bench.client.shutdown(std::net::Shutdown::Both).unwrap(),
                false => (&bench.client).write_all(b"next").unwrap(),
            }
            assert!(bench.claim().is_none());
            assert!(bench.take_back());
            assert_eq!(bench.idle(), 1);
            assert!(bench.claim().is_some());
        }
    }

    #[test]
    fn connection_of_a_request_that_has_timed_out_is_not_kept() {
        let bench = Bench::new();
        bench.connection.owner().revoke();
        assert!(!bench.take_back());
        assert_eq!(bench.idle(), 0);
    }
}
