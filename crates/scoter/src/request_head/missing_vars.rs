//! Warns of requests without the variables that every front end sends.

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Param, RequestHead};

/// The variables that a request lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MissingVars {
    method: bool,
    remote_addr: bool,
}

impl MissingVars {
    /// The variables that this request lacks, if any.
    pub(crate) fn of(head: &RequestHead) -> Option<Self> {
        let missing_vars = Self {
            method: head.param(Param::Method).is_none(),
            remote_addr: head.param(Param::RemoteAddr).is_none(),
        };
        (missing_vars.method || missing_vars.remote_addr).then_some(missing_vars)
    }

    /// Logs a warning. The effect depends on the application.
    pub(crate) fn warn(self) {
        warn!(
            missing = self.names(),
            "a request lacks variables that every request must have: add `include uwsgi_params;` \
             to the nginx location with this uwsgi_pass (logged once)"
        );
    }

    fn names(self) -> &'static str {
        match (self.method, self.remote_addr) {
            (true, true) => "REQUEST_METHOD, REMOTE_ADDR",
            (true, false) => "REQUEST_METHOD",
            _ => "REMOTE_ADDR",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_variables_are_missing() {
        for (vars, expected) in [
            (
                &[("REQUEST_METHOD", "GET"), ("REMOTE_ADDR", "unix:")][..],
                None,
            ),
            (&[("REQUEST_METHOD", "GET")], Some("REMOTE_ADDR")),
            (
                &[("REQUEST_METHOD", ""), ("REMOTE_ADDR", "::1")],
                Some("REQUEST_METHOD"),
            ),
            (&[("HTTP_HOST", "a")], Some("REQUEST_METHOD, REMOTE_ADDR")),
        ] {
            let missing_vars = MissingVars::of(&RequestHead::of(vars.iter().copied()));
            assert_eq!(missing_vars.map(MissingVars::names), expected, "{vars:?}");
        }
    }
}
