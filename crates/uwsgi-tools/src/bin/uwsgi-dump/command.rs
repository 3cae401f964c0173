use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use uwsgi_http::Address;
use uwsgi_tools::address;

use crate::printer::Format;
use crate::secrets::Secrets;

/// Shows captured uwsgi packets: requests as a web server sends them, with the bodies behind them.
///
/// A capture is what one side of a connection has sent, as it is: packets, each followed by as many bytes as its
/// CONTENT_LENGTH says. `uwsgi-dump tee --save` writes such files. A file that is called like a command is ./tee.
#[derive(Debug, Parser)]
#[command(
    name = "uwsgi-dump",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) command: Option<Subcommands>,
    #[command(flatten)]
    pub(crate) dump: Dump,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Subcommands {
    Tee(Tee),
    Replay(Replay),
}

#[derive(Args, Debug)]
pub(crate) struct Dump {
    /// Captures: files, directories that `tee --save` has written, or - for standard input
    ///
    /// Of a directory, all files *.request in the order of their names. The replies beside a file *.request, in a file
    /// *.reply of the same name, are shown with their requests.
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Show bodies, too, which are then held in memory one at a time
    #[arg(long)]
    pub(crate) bodies: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Stands between a web server and a uwsgi server and shows what they send
///
/// Passes on every byte as it comes, whatever it is, in both directions. Ends with SIGINT or SIGTERM: takes no more
/// connections and waits for those that are open; a second signal ends it at once.
#[derive(Args, Debug)]
pub(crate) struct Tee {
    /// Where the web server connects to: a path with a slash, unix:PATH or HOST:PORT
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) listen: Address,
    /// The permissions of the Unix socket to listen on, in octal [default: as the umask says]
    #[arg(long, value_name = "MODE", value_parser = octal)]
    pub(crate) mode: Option<u32>,
    /// The uwsgi server
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) to: Address,
    /// Save each connection in this directory, which is created if it is missing
    ///
    /// In two files, START-NUMBER.request and START-NUMBER.reply, readable by their owner only: they hold cookies and
    /// passwords.
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Sends captured requests to a uwsgi server and shows the replies
///
/// One after another, each on a connection of its own. Exit codes: 0 all replies came, and were the same if compared; 1
/// some differ; 2 a request could not be read or sent, or had no complete reply.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Captures, as without a command
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The uwsgi server
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) to: Address,
    /// Compare its replies with those of another server, or with the saved ones
    ///
    /// Status, headers (in any order) and bodies, which are held in memory. The headers that concern only the connection
    /// are not compared.
    #[arg(long, value_name = "ADDRESS|saved")]
    pub(crate) compare: Option<Other>,
    /// Don't compare this header; may be repeated. Date and X-Request-ID never are
    #[arg(long, value_name = "HEADER", requires = "compare")]
    pub(crate) ignore: Vec<http::HeaderName>,
    /// Seconds until a reply must be complete
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = uwsgi_tools::seconds)]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Write a line of JSON for each packet, reply and error
    ///
    /// A value is a string if it is UTF-8, else {"base64": "…"}.
    #[arg(long)]
    json: bool,
    /// Show only the lengths of cookies and credentials
    ///
    /// Those of HTTP_COOKIE, HTTP_AUTHORIZATION, HTTP_PROXY_AUTHORIZATION and Set-Cookie; what is saved has them all.
    #[arg(long)]
    redact: bool,
}

impl Output {
    pub(crate) fn format(self) -> Format {
        match self.json {
            true => Format::Json,
            false => Format::Text,
        }
    }

    pub(crate) fn secrets(self) -> Secrets {
        match self.redact {
            true => Secrets::Redacted,
            false => Secrets::Shown,
        }
    }
}

/// What replies are compared with.
#[derive(Clone, Debug)]
pub(crate) enum Other {
    Saved,
    Server(Address),
}

impl FromStr for Other {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "saved" {
            return Ok(Self::Saved);
        }
        let server = match Path::new(text).is_dir() {
            true => Err("this is a directory".to_owned()),
            false => address(text),
        };
        server
            .map(Self::Server)
            .map_err(|error| format!("{error}; for the saved replies: --compare saved"))
    }
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("not three octal digits, such as 660".to_owned()),
    }
}
