use std::fs;
use std::str::FromStr;
use std::time::Duration;

use crate::transfer::Transfer;

/// `--write-out`: text with variables.
#[derive(Clone, Debug)]
pub(crate) struct WriteOut {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Variable(Variable),
}

#[derive(Clone, Copy, Debug)]
enum Variable {
    ContentType,
    ErrorMessage,
    ExitCode,
    Headers,
    Method,
    ReceivedBytes,
    HeaderBytes,
    RequestBytes,
    SentBytes,
    ReceivedSpeed,
    SentSpeed,
    Status,
    Connected,
    HeadReceived,
    Total,
    Url,
}

/// What is known at the end besides the [`Transfer`].
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) transfer: &'a Transfer,
    pub(crate) url: &'a str,
    pub(crate) exit_code: u8,
    pub(crate) error: String,
    pub(crate) total: Duration,
}

impl FromStr for WriteOut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('@') {
            None => Self::parse(text),
            Some(path) => {
                let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
                Self::parse(&text)
            }
        }
    }
}

impl WriteOut {
    fn parse(mut rest: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some(first) = rest.chars().next() {
            let (sign, len) = match (first, rest.chars().nth(1)) {
                ('%', Some('%')) => ('%', 2),
                ('\\', Some('n')) => ('\n', 2),
                ('\\', Some('r')) => ('\r', 2),
                ('\\', Some('t')) => ('\t', 2),
                ('%', Some('{')) => {
                    let Some((name, behind)) = rest[2..].split_once('}') else {
                        return Err("a %{ is not closed".to_owned());
                    };
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Variable(Variable::named(name)?));
                    rest = behind;
                    continue;
                }
                _ => (first, first.len_utf8()),
            };
            text.push(sign);
            rest = &rest[len..];
        }
        parts.push(Part::Text(text));
        Ok(Self { parts })
    }

    /// Fills in the variables.
    pub(crate) fn render(&self, end: &End<'_>) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable(variable) => variable.value(end),
        });
        parts.collect()
    }
}

impl Variable {
    fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "content_type" => Self::ContentType,
            "errormsg" => Self::ErrorMessage,
            "exitcode" => Self::ExitCode,
            "http_code" | "response_code" => Self::Status,
            "method" => Self::Method,
            "num_headers" => Self::Headers,
            "size_download" => Self::ReceivedBytes,
            "size_header" => Self::HeaderBytes,
            "size_request" => Self::RequestBytes,
            "size_upload" => Self::SentBytes,
            "speed_download" => Self::ReceivedSpeed,
            "speed_upload" => Self::SentSpeed,
            "time_connect" => Self::Connected,
            "time_starttransfer" => Self::HeadReceived,
            "time_total" => Self::Total,
            "url" => Self::Url,
            _ => return Err(format!("no variable %{{{name}}}: --help lists them")),
        })
    }

    fn value(self, end: &End<'_>) -> String {
        let transfer = end.transfer;
        let seconds = |time: Duration| format!("{:.6}", time.as_secs_f64());
        let speed = |bytes: u64| {
            let seconds = end.total.as_secs_f64().max(f64::MIN_POSITIVE);
            format!("{:.0}", bytes as f64 / seconds)
        };
        match self {
            Self::ContentType => transfer.content_type.clone(),
            Self::ErrorMessage => end.error.clone(),
            Self::ExitCode => end.exit_code.to_string(),
            Self::Headers => transfer.headers.to_string(),
            Self::Method => transfer.method.clone(),
            Self::ReceivedBytes => transfer.received.to_string(),
            Self::HeaderBytes => transfer.header_bytes.to_string(),
            Self::RequestBytes => transfer.request_bytes.to_string(),
            Self::SentBytes => transfer.sent().to_string(),
            Self::ReceivedSpeed => speed(transfer.received),
            Self::SentSpeed => speed(transfer.sent()),
            // curl has 000 without a reply.
            Self::Status => format!("{:03}", transfer.status),
            Self::Connected => seconds(transfer.connected),
            Self::HeadReceived => seconds(transfer.head_received),
            Self::Total => seconds(end.total),
            Self::Url => end.url.to_owned(),
        }
    }
}
