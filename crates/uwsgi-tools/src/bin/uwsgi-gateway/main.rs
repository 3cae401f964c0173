//! `uwsgi-gateway`: serves HTTP/1.1 in front of a uwsgi server.
#![forbid(unsafe_code)]

mod command;
mod size;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{error, info};

use crate::command::Command;

fn main() -> ExitCode {
    let command = Command::parse();
    tracing_subscriber::fmt()
        .with_max_level(command.log_level)
        .with_writer(io::stderr)
        .with_ansi(has_colours())
        .init();
    let runtime = Builder::new_multi_thread().enable_all().build();
    let served = runtime.and_then(|runtime| runtime.block_on(serve(&command)));
    match served {
        Ok(exit_code) => exit_code,
        Err(error) => {
            error!(%error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

/// Not in files and pipes, nor against the user's will (<https://no-color.org>).
fn has_colours() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

async fn serve(command: &Command) -> io::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let listener = TcpListener::bind(&command.listen).await.map_err(|error| {
        let listen = &command.listen;
        io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}"))
    })?;
    let mut stdout = io::stdout();
    let address = listener.local_addr()?;
    writeln!(
        stdout,
        "uwsgi-gateway: http://{address} for {}",
        command.address
    )?;
    stdout.flush()?;

    let (shutdown, shut_down) = oneshot::channel::<()>();
    let serving = command.gateway().serve(listener, async {
        let _ = shut_down.await;
    });
    let second_signal = async {
        signals.next().await;
        info!("stopping");
        // Only the gateway itself may have ended.
        let _ = shutdown.send(());
        signals.next().await;
    };
    Ok(tokio::select! {
        () = serving => ExitCode::SUCCESS,
        () = second_signal => ExitCode::FAILURE,
    })
}

/// The signals that end the command.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
