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

use super::address::Address;
use super::allow::AllowList;
use super::family::Family;
use super::inherited::{self, InheritedError};
use super::socket_file::SocketFile;
use super::tcp::{self, TcpError};
use super::unix::{Permissions, bind_abstract, bind_path, check_path};
use super::unix_error::UnixError;

/// A socket that accepts connections, and the file that goes with it.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: Own,
    address: Address,
    kind: Kind,
    /// Whether the last accept failed for want of descriptors or memory.
    starved: AtomicBool,
    /// Whether newcomers are refused while the queue is still there.
    closed: AtomicBool,
    /// Whether its file has been removed, or no longer existed.
    cleared: AtomicBool,
}

#[derive(Debug)]
enum Kind {
    Unix(SocketFile),
    Abstract,
    Tcp(AllowList),
    /// Somebody else's, systemd's for instance, who keeps it when this server ends.
    Inherited(Family, AllowList),
}

/// A listener as another process of ours gets to know it, next to the descriptor.
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

/// What every socket is bound with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Mode, owner and group of Unix sockets.
    pub(crate) permissions: Permissions,
    /// Connections that may wait in the kernel.
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
    /// A socket that was passed to the process.
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

    /// Finds out whether [`Listener::bind`] would succeed, unless a live server has the address.
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

    /// Takes a listener over that another process of ours has bound.
    ///
    /// # Errors
    ///
    /// [`InheritedError`] where the descriptor is no listening socket.
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
        // The kernel knows a relative path as it was bound, the description as it was meant.
        let address = description.address.parse().unwrap_or(address);
        Ok(Self::new(fd, address, kind))
    }

    /// What another process of ours needs to know to adopt it.
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
        }
    }

    /// The same at a high number, where the application does not close it by accident. The
    /// process ends if it is lost all the same.
    #[must_use]
    pub(crate) fn secured(mut self) -> Self {
        self.fd = move_up(self.fd);
        watch_for_ever(self.part(), &self.fd);
        self
    }

    /// What it is called where it is lost.
    fn part(&self) -> String {
        format!("listener {}", self.address)
    }

    /// The address as bound: the real port where 0 was asked for.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The file that goes with it.
    pub(crate) fn file(&self) -> Option<&SocketFile> {
        match &self.kind {
            Kind::Unix(file) => Some(file),
            Kind::Abstract | Kind::Tcp(_) | Kind::Inherited(..) => None,
        }
    }

    /// What connections of this listener arrive over.
    pub(crate) fn family(&self) -> Family {
        match self.kind {
            Kind::Unix(_) | Kind::Abstract => Family::Unix,
            Kind::Tcp(_) => Family::Tcp,
            Kind::Inherited(family, _) => family,
        }
    }

    /// Whether others go on connecting in spite of [`Listener::close_to_newcomers`].
    pub(crate) fn stays_open(&self) -> bool {
        !self.closed.load(Ordering::Relaxed)
    }

    /// Whether somebody who has found the socket open may reach the queue later than that:
    /// the last packet of a TCP handshake is on its way.
    pub(crate) fn has_handshakes(&self) -> bool {
        matches!(self.kind, Kind::Tcp(_))
    }

    /// Takes the next connection, if one waits. It never blocks, and neither does the connection.
    ///
    /// Where the process has no descriptor left, it pauses for a moment instead of failing:
    /// the connection stays in the kernel's queue until another one is closed.
    pub(crate) fn accept(&self) -> Option<Own> {
        loop {
            match self.accept_once() {
                Ok(fd) => {
                    if self.starved.load(Ordering::Relaxed) {
                        self.starved.store(false, Ordering::Relaxed);
                    }
                    return Some(fd);
                }
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::AGAIN) => return None,
                Err(error) => {
                    fatal::examine(&self.part(), error);
                    if !self.starved.swap(true, Ordering::Relaxed) {
                        warn!(%error, address = %self.address, "cannot accept connections for now");
                    }
                    std::thread::sleep(STARVED_PAUSE);
                    return None;
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

    /// Lets nobody connect any more. Who has connected already can still be accepted, and
    /// the file of a Unix socket goes, if it is still the one this listener made. A socket
    /// that was passed to the process stays as it is: its owner keeps the queue.
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
        // Later there may be another server's.
        if let Some(file) = self.file() {
            if !self.cleared.load(Ordering::Relaxed) {
                self.cleared.store(file.clear(), Ordering::Relaxed);
            }
        }
    }

    /// Whether this process is the first of those that have the socket which is about to close
    /// it, and so the one to say why. It remains that until it ends.
    pub(crate) fn claim_end(&self) -> bool {
        // The locks of fcntl(2) are held by processes, and sockets take them too.
        let claimed = fcntl_lock(&self.fd, FlockOperation::NonBlockingLockExclusive);
        claimed.is_ok() && !self.is_closed()
    }

    /// Whether newcomers are refused, whichever process has seen to it.
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

    /// Ends the listening, also for copies of the socket that forked children hold, and resets
    /// who waits in the queue of a TCP socket. A socket that was passed to the process stays as
    /// it is.
    pub(crate) fn close(&self) {
        if !matches!(self.kind, Kind::Inherited(..)) {
            let _ = self.shut_down();
        }
    }

    fn shut_down(&self) -> io::Result<()> {
        match shutdown(&self.fd, Shutdown::Read) {
            // Another process of ours has done it to this socket.
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

/// listen(2): "If the backlog argument is greater than the value in
/// /proc/sys/net/core/somaxconn, then it is silently capped". Here it is said.
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

/// How long a slot leaves the listener alone when there is no descriptor for a connection.
const STARVED_PAUSE: Duration = Duration::from_millis(50);

const SOMAXCONN: &str = "/proc/sys/net/core/somaxconn";
