//! The routes of the control socket.

use hyper::{Method, StatusCode};

/// A valid request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Route {
    /// The status for people.
    Page,
    Status,
    Metrics,
    /// The statistics that uWSGI has.
    UwsgiStats,
    Ready,
    Health,
    /// Of all workers, or of those with this number.
    Stacks(Option<u32>),
    Reload {
        upgrade: bool,
    },
    Stop,
    Scale(u32),
}

/// Which requests a socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Scope {
    /// All of them.
    All,
    /// Those that tell no more than metrics and status.
    Read,
    /// One, at every path: that for uWSGI's statistics.
    UwsgiStats,
}

/// Why a request is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct BadRequest {
    pub(in crate::control) status: StatusCode,
    /// The allowed method.
    pub(in crate::control) allow: Option<Method>,
    pub(in crate::control) text: String,
}

impl Route {
    /// Reads method, path and query.
    ///
    /// # Errors
    ///
    /// A [`BadRequest`] with the status of the response: 404 for an unknown path, 405 for another
    /// method, 400 for an invalid number or query.
    pub(in crate::control) fn parse(
        method: &Method,
        path: &str,
        query: Option<&str>,
        scope: Scope,
    ) -> Result<Self, BadRequest> {
        let routes = scope.routes();
        let (expected, route) = match path {
            // uWSGI does not read the request, so its readers ask for any path.
            _ if scope == Scope::UwsgiStats => (Method::GET, Self::UwsgiStats),
            "/" => (Method::GET, Self::Page),
            "/status" => (Method::GET, Self::Status),
            "/metrics" => (Method::GET, Self::Metrics),
            "/ready" => (Method::GET, Self::Ready),
            "/health" => (Method::GET, Self::Health),
            "/stacks" => (Method::GET, Self::Stacks(None)),
            "/reload" => (Method::POST, Self::Reload { upgrade: false }),
            "/stop" => (Method::POST, Self::Stop),
            _ if scope == Scope::Read => return Err(BadRequest::path(path, routes)),
            _ => {
                if let Some(number) = path.strip_prefix("/scale/") {
                    (Method::PUT, Self::Scale(workers(number)?))
                } else if let Some(number) = path.strip_prefix("/stacks/") {
                    (Method::GET, Self::Stacks(Some(worker(number)?)))
                } else {
                    return Err(BadRequest::path(path, routes));
                }
            }
        };
        if scope == Scope::Read && !route.is_for_readers() {
            return Err(BadRequest::path(path, routes));
        }
        let is_head_of_get = expected == Method::GET && method == Method::HEAD;
        if *method != expected && !is_head_of_get {
            return Err(BadRequest {
                status: StatusCode::METHOD_NOT_ALLOWED,
                text: format!("{path} takes {expected}, not {method}\n{routes}"),
                allow: Some(expected),
            });
        }
        match (route, query) {
            (Self::UwsgiStats, _) => Ok(route),
            (route, None | Some("")) => Ok(route),
            (Self::Reload { .. }, Some("upgrade=1")) => Ok(Self::Reload { upgrade: true }),
            (_, Some(query)) => Err(BadRequest::bad(format!(
                "{path} does not take ?{query}\n{routes}"
            ))),
        }
    }

    /// Whether it tells no more than metrics and status, and changes nothing.
    fn is_for_readers(self) -> bool {
        match self {
            Self::Page
            | Self::Status
            | Self::Metrics
            | Self::UwsgiStats
            | Self::Ready
            | Self::Health => true,
            Self::Stacks(_) | Self::Reload { .. } | Self::Stop | Self::Scale(_) => false,
        }
    }
}

impl Scope {
    /// The list of its routes.
    pub(in crate::control) fn routes(self) -> &'static str {
        match self {
            Self::All => ALL_ROUTES,
            Self::Read => READ_ROUTES,
            Self::UwsgiStats => STATS_ROUTES,
        }
    }
}

impl BadRequest {
    fn path(path: &str, routes: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            allow: None,
            text: format!("no such path: {path}\n{routes}"),
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

fn workers(number: &str) -> Result<u32, BadRequest> {
    match number.parse() {
        Ok(workers @ 1..) => Ok(workers),
        _ => Err(BadRequest::bad(format!(
            "cannot scale to {number:?} workers: expected a number from 1\n"
        ))),
    }
}

fn worker(number: &str) -> Result<u32, BadRequest> {
    number.parse().map_err(|_| {
        BadRequest::bad(format!(
            "{number:?} is no worker: expected its number, as GET /status has it\n"
        ))
    })
}

/// Those for readers come first.
macro_rules! read_routes {
    () => {
        "\
routes:
  GET  /                   the server's status, as a page for a browser
  GET  /status             the same as JSON
  GET  /metrics            metrics for Prometheus
  GET  /ready              200 while it accepts new requests
  GET  /health             200 while a worker serves
"
    };
}

const READ_ROUTES: &str = read_routes!();

const STATS_ROUTES: &str =
    "routes:\n  GET  any path            what uWSGI's stats server has, as JSON\n";

const ALL_ROUTES: &str = concat!(
    read_routes!(),
    "\
  GET  /stacks             where the threads of all workers are, as JSON
  GET  /stacks/N           those of worker N
  POST /reload             start a new generation of the code
  POST /reload?upgrade=1   also replace scoter by the installed release
  POST /stop               stop gracefully
  PUT  /scale/N            set the number of workers
"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_parsed() {
        for (method, path, query, expected) in [
            (Method::GET, "/", None, Route::Page),
            (Method::GET, "/status", None, Route::Status),
            (Method::GET, "/metrics", None, Route::Metrics),
            (Method::HEAD, "/ready", None, Route::Ready),
            (Method::GET, "/health", Some(""), Route::Health),
            (Method::GET, "/stacks", None, Route::Stacks(None)),
            (Method::GET, "/stacks/3", None, Route::Stacks(Some(3))),
            (
                Method::POST,
                "/reload",
                None,
                Route::Reload { upgrade: false },
            ),
            (
                Method::POST,
                "/reload",
                Some("upgrade=1"),
                Route::Reload { upgrade: true },
            ),
            (Method::POST, "/stop", None, Route::Stop),
            (Method::PUT, "/scale/12", None, Route::Scale(12)),
        ] {
            assert_eq!(
                Route::parse(&method, path, query, Scope::All),
                Ok(expected),
                "{path}"
            );
        }
    }

    #[test]
    fn bad_requests_are_answered_with_the_known_routes() {
        for (method, path, query, status, text) in [
            (
                Method::GET,
                "/nothing",
                None,
                404,
                "no such path: /nothing\n",
            ),
            (
                Method::POST,
                "/metrics",
                None,
                405,
                "/metrics takes GET, not POST\n",
            ),
            (
                Method::GET,
                "/status/",
                None,
                404,
                "no such path: /status/\n",
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
            let error = Route::parse(&method, path, query, Scope::All).unwrap_err();
            assert_eq!(error.status.as_u16(), status, "{path}");
            assert_eq!(error.text, format!("{text}{ALL_ROUTES}"), "{path}");
            assert_eq!(error.allow.is_some(), status == 405, "{path}");
        }
    }

    #[test]
    fn stacks_take_the_number_of_a_worker() {
        for number in ["", "-1", "one", "4294967296", "1/2"] {
            let error = Route::parse(&Method::GET, &format!("/stacks/{number}"), None, Scope::All)
                .unwrap_err();
            assert_eq!(error.status, StatusCode::BAD_REQUEST, "{number}");
            assert!(error.text.contains("is no worker"), "{number}");
        }
    }

    #[test]
    fn scaling_takes_numbers_from_one() {
        for number in ["", "0", "-1", "two", "4294967296", "1/2"] {
            let error = Route::parse(&Method::PUT, &format!("/scale/{number}"), None, Scope::All)
                .unwrap_err();
            assert_eq!(error.status, StatusCode::BAD_REQUEST, "{number}");
            assert!(error.text.contains("expected a number from 1"), "{number}");
        }
    }

    #[test]
    fn reader_changes_nothing() {
        for (method, path, expected) in [
            (Method::GET, "/", Ok(Route::Page)),
            (Method::GET, "/stacks", Err(404)),
            (Method::GET, "/stacks/1", Err(404)),
            (Method::GET, "/metrics", Ok(Route::Metrics)),
            (Method::HEAD, "/status", Ok(Route::Status)),
            (Method::GET, "/ready", Ok(Route::Ready)),
            (Method::GET, "/health", Ok(Route::Health)),
            (Method::POST, "/metrics", Err(405)),
            (Method::DELETE, "/", Err(405)),
            (Method::POST, "/stop", Err(404)),
            (Method::GET, "/stop", Err(404)),
            (Method::POST, "/reload", Err(404)),
            (Method::PUT, "/scale/3", Err(404)),
            (Method::PUT, "/scale/many", Err(404)),
        ] {
            let parsed = Route::parse(&method, path, None, Scope::Read);
            let parsed = parsed.map_err(|error| {
                assert!(error.text.ends_with(READ_ROUTES), "{path}: {}", error.text);
                assert_eq!(error.allow.is_some(), error.status == 405, "{path}");
                error.status.as_u16()
            });
            assert_eq!(parsed, expected, "{method} {path}");
        }
    }
}
