use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};

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
        let name = name
            .parse()
            .map_err(|_| format!("{name:?} is no name of a header"))?;
        let value = value.map(HeaderValue::from_str).transpose();
        let value = value.map_err(|_| "the value has control characters".to_owned())?;
        Ok(Self { name, value })
    }
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
