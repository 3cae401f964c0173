//! Listening sockets: bound before anything else, so that a conflict is found at once.

mod address;
mod allow;
mod backlog;
mod bind_lock;
mod creator;
mod family;
mod folder;
mod inherited;
mod listener;
mod queue_watch;
mod reason;
mod socket_file;
mod stale_socket;
mod tcp;
mod unix;
mod unix_diag;
mod unix_error;

pub(crate) use address::{Address, AddressError, MAX_PATH};
pub(crate) use allow::AllowList;
pub(crate) use family::Family;
pub(crate) use listener::{BindError, Description, Listener, Settings};
pub(crate) use queue_watch::{Help, LOOK_INTERVAL, QueueWatch};
pub(crate) use socket_file::SocketFile;
pub(crate) use unix::{Permissions, bind_path, check_path};
pub(crate) use unix_error::UnixError;
