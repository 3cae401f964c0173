use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep;
use uwsgi_http::Address;

use crate::command::Tee;
use crate::connection;
use crate::display::Display;
use crate::listener::Listener;
use crate::saved::Folder;
use crate::text::count;
use crate::trouble::Trouble;

/// Passes connections on until a signal ends it.
#[expect(
    clippy::print_stderr,
    reason = "what happens is not part of the output"
)]
pub(crate) async fn run(command: Tee) -> Result<(), Trouble> {
    let mut signals = Signals::new().map_err(trouble("cannot handle signals"))?;
    let folder = match &command.save {
        Some(path) => Some(Folder::open(path).map_err(trouble(&path.display().to_string()))?),
        None => None,
    };
    let listener = Listener::bind(&command.listen, command.mode).await;
    let listener = listener.map_err(trouble(&format!("cannot listen on {}", command.listen)))?;
    let address = listener.address().map_err(trouble("cannot listen"))?;
    let (display, mut closed) = Display::start(command.output);
    let shared = Arc::new(Shared {
        to: command.to,
        folder,
        display,
    });
    eprintln!(
        "uwsgi-dump: listening on {address}, passing on to {}",
        shared.to
    );

    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    number += 1;
                    connections.spawn(connection::pass_on(stream, number, Arc::clone(&shared)));
                }
                Err(error) => {
                    eprintln!("uwsgi-dump: cannot accept a connection: {error}");
                    // Without a free descriptor the next attempt would fail at once.
                    sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = signals.next() => break,
            error = &mut closed => return Err(output_error(error)),
        }
    }
    drop(listener);
    if !connections.is_empty() {
        eprintln!(
            "uwsgi-dump: waiting for {}, a second signal cuts them off",
            count(connections.len() as u64, "open connection")
        );
    }
    loop {
        tokio::select! {
            next = connections.join_next() => match next {
                Some(_) => {}
                None => break,
            },
            () = signals.next() => break,
            error = &mut closed => return Err(output_error(error)),
        }
    }
    connections.shutdown().await;
    drop(shared);
    match closed.await {
        Ok(Some(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// What all connections need.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) to: Address,
    pub(crate) folder: Option<Folder>,
    pub(crate) display: Display,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn output_error<E>(error: Result<Option<io::Error>, E>) -> Trouble {
    match error {
        Ok(Some(error)) => error.into(),
        _ => Trouble::ClosedOutput,
    }
}

fn trouble(what: &str) -> impl FnOnce(io::Error) -> Trouble {
    let what = what.to_owned();
    move |error| Trouble::Io { what, error }
}

const PAUSE: Duration = Duration::from_millis(100);
