//! The load generator; see `load --help`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use benchmarks::Options;
use clap::Parser as _;

fn main() -> ExitCode {
    let options = Options::parse()
        .checked()
        .unwrap_or_else(|error| error.exit());
    let report = match benchmarks::run(&options) {
        Ok(report) => report,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "load: {failure}");
            return ExitCode::FAILURE;
        }
    };
    let written = if options.json {
        serde_json::to_writer(io::stdout(), &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(io::stdout()))
    } else {
        write!(io::stdout(), "{report}")
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "load: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
