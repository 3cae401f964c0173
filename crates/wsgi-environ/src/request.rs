use uwsgi_codec::VarsRef;

/// What the request's method says about the body of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `HEAD`: the response has a head and no body.
    Head,
    /// Any other method.
    Other,
}

impl Method {
    /// Reads `REQUEST_METHOD`, which is case-sensitive.
    #[must_use]
    pub fn of(vars: VarsRef<'_>) -> Self {
        Self::named(vars.get("REQUEST_METHOD").unwrap_or_default())
    }

    /// Returns the method for a name.
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        match name {
            b"HEAD" => Self::Head,
            _ => Self::Other,
        }
    }
}
