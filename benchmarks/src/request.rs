use uwsgi_codec::{EncodeError, PacketBuilder};

use crate::expectation::Repeated;
use crate::options::{Options, Protocol};
use crate::vars::{BARE, BROWSER, percent_decoded};

/// A request as it is sent, any number of times.
///
/// What differs from one request of a browser to the next, differs here: else a server that
/// remembers the last one would look better than it is behind nginx.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// All before the body, and the beginning of the body, in several versions of one length.
    versions: Vec<Vec<u8>>,
    /// Bytes before the body.
    head_len: u64,
    /// Bytes of head and body.
    pub(crate) len: u64,
}

impl Request {
    /// # Errors
    ///
    /// The vars do not fit into a packet.
    pub(crate) fn new(options: &Options, path: &str, body: &Repeated) -> Result<Self, EncodeError> {
        let mut versions = match options.protocol {
            Protocol::Uwsgi => (0..VERSIONS)
                .map(|version| packet(options, path, version))
                .collect::<Result<_, _>>()?,
            // A connection that is kept has one port, and nginx makes the ids.
            Protocol::Http => vec![http_head(options, path)],
        };
        let head_len = versions[0].len() as u64;
        let size = options.body.0;
        if size > 0 {
            let beginning = body.piece(0, size.min(FIRST_OF_BODY));
            for version in &mut versions {
                version.extend_from_slice(beginning);
            }
        }
        Ok(Self {
            path: path.to_owned(),
            versions,
            head_len,
            len: head_len + size,
        })
    }

    /// Returns what is to be sent next of the request with this number when `sent` bytes are;
    /// nothing if that is all.
    pub(crate) fn piece<'a>(&'a self, number: u64, sent: u64, body: &'a Repeated) -> &'a [u8] {
        let version = number % self.versions.len() as u64;
        let first = usize::try_from(version).map_or(&self.versions[0], |at| &self.versions[at]);
        match usize::try_from(sent).ok().and_then(|at| first.get(at..)) {
            Some(rest) if !rest.is_empty() => rest,
            _ if sent >= self.len => &[],
            _ => body.piece(sent - self.head_len, self.len - sent),
        }
    }
}

/// What request bodies consist of.
pub(crate) const BODY: &[u8] = b"0123456789abcdef";

const FIRST_OF_BODY: u64 = 64 * 1024;

/// How many versions of a packet are sent in turn.
const VERSIONS: u16 = 16;

fn packet(options: &Options, path: &str, version: u16) -> Result<Vec<u8>, EncodeError> {
    let mut vars: Vec<(&str, Vec<u8>)> = if options.bare {
        &BARE[..]
    } else {
        &BROWSER[..]
    }
    .iter()
    .map(|&(name, value)| (name, value.into()))
    .collect();
    let mut set = |name, value: &[u8]| match vars.iter_mut().find(|var| var.0 == name) {
        Some(var) => var.1 = value.to_vec(),
        None => vars.push((name, value.to_vec())),
    };
    if !options.bare {
        // What nginx takes from the connection, and what it makes for each request. It also says
        // when it hands the request over; that cannot be prepared.
        let port = 52_814 + version;
        set("REMOTE_PORT", port.to_string().as_bytes());
        let id = format!("7d1f0c6a2b9e4835a0c4e81f6b2d{version:04x}");
        set("HTTP_X_REQUEST_ID", id.as_bytes());
    }
    let (decoded, query) = path.split_once('?').unwrap_or((path, ""));
    set("REQUEST_METHOD", options.method.as_bytes());
    set("REQUEST_URI", path.as_bytes());
    set("PATH_INFO", &percent_decoded(decoded));
    set("QUERY_STRING", query.as_bytes());
    if options.body.0 > 0 {
        set("CONTENT_LENGTH", options.body.0.to_string().as_bytes());
        if !options.bare {
            set("CONTENT_TYPE", b"application/octet-stream");
        }
    }
    for var in &options.vars {
        set(&var.name, var.value.as_bytes());
    }
    PacketBuilder::new().vars(vars)?.to_vec()
}

fn http_head(options: &Options, path: &str) -> Vec<u8> {
    let mut headers: Vec<(&str, &str)> = BROWSER
        .into_iter()
        .filter(|(name, _)| name.starts_with("HTTP_"))
        .filter(|(name, _)| !options.bare || *name == "HTTP_HOST")
        .collect();
    let length = options.body.0.to_string();
    if options.body.0 > 0 {
        headers.push(("CONTENT_LENGTH", &length));
        if !options.bare {
            headers.push(("CONTENT_TYPE", "application/octet-stream"));
        }
    }
    for var in &options.vars {
        match headers.iter_mut().find(|header| header.0 == var.name) {
            Some(header) => header.1 = &var.value,
            None => headers.push((&var.name, &var.value)),
        }
    }
    let mut head = format!("{} {path} HTTP/1.1\r\n", options.method);
    for (var, value) in headers {
        let name = var.strip_prefix("HTTP_").unwrap_or(var).replace('_', "-");
        head.extend([name.to_ascii_lowercase().as_str(), ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use uwsgi_codec::{Limits, PacketRef};

    use super::*;

    fn first(arguments: &[&str], path: &str) -> Vec<u8> {
        let options = Options::parse_from([&["load", "unix:/s"], arguments].concat());
        let request = Request::new(&options, path, &Repeated::new(BODY));
        request.unwrap().versions.swap_remove(0)
    }

    #[test]
    fn packet_is_the_one_nginx_sends() {
        let captured = include_bytes!("../../crates/uwsgi-codec/tests/fixtures/get.bin");
        let built = first(&[], "/caf%C3%A9/a%2Fb?page=2&q=%20x");
        // Behind the header, which has the length, and but for the id: what was captured has none.
        let (same, id) = built[4..].split_at(captured.len() - 4);
        assert_eq!(
            same.escape_ascii().to_string(),
            captured[4..].escape_ascii().to_string()
        );
        assert!(id.starts_with(b"\x11\0HTTP_X_REQUEST_ID\x20\0"));
    }

    #[test]
    fn next_request_of_a_browser_has_another_port_and_another_id() {
        let options = Options::parse_from(["load", "unix:/s"]);
        let body = Repeated::new(BODY);
        let request = Request::new(&options, "/", &body).unwrap();
        let vars = |number| {
            let piece = request.piece(number, 0, &body);
            let packet = PacketRef::decode(piece, &Limits::default()).unwrap();
            packet.unwrap().vars
        };
        let differing: Vec<_> = vars(1)
            .iter()
            .zip(vars(2))
            .filter(|(one, other)| one != other)
            .map(|(one, _)| String::from_utf8_lossy(one.0))
            .collect();
        assert_eq!(differing, ["REMOTE_PORT", "HTTP_X_REQUEST_ID"]);
    }

    #[test]
    fn bare_packet_holds_the_request_line_and_the_var_given() {
        let built = first(
            &[
                "--bare", "--method", "POST", "--body", "3", "--var", "A=b=c",
            ],
            "/p?q",
        );
        let expected = PacketBuilder::new()
            .vars([
                ("REQUEST_METHOD", "POST"),
                ("PATH_INFO", "/p"),
                ("QUERY_STRING", "q"),
                ("REQUEST_URI", "/p?q"),
                ("SERVER_PROTOCOL", "HTTP/1.1"),
                ("CONTENT_LENGTH", "3"),
                ("A", "b=c"),
            ])
            .unwrap()
            .to_vec()
            .unwrap();
        assert_eq!(built, [expected.as_slice(), b"012"].concat());
    }

    #[test]
    fn http_vars_become_headers() {
        let built = first(
            &[
                "--protocol",
                "http",
                "--bare",
                "--body",
                "1",
                "--var",
                "HTTP_HOST=h",
                "--var",
                "HTTP_X_Y=z",
            ],
            "/p?q",
        );
        let expected = "GET /p?q HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\nx-y: z\r\n\r\n0";
        assert_eq!(
            built.escape_ascii().to_string(),
            expected.escape_default().to_string()
        );
    }

    #[test]
    fn pieces_add_up_to_the_request() {
        let options = Options::parse_from(["load", "unix:/s", "--body", "1m"]);
        let body = Repeated::new(BODY);
        let request = Request::new(&options, "/", &body).unwrap();
        let mut sent = Vec::new();
        // Steps of an odd size, as a socket that is full takes them.
        loop {
            let piece = request.piece(0, sent.len() as u64, &body);
            if piece.is_empty() {
                break;
            }
            sent.extend_from_slice(&piece[..piece.len().min(77_777)]);
        }
        assert_eq!(sent.len() as u64, request.len);
        let received = &sent[usize::try_from(request.head_len).unwrap()..];
        assert_eq!(received, BODY.repeat((1 << 20) / BODY.len()));
    }
}
