use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::Address;

/// Sends requests to a server, compares every reply with what is expected,
/// and says how long they took.
///
/// Each client sends its next request when the reply to its last one is
/// complete. A wrong reply ends the run with exit status 1.
#[derive(Clone, Debug, Parser)]
#[command(name = "load", version)]
pub struct Options {
    /// Where the server listens: unix:/path or HOST:PORT
    pub address: Address,

    /// What to speak; uwsgi takes a connection for each request, as nginx does
    #[arg(long, value_enum, default_value_t = Protocol::Uwsgi)]
    pub protocol: Protocol,

    /// Requests at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,

    /// Requests that are measured
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: u64,

    /// Requests that are sent before, and not measured
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub warm_up: u64,

    /// The request's method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    pub method: String,

    /// The request's path, with its query
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub path: String,

    /// A further var, or another value for one that is there; as header with --protocol http
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<Var>,

    /// Leave out all vars but the request line's and CONTENT_LENGTH
    #[arg(long)]
    pub bare: bool,

    /// Bytes of the request's body: 0123456789abcdef over and over
    #[arg(long, value_name = "SIZE", default_value = "0")]
    pub body: Size,

    /// This share of the requests (0.01), evenly spread, asks for PATH and is measured apart
    #[arg(long, value_name = "PATH=SHARE")]
    pub also: Option<Also>,

    /// The status every reply must have
    #[arg(long, value_name = "STATUS", default_value_t = 200, value_parser = clap::value_parser!(u16).range(100..=999))]
    pub expect_status: u16,

    /// The body every reply must have; with --expect-size, repeated up to that size
    #[arg(long, value_name = "TEXT")]
    pub expect_body: Option<String>,

    /// The number of bytes every reply's body must have
    #[arg(long, value_name = "SIZE")]
    pub expect_size: Option<Size>,

    /// Count the values of this response header (repeatable)
    #[arg(long = "count-header", value_name = "NAME")]
    pub count_headers: Vec<String>,

    /// Give up when nothing has come for so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    pub timeout: Duration,

    /// Write one JSON object instead of lines for people
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// Refuses what no single option shows to be wrong.
    ///
    /// # Errors
    ///
    /// What is wrong, as a usage error of clap.
    pub fn checked(self) -> Result<Self, clap::Error> {
        let wrong = |message: String| {
            use clap::CommandFactory as _;
            Err(Self::command().error(clap::error::ErrorKind::ValueValidation, message))
        };
        let also = self.also.as_ref().map(|also| &also.path);
        for path in [Some(&self.path), also].into_iter().flatten() {
            if !path.starts_with('/') || path.bytes().any(|b| b <= b' ' || b == 0x7f) {
                return wrong(format!("`{path}` is no path of a request line"));
            }
        }
        if also == Some(&self.path) {
            return wrong(format!("--also and --path both ask for `{}`", self.path));
        }
        if self.method.is_empty() || !self.method.bytes().all(|b| b.is_ascii_graphic()) {
            return wrong(format!("`{}` is no method", self.method));
        }
        if self.expect_body.as_deref() == Some("") && self.expect_size.is_some_and(|s| s.0 > 0) {
            return wrong("an empty --expect-body repeated has no size".to_owned());
        }
        if self.protocol == Protocol::Http {
            for Var { name, value } in &self.vars {
                if !name.starts_with("HTTP_") && name != "CONTENT_TYPE" {
                    return wrong(format!("--var {name} is no header of --protocol http"));
                }
                if value.contains(['\r', '\n', '\0']) {
                    return wrong(format!("the value of --var {name} is none of a header"));
                }
            }
        }
        Ok(self)
    }
}

/// What [`Options::protocol`] may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// The uwsgi protocol, a connection for each request.
    Uwsgi,
    /// HTTP/1.1 with connections that are kept.
    Http,
}

impl Protocol {
    /// Returns the name as on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uwsgi => "uwsgi",
            Self::Http => "http",
        }
    }
}

/// `NAME=VALUE`.
#[derive(Clone, Debug)]
pub struct Var {
    /// What stands before the first `=`; never empty.
    pub name: String,
    /// What follows it.
    pub value: String,
}

impl FromStr for Var {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("not of the form NAME=VALUE"),
        }
    }
}

/// `PATH=SHARE`.
#[derive(Clone, Debug)]
pub struct Also {
    /// What stands before the last `=`.
    pub path: String,
    /// The share in millionths, so that the spread is exact.
    pub millionths: u64,
}

impl FromStr for Also {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((path, share)) = text.rsplit_once('=') else {
            return Err("not of the form PATH=SHARE");
        };
        let share: f64 = share.parse().map_err(|_| "the share is no number")?;
        if !(0.0..=1.0).contains(&share) {
            return Err("the share is not between 0 and 1");
        }
        Ok(Self {
            path: path.to_owned(),
            millionths: (share * 1e6).round() as u64,
        })
    }
}

/// A number of bytes; `k` and `m` stand for 1024 and 1024².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1 << 10),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1 << 20),
            _ => (text, 1),
        };
        let number: u64 = digits.parse().map_err(|_| "not a number of bytes")?;
        number.checked_mul(unit).map(Self).ok_or("too large")
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    match Duration::try_from_secs_f64(number) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("not a number of seconds above 0"),
    }
}
