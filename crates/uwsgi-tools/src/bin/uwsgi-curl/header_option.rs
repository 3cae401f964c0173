use std::str::FromStr;

use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use uwsgi_codec::http::remove_hop_by_hop;

/// `-H`.
#[derive(Clone, Debug)]
pub(crate) struct HeaderOption {
    name: HeaderName,
    /// `None` leaves the header out.
    value: Option<HeaderValue>,
}

impl FromStr for HeaderOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = match (text.split_once(':'), text.strip_suffix(';')) {
            (Some((name, value)), _) => match value.trim_ascii() {
                "" => (name, None),
                value => (name, Some(value)),
            },
            (None, Some(name)) => (name, Some("")),
            (None, None) => {
                return Err("neither \"NAME: VALUE\" nor \"NAME:\" nor \"NAME;\"".into());
            }
        };
        let written = name;
        let name: HeaderName = written
            .parse()
            .map_err(|_| format!("{written:?} is no name of a header"))?;
        if value.is_some() {
            check_name(written, &name)?;
        }
        let value = value.map(HeaderValue::from_str).transpose();
        let value = value.map_err(|_| "the value has control characters".to_owned())?;
        Ok(Self { name, value })
    }
}

/// Refuses a header that would not reach the application, or as another one.
fn check_name(written: &str, name: &HeaderName) -> Result<(), String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let why = if !written.bytes().all(is_plain) {
        "would be the variable of another header"
    } else if is_left_out(name) {
        "is not part of a uwsgi request"
    } else {
        return Ok(());
    };
    let key = written.to_ascii_uppercase().replace('-', "_");
    Err(format!("{written} {why}: use --var HTTP_{key}=VALUE"))
}

/// Whether a [`RequestMapping`](uwsgi_codec::http::RequestMapping) leaves a header out.
fn is_left_out(name: &HeaderName) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(name, HeaderValue::from_static(""));
    remove_hop_by_hop(&mut headers);
    headers.is_empty() || name == PROXY_AUTHORIZATION || name == "proxy"
}

/// Puts the headers of a user over the usual ones: the first of a name replaces, others are added.
pub(crate) fn apply(options: &[HeaderOption], headers: &mut HeaderMap) {
    for option in options {
        headers.remove(&option.name);
    }
    for option in options {
        if let Some(value) = &option.value {
            headers.append(option.name.clone(), value.clone());
        }
    }
}
