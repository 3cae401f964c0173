use std::convert::Infallible;
use std::str::FromStr;

use http::Uri;
use uwsgi_codec::http::Scheme;

/// What is asked for: as the user wrote it, which is looked at later: that it is no URL has an exit code of its own.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) text: String,
}

/// A checked [`Target`].
#[derive(Clone, Debug)]
pub(crate) struct Url {
    /// Path and query.
    pub(crate) path: Uri,
    pub(crate) scheme: Scheme,
    /// With the port, if one is given.
    pub(crate) host: String,
}

impl FromStr for Target {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self {
            text: text.to_owned(),
        })
    }
}

impl Target {
    /// Reads the URL.
    pub(crate) fn url(&self) -> Result<Url, String> {
        let text = &self.text;
        let malformed = |why: &str| format!("{text:?} is not /PATH or http(s)://HOST/PATH: {why}");
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| malformed(&error.to_string()))?;
        if uri.scheme().is_none() {
            if !text.starts_with('/') && text != "*" {
                return Err(malformed("it begins with neither"));
            }
            return Ok(Url {
                path: uri,
                scheme: Scheme::Http,
                host: "localhost".to_owned(),
            });
        }
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(malformed("the scheme is another one")),
        };
        let Some(host) = uri.authority() else {
            return Err(malformed("it has no host"));
        };
        let path = uri.path_and_query().map_or("/", |it| it.as_str());
        Ok(Url {
            path: path.parse().map_err(|_| malformed("its path"))?,
            scheme,
            host: host.to_string(),
        })
    }
}

impl Url {
    /// Appends to the query.
    pub(crate) fn add_query(&mut self, query: &[u8]) -> Result<(), String> {
        let mut text = self.path.to_string().into_bytes();
        text.push(match self.path.query() {
            None => b'?',
            Some(_) => b'&',
        });
        text.extend_from_slice(query);
        let malformed = |why: &str| format!("the data is no query, encode it: {why}");
        // It would begin a fragment, which is not sent.
        if query.contains(&b'#') {
            return Err(malformed("it has a #"));
        }
        self.path = Uri::try_from(text).map_err(|error| malformed(&error.to_string()))?;
        Ok(())
    }
}
