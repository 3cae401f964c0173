use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use http::{HeaderValue, Method};
use uwsgi_codec::modifier;
use uwsgi_http::Address;

use crate::header_option::HeaderOption;
use crate::target::Target;
use crate::var_option::VarOption;
use crate::write_out::WriteOut;

/// Sends a request to a uwsgi server, with the options of curl.
///
/// Exit codes are curl's: 2 usage, 3 malformed URL, 7 no connection, 8 no HTTP reply, 18 reply cut short, 22 status of
/// 400 or more with --fail, 23 the reply cannot be written, 26 the data cannot be read, 28 timeout, 52 no reply, 56 the
/// connection broke.
#[derive(Debug, Parser)]
#[command(name = "uwsgi-curl", version, args_override_self = true)]
pub(crate) struct Command {
    /// The server: a path with a slash, unix:PATH or HOST:PORT
    #[arg(value_parser = address)]
    pub(crate) address: Address,
    /// What to ask for: /PATH?QUERY, or http(s)://HOST/PATH?QUERY
    ///
    /// The host is what the application sees as the one that it was asked for: HTTP_HOST and SERVER_NAME. The scheme
    /// is REQUEST_SCHEME, with https also HTTPS.
    #[arg(value_name = "URL", default_value = "/")]
    pub(crate) target: Target,

    /// The method [default: GET; HEAD with -I, POST with -d, PUT with -T]
    #[arg(short = 'X', long)]
    pub(crate) request: Option<Method>,
    /// A header, "NAME: VALUE"; "NAME:" leaves out one of the usual ones, "NAME;" sends it empty
    ///
    /// Connection, Transfer-Encoding and other headers of one connection are not part of a uwsgi request, and are
    /// refused. A name with other signs than letters, digits and hyphens takes --var.
    #[arg(short = 'H', long, value_name = "HEADER")]
    pub(crate) header: Vec<HeaderOption>,
    /// The header User-Agent
    #[arg(short = 'A', long, value_name = "NAME")]
    pub(crate) user_agent: Option<HeaderValue>,
    /// Name and password, sent with Authorization: Basic
    #[arg(short, long, value_name = "USER:PASSWORD", value_parser = credentials)]
    pub(crate) user: Option<HeaderValue>,
    /// A cookie; may be repeated
    #[arg(short = 'b', long, value_name = "NAME=VALUE", value_parser = cookie)]
    pub(crate) cookie: Vec<String>,
    /// Send this; @FILE sends a file without its line ends, @- standard input
    ///
    /// Several are joined by &. The content type is application/x-www-form-urlencoded unless -H says otherwise.
    #[arg(short, long, value_name = "DATA", conflicts_with = "upload_file")]
    pub(crate) data: Vec<String>,
    /// As -d, but files as they are
    #[arg(long, value_name = "DATA", conflicts_with = "upload_file")]
    pub(crate) data_binary: Vec<String>,
    /// Send this as JSON, and ask for JSON; @FILE and @- as with --data-binary
    ///
    /// Several are sent one after another. Content-Type and Accept are application/json unless -H says otherwise.
    #[arg(long, value_name = "DATA", conflicts_with_all = ["data", "data_binary", "upload_file", "head"])]
    pub(crate) json: Vec<String>,
    /// Put the data of -d and --data-binary into the query of the URL, and ask with GET
    #[arg(short = 'G', long, conflicts_with_all = ["json", "upload_file", "head"])]
    pub(crate) get: bool,
    /// Send this file, with PUT; - is standard input
    #[arg(short = 'T', long, value_name = "FILE")]
    pub(crate) upload_file: Option<PathBuf>,
    /// Set a variable of the packet; without = leave it out
    ///
    /// The values given replace that which the request would have. Any name and value will do.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) var: Vec<VarOption>,
    /// What the packet is for: a number, or a name such as wsgi
    #[arg(long, value_name = "MODIFIER", default_value = "0", value_parser = modifier1)]
    pub(crate) modifier1: u8,
    /// The second modifier
    #[arg(long, value_name = "NUMBER", default_value = "0")]
    pub(crate) modifier2: u8,
    /// Send uwsgi's ping: success if the server answers it
    ///
    /// scoter does once its application is loaded and a thread is free; uWSGI if it has the plugin ping, which a build
    /// with pip has.
    #[arg(
        long,
        conflicts_with_all = ["request", "header", "data", "data_binary", "upload_file", "var", "modifier1", "modifier2",
            "user_agent", "user", "cookie", "json", "get", "include", "head", "output", "fail", "write_out"]
    )]
    pub(crate) ping: bool,

    /// Write the head of the reply, too
    #[arg(short, long)]
    pub(crate) include: bool,
    /// Ask with HEAD, and write only the head
    #[arg(short = 'I', long, conflicts_with_all = ["data", "data_binary", "upload_file"])]
    pub(crate) head: bool,
    /// Write the reply to a file; - is standard output, even if it is a terminal and the reply is binary
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Don't report errors
    #[arg(short, long)]
    pub(crate) silent: bool,
    /// Report errors even with -s
    #[arg(short = 'S', long)]
    pub(crate) show_error: bool,
    /// Fail with 22 and write nothing if the status is 400 or more
    #[arg(short, long)]
    pub(crate) fail: bool,
    /// Report the connection, the variables sent and the head received, on standard error
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Write this at the end, with %{http_code}, %{time_total} and other variables of curl; @FILE reads it from a file
    ///
    /// content_type, errormsg, exitcode, http_code, method, num_headers, response_code, size_download, size_header,
    /// size_request (of the packet), size_upload, speed_download, speed_upload, time_connect, time_starttransfer (until
    /// the head of the reply has come), time_total, url. Times are in seconds from the start, sizes in bytes.
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) write_out: Option<WriteOut>,

    /// Accepted, without effect: a reply is always written as it comes
    #[arg(short = 'N', long)]
    no_buffer: bool,
    /// Accepted, without effect: uwsgi has no certificates
    #[arg(short = 'k', long)]
    insecure: bool,
    /// Refused: nothing follows a redirect
    #[arg(short = 'L', long, hide = true)]
    location: bool,

    /// Seconds until all must be done [default: no limit]
    #[arg(short, long, value_name = "SECONDS", value_parser = uwsgi_tools::seconds)]
    pub(crate) max_time: Option<Duration>,
    /// Seconds until there must be a connection
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = uwsgi_tools::seconds)]
    pub(crate) connect_timeout: Duration,
}

impl Command {
    /// Reads the command line; ends the process if it is not valid.
    pub(crate) fn read() -> Self {
        let command = Self::parse();
        if command.location {
            let message = "-L: uwsgi-curl follows no redirects, -i shows the Location to ask for";
            let kind = ErrorKind::ArgumentConflict;
            <Self as CommandFactory>::command()
                .error(kind, message)
                .exit();
        }
        command
    }

    /// Returns whether nothing is to be said on standard error.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent && !self.show_error
    }
}

fn address(text: &str) -> Result<Address, String> {
    uwsgi_tools::address(text).map_err(|error| match text.contains("://") {
        true => format!("{error}; a URL comes after it"),
        false => error,
    })
}

fn credentials(text: &str) -> Result<HeaderValue, String> {
    if !text.contains(':') {
        return Err("not USER:PASSWORD".to_owned());
    }
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(text)))
        .map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

fn cookie(text: &str) -> Result<String, String> {
    let is_header = text.contains('=') && HeaderValue::from_str(text).is_ok();
    match is_header {
        true => Ok(text.to_owned()),
        false => Err("not NAME=VALUE; files of cookies are not read".to_owned()),
    }
}

fn modifier1(text: &str) -> Result<u8, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    (0..=u8::MAX)
        .find(|&number| modifier::name(number) == Some(text))
        .ok_or_else(|| "neither a number up to 255 nor the name of a modifier".to_owned())
}
