use uwsgi_codec::VarsRef;

/// The variables that decide `wsgi.url_scheme`. Of each variable the last one counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SchemeVars<'a> {
    forwarded_proto: Option<&'a [u8]>,
    uwsgi_scheme: Option<&'a [u8]>,
    https: Option<&'a [u8]>,
    request_scheme: Option<&'a [u8]>,
}

/// The scheme of the requested URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

impl<'a> SchemeVars<'a> {
    /// Records a variable, if it is one of them.
    pub(super) fn note(&mut self, key: &[u8], value: &'a [u8]) {
        match key {
            b"UWSGI_SCHEME" => self.uwsgi_scheme = Some(value),
            b"HTTPS" => self.https = Some(value),
            b"REQUEST_SCHEME" => self.request_scheme = Some(value),
            // The caller passes it only if it is trusted.
            b"HTTP_X_FORWARDED_PROTO" => self.forwarded_proto = Some(value),
            _ => {}
        }
    }

    /// Decides. A value that is neither http nor https decides nothing.
    pub(super) fn scheme(&self) -> Scheme {
        self.forwarded_proto
            .and_then(first_element)
            .and_then(named)
            .or_else(|| self.uwsgi_scheme.and_then(named))
            .or_else(|| self.https.and_then(switched_on))
            .or_else(|| self.request_scheme.and_then(named))
            .unwrap_or(Scheme::Http)
    }
}

impl Scheme {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Returns the `wsgi.url_scheme` of a request by its variables, for a log. `X-Forwarded-Proto` is not trusted.
pub fn url_scheme(vars: VarsRef<'_>) -> &'static str {
    let mut deciding = SchemeVars::default();
    for (key, value) in vars {
        if key != b"HTTP_X_FORWARDED_PROTO" {
            deciding.note(key, value);
        }
    }
    deciding.scheme().as_str()
}

/// The scheme that the outermost of several proxies received, if they send a list.
fn first_element(list: &[u8]) -> Option<&[u8]> {
    list.split(|&byte| byte == b',')
        .next()
        .map(<[u8]>::trim_ascii)
}

fn named(value: &[u8]) -> Option<Scheme> {
    if value.eq_ignore_ascii_case(b"https") {
        Some(Scheme::Https)
    } else if value.eq_ignore_ascii_case(b"http") {
        Some(Scheme::Http)
    } else {
        None
    }
}

/// The values of `HTTPS` that nginx and Apache set. Another value does not mean http: nginx sends
/// it empty, or not at all.
fn switched_on(value: &[u8]) -> Option<Scheme> {
    [&b"on"[..], b"1", b"true"]
        .iter()
        .any(|on| value.eq_ignore_ascii_case(on))
        .then_some(Scheme::Https)
}
