//! What is refused, and what fails.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use uwsgi_codec::{Limits, PacketBuilder};
use uwsgi_http::server::{Listener, RequestBody, Server};

use crate::harness::{
    End, Log, Of, On, Peer, QUIET, Running, Stream, for_ever, get, post, request, with, within,
};

type Answer<E> = Result<Response<Full<Bytes>>, E>;

async fn ok<E>(_: Request<RequestBody>) -> Answer<E> {
    Ok(Response::new(Full::new("ok".into())))
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_logged() {
    let log = Log::new();
    let limits = Limits::new().with_max_block(1_000);
    let server = Server::new(Of(ok::<Infallible>)).with_limits(limits);
    let running = Running::start(On::Unix, server).await;
    let empty = PacketBuilder::new();
    let encoded = |packet: PacketBuilder| packet.to_vec().unwrap();
    for (wire, status, message) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400, "use uwsgi_pass"),
        (vec![22, 3, 1, 2, 0], 400, "without TLS"),
        (b"PROXY TCP4".to_vec(), 400, "proxy_protocol"),
        (vec![0, 233, 3, 0], 431, "1001 bytes, the limit is 1000"),
        (vec![0, 1, 0, 0, 7], 400, "trailing byte at offset 0"),
        (encoded(empty), 400, "REQUEST_METHOD is missing"),
        (encoded(request("GET", "x")), 400, "the request target"),
        (
            encoded(with(get("/"), "CONTENT_LENGTH", "+5")),
            400,
            "is not a number",
        ),
        (encoded(with(get("/"), "HTTP_HOST", "other")), 400, "host"),
        (encoded(request("CONNECT", "/")), 405, "CONNECT"),
    ] {
        let mut peer = running.connect().await;
        peer.send(wire).await;
        let reply = peer.reply(&Method::GET).await;
        assert_eq!(reply.status, status, "{message}");
        assert_eq!(reply.header("content-type"), Some("text/plain"));
        assert_eq!(peer.end().await, End::Closed(String::new()), "{message}");
        let lines = log.with(message);
        assert!(lines[0].contains("WARN"), "{lines:?}");
    }
}

#[tokio::test]
async fn only_requests_and_pings_are_served() {
    let log = Log::new();
    let running = Running::start(On::Unix, Server::new(Of(ok::<Infallible>))).await;
    for modifier1 in [5, 9, 17, 111, 173] {
        let mut packet = get("/");
        packet.modifier1(modifier1);
        let reply = running.ask(&packet).await;
        assert_eq!(reply.status, 400, "{modifier1}");
        let lines = log.with(&format!("modifier1 {modifier1}:"));
        assert!(lines[0].contains("WARN"), "{lines:?}");
    }
    for modifier1 in [0, 30] {
        let mut packet = get("/");
        packet.modifier1(modifier1);
        assert_eq!(running.ask(&packet).await.text(), "ok", "{modifier1}");
    }
}

#[tokio::test]
async fn ping_is_answered_without_the_service() {
    let service = Of(|_| async { panic!("called") as Answer<Infallible> });
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.send([100, 0, 0, 0]).await;
    assert_eq!(peer.end().await, End::Closed("d\0\0\u{1}".to_owned()));
}

/// A database's error within those of two libraries that show what they carry.
#[derive(Debug)]
struct Wrapped(&'static str, Option<Box<Self>>);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source: &Self = self.1.as_deref()?;
        Some(source)
    }
}

#[tokio::test]
async fn each_cause_of_a_failure_is_logged_once() {
    let log = Log::new();
    let error = |text, source: Option<Wrapped>| Wrapped(text, source.map(Box::new));
    let service = Of(move |_| async move {
        let refused = error("connection refused", None);
        let gone = error("database gone", Some(error("database gone", Some(refused))));
        let query = error("query: database gone", Some(gone));
        Err(query) as Answer<Wrapped>
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    assert_eq!(running.ask(&get("/")).await.status, 500);
    let lines = log.with("the service failed");
    let expected = "query: database gone: connection refused";
    assert!(lines[0].contains(expected), "{lines:?}");
    assert_eq!(lines[0].matches("database gone").count(), 1, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusal_reaches_a_peer_that_still_sends() {
    let http = b"POST / HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n".to_vec();
    let malformed = with(get("/"), "CONTENT_LENGTH", "+5").to_vec().unwrap();
    for on in [On::Unix, On::Tcp] {
        let running = Running::start(on, Server::new(Of(ok::<Infallible>))).await;
        for wire in [&http, &malformed] {
            let mut peer = running.connect().await;
            peer.send(wire).await;
            // The server has answered, and closed, before this comes.
            peer.wait().await;
            peer.send(vec![b'.'; 10_000_000]).await;
            let reply = peer.reply(&Method::GET).await;
            assert_eq!(reply.status, 400, "{on:?}");
        }
    }
}

#[tokio::test]
async fn connection_without_a_request_is_closed_silently() {
    let server = Server::new(Of(ok::<Infallible>)).with_header_timeout(QUIET);
    let running = Running::start(On::Unix, server).await;
    let end = running.connect().await.end().await;
    assert_eq!(end, End::Closed(String::new()));
}

#[tokio::test]
async fn packet_that_stops_is_answered_408() {
    let log = Log::new();
    let server = Server::new(Of(ok::<Infallible>)).with_header_timeout(QUIET);
    let running = Running::start(On::Unix, server).await;
    let mut peer = running.connect().await;
    peer.send([0, 100, 0, 0, 1]).await;
    assert_eq!(peer.reply(&Method::GET).await.status, 408);
    let lines = log.with("packet did not arrive in time");
    assert!(lines[0].contains("have=5 need=104"), "{lines:?}");
}

#[tokio::test]
async fn packet_that_is_cut_is_logged() {
    let log = Log::new();
    let running = Running::start(On::Unix, Server::new(Of(ok::<Infallible>))).await;
    let mut peer = running.connect().await;
    peer.send([0, 100, 0, 0, 1]).await;
    peer.finish().await;
    assert_eq!(peer.end().await, End::Closed(String::new()));
    let lines = log.with("connection ended within a packet");
    assert!(lines[0].contains("have=5 need=104"), "{lines:?}");
}

#[tokio::test]
async fn failures_are_answered_and_logged_and_end_nothing_else() {
    let log = Log::new();
    let service = Of(|request: Request<RequestBody>| async move {
        match request.uri().path() {
            "/failing" => Err("out of order"),
            "/panicking" => panic!("out of everything"),
            _ => ok(request).await,
        }
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    for (path, message) in [
        ("/failing", "out of order"),
        ("/panicking", "out of everything"),
    ] {
        assert_eq!(running.ask(&get(path)).await.status, 500, "{path}");
        let lines = log.with(message);
        let line = &lines[0];
        assert!(line.contains("ERROR") && line.contains(path), "{line}");
        assert_eq!(running.ask(&get("/")).await.text(), "ok");
    }
}

/// Is ready only when there is a permit.
#[derive(Clone)]
struct Limited {
    permits: Arc<AtomicUsize>,
    is_broken: bool,
}

impl tower_service::Service<Request<RequestBody>> for Limited {
    type Response = Response<Full<Bytes>>;
    type Error = &'static str;
    type Future = std::future::Ready<Answer<&'static str>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        if self.is_broken {
            return Poll::Ready(Err("no database"));
        }
        match self.permits.load(Ordering::Relaxed) {
            0 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        assert_ne!(self.permits.load(Ordering::Relaxed), 0, "called too early");
        std::future::ready(Ok(Response::new(Full::new("ready".into()))))
    }
}

#[tokio::test]
async fn service_is_called_when_it_is_ready() {
    let permits = Arc::new(AtomicUsize::new(0));
    let service = Limited {
        permits: Arc::clone(&permits),
        is_broken: false,
    };
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.packet(&get("/")).await;
    assert!(!peer.has_news().await);
    permits.store(1, Ordering::Relaxed);
    assert_eq!(peer.reply(&Method::GET).await.text(), "ready");
}

#[tokio::test]
async fn service_that_cannot_become_ready_is_answered_503() {
    let log = Log::new();
    let service = Limited {
        permits: Arc::default(),
        is_broken: true,
    };
    let running = Running::start(On::Unix, Server::new(service)).await;
    assert_eq!(running.ask(&get("/")).await.status, 503);
    log.with("no database");
}

#[tokio::test]
async fn connections_beyond_the_maximum_wait() {
    let gate = Arc::new(Semaphore::new(0));
    let (called, mut calls) = mpsc::channel(3);
    let service = {
        let gate = Arc::clone(&gate);
        Of(move |request| {
            let (gate, called) = (Arc::clone(&gate), called.clone());
            async move {
                called.send(()).await.unwrap();
                gate.acquire().await.unwrap().forget();
                ok::<Infallible>(request).await
            }
        })
    };
    let server = Server::new(service).with_max_connections(2);
    let running = Running::start(On::Unix, server).await;
    let mut peers = vec![];
    for _ in 0..3 {
        let mut peer = running.connect().await;
        peer.packet(&get("/")).await;
        peers.push(peer);
    }
    for _ in 0..2 {
        within("a call", calls.recv()).await;
    }
    let third = tokio::time::timeout(QUIET, calls.recv()).await;
    assert!(third.is_err(), "a third connection is served");
    gate.add_permits(3);
    for mut peer in peers {
        assert_eq!(peer.reply(&Method::GET).await.text(), "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn connection_that_is_only_drained_makes_room_for_others() {
    let server = Server::new(Of(ok::<Infallible>)).with_max_connections(1);
    let running = Running::start(On::Unix, server).await;
    let mut refused = running.connect().await;
    refused.packet(&post("/", 1_000_000)).await;
    assert_eq!(refused.reply(&Method::GET).await.text(), "ok");
    let mut next = running.connect().await;
    next.packet(&get("/")).await;
    let begun = tokio::time::Instant::now();
    // Its front end goes on sending, and does not close.
    while tokio::time::timeout(QUIET, next.wait()).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(3), "no room");
        refused.trickle(b".").await;
    }
}

/// Fails a few times before it accepts.
struct Failing {
    inner: UnixListener,
    failures: usize,
    tries: Arc<AtomicUsize>,
}

impl Listener for Failing {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        if self.failures > 0 {
            self.failures -= 1;
            let emfile = 24;
            return Err(io::Error::from_raw_os_error(emfile));
        }
        Listener::accept(&mut self.inner).await
    }
}

#[tokio::test]
async fn failure_to_accept_is_logged_and_tried_again_after_a_pause() {
    let log = Log::new();
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("socket");
    let tries = Arc::new(AtomicUsize::new(0));
    let listener = Failing {
        inner: UnixListener::bind(&path).unwrap(),
        failures: 4,
        tries: Arc::clone(&tries),
    };
    let begun = std::time::Instant::now();
    let server = Server::new(Of(ok::<Infallible>));
    tokio::spawn(server.serve(listener, for_ever()));
    let stream = UnixStream::connect(&path).await.unwrap();
    let mut peer = Peer::new(Stream::Unix(stream));
    peer.packet(&get("/")).await;
    let reply = within("a response", peer.reply(&Method::GET)).await;
    assert_eq!(reply.text(), "ok");
    // 10 + 20 + 40 + 80 ms.
    assert!(begun.elapsed().as_millis() >= 150);
    let lines = log.with("raise the open file limit");
    assert_eq!(lines.len(), 4, "{lines:?}");
}
