//! Answers a request: sends the order to the master, and responds with its result.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, ORIGIN,
    REFERRER_POLICY, SERVER, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use super::ask::{ask, within_timeout};
use crate::control::page::{self, Page};
use crate::control::protocol::{Route, Scope};
use crate::control::{Exposition, Order, Phase, ReloadError, Status};

pub(super) async fn respond(
    request: &Request<Incoming>,
    scope: Scope,
    orders: &mpsc::Sender<Order>,
) -> Response<Full<Bytes>> {
    let (method, uri) = (request.method(), request.uri());
    let route = match Route::parse(method, uri.path(), uri.query(), scope) {
        Ok(route) => route,
        Err(error) => {
            let mut response = text(error.status, error.text);
            let allow = error.allow.as_ref().map(|method| method.as_str().parse());
            if let Some(Ok(allow)) = allow {
                response.headers_mut().insert(ALLOW, allow);
            }
            return response;
        }
    };
    // Browsers send it with every request that changes something (Fetch, "Append a request `Origin`
    // header"). The status page gives no orders; the port by which somebody reads it is open to all
    // pages in that browser.
    if !method.is_safe() && request.headers().contains_key(ORIGIN) {
        return text(StatusCode::FORBIDDEN, "a web page may not give orders\n");
    }
    let answered = match route {
        Route::Page => status(orders).await.map(|status| page(&status)),
        Route::Metrics => metrics(request, orders).await,
        Route::UwsgiStats => within_timeout(ask(orders, Order::UwsgiStats))
            .await
            .map(|json| respond_with(StatusCode::OK, JSON, json)),
        Route::Status => status(orders).await.map(|status| json(&status)),
        Route::Ready => status(orders).await.map(|status| match status.ready {
            true => text(StatusCode::OK, "ready\n"),
            false => unavailable(match status.phase {
                Phase::Running | Phase::Reloading => {
                    format!("{}: no worker is ready\n", status.phase)
                }
                phase => format!("{phase}\n"),
            }),
        }),
        Route::Health => status(orders)
            .await
            .map(|status| match status.is_serving() {
                true => text(StatusCode::OK, "healthy\n"),
                false => unavailable(format!("{}: no worker serves\n", status.phase)),
            }),
        Route::Stacks(worker) => {
            let order = |reply| Order::Stacks { worker, reply };
            ask(orders, order).await.map(|answer| match answer {
                Ok(stacks) => json(&stacks),
                Err(why) => text(StatusCode::NOT_FOUND, lines(why)),
            })
        }
        Route::Reload { upgrade } => {
            let order = |reply| Order::Reload { upgrade, reply };
            ask(orders, order).await.map(|answer| match answer {
                Ok(reloaded) => json(&reloaded),
                Err(ReloadError::Busy(why)) => text(StatusCode::CONFLICT, lines(why)),
                Err(ReloadError::Broken(why)) => {
                    text(StatusCode::INTERNAL_SERVER_ERROR, lines(why))
                }
            })
        }
        Route::Stop => within_timeout(ask(orders, Order::Stop))
            .await
            .map(|()| text(StatusCode::ACCEPTED, "stopping\n")),
        Route::Scale(workers) => {
            let order = |reply| Order::Scale { workers, reply };
            ask(orders, order).await.map(|answer| match answer {
                Ok(scaled) => json(&scaled),
                Err(why) => text(StatusCode::BAD_REQUEST, lines(why)),
            })
        }
    };
    answered
        .unwrap_or_else(|| unavailable("the server does not answer: it is stopping\n".to_owned()))
}

/// The response to a user who may not give orders.
pub(super) fn forbidden() -> Response<Full<Bytes>> {
    text(StatusCode::FORBIDDEN, FORBIDDEN)
}

/// The metrics in the format that the client prefers.
async fn metrics(
    request: &Request<Incoming>,
    orders: &mpsc::Sender<Order>,
) -> Option<Response<Full<Bytes>>> {
    let accept = request.headers().get_all(ACCEPT).into_iter();
    let exposition = Exposition::accepted(accept.filter_map(|value| value.to_str().ok()));
    let order = |reply| Order::Metrics { exposition, reply };
    let text = within_timeout(ask(orders, order)).await?;
    let kind = exposition.content_type();
    Some(respond_with(StatusCode::OK, kind, text))
}

async fn status(orders: &mpsc::Sender<Order>) -> Option<Status> {
    within_timeout(ask(orders, Order::Status)).await
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_string(value) {
        Ok(json) => respond_with(StatusCode::OK, JSON, json + "\n"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// The status page, which no browser keeps, takes for something else or tells others of.
fn page(status: &Status) -> Response<Full<Bytes>> {
    let html = Page(status).to_string();
    let mut response = respond_with(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, page::CONTENT_SECURITY_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn unavailable(body: String) -> Response<Full<Bytes>> {
    text(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Full<Bytes>> {
    respond_with(status, "text/plain; charset=utf-8", body.into())
}

fn respond_with(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    response
}

fn lines(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The type of JSON, to the letter: an exporter compares it.
const JSON: &str = "application/json";

/// Identifies scoter to the client.
pub(super) const SERVER_NAME: &str = concat!("scoter/", env!("CARGO_PKG_VERSION"));

pub(super) const FORBIDDEN: &str = "only root and the user that scoter runs as may send commands\n";

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::super::fixture::{Fixture, receive, some_status};
    use super::*;
    use crate::control::{Reloaded, Scaled, Stacks, WorkerPhase, WorkerStacks, WorkerStatus};

    #[tokio::test]
    async fn status_ready_and_health_come_from_the_master() {
        let mut fixture = Fixture::new();
        let ready = Status {
            ready: true,
            ..some_status()
        };
        let idle = Status::default();
        let unresponsive = Status {
            phase: Phase::Running,
            workers: vec![WorkerStatus {
                phase: WorkerPhase::Unresponsive,
                ..WorkerStatus::default()
            }],
            ..Status::default()
        };
        let json = serde_json::to_string(&ready).unwrap() + "\n";
        for (path, status, expected) in [
            ("/status", &ready, (200, &*json)),
            ("/ready", &ready, (200, "ready\n")),
            ("/ready", &some_status(), (503, "draining\n")),
            (
                "/ready",
                &unresponsive,
                (503, "running: no worker is ready\n"),
            ),
            (
                "/health",
                &unresponsive,
                (503, "running: no worker serves\n"),
            ),
            ("/health", &some_status(), (200, "healthy\n")),
            ("/health", &idle, (503, "starting: no worker serves\n")),
        ] {
            let stream = fixture.send(&format!("GET {path}")).await;
            let Order::Status(reply) = fixture.order().await else {
                panic!("{path} asks for the status");
            };
            reply.send(status.clone()).unwrap();
            let (code, body) = receive(stream).await;
            assert_eq!((code, &*body), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn metrics_come_from_the_master_in_the_format_asked_for() {
        let mut fixture = Fixture::new();
        for (accept, expected, kind) in [
            ("", Exposition::Prometheus, "text/plain; version=0.0.4"),
            (
                "\r\nAccept: application/openmetrics-text",
                Exposition::OpenMetrics,
                "application/openmetrics-text; version=1.0.0",
            ),
        ] {
            let line = format!("GET /metrics HTTP/1.1{accept}\r\nX:");
            let mut stream = fixture.send(&line).await;
            let Order::Metrics { exposition, reply } = fixture.order().await else {
                panic!("/metrics asks for the metrics");
            };
            assert_eq!(exposition, expected);
            reply.send("some 1\n".to_owned()).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            let header = format!("\r\ncontent-type: {kind}; charset=utf-8\r\n");
            assert!(text.contains(&header), "{text}");
            assert!(text.ends_with("\r\n\r\nsome 1\n"), "{text}");
        }
    }

    #[tokio::test]
    async fn stacks_are_those_of_the_workers_that_are_asked_for() {
        let mut fixture = Fixture::new();
        let stacks = Stacks {
            workers: vec![WorkerStacks {
                id: 3,
                ..WorkerStacks::default()
            }],
        };
        let json = serde_json::to_string(&stacks).unwrap() + "\n";
        for (path, asked, answer, expected) in [
            ("/stacks", None, Ok(stacks.clone()), (200, &*json)),
            ("/stacks/3", Some(3), Ok(stacks), (200, &*json)),
            (
                "/stacks/4",
                Some(4),
                Err("no worker 4".to_owned()),
                (404, "no worker 4\n"),
            ),
        ] {
            let stream = fixture.send(&format!("GET {path}")).await;
            let Order::Stacks { worker, reply } = fixture.order().await else {
                panic!("{path} asks for stacks");
            };
            assert_eq!(worker, asked, "{path}");
            reply.send(answer).unwrap();
            let (code, body) = receive(stream).await;
            assert_eq!((code, &*body), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn reload_is_answered_with_its_result() {
        let mut fixture = Fixture::new();
        let reloaded = Reloaded {
            generation: 2,
            workers: 4,
            took_ms: 1_200,
            needs_restart: vec!["bind".to_owned()],
        };
        let json = "{\"generation\":2,\"workers\":4,\"took_ms\":1200,\
                    \"needs_restart\":[\"bind\"]}\n";
        for (target, upgraded, answer, expected) in [
            ("/reload", false, Ok(reloaded.clone()), (200, json)),
            ("/reload?upgrade=1", true, Ok(reloaded), (200, json)),
            (
                "/reload",
                false,
                Err(ReloadError::Busy("a reload is already running".to_owned())),
                (409, "a reload is already running\n"),
            ),
            (
                "/reload",
                false,
                Err(ReloadError::Broken("Traceback\nNameError\n".to_owned())),
                (500, "Traceback\nNameError\n"),
            ),
        ] {
            let stream = fixture.send(&format!("POST {target}")).await;
            let Order::Reload { upgrade, reply } = fixture.order().await else {
                panic!("{target} asks for a reload");
            };
            assert_eq!(upgrade, upgraded, "{target}");
            reply.send(answer).unwrap();
            let (code, body) = receive(stream).await;
            assert_eq!((code, &*body), expected, "{target}");
        }
    }

    #[tokio::test]
    async fn stop_and_scale_reach_the_master() {
        let mut fixture = Fixture::new();
        let stop = fixture.send("POST /stop").await;
        let Order::Stop(reply) = fixture.order().await else {
            panic!("/stop asks for a stop");
        };
        reply.send(()).unwrap();
        assert_eq!(receive(stop).await, (202, "stopping\n".to_owned()));

        for (answer, expected) in [
            (
                Ok(Scaled {
                    workers: 3,
                    before: 2,
                }),
                (200, "{\"workers\":3,\"before\":2}\n"),
            ),
            (Err("too many".to_owned()), (400, "too many\n")),
        ] {
            let scale = fixture.send("PUT /scale/3").await;
            let Order::Scale { workers: 3, reply } = fixture.order().await else {
                panic!("/scale asks for 3 workers");
            };
            reply.send(answer).unwrap();
            let (code, body) = receive(scale).await;
            assert_eq!((code, &*body), expected);
        }
    }

    #[tokio::test]
    async fn wrong_requests_never_reach_the_master() {
        let mut fixture = Fixture::new();
        for (line, expected) in [
            ("GET /nothing", 404),
            ("DELETE /status", 405),
            ("PUT /scale/many", 400),
        ] {
            assert_eq!(
                receive(fixture.send(line).await).await.0,
                expected,
                "{line}"
            );
        }
        let mut stream = fixture.send("GET /stop").await;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.contains("\r\nallow: POST\r\n"), "{text}");
        assert!(fixture.orders.try_recv().is_err());
    }

    #[tokio::test]
    async fn order_is_carried_out_although_its_client_has_disconnected() {
        let mut fixture = Fixture::new();
        drop(fixture.send("POST /stop").await);
        assert!(matches!(fixture.order().await, Order::Stop(_)));
    }

    #[tokio::test]
    async fn master_that_ends_is_503() {
        let mut fixture = Fixture::new();
        let stream = fixture.send("POST /reload").await;
        drop(fixture.order().await);
        let (code, body) = receive(stream).await;
        assert_eq!(
            (code, &*body),
            (503, "the server does not answer: it is stopping\n")
        );
    }
}
