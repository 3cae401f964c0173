//! `uwsgi-dump`: shows captured uwsgi packets, captures them between a web server and a uwsgi server, and sends them
//! again.
#![forbid(unsafe_code)]

mod capture;
mod command;
mod comparison;
mod connection;
mod display;
mod dump;
mod exchange;
mod json;
mod listener;
mod observer;
mod place;
mod printer;
mod replay;
mod replayed;
mod reply;
mod reply_stream;
mod request;
mod request_stream;
mod saved;
mod secrets;
mod stream;
mod tee;
mod text;
mod trouble;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Builder;

use crate::command::{Command, Subcommands};
use crate::dump::Outcome;
use crate::trouble::Trouble;

fn main() -> ExitCode {
    let command = Command::parse();
    let result = match command.command {
        None => dump::run(&command.dump).map(|outcome| match outcome {
            Outcome::AllRead => SUCCESS,
            Outcome::SomeNotRead => TROUBLE,
        }),
        Some(Subcommands::Tee(tee)) => run(tee::run(tee)).map(|()| SUCCESS),
        Some(Subcommands::Replay(replay)) => {
            run(replay::run(replay)).map(|outcome| match (outcome.failed, outcome.differ) {
                (true, _) => TROUBLE,
                (false, true) => DIFFERENT,
                (false, false) => SUCCESS,
            })
        }
    };
    let code = match result {
        Ok(code) => code,
        // As `head` and others end those that write to them, but without a signal.
        Err(Trouble::ClosedOutput) => SUCCESS,
        Err(trouble) => {
            complain(&trouble);
            TROUBLE
        }
    };
    code.into()
}

fn run<T>(command: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Io {
        what: "cannot start".to_owned(),
        error,
    })?;
    runtime.block_on(command)
}

#[expect(clippy::print_stderr, reason = "a command's complaint")]
fn complain(trouble: &Trouble) {
    eprintln!("uwsgi-dump: {trouble}");
}

const SUCCESS: u8 = 0;
const DIFFERENT: u8 = 1;
const TROUBLE: u8 = 2;
