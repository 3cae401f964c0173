//! A socket that accepts connections.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags, accept_with, acceptfrom_with, shutdown};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::sys::descriptors::{move_up, watch_for_ever};
use crate::sys::fatal;
use crate::sys::fork::{self, Own};
use crate::sys::limits::hint_for;

use super::address::Address;
use super::allow::AllowList;
use super::backlog::Backlog;
use super::family::Family;
use super::inherited::{self, InheritedError};
use super::socket_file::SocketFile;
use super::tcp::{self, TcpError};
use super::unix::{Permissions, bind_abstract, bind_path, check_path};
use super::unix_error::UnixError;

/// A socket that accepts connections, and its file.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: Own,
    address: Address,
    kind: Kind,
    /// Whether the last accept failed for lack of descriptors or memory.
    starved: AtomicBool,
    /// Whether new connections are refused while the queue is kept.
    closed: AtomicBool,
    /// Whether its file has been removed, or no longer existed.
    cleared: AtomicBool,
    /// Whether the kernel has not said how many connections wait, and that has been logged.
    silent: AtomicBool,
}

#[derive(Debug)]
enum Kind {
    Unix(SocketFile),
    Abstract,
    Tcp(AllowList),
    /// A socket whose owner, such as systemd, keeps it when this server ends.
    Inherited(Family, AllowList),
}

/// The description of a listener that another scoter process receives with the descriptor.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Description {
    address: String,
    origin: Origin,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Origin {
    Unix(SocketFile),
    Abstract,
    Tcp,
    Inherited,
}

/// The settings that every socket is bound with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Mode, owner and group of Unix sockets.
    pub(crate) permissions: Permissions,
    /// How many connections may wait in the kernel.
    pub(crate) backlog: u32,
    /// Who may connect over TCP.
    pub(crate) allow: AllowList,
}

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// A Unix socket.
    #[error(transparent)]
    Unix(#[from] UnixError),
    /// A TCP socket.
    #[error(transparent)]
    Tcp(#[from] TcpError),
    /// An inherited socket.
    #[error(transparent)]
    Inherited(#[from] InheritedError),
}

impl Listener {
    /// Binds `address` and starts listening.
    ///
    /// # Errors
    ///
    /// [`BindError`] says which address and what to do about it.
    pub(crate) fn bind(address: &Address, settings: &Settings) -> Result<Self, BindError> {
        let backlog = clamp_backlog(settings.backlog);
        match address {
            Address::Unix(path) => {
                let (fd, file) = bind_path(path, &settings.permissions, backlog)?;
                Ok(Self::new(fd, address.clone(), Kind::Unix(file)))
            }
            Address::Abstract(name) => {
                let fd = bind_abstract(name, backlog)?;
                Ok(Self::new(fd, address.clone(), Kind::Abstract))
            }
            Address::Inherited(number) => Ok(Self::inherit(*number, &settings.allow)?),
            Address::Tcp(wanted) => {
                let (fd, bound) = tcp::bind(*wanted, &settings.allow, backlog)?;
                let kind = Kind::Tcp(settings.allow.clone());
                Ok(Self::new(fd, Address::Tcp(bound), kind))
            }
        }
    }

    /// Checks whether [`Listener::bind`] would succeed. A running server at the address is not an
    /// error.
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`].
    pub(crate) fn check(address: &Address, settings: &Settings) -> Result<(), BindError> {
        match address {
            Address::Unix(path) => Ok(check_path(path, &settings.permissions)?),
            Address::Abstract(_) => Ok(()),
            Address::Inherited(number) => Ok(inherited::check(*number)?),
            Address::Tcp(wanted) => Ok(tcp::check(*wanted, &settings.allow)?),
        }
    }

    /// Takes a socket that was passed to the process as descriptor `number`.
    ///
    /// # Errors
    ///
    /// [`InheritedError`] says what is wrong with it.
    pub(crate) fn inherit(number: RawFd, allow: &AllowList) -> Result<Self, InheritedError> {
        let (fd, address, family) = inherited::take(number)?;
        if let Address::Tcp(address) = address {
            tcp::require_admission(address, allow)?;
        }
        Ok(Self::new(
            fd,
            address,
            Kind::Inherited(family, allow.clone()),
        ))
    }

    /// Takes over a listener that another scoter process has bound.
    ///
    /// # Errors
    ///
    /// [`InheritedError`] if the descriptor is not a listening socket.
    pub(crate) fn adopt(
        fd: impl Into<Own>,
        description: Description,
        allow: &AllowList,
    ) -> Result<Self, InheritedError> {
        let fd = fd.into();
        let (address, family) = inherited::identify(&fd)?;
        let kind = match description.origin {
            Origin::Unix(file) => Kind::Unix(file),
            Origin::Abstract => Kind::Abstract,
            Origin::Tcp => Kind::Tcp(allow.clone()),
            Origin::Inherited => Kind::Inherited(family, allow.clone()),
        };
        // The kernel reports a relative path unresolved; the description has the intended address.
        let address = description.address.parse().unwrap_or(address);
        Ok(Self::new(fd, address, kind))
    }

    /// What another scoter process needs in order to adopt it.
    pub(crate) fn describe(&self) -> Description {
        Description {
            address: self.address.to_string(),
            origin: match &self.kind {
                Kind::Unix(file) => Origin::Unix(file.clone()),
                Kind::Abstract => Origin::Abstract,
                Kind::Tcp(_) => Origin::Tcp,
                Kind::Inherited(..) => Origin::Inherited,
            },
        }
    }

    fn new(fd: impl Into<Own>, address: Address, kind: Kind) -> Self {
        Self {
            fd: fd.into(),
            address,
            kind,
            starved: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            cleared: AtomicBool::new(false),
            silent: AtomicBool::new(false),
        }
    }

    /// Moves it to a high number, where the application does not close it by accident. If it is
    /// lost all the same, the process ends.
    #[must_use]
    pub(crate) fn secured(mut self) -> Self {
        self.fd = move_up(self.fd);
        watch_for_ever(self.part(), &self.fd);
        self
    }

    /// Its name in messages about a lost descriptor.
    fn part(&self) -> String {
        format!("listener {}", self.address)
    }

    /// The address as bound, with the real port if 0 was requested.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Its socket file.
    pub(crate) fn file(&self) -> Option<&SocketFile> {
        match &self.kind {
            Kind::Unix(file) => Some(file),
            Kind::Abstract | Kind::Tcp(_) | Kind::Inherited(..) => None,
        }
    }

    /// The kind of socket it is.
    pub(crate) fn family(&self) -> Family {
        match self.kind {
            Kind::Unix(_) | Kind::Abstract => Family::Unix,
            Kind::Tcp(_) => Family::Tcp,
            Kind::Inherited(family, _) => family,
        }
    }

    /// Whether clients can still connect in spite of [`Listener::close_to_newcomers`].
    pub(crate) fn stays_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Whether a client may still reach the queue after the socket has been closed to newcomers,
    /// because the last packet of its TCP handshake is in transit.
    pub(crate) fn has_handshakes(&self) -> bool {
        matches!(self.kind, Kind::Tcp(_))
    }

    /// Whether a connection waits.
    pub(crate) fn has_waiting(&self) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
            && fds[0].revents().contains(PollFlags::IN)
    }

    /// How many connections wait, and how many may. `None` if the kernel does not say, which is
    /// logged once.
    pub(crate) fn backlog(&self) -> Option<Backlog> {
        let asked = Backlog::of(&self.fd, self.family());
        if let Err(error) = &asked {
            if !self.silent.swap(true, Ordering::Relaxed) {
                debug!(
                    %error, address = %self.address,
                    "the kernel does not say how many connections wait"
                );
            }
        }
        asked.ok()
    }

    /// Accepts the next connection, if one waits. Never blocks; the connection is non-blocking as
    /// well.
    ///
    /// If the process has no descriptors left, accepting pauses briefly instead of failing: the
    /// connection stays in the kernel's queue until another one is closed.
    pub(crate) fn accept(&self) -> Option<Own> {
        self.try_accept().unwrap_or_else(|Starved| {
            std::thread::sleep(STARVED_PAUSE);
            None
        })
    }

    /// The same without a pause.
    pub(crate) fn accept_at_once(&self) -> Option<Own> {
        self.try_accept().unwrap_or(None)
    }

    fn try_accept(&self) -> Result<Option<Own>, Starved> {
        loop {
            match self.accept_once() {
                Ok(fd) => {
                    if self.starved.load(Ordering::Relaxed) {
                        self.starved.store(false, Ordering::Relaxed);
                    }
                    return Ok(Some(fd));
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => {
                    fatal::examine(&self.part(), error);
                    // Whoever has emptied the queue at a stop has shut the socket down for all.
                    if error == Errno::INVAL && self.is_closed() {
                        return Ok(None);
                    }
                    if !self.starved.swap(true, Ordering::Relaxed) {
                        let hint = hint_for(&error.into());
                        warn!(
                            address = %self.address,
                            "cannot accept connections for now: {error}{hint}"
                        );
                    }
                    return Err(Starved);
                }
            }
        }
    }

    fn accept_once(&self) -> Result<Own, Errno> {
        const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);
        let (Kind::Tcp(allow) | Kind::Inherited(Family::Tcp, allow)) = &self.kind else {
            return fork::held_off(|| accept_with(&self.fd, FLAGS).map(Own::from));
        };
        let (fd, peer) = fork::held_off(|| {
            let (fd, peer) = acceptfrom_with(&self.fd, FLAGS)?;
            Ok::<_, Errno>((Own::from(fd), peer))
        })?;
        let peer = peer.and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
        if peer.is_some_and(|peer| allow.admits(peer.ip())) {
            return Ok(fd);
        }
        debug!(?peer, "peer is in no --allow network: closed");
        allow.report_once(peer);
        Err(Errno::CONNABORTED)
    }

    /// Refuses new connections. Those in the queue can still be accepted. The file of a Unix socket
    /// is removed, if it is still the one this listener made. An inherited socket stays as it is:
    /// its owner keeps the queue.
    pub(crate) fn close_to_newcomers(&self) {
        let closed = match &self.kind {
            // unix_stream_connect() refuses (ECONNREFUSED) once the listener has shut down
            // its reading side; unix_accept() goes on until the queue is empty.
            Kind::Unix(_) | Kind::Abstract => self.shut_down(),
            Kind::Tcp(_) => tcp::refuse_newcomers(&self.fd),
            Kind::Inherited(..) => return,
        };
        let address = &self.address;
        match closed {
            Ok(()) => self.closed.store(true, Ordering::Relaxed),
            Err(error) => warn!(
                %error, %address,
                "cannot refuse new connections while requests run: late ones are reset (needs \
                 Linux 5.7)"
            ),
        }
        // Now, because later there may be another server's file.
        if let Some(file) = self.file() {
            if !self.cleared.load(Ordering::Relaxed) {
                self.cleared.store(file.clear(), Ordering::Relaxed);
            }
        }
    }

    /// Whether this process is the first one sharing the socket that is about to close it, and so
    /// the one to log why. It holds this claim until it ends.
    pub(crate) fn claim_end(&self) -> bool {
        // fcntl(2) locks belong to processes, and also work on sockets.
        let claimed = fcntl_lock(&self.fd, FlockOperation::NonBlockingLockExclusive);
        claimed.is_ok() && !self.is_closed()
    }

    /// Whether new connections are refused, even if another process did that.
    fn is_closed(&self) -> bool {
        match self.kind {
            Kind::Unix(_) | Kind::Abstract => {
                let mut fds = [PollFd::new(&self.fd, PollFlags::RDHUP)];
                let polled = poll(&mut fds, Some(&Timespec::default()));
                polled.is_ok_and(|ready| ready > 0)
            }
            Kind::Tcp(_) => tcp::refuses_newcomers(&self.fd),
            Kind::Inherited(..) => false,
        }
    }

    /// Stops listening, also for copies of the socket in forked children, and resets the
    /// connections in the queue of a TCP socket. An inherited socket stays as it is.
    pub(crate) fn close(&self) {
        if !matches!(self.kind, Kind::Inherited(..)) {
            let _ = self.shut_down();
        }
    }

    fn shut_down(&self) -> io::Result<()> {
        match shutdown(&self.fd, Shutdown::Read) {
            // Another scoter process has already shut it down.
            Ok(()) | Err(Errno::NOTCONN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        match &self.kind {
            Kind::Unix(file) => write!(f, " ({})", file.access()),
            Kind::Inherited(..) => f.write_str(" (passed to scoter)"),
            Kind::Abstract | Kind::Tcp(_) => Ok(()),
        }
    }
}

/// There are no descriptors or no memory to accept a connection with.
struct Starved;

/// listen(2): "If the backlog argument is greater than the value in
/// /proc/sys/net/core/somaxconn, then it is silently capped". Warns if that happens.
fn clamp_backlog(wanted: u32) -> i32 {
    let limit = std::fs::read_to_string(SOMAXCONN)
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .unwrap_or(u32::MAX);
    if wanted > limit {
        warn!(
            wanted,
            limit, "--backlog is larger than net.core.somaxconn allows: raise the sysctl to use it"
        );
    }
    i32::try_from(wanted.min(limit)).unwrap_or(i32::MAX)
}

/// How long a slot pauses accepting when no descriptors are available.
const STARVED_PAUSE: Duration = Duration::from_millis(50);

const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";
