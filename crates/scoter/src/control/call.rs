//! What a request to the control socket asks for.

use hyper::{Method, StatusCode};

/// A request that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Status,
    Ready,
    Health,
    Reload { upgrade: bool },
    Stop,
    Scale(u32),
}

/// Why a request is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misunderstanding {
    pub(super) status: StatusCode,
    /// The method that would have been right.
    pub(super) allow: Option<Method>,
    pub(super) text: String,
}

impl Call {
    /// Reads method, path and query.
    ///
    /// # Errors
    ///
    /// A [`Misunderstanding`] with the status to answer: 404 for an unknown path, 405 for
    /// another method, 400 for a number or a query that is none.
    pub(super) fn parse(
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Result<Self, Misunderstanding> {
        let (expected, call) = match path {
            "/status" => (Method::GET, Self::Status),
            "/ready" => (Method::GET, Self::Ready),
            "/health" => (Method::GET, Self::Health),
            "/reload" => (Method::POST, Self::Reload { upgrade: false }),
            "/stop" => (Method::POST, Self::Stop),
            _ => match path.strip_prefix("/scale/") {
                Some(number) => (Method::PUT, Self::Scale(workers(number)?)),
                None => return Err(Misunderstanding::path(path)),
            },
        };
        let is_head_of_get = expected == Method::GET && method == Method::HEAD;
        if *method != expected && !is_head_of_get {
            return Err(Misunderstanding {
                status: StatusCode::METHOD_NOT_ALLOWED,
                text: format!("{path} takes {expected}, not {method}\n{OFFER}"),
                allow: Some(expected),
            });
        }
        match (call, query) {
            (call, None | Some("")) => Ok(call),
            (Self::Reload { .. }, Some("upgrade=1")) => Ok(Self::Reload { upgrade: true }),
            (_, Some(query)) => Err(Misunderstanding::bad(format!(
                "{path} does not take ?{query}\n{OFFER}"
            ))),
        }
    }
}

impl Misunderstanding {
    fn path(path: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            allow: None,
            text: format!("there is no {path} here\n{OFFER}"),
        }
    }

    fn bad(text: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            allow: None,
            text,
        }
    }
}

fn workers(number: &str) -> Result<u32, Misunderstanding> {
    match number.parse() {
        Ok(workers @ 1..) => Ok(workers),
        _ => Err(Misunderstanding::bad(format!(
            "cannot scale to {number:?} workers: expected a number from 1\n"
        ))),
    }
}

const OFFER: &str = "\
there is:
  GET  /status             how things stand, as JSON
  GET  /ready              200 while new requests are welcome
  GET  /health             200 while a worker serves
  POST /reload             a new generation of the code
  POST /reload?upgrade=1   and the server started again from what is installed now
  POST /stop               a graceful stop
  PUT  /scale/N            N workers
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_apart() {
        for (method, path, query, expected) in [
            (Method::GET, "/status", None, Call::Status),
            (Method::HEAD, "/ready", None, Call::Ready),
            (Method::GET, "/health", Some(""), Call::Health),
            (
                Method::POST,
                "/reload",
                None,
                Call::Reload { upgrade: false },
            ),
            (
                Method::POST,
                "/reload",
                Some("upgrade=1"),
                Call::Reload { upgrade: true },
            ),
            (Method::POST, "/stop", None, Call::Stop),
            (Method::PUT, "/scale/12", None, Call::Scale(12)),
        ] {
            assert_eq!(Call::parse(&method, path, query), Ok(expected), "{path}");
        }
    }

    #[test]
    fn misunderstandings_say_what_there_is() {
        for (method, path, query, status, text) in [
            (Method::GET, "/", None, 404, "there is no / here\n"),
            (
                Method::GET,
                "/status/",
                None,
                404,
                "there is no /status/ here\n",
            ),
            (
                Method::GET,
                "/stop",
                None,
                405,
                "/stop takes POST, not GET\n",
            ),
            (
                Method::HEAD,
                "/stop",
                None,
                405,
                "/stop takes POST, not HEAD\n",
            ),
            (
                Method::POST,
                "/scale/3",
                None,
                405,
                "/scale/3 takes PUT, not POST\n",
            ),
            (
                Method::POST,
                "/reload",
                Some("upgrade=yes"),
                400,
                "/reload does not take ?upgrade=yes\n",
            ),
            (
                Method::POST,
                "/stop",
                Some("now"),
                400,
                "/stop does not take ?now\n",
            ),
        ] {
            let error = Call::parse(&method, path, query).unwrap_err();
            assert_eq!(error.status.as_u16(), status, "{path}");
            assert_eq!(error.text, format!("{text}{OFFER}"), "{path}");
            assert_eq!(error.allow.is_some(), status == 405, "{path}");
        }
    }

    #[test]
    fn scaling_takes_numbers_from_one() {
        for number in ["", "0", "-1", "two", "4294967296", "1/2"] {
            let error = Call::parse(&Method::PUT, &format!("/scale/{number}"), None).unwrap_err();
            assert_eq!(error.status, StatusCode::BAD_REQUEST, "{number}");
            assert!(error.text.contains("expected a number from 1"), "{number}");
        }
    }
}
