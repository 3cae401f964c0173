use std::ffi::OsString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use tempfile::TempDir;

use crate::scoter::python;

/// What systemd is to a service with socket units: binds their sockets, keeps them, and passes them to every server
/// that it starts.
#[derive(Debug)]
pub struct Activation {
    sockets: Vec<OwnedFd>,
    names: Vec<String>,
    folder: TempDir,
    channels: usize,
}

impl Activation {
    /// Begins without any socket.
    pub fn of_nothing() -> Self {
        Self {
            sockets: Vec::new(),
            names: Vec::new(),
            folder: TempDir::with_prefix("scoter-").expect("there is a folder for temporary files"),
            channels: 0,
        }
    }

    /// Adds any descriptor, by the name that `LISTEN_FDNAMES` has for it.
    #[must_use]
    pub fn with(mut self, name: &str, descriptor: impl Into<OwnedFd>) -> Self {
        self.sockets.push(descriptor.into());
        self.names.push(name.to_owned());
        self
    }

    /// Adds a Unix socket that it binds to `path`.
    #[must_use]
    pub fn with_unix(self, name: &str, path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("a path of its own");
        self.with(name, listener)
    }

    /// Returns what [`ScoterBuilder::under`](crate::ScoterBuilder::under) needs to start one server with the sockets,
    /// and with the environment that says so.
    pub fn socket_unit(&mut self) -> Vec<OsString> {
        let names = self.names.join(":");
        self.wrapper(&names)
    }

    /// Returns what it needs to start one server with the sockets as descriptors 3, 4 and so on, of which nobody says
    /// anything.
    pub fn descriptors(&mut self) -> Vec<OsString> {
        self.wrapper("")
    }

    fn wrapper(&mut self, names: &str) -> Vec<OsString> {
        self.channels += 1;
        let channel = self.folder.path().join(self.channels.to_string());
        self.pass_over(&channel);
        let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/activate.py"));
        let words = [python(), script.to_owned(), channel, PathBuf::from(names)];
        words.map(PathBuf::into_os_string).into()
    }

    /// Gives copies of the sockets to the first who connects to `channel`.
    fn pass_over(&self, channel: &Path) {
        let listener = UnixListener::bind(channel).expect("a path of its own");
        let copies = self.sockets.iter().map(OwnedFd::try_clone);
        let copies: Vec<_> = copies
            .map(|copy| copy.expect("a descriptor is left"))
            .collect();
        // A server that does not start may never come for them.
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("it listens");
            let copies: Vec<_> = copies.iter().map(AsFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut passed = SendAncillaryBuffer::new(&mut space);
            assert!(passed.push(SendAncillaryMessage::ScmRights(&copies)));
            let byte = [IoSlice::new(b".")];
            let sent = sendmsg(&stream, &byte, &mut passed, SendFlags::empty());
            sent.expect("somebody reads");
        });
    }
}

/// Descriptors that are passed at once.
const MAX_FDS: usize = 8;
