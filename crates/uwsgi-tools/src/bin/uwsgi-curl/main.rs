//! `uwsgi-curl`: sends a request to a uwsgi server, with the options of curl.
#![forbid(unsafe_code)]

mod command;
mod data;
mod failure;
mod header_option;
mod output;
mod packet;
mod ping;
mod target;
mod transfer;
mod var_option;
mod verbose;
mod write_out;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::command::Command;
use crate::failure::Failure;
use crate::transfer::Transfer;
use crate::verbose::Verbose;
use crate::write_out::End;

fn main() -> ExitCode {
    let command = Command::read();
    let start = Instant::now();
    let mut transfer = Transfer::default();
    let runtime = Builder::new_current_thread().enable_all().build();
    let failure = match runtime {
        Ok(runtime) => {
            let failure = runtime.block_on(run(&command, start, &mut transfer)).err();
            // A thread may still wait for standard output.
            runtime.shutdown_background();
            failure
        }
        Err(error) => Some(Failure::Usage(format!("cannot start: {error}"))),
    };
    let end = End {
        transfer: &transfer,
        url: &command.target.text,
        exit_code: failure.as_ref().map_or(0, Failure::exit_code),
        error: failure.as_ref().map(Failure::to_string).unwrap_or_default(),
        total: start.elapsed(),
    };
    if let Some(write_out) = &command.write_out {
        let mut stdout = io::stdout().lock();
        // What is left to do if it fails is to end.
        let _ = stdout.write_all(write_out.render(&end).as_bytes());
        let _ = stdout.flush();
    }
    if let Some(failure) = &failure {
        if !command.is_silent() && !failure.is_quiet() {
            complain(failure, end.exit_code);
        }
    }
    end.exit_code.into()
}

async fn run(command: &Command, start: Instant, transfer: &mut Transfer) -> Result<(), Failure> {
    let verbose = Verbose {
        is_on: command.verbose,
    };
    let limit = command.max_time.unwrap_or(Duration::MAX);
    let done = async {
        match command.ping {
            true => ping::ping(command, verbose).await,
            false => transfer.run(command, start, verbose).await,
        }
    };
    match timeout(limit, done).await {
        Ok(done) => done,
        Err(_) => Err(Failure::Late {
            limit,
            received: transfer.received,
        }),
    }
}

#[expect(clippy::print_stderr, reason = "a command's complaint")]
fn complain(failure: &Failure, exit_code: u8) {
    eprintln!("uwsgi-curl: ({exit_code}) {failure}");
}
