//! Runs what the arguments ask for, and returns the exit code.

use std::ffi::OsString;
use std::io::{self, Write};

use pyo3::prelude::*;

use super::command::Command;
use super::parse::parse;
use super::{check, generated, migrate, serve};
use crate::control;
use crate::program::{Program, set_prefix};
use crate::python::signal_handlers;
use crate::start::Start;
use crate::sys::descriptors::fill_standard_streams;

/// Runs the command, and returns its exit code.
///
/// | code | meaning |
/// |---|---|
/// | 0 | stopped, or done |
/// | 1 | a system failure, a running server refused, or a migration loses behaviour |
/// | 2 | wrong arguments, configuration or socket, or no server answers |
/// | 3 | the application could not be loaded |
pub(crate) fn run(py: Python<'_>, program: Program, arguments: &[OsString]) -> u8 {
    fill_standard_streams();
    let prefix = py.import("sys").and_then(|sys| sys.getattr("prefix"));
    if let Ok(prefix) = prefix.and_then(|prefix| prefix.extract()) {
        set_prefix(prefix);
    }
    let done = parse(arguments).and_then(|command| match command {
        Command::Help(mut command) => Ok(said(command.print_help())),
        Command::PrintConfig(settings) => Ok(said(write!(io::stdout(), "{}", settings.print()))),
        Command::Completion(shell) => Ok(print(&generated::completion(shell))),
        Command::Man(command) => Ok(match generated::man_page(command.as_deref()) {
            Ok(page) => print(&page),
            Err(_) => 1,
        }),
        Command::Serve(settings) => {
            let options = settings.options()?;
            Ok(serve::run(py, program, arguments, settings, options, None))
        }
        Command::Dev(settings, dev) => {
            let options = settings.options()?;
            let dev = Some(dev);
            Ok(serve::run(py, program, arguments, settings, options, dev))
        }
        Command::Check(settings, extent) => {
            let options = settings.options()?;
            let start = Start {
                program: &program,
                settings: &settings,
                options: &options,
            };
            check::run(py, &start, extent)
        }
        Command::Migrate(request) => py.detach(|| migrate::run(&program, &request)),
        Command::Client(command, server) => {
            // Otherwise Python's own handler for INT would run.
            let ours = signal_handlers::take(py);
            ours.unwrap_or_else(|error| error.print(py));
            Ok(py.detach(|| control::run(command, server)))
        }
    });
    done.unwrap_or_else(|error| {
        error.print();
        error.exit_code()
    })
}

fn print(bytes: &[u8]) -> u8 {
    said(io::stdout().write_all(bytes))
}

/// The exit code of a command that writes to standard output.
fn said(written: io::Result<()>) -> u8 {
    u8::from(written.is_err())
}
