use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use crate::command::Output;
use crate::place::Place;
use crate::printer::{Body, Printer, Times};
use crate::reply::Reply;
use crate::request::Request;
use crate::request_stream::StreamError;

/// Prints what connections carry, on a thread of its own: a terminal that is stopped, or a slow pipe, holds up no
/// connection. What cannot be printed in time is left out and counted.
#[derive(Debug)]
pub(crate) struct Display {
    to: SyncSender<(Place, Item)>,
    left_out: AtomicU64,
}

/// What to print.
#[derive(Debug)]
pub(crate) enum Item {
    Request(Box<Request>),
    Reply(Box<Reply>, Times),
    StreamError(StreamError),
    Error(String),
}

impl Display {
    /// Starts the thread. The receiver says when it has ended: after this display is dropped, or if nobody reads the
    /// output any more.
    pub(crate) fn start(output: Output) -> (Self, oneshot::Receiver<Option<io::Error>>) {
        let (to, items) = sync_channel(CAPACITY);
        let (ended, end) = oneshot::channel();
        thread::spawn(move || {
            let error = print(&items, output).err();
            // The process may be ending.
            let _ = ended.send(error);
        });
        let left_out = AtomicU64::new(0);
        (Self { to, left_out }, end)
    }

    /// Prints an item, or leaves it out.
    #[expect(clippy::print_stderr, reason = "it is not part of the output")]
    pub(crate) fn show(&self, place: Place, item: Item) {
        match self.to.try_send((place, item)) {
            Ok(()) => match self.left_out.swap(0, Ordering::Relaxed) {
                0 => {}
                left_out => eprintln!(
                    "uwsgi-dump: {left_out} events are not shown: the output is read too slowly"
                ),
            },
            Err(TrySendError::Full(_)) => {
                self.left_out.fetch_add(1, Ordering::Relaxed);
            }
            // The end of the thread is reported.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}

fn print(items: &Receiver<(Place, Item)>, output: Output) -> io::Result<()> {
    let to = io::BufWriter::new(io::stdout().lock());
    let mut printer = Printer::new(to, output.format(), output.secrets());
    while let Ok((place, item)) = items.recv() {
        print_one(&mut printer, &place, item)?;
        // With what follows at once, if anything does.
        while let Ok((place, item)) = items.try_recv() {
            print_one(&mut printer, &place, item)?;
        }
        printer.flush()?;
    }
    Ok(())
}

fn print_one(printer: &mut Printer<impl io::Write>, place: &Place, item: Item) -> io::Result<()> {
    match item {
        Item::Request(request) => printer.request(place, &request, Body::Announced),
        Item::Reply(reply, times) => printer.reply(place, &reply, Body::Counted, Some(times)),
        Item::StreamError(error) => printer.stream_error(place, &error),
        Item::Error(error) => printer.error(place, error),
    }
}

/// Events that may wait to be printed: at most 64 KiB each.
const CAPACITY: usize = 1024;
