use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::observer::{Observer, Side};
use crate::saved::Saved;
use crate::stream::Stream;
use crate::tee::Shared;

/// Passes one connection on, and shows and saves what goes over it.
pub(crate) async fn pass_on(front_end: Stream, number: u64, shared: Arc<Shared>) {
    let started = Timestamp::now();
    let observer = Mutex::new(Observer::new(number, Arc::clone(&shared)));
    let server = match Stream::connect(&shared.to).await {
        Ok(server) => server,
        Err(error) => {
            see(&observer).error(format!("cannot connect to {}: {error}", shared.to));
            return front_end.reset();
        }
    };
    let [requests, replies] = match &shared.folder {
        None => [None, None],
        Some(folder) => {
            let [requests, replies] = folder.connection(started, number);
            [
                create(requests, &observer).await,
                create(replies, &observer).await,
            ]
        }
    };
    let (mut from_front_end, mut to_front_end) = tokio::io::split(front_end);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let reset = {
        let (from, to) = (&mut from_front_end, &mut to_server);
        let sent = pass(from, to, Side::FrontEnd, requests, &observer);
        let (from, to) = (&mut from_server, &mut to_front_end);
        let received = pass(from, to, Side::Server, replies, &observer);
        tokio::try_join!(sent, received).err()
    };
    see(&observer).finish();
    // Whoever has lost its peer by a reset must not take that for an end.
    match reset {
        None => {}
        Some(Reset { by: Side::FrontEnd }) => from_server.unsplit(to_server).reset(),
        Some(Reset { by: Side::Server }) => from_front_end.unsplit(to_front_end).reset(),
    }
}

/// A connection that did not end but was reset: nothing more can go over it in either direction.
struct Reset {
    by: Side,
}

/// Passes on what one side sends, until it ends. No faster than the other side takes it: what is not passed on yet is
/// not more than one read.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    side: Side,
    mut saved: Option<Saved>,
    observer: &Mutex<Observer>,
) -> Result<(), Reset> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let bytes = match from.read(&mut buffer).await {
            Ok(0) => break,
            Ok(read) => &buffer[..read],
            Err(error) => {
                see(observer).error(format!("the {side} broke the connection: {error}"));
                return Err(Reset { by: side });
            }
        };
        // First, so that a request is seen before its reply.
        see(observer).observe(side, bytes);
        let passed = to.write_all(bytes).await;
        if let Some(saved) = &mut saved {
            if let Err(error) = saved.append(bytes).await {
                see(observer).error(error);
            }
        }
        if let Err(error) = passed {
            see(observer).refused(side, &error);
            // What comes the other way is passed on still: a server may answer before it has read everything.
            return Ok(());
        }
    }
    see(observer).ended(side);
    // Fails only if there is nobody to tell.
    let _: io::Result<()> = to.shutdown().await;
    Ok(())
}

async fn create(path: PathBuf, observer: &Mutex<Observer>) -> Option<Saved> {
    match Saved::create(path).await {
        Ok(saved) => Some(saved),
        Err(error) => {
            see(observer).error(error);
            None
        }
    }
}

/// Nobody holds it while waiting.
fn see(observer: &Mutex<Observer>) -> MutexGuard<'_, Observer> {
    observer.lock().unwrap_or_else(PoisonError::into_inner)
}

const CHUNK: usize = 64 * 1024;
