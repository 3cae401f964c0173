//! What a front end receives.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::routing::get as on_get;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::channel::Channel;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use tokio::sync::mpsc;
use uwsgi_codec::http::{BodyEnd, RequestContext};
use uwsgi_http::BoxError;
use uwsgi_http::server::Server;

use crate::harness::{End, Log, Of, On, Running, get, request, within};

type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

fn full(text: &'static str) -> AnyBody {
    Full::new(Bytes::from_static(text.as_bytes()))
        .map_err(BoxError::from)
        .boxed_unsync()
}

/// A body without a known length, and its source.
fn channel() -> (http_body_util::channel::Sender<Bytes, BoxError>, AnyBody) {
    let (sender, body) = Channel::new(1);
    (sender, body.map_err(Into::into).boxed_unsync())
}

#[tokio::test]
async fn axum_application_is_served() {
    async fn client(Extension(context): Extension<RequestContext>) -> String {
        format!("{:?}", context.connection.remote_addr)
    }
    let app = Router::new().route("/client", on_get(client));
    for on in [On::Unix, On::Tcp] {
        let running = Running::start(on, Server::new(app.clone())).await;
        let reply = running.ask(&get("/client")).await;
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "Some(192.0.2.1)")
        );
        assert_eq!(reply.header("content-length"), Some("15"));
        assert_eq!(running.ask(&get("/other")).await.status, 404);
    }
}

#[tokio::test]
async fn length_is_announced_if_it_is_known() {
    let service = Of(|request: http::Request<_>| async move {
        let (status, length, body) = match request.uri().path() {
            "/full" => (200, None, full("hello")),
            "/empty" => (200, None, full("")),
            "/own" => (200, Some("5"), full("hello")),
            "/stripped" => (200, None, full("")),
            "/204" => (204, None, full("")),
            "/304" => (304, None, full("")),
            "/304-own" => (304, Some("5"), full("")),
            "/304-zero" => (304, Some("0"), full("")),
            path => panic!("{path}"),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(length) = length {
            let length = HeaderValue::from_static(length);
            response.headers_mut().insert(CONTENT_LENGTH, length);
        }
        Ok::<_, Infallible>(response)
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    for (method, path, length, body) in [
        ("GET", "/full", Some("5"), "hello"),
        ("GET", "/empty", Some("0"), ""),
        ("GET", "/own", Some("5"), "hello"),
        ("HEAD", "/full", Some("5"), ""),
        ("HEAD", "/own", Some("5"), ""),
        ("HEAD", "/stripped", None, ""),
        ("GET", "/204", None, ""),
        ("GET", "/304", None, ""),
        ("GET", "/304-own", Some("5"), ""),
        ("GET", "/304-zero", None, ""),
    ] {
        let mut peer = running.connect().await;
        peer.packet(&request(method, path)).await;
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let head = peer.head(&method).await;
        let announced = head.headers().get(CONTENT_LENGTH);
        let announced = announced.map(|value| value.to_str().unwrap());
        assert_eq!(announced, length, "{method} {path}");
        let end = End::Closed(body.to_owned());
        assert_eq!(peer.end().await, end, "{method} {path}");
    }
}

#[tokio::test]
async fn headers_of_the_connection_are_left_out() {
    let service = Of(|_| async {
        let mut response = Response::new(full("hello"));
        let headers = response.headers_mut();
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, X-A"));
        headers.insert("x-a", HeaderValue::from_static("1"));
        Ok::<_, Infallible>(response)
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.packet(&get("/")).await;
    let expected = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(peer.end().await, End::Closed(expected.to_owned()));
}

#[tokio::test]
async fn each_piece_leaves_when_it_is_made() {
    for on in [On::Unix, On::Tcp] {
        let (give, taken) = mpsc::channel(1);
        let taken = Arc::new(Mutex::new(Some(taken)));
        let service = Of(move |_| {
            let mut taken = taken.lock().unwrap().take().unwrap();
            async move {
                let (mut sender, body) = channel();
                tokio::spawn(async move {
                    while let Some(piece) = taken.recv().await {
                        sender.send_data(piece).await.unwrap();
                    }
                });
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        let running = Running::start(on, Server::new(service)).await;
        let mut peer = running.connect().await;
        peer.packet(&get("/")).await;
        let head = within("the head before the body", peer.head(&Method::GET)).await;
        assert_eq!(head.body_end(), BodyEnd::Close);
        for tick in ["one", "two", "three"] {
            give.send(Bytes::from(tick)).await.unwrap();
            assert_eq!(peer.read(tick.len()).await, tick.as_bytes());
        }
    }
}

#[tokio::test]
async fn body_is_made_as_fast_as_it_is_taken() {
    const PIECE: usize = 64 * 1_024;
    const PIECES: usize = 1_000;
    let made = Arc::new(AtomicUsize::new(0));
    let service = {
        let made = Arc::clone(&made);
        Of(move |_| {
            let made = Arc::clone(&made);
            async move {
                let (mut sender, body) = channel();
                tokio::spawn(async move {
                    let piece = Bytes::from(vec![b'.'; PIECE]);
                    for _ in 0..PIECES {
                        sender.send_data(piece.clone()).await.unwrap();
                        made.fetch_add(1, Ordering::Relaxed);
                    }
                });
                Ok::<_, Infallible>(Response::new(body))
            }
        })
    };
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.packet(&get("/")).await;
    peer.head(&Method::GET).await;
    let mut before = usize::MAX;
    while before != made.load(Ordering::Relaxed) {
        before = made.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(before < 20, "{before} pieces were made for nobody");
    let End::Closed(body) = peer.end().await else {
        panic!("reset");
    };
    assert_eq!(body.len(), PIECE * PIECES);
}

/// A service whose body has a `Content-Length` of 5 and is made of these pieces.
fn five(
    pieces: &'static [&'static str],
) -> Server<
    impl Clone
    + tower_service::Service<
        http::Request<uwsgi_http::server::RequestBody>,
        Response = Response<AnyBody>,
        Error = Infallible,
        Future: Send,
    > + Send
    + 'static,
> {
    Server::new(Of(move |_| async move {
        let (mut sender, body) = channel();
        tokio::spawn(async move {
            for piece in pieces {
                // The rest of a body that is too long is not taken.
                let _ = sender.send_data(Bytes::from(*piece)).await;
            }
        });
        let mut response = Response::new(body);
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from_static("5"));
        Ok::<_, Infallible>(response)
    }))
}

#[tokio::test]
async fn body_longer_than_its_length_is_cut_and_logged() {
    let log = Log::new();
    let running = Running::start(On::Unix, five(&["hel", "lo, world"])).await;
    let reply = running.ask(&get("/long")).await;
    assert_eq!(reply.text(), "hello");
    let lines = log.with("longer than its Content-Length");
    assert!(
        lines[0].contains("ERROR") && lines[0].contains("/long"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn body_shorter_than_its_length_is_cut_and_logged() {
    let log = Log::new();
    for (on, expected) in [
        (On::Unix, End::Closed("hel".to_owned())),
        (On::Tcp, End::Reset),
    ] {
        let running = Running::start(on, five(&["hel"])).await;
        let mut peer = running.connect().await;
        peer.packet(&get("/short")).await;
        peer.head(&Method::GET).await;
        assert_eq!(peer.end().await, expected, "{on:?}");
    }
    let lines = log.with("shorter than its Content-Length");
    assert!(lines[0].contains("missing=2"), "{lines:?}");
}

#[tokio::test]
async fn body_that_fails_does_not_end_like_a_complete_one() {
    let log = Log::new();
    for (path, on, expected) in [
        ("/failing", On::Tcp, End::Reset),
        ("/failing", On::Unix, End::Closed("begun".to_owned())),
        ("/panicking", On::Tcp, End::Reset),
    ] {
        let service = Of(|request: http::Request<_>| async move {
            let panics = request.uri().path() == "/panicking";
            let (mut sender, body) = channel();
            tokio::spawn(async move {
                sender.send_data(Bytes::from("begun")).await.unwrap();
                sender.abort(BoxError::from("no more"));
            });
            let body = body.map_err(move |error| match panics {
                true => panic!("no more at all"),
                false => error,
            });
            Ok::<_, Infallible>(Response::new(body))
        });
        let running = Running::start(on, Server::new(service)).await;
        let mut peer = running.connect().await;
        peer.packet(&get(path)).await;
        peer.head(&Method::GET).await;
        assert_eq!(peer.end().await, expected, "{path} {on:?}");
    }
    let lines = log.with("the body of the response failed");
    assert!(
        lines[0].contains("no more") && lines[0].contains("/failing"),
        "{lines:?}"
    );
    let lines = log.with("the body of the response panicked");
    assert!(lines[0].contains("no more at all"), "{lines:?}");
}

#[tokio::test]
async fn body_that_fails_at_once_is_answered_500() {
    let service = Of(|_| async {
        let body = Ready([Err("no body")].into());
        Ok::<_, Infallible>(Response::new(body))
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    assert_eq!(running.ask(&get("/")).await.status, 500);
}

/// A body whose pieces are all there at once.
struct Ready(VecDeque<Result<&'static str, &'static str>>);

impl http_body::Body for Ready {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let next = self.0.pop_front();
        Poll::Ready(next.map(|piece| piece.map(|text| Frame::data(text.into()))))
    }
}

#[tokio::test]
async fn piece_behind_the_length_is_logged() {
    let log = Log::new();
    let service = Of(|_| async {
        let pieces = [Ok("hello"), Ok(", "), Ok("world")];
        let mut response = Response::new(Ready(pieces.into()));
        let length = HeaderValue::from_static("5");
        response.headers_mut().insert(CONTENT_LENGTH, length);
        Ok::<_, Infallible>(response)
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    assert_eq!(running.ask(&get("/behind")).await.text(), "hello");
    let lines = log.with("longer than its Content-Length");
    assert!(lines[0].contains("/behind"), "{lines:?}");
}

#[tokio::test]
async fn response_that_cannot_be_sent_is_answered_500() {
    let log = Log::new();
    for (status, length) in [(100, "0"), (101, "0"), (103, "0"), (200, "five")] {
        let service = Of(move |_| async move {
            let mut response = Response::new(Empty::<Bytes>::new());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            let length = HeaderValue::from_static(length);
            response.headers_mut().insert(CONTENT_LENGTH, length);
            Ok::<_, Infallible>(response)
        });
        let running = Running::start(On::Unix, Server::new(service)).await;
        assert_eq!(running.ask(&get("/")).await.status, 500, "{status}");
    }
    log.with("cannot be sent");
}
