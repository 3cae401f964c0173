//! The command line.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use ipnet::IpNet;

use crate::application::Target;
use crate::listen::Address;
use crate::units::{Size, Span};

/// Serves a Python WSGI application to nginx `uwsgi_pass`.
#[derive(Debug, Parser)]
#[command(name = "scoter", version, max_term_width = 110)]
#[command(after_help = "Example: scoter myproject.wsgi --bind unix:/run/myproject/scoter.sock")]
pub(crate) struct Options {
    /// module[:callable] or path/to/file.py[:callable] [default callable: application, then app]
    #[arg(value_name = "APP")]
    pub(crate) app: Target,

    /// Where to listen: unix:/path, unix:@abstract or host:port (repeatable)
    #[arg(long, value_name = "ADDRESS", required = true, help_heading = SOCKETS)]
    pub(crate) bind: Vec<Address>,

    /// Permissions of a Unix socket, octal
    #[arg(long, value_name = "MODE", default_value = "660", value_parser = mode, help_heading = SOCKETS)]
    pub(crate) socket_mode: u32,

    /// Owner of a Unix socket: user name or number [default: who starts scoter]
    #[arg(long, value_name = "USER", help_heading = SOCKETS)]
    pub(crate) socket_owner: Option<String>,

    /// Group of a Unix socket: group name or number [default: that of who starts scoter]
    #[arg(long, value_name = "GROUP", help_heading = SOCKETS)]
    pub(crate) socket_group: Option<String>,

    /// Connections that may wait in the kernel, at most net.core.somaxconn
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..), help_heading = SOCKETS)]
    pub(crate) backlog: u32,

    /// Networks that may connect over TCP besides this machine (repeatable)
    #[arg(long, value_name = "CIDR", value_parser = network, help_heading = SOCKETS)]
    pub(crate) allow: Vec<IpNet>,

    /// Call the callable once, without arguments, to get the application
    #[arg(long, help_heading = APPLICATION)]
    pub(crate) factory: bool,

    /// Change to this directory before the application is imported
    #[arg(long, value_name = "DIR", help_heading = APPLICATION)]
    pub(crate) chdir: Option<PathBuf>,

    /// Put this directory in front of sys.path (repeatable)
    #[arg(long, value_name = "DIR", help_heading = APPLICATION)]
    pub(crate) pythonpath: Vec<PathBuf>,

    /// Requests that run at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = REQUESTS)]
    pub(crate) threads: u16,

    /// Request body that is complete in memory before the application starts, bytes
    #[arg(long, value_name = "SIZE", default_value = "1M", help_heading = REQUESTS)]
    pub(crate) body_buffer: Size,

    /// A body beyond --body-buffer: auto reads it while the application runs, all spools it first
    #[arg(long, value_name = "auto|all", value_enum, default_value_t = BufferBody::Auto, hide_possible_values = true, help_heading = REQUESTS)]
    pub(crate) buffer_body: BufferBody,

    /// Requests that may wait for their rest, and responses for slow readers, at a time
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = REQUESTS)]
    pub(crate) max_pending: u32,

    /// Take the scheme from X-Forwarded-Proto; only where a proxy you run sets it
    #[arg(long, help_heading = REQUESTS)]
    pub(crate) trust_forwarded_proto: bool,

    /// Time for the whole var block to arrive, from accept
    #[arg(long, value_name = "TIME", default_value = "10s", help_heading = TIMEOUTS)]
    pub(crate) header_timeout: Span,

    /// Longest wait for the next bytes of a request body
    #[arg(long, value_name = "TIME", default_value = "60s", help_heading = TIMEOUTS)]
    pub(crate) body_timeout: Span,

    /// Longest wait for the peer to take more of a response
    #[arg(long, value_name = "TIME", default_value = "60s", help_heading = TIMEOUTS)]
    pub(crate) write_timeout: Span,

    /// Time for running requests to end after TERM or INT
    #[arg(long, value_name = "TIME", default_value = "30s", help_heading = TIMEOUTS)]
    pub(crate) graceful_timeout: Span,

    /// Access log: on (standard output), off, or a file to append to
    #[arg(long, value_name = "WHERE", default_value = "on", help_heading = LOGGING)]
    pub(crate) access_log: AccessLogTo,

    /// Least severe message on standard error: trace, debug, info, warn or error
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info, hide_possible_values = true, help_heading = LOGGING)]
    pub(crate) log_level: LogLevel,
}

/// What happens to a request body beyond `--body-buffer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BufferBody {
    /// The application starts at once and reads it from the socket.
    Auto,
    /// It is completed in an unnamed temporary file first.
    All,
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// Nowhere; no line is made.
    Off,
    /// The end of a file.
    File(PathBuf),
}

impl FromStr for AccessLogTo {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "on" => Self::Stdout,
            "off" => Self::Off,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

/// Severities, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

const SOCKETS: &str = "Sockets";
const APPLICATION: &str = "Application";
const REQUESTS: &str = "Requests";
const TIMEOUTS: &str = "Timeouts (500ms, 30s, 5m, 2h)";
const LOGGING: &str = "Logging";

fn mode(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "expected octal permissions such as 660".to_owned())
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| "expected a network such as 10.0.0.0/8 or one address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_consistent() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn one_address_is_a_network_of_one() {
        assert_eq!(network("10.1.2.3").unwrap().to_string(), "10.1.2.3/32");
        assert!(network("ten").is_err());
    }

    #[test]
    fn socket_mode_is_octal() {
        assert_eq!(mode("660"), Ok(0o660));
        assert!(mode("888").is_err());
        assert!(mode("1777").is_err());
    }
}
