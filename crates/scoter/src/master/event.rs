//! What happens to a master.

use crate::line::{FromLauncher, FromWorker};

/// Something that a child has said, or that its line has ended.
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
}
