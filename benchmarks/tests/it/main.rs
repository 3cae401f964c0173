//! The load generator against servers of these tests, and against `floor`.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions but not what they call"
)]

mod compare;
mod http;
mod program;
mod server;
mod uwsgi;

use benchmarks::{Options, Report};
use clap::Parser as _;

/// Runs the load generator with arguments as on a command line; what is wrong
/// comes as text.
fn load(address: &str, arguments: &[&str]) -> Result<Report, String> {
    let arguments = [&["load", address], arguments].concat();
    let options = Options::try_parse_from(arguments)
        .and_then(Options::checked)
        .map_err(|error| error.to_string())?;
    benchmarks::run(&options).map_err(|failure| failure.fault.to_string())
}
