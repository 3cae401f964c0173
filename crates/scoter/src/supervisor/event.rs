//! What happens to a master.

use std::path::PathBuf;

use crate::config::{Options, Settings};
use crate::line::{FromLauncher, FromWorker};

/// Something that a child or a thread has said, or that a child's line has ended.
#[derive(Debug)]
pub(super) enum Event {
    /// The launcher of a generation.
    Launcher(u32, FromLauncher),
    /// Its line has ended, and it has, or is about to.
    LauncherGone(u32),
    /// A worker, by its serial.
    Worker(u64, FromWorker),
    /// Its line has ended.
    WorkerGone(u64),
    /// The working directory has been entered and the configuration read, where that was
    /// asked for; or what is wrong with them.
    Read(Result<Option<Box<(Settings, Options)>>, String>),
    /// A file of `--reload-on-touch`.
    Touched(PathBuf),
}
