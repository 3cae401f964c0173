//! The answer to the master.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use tracing::debug;

use super::examination::{Wanted, examine};
use crate::control::ThreadStacks;
use crate::sys::fork::Own;
use crate::worker::Shared;

/// Sends the stacks of all threads to the master, through a stream of their own: they may be longer
/// than a message.
pub(crate) async fn answer(shared: Arc<Shared>, stream: Own) {
    let stacks = examine(&shared, Wanted::All).await;
    // The master may be stopped, and read late.
    let sent = shared.files.run(move || send_all(&stream, &stacks)).await;
    if let Ok(Err(error)) = sent {
        debug!(%error, "the master does not wait for the stacks any more");
    }
}

fn send_all(stream: &Own, stacks: &ThreadStacks) -> io::Result<()> {
    let json = serde_json::to_vec(stacks)?;
    let mut rest = &json[..];
    while !rest.is_empty() {
        match send(stream, rest, SendFlags::NOSIGNAL) {
            Ok(sent) => rest = &rest[sent..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
