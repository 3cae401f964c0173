//! The feature `http`.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions but not what they call"
)]

mod bodies;
mod errors;
mod front_ends;
mod keep;
mod properties;
mod reply_head;
mod reply_limits;
mod request_mapping;
mod request_paths;
mod request_vars;

use http::request::Parts;
use http::{Request, Version};
use uwsgi_codec::http::{BodyLength, ConnectionInfo, MapError, RequestMapping};
use uwsgi_codec::{PacketBuilder, Vars};

/// A request of HTTP/1.1 with these headers.
fn request(method: &str, target: &str, headers: &[(&str, &[u8])]) -> Parts {
    let mut builder = Request::builder()
        .method(method)
        .uri(target)
        .version(Version::HTTP_11);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap().into_parts().0
}

fn get(headers: &[(&str, &[u8])]) -> Parts {
    request("GET", "/", headers)
}

/// Maps a request that has no body.
fn map(parts: &Parts) -> Result<Vars, MapError> {
    map_by(&RequestMapping::new(), parts, BodyLength::Absent)
}

fn map_by(mapping: &RequestMapping, parts: &Parts, body: BodyLength) -> Result<Vars, MapError> {
    let mut packet = PacketBuilder::new();
    mapping.to_vars(parts, &ConnectionInfo::new(), body, &mut packet)?;
    Ok(packet.build()?.vars)
}

fn vars(pairs: &[(&str, &[u8])]) -> Vars {
    let pairs = pairs.iter().map(|(key, value)| (key, value));
    let mut packet = PacketBuilder::new();
    packet.vars(pairs).unwrap().build().unwrap().vars
}

/// Bytes, those that are not ASCII as `\xe9`.
fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\'", "'")
}

/// The values of a variable, as text.
fn all(vars: &Vars, key: &str) -> Vec<String> {
    let values = vars.get_all(key);
    values.map(text).collect()
}
