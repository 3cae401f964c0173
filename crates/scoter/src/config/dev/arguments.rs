//! The arguments of `scoter dev` beyond the options that it shares with a server for production.

use std::ffi::OsString;

use clap::builder::OsStringValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches};

use super::http_address::HttpAddress;
use super::settings::is_offered;
use crate::config::table::TABLE;

/// The arguments of `scoter dev` beyond the options of the table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DevArguments {
    /// `--http`.
    pub(crate) http: HttpAddress,
    /// `--watch`: files, directories and patterns.
    pub(crate) watch: Vec<OsString>,
    /// `--poll`.
    pub(crate) poll: bool,
}

impl DevArguments {
    /// Takes them from what clap has found.
    pub(in crate::config) fn take(matches: &mut ArgMatches) -> Self {
        Self {
            http: matches.remove_one(HTTP).unwrap_or_default(),
            watch: matches.remove_many(WATCH).into_iter().flatten().collect(),
            poll: matches.get_flag(POLL),
        }
    }
}

/// The arguments for clap.
pub(in crate::config) fn arguments() -> [Arg; 3] {
    [
        Arg::new(HTTP)
            .long(HTTP)
            .value_name("ADDRESS")
            .value_parser(str::parse::<HttpAddress>)
            .help("Listen for HTTP on this loopback address or port [default: 127.0.0.1:8000]"),
        Arg::new(WATCH)
            .long(WATCH)
            .value_name("PATH")
            .action(ArgAction::Append)
            .value_parser(OsStringValueParser::new())
            .help(
                "Also reload when this file, anything in this directory, or a file of this \
                 pattern changes: 'templates/**/*.html' (repeatable)",
            ),
        Arg::new(POLL)
            .long(POLL)
            .action(ArgAction::SetTrue)
            .help("Look at the files twice a second: for file systems that report no changes"),
    ]
}

/// Says what `scoter dev` has in place of an option that only a server for production has.
pub(in crate::config) fn with_tip(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let name = unknown.trim_start_matches('-');
    let name = name.split('=').next().unwrap_or_default().to_owned();
    let is_option = TABLE.iter().any(|opt| opt.name == name && !is_offered(opt));
    let tip = match &*name {
        // flask, manage.py, gunicorn and uWSGI.
        "bind" | "b" | "host" | "port" | "p" | "http-socket" => {
            Some("scoter dev listens for HTTP: --http 127.0.0.1:8000".to_owned())
        }
        "reload" | "reload-on-touch" | "reload-dir" | "reload-extra-file" | "extra-files"
        | "py-autoreload" | "debug" | "debugger" => Some(
            "scoter dev reloads and shows tracebacks by itself; --watch PATH adds files".to_owned(),
        ),
        name if is_option => Some(format!(
            "--{name} is for production: scoter dev serves its user alone"
        )),
        _ => None,
    };
    if let (ErrorKind::UnknownArgument, Some(tip)) = (error.kind(), tip) {
        error.remove(ContextKind::SuggestedArg);
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    } else if error.kind() == ErrorKind::UnknownArgument {
        let is_close = |own: &&&str| strsim::osa_distance(own, &name) <= MAX_MISTAKES;
        if let Some(own) = [HTTP, WATCH, POLL].iter().find(is_close) {
            let own = ContextValue::String(format!("--{own}"));
            error.insert(ContextKind::SuggestedArg, own);
        }
    }
    error
}

/// Wrong, missing or additional letters in a name that is recognised nevertheless.
const MAX_MISTAKES: usize = 2;

/// The command's name, which is the first argument.
pub(in crate::config) const DEV: &str = "dev";

const HTTP: &str = "http";
const WATCH: &str = "watch";
const POLL: &str = "poll";
