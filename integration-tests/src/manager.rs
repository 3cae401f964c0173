use std::ffi::OsString;
use std::fs;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::wait::DEADLINE;

/// What systemd is to a service that notifies it: hears everything, in order, and from whom it is (sd_notify(3)).
#[derive(Debug)]
pub struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    notices: Receiver<Notice>,
    reader: Option<JoinHandle<()>>,
}

/// One message to a [`Manager`].
#[derive(Clone, Debug)]
pub struct Notice {
    /// The process that has sent it.
    pub sender: Pid,
    /// Its lines, in order.
    pub fields: Vec<(String, String)>,
}

impl Manager {
    /// Listens on a socket in `folder`.
    pub fn at(folder: &Path) -> Self {
        let path = folder.join("notify");
        Self::listening(SocketAddr::from_pathname(path).expect("a path of a test is short"))
    }

    /// Listens on an abstract socket, which has the name of `folder` to be alone with it.
    pub fn in_the_abstract(folder: &Path) -> Self {
        let name = folder.join("notify").into_os_string().into_encoded_bytes();
        Self::listening(SocketAddr::from_abstract_name(name).expect("a path of a test is short"))
    }

    fn listening(address: SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(&address).expect("a name of its own");
        set_socket_passcred(&socket, true).expect("a Unix socket");
        let (sender, notices) = channel();
        let reading = socket.try_clone().expect("a descriptor is left");
        // A service may block where nobody reads: unix(7), net.unix.max_dgram_qlen.
        let reader = thread::spawn(move || read_all(&reading, &sender));
        Self {
            socket,
            address,
            notices,
            reader: Some(reader),
        }
    }

    /// Returns what a service needs as `NOTIFY_SOCKET`.
    pub fn address(&self) -> OsString {
        match (self.address.as_pathname(), self.address.as_abstract_name()) {
            (Some(path), _) => path.into(),
            (_, Some(name)) => format!("@{}", String::from_utf8_lossy(name)).into(),
            _ => unreachable!("it is bound"),
        }
    }

    /// Lets every user notify it.
    pub fn open_to_all(&self) {
        let path = self.address.as_pathname().expect("at a path");
        fs::set_permissions(path, PermissionsExt::from_mode(0o666)).expect("its own socket");
    }

    /// Returns the next message if it comes within `time`.
    pub fn hear_within(&self, time: Duration) -> Option<Notice> {
        self.notices.recv_timeout(time).ok()
    }

    /// Waits for the next message that has `field`, and returns it. What comes before is passed over.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn wait_for(&self, field: &str) -> Notice {
        let (before, notice) = self.hear_until(field);
        drop(before);
        notice
    }

    /// Waits for the next message that has `field`, and returns those before it, and it.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn hear_until(&self, field: &str) -> (Vec<Notice>, Notice) {
        let start = Instant::now();
        let mut before = Vec::new();
        loop {
            let left = DEADLINE.saturating_sub(start.elapsed());
            match self.hear_within(left) {
                Some(notice) if notice.get(field).is_some() => return (before, notice),
                Some(notice) => before.push(notice),
                None => panic!("waited {DEADLINE:?} in vain for {field}= after {before:?}"),
            }
        }
    }

    /// Returns the messages that have been sent and not been taken yet.
    #[track_caller]
    pub fn heard_by_now(&self) -> Vec<Notice> {
        let marker = UnixDatagram::unbound().expect("a descriptor is left");
        let sent = marker.send_to_addr(b"MARK=1", &self.address);
        sent.expect("it is read");
        self.hear_until("MARK").0
    }
}

impl Notice {
    /// Returns the value of a field.
    pub fn get(&self, field: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let (_, value) = fields.find(|(name, _)| name == field)?;
        Some(value)
    }

    /// Returns the value of a field that holds microseconds.
    ///
    /// # Panics
    ///
    /// When it is not there, or holds something else.
    #[track_caller]
    pub fn micros(&self, field: &str) -> Duration {
        let value = self.get(field).and_then(|value| value.parse().ok());
        Duration::from_micros(value.unwrap_or_else(|| panic!("no number as {field} in {self:?}")))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // Its reader wakes up to find nothing. A message that comes later is refused.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn read_all(socket: &UnixDatagram, notices: &Sender<Notice>) {
    let mut text = [0; 4096];
    loop {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut about = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut text)];
        let len = match recvmsg(socket, &mut parts, &mut about, RecvFlags::empty()) {
            Ok(message) => message.bytes,
            Err(Errno::INTR) => continue,
            Err(_) => return,
        };
        let sender = about.drain().find_map(|about| match about {
            RecvAncillaryMessage::ScmCredentials(of) => Some(Pid::from_raw(of.pid.as_raw_pid())),
            _ => None,
        });
        // A message has a sender, the end has none.
        let (Some(sender), 1..) = (sender, len) else {
            return;
        };
        let fields = String::from_utf8_lossy(&text[..len]);
        let fields = fields.lines().filter_map(|line| line.split_once('='));
        let notice = Notice {
            sender,
            fields: fields
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        if notices.send(notice).is_err() {
            return;
        }
    }
}
