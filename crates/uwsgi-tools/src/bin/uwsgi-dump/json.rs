use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use uwsgi_codec::modifier::{self, Contents};

use crate::place::Place;
use crate::printer::{Body, Times};
use crate::reply::{Ending, Head, Reply};
use crate::request::{LIMITS, Request};
use crate::request_stream::StreamError;
use crate::secrets::{Secrets, Shown};

/// A line of the output.
#[derive(Serialize)]
pub(crate) struct Line<'a, T> {
    pub(crate) event: &'static str,
    #[serde(flatten)]
    pub(crate) place: &'a Place,
    #[serde(flatten)]
    pub(crate) what: T,
}

#[derive(Serialize)]
pub(crate) struct RequestFields<'a> {
    modifier1: u8,
    modifier2: u8,
    modifier: Option<&'static str>,
    datasize: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    vars: Option<Vec<(Value<'a>, Value<'a>)>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Value<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<Value<'a>>,
    body_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_body_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value<'a>>,
}

#[derive(Serialize)]
pub(crate) struct ReplyFields<'a> {
    status: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interim: Vec<Vec<HeadLine<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Vec<HeadLine<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<ReplyPacket<'a>>,
    body_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_byte_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Value<'a>>,
}

#[derive(Serialize)]
struct ReplyPacket<'a> {
    modifier1: u8,
    modifier2: u8,
    block: Value<'a>,
}

#[derive(Serialize)]
pub(crate) struct ErrorFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Value<'a>>,
}

/// Makes the line of a request.
pub(crate) fn request<'a>(
    place: &'a Place,
    request: &'a Request,
    body: Body<'a>,
    secrets: Secrets,
) -> Line<'a, RequestFields<'a>> {
    let header = request.packet.header;
    let mut fields = RequestFields {
        modifier1: header.modifier1,
        modifier2: header.modifier2,
        modifier: modifier::name(header.modifier1),
        datasize: header.datasize,
        vars: None,
        items: None,
        block: None,
        body_bytes: request.body_len,
        received_body_bytes: body.cut_short(request.body_len),
        body: body.kept(),
    };
    match request.contents {
        Contents::Vars => {
            let vars = request.vars().into_iter();
            let shown = vars.map(|(key, value)| (Value::from(key), secrets.var(key, value).into()));
            fields.vars = Some(shown.collect());
        }
        Contents::Array => {
            let items = request.packet.items(&LIMITS).unwrap_or_default();
            fields.items = Some(items.map(Value::from).collect());
        }
        _ => fields.block = Some(Value::from(&request.packet.block[..])),
    }
    Line {
        event: "request",
        place,
        what: fields,
    }
}

/// Makes the line of a reply.
pub(crate) fn reply<'a>(
    place: &'a Place,
    reply: &'a Reply,
    body: Body<'a>,
    times: Option<Times>,
    secrets: Secrets,
) -> Line<'a, ReplyFields<'a>> {
    Line {
        event: "reply",
        place,
        what: reply_fields(reply, body, times, secrets),
    }
}

pub(crate) fn reply_fields<'a>(
    reply: &'a Reply,
    body: Body<'a>,
    times: Option<Times>,
    secrets: Secrets,
) -> ReplyFields<'a> {
    let lines = |head: &'a Head| {
        let lines = head.lines();
        lines.map(|line| HeadLine(secrets.line(line))).collect()
    };
    let packet = reply.packet().map(|packet| ReplyPacket {
        modifier1: packet.header.modifier1,
        modifier2: packet.header.modifier2,
        block: packet.block.into(),
    });
    let is_http = reply.head.is_some();
    ReplyFields {
        status: reply.status(),
        interim: reply.interim.iter().map(lines).collect(),
        head: reply.head.as_ref().map(lines),
        body_bytes: reply.body_len,
        body: match body.kept() {
            None if !is_http && packet.is_none() && !reply.body.is_empty() => {
                Some(reply.body.as_slice().into())
            }
            body => body,
        },
        packet,
        first_byte_seconds: times.and_then(|times| Some(times.first_byte?.as_secs_f64())),
        total_seconds: times.map(|times| times.total.as_secs_f64()),
        error: match &reply.ending {
            Ending::Complete => None,
            ending => Some(ending.to_string()),
        },
        bytes: match reply.excerpt.0.as_slice() {
            [] => None,
            bytes => Some(bytes.into()),
        },
    }
}

/// Makes the line of an error in what was sent.
pub(crate) fn stream_error<'a>(
    place: &'a Place,
    error: &'a StreamError,
) -> Line<'a, ErrorFields<'a>> {
    let fields = ErrorFields {
        kind: Some(error.kind.label()),
        error: error.kind.to_string(),
        at: match place {
            Place::File { .. } => None,
            Place::Connection { .. } => Some(error.offset),
        },
        bytes: match error.excerpt.0.as_slice() {
            [] => None,
            bytes => Some(bytes.into()),
        },
    };
    Line {
        event: "error",
        place,
        what: fields,
    }
}

/// Makes the line of any other error.
pub(crate) fn error(place: &Place, error: String) -> Line<'_, ErrorFields<'_>> {
    let fields = ErrorFields {
        kind: None,
        error,
        at: None,
        bytes: None,
    };
    Line {
        event: "error",
        place,
        what: fields,
    }
}

/// A value: text if it is UTF-8, else `{"base64": "…"}`, so that no byte is lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a>(Shown<'a>);

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Shown::Value(bytes))
    }
}

impl<'a> From<Shown<'a>> for Value<'a> {
    fn from(shown: Shown<'a>) -> Self {
        Self(shown)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Shown::Value(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => to.serialize_str(text),
                Err(_) => member(to, "base64", &STANDARD.encode(bytes)),
            },
            Shown::Redacted { len } => member(to, "redacted_bytes", &len),
        }
    }
}

/// A line of a head; `{"line": "Set-Cookie:", "redacted_bytes": 12}` if its value is not shown.
struct HeadLine<'a>((&'a [u8], Option<usize>));

impl Serialize for HeadLine<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self((line, redacted)) = *self;
        match redacted {
            None => Value::from(line).serialize(to),
            Some(len) => {
                let mut map = to.serialize_map(Some(2))?;
                map.serialize_entry("line", &Value::from(line))?;
                map.serialize_entry("redacted_bytes", &len)?;
                map.end()
            }
        }
    }
}

impl<'a> Body<'a> {
    fn kept(self) -> Option<Value<'a>> {
        match self {
            Self::Kept(bytes) => Some(bytes.into()),
            Self::Counted | Self::Announced | Self::CutShort(_) => None,
        }
    }
}

fn member<S: Serializer, T: Serialize>(to: S, name: &str, value: &T) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}
