//! HTTP on the control socket, in the master's own runtime.

use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::unistd::Uid;
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::call::Call;
use super::connections::{Asked, Connections};
use super::{ControlListener, Order, Phase, ReloadError, Status};

/// Answers on the control socket until `token` is cancelled. What has been asked by then gets
/// its answer if that comes within [`LAST_WORDS`]. The socket's file is left alone.
///
/// # Errors
///
/// When the socket cannot be registered with the runtime.
pub(crate) async fn serve(
    listener: Arc<ControlListener>,
    orders: mpsc::Sender<Order>,
    token: CancellationToken,
) -> io::Result<()> {
    let socket = listener.register()?;
    let mut connections = Connections::default();
    let mut strangers = Strangers::default();
    loop {
        tokio::select! {
            () = token.cancelled() => break,
            Some(()) = connections.ended() => {}
            accepted = socket.accept() => {
                let Ok((stream, _)) = accepted else {
                    // No descriptor is left; the connection waits in the kernel.
                    sleep(STARVED_PAUSE).await;
                    continue;
                };
                let peer = peer_of(&stream);
                let is_admitted = peer.is_some_and(|peer| listener.admitted().includes(peer));
                if !is_admitted && strangers.is_new(peer) {
                    let uid = peer.map(Uid::as_raw);
                    warn!(uid, "control: refused to a user who may not give orders");
                }
                let orders = is_admitted.then(|| orders.clone());
                let user = peer.filter(|_| is_admitted);
                if !connections.add(user, |asked| converse(stream, orders, asked)) {
                    // One who connects again and again must not keep the master busy.
                    sleep(CROWDED_PAUSE).await;
                }
            }
        }
    }
    let _ = timeout(LAST_WORDS, async {
        while connections.ended().await.is_some() {}
    })
    .await;
    Ok(())
}

/// The users who have been reported, so that each is once.
#[derive(Debug, Default)]
struct Strangers(HashSet<Option<Uid>>);

impl Strangers {
    fn is_new(&mut self, peer: Option<Uid>) -> bool {
        self.0.len() < MOST_STRANGERS && self.0.insert(peer)
    }
}

fn peer_of(stream: &UnixStream) -> Option<Uid> {
    let credentials = stream.peer_cred().ok()?;
    Some(Uid::from_raw(credentials.uid()))
}

/// Serves one request; without `orders` it is refused.
async fn converse(stream: UnixStream, orders: Option<mpsc::Sender<Order>>, asked: Asked) {
    let (orders, asked, answered) = (&orders, &asked, &Notify::new());
    let service = service_fn(move |request: Request<Incoming>| async move {
        asked.set();
        let response = match orders {
            Some(orders) => respond(&request, orders).await,
            None => text(StatusCode::FORBIDDEN, FORBIDDEN),
        };
        answered.notify_one();
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(LONGEST_HEAD)
        // One request each, so that nobody keeps a connection without asking anything.
        .keep_alive(false)
        // `nc -N` and the like say at once that they send no more.
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    // While the master works on an answer there is no deadline but its own.
    let unread = async {
        answered.notified().await;
        sleep(SEND_PATIENCE).await;
    };
    tokio::select! {
        ended = connection => {
            if let Err(error) = ended {
                debug!(%error, "control connection ended");
            }
        }
        () = unread => debug!("control connection cut: its answer is not read"),
    }
}

async fn respond(request: &Request<Incoming>, orders: &mpsc::Sender<Order>) -> Response<String> {
    let (method, uri) = (request.method(), request.uri());
    let call = match Call::parse(method, uri.path(), uri.query()) {
        Ok(call) => call,
        Err(error) => {
            let mut response = text(error.status, error.text);
            let allow = error.allow.as_ref().map(|method| method.as_str().parse());
            if let Some(Ok(allow)) = allow {
                response.headers_mut().insert(ALLOW, allow);
            }
            return response;
        }
    };
    let answered = match call {
        Call::Status => status(orders).await.map(|status| json(&status)),
        Call::Ready => status(orders).await.map(|status| match status.ready {
            true => text(StatusCode::OK, "ready\n"),
            false => unavailable(match status.phase {
                Phase::Running | Phase::Reloading => {
                    format!("{}: no worker is ready\n", status.phase)
                }
                phase => format!("{phase}\n"),
            }),
        }),
        Call::Health => status(orders)
            .await
            .map(|status| match status.is_serving() {
                true => text(StatusCode::OK, "healthy\n"),
                false => unavailable(format!("{}: no worker serves\n", status.phase)),
            }),
        Call::Reload { upgrade } => {
            let order = |reply| Order::Reload { upgrade, reply };
            ask(orders, order).await.map(|answer| match answer {
                Ok(reloaded) => json(&reloaded),
                Err(ReloadError::Busy(why)) => text(StatusCode::CONFLICT, lines(why)),
                Err(ReloadError::Broken(why)) => {
                    text(StatusCode::INTERNAL_SERVER_ERROR, lines(why))
                }
            })
        }
        Call::Stop => within_patience(ask(orders, Order::Stop))
            .await
            .map(|()| text(StatusCode::ACCEPTED, "stopping\n")),
        Call::Scale(workers) => {
            let order = |reply| Order::Scale { workers, reply };
            ask(orders, order).await.map(|answer| match answer {
                Ok(scaled) => json(&scaled),
                Err(why) => text(StatusCode::BAD_REQUEST, lines(why)),
            })
        }
    };
    answered.unwrap_or_else(|| unavailable("the server does not answer: it is ending\n".to_owned()))
}

async fn status(orders: &mpsc::Sender<Order>) -> Option<Status> {
    within_patience(ask(orders, Order::Status)).await
}

async fn within_patience<T>(asked: impl Future<Output = Option<T>>) -> Option<T> {
    timeout(ANSWER_PATIENCE, asked).await.ok().flatten()
}

/// Gives an order and waits for what comes of it. Nothing comes from a master that is ending.
async fn ask<T>(
    orders: &mpsc::Sender<Order>,
    order: impl FnOnce(oneshot::Sender<T>) -> Order,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    orders.send(order(reply)).await.ok()?;
    answer.await.ok()
}

fn json(value: &impl Serialize) -> Response<String> {
    match serde_json::to_string(value) {
        Ok(json) => respond_with(StatusCode::OK, "application/json", json + "\n"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn unavailable(body: String) -> Response<String> {
    text(StatusCode::SERVICE_UNAVAILABLE, body)
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<String> {
    respond_with(status, "text/plain; charset=utf-8", body.into())
}

fn respond_with(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
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

/// By which a client knows that it is not talking to something else.
pub(super) const SERVER_NAME: &str = concat!("scoter/", env!("CARGO_PKG_VERSION"));

const FORBIDDEN: &str = "only root and the user that scoter runs as may give orders here\n";

/// Users who are remembered as having been reported.
const MOST_STRANGERS: usize = 64;

/// Bytes of a request's head.
const LONGEST_HEAD: usize = 16 * 1_024;

const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// How long the master may take for what it answers at once.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// How long a client may take to read its answer.
const SEND_PATIENCE: Duration = Duration::from_secs(10);

/// How long the end waits for answers.
const LAST_WORDS: Duration = Duration::from_secs(1);

const STARVED_PAUSE: Duration = Duration::from_millis(50);

const CROWDED_PAUSE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::control::connections::MOST_OF_A_USER;
    use crate::control::{Reloaded, Scaled, WorkerPhase, WorkerStatus};

    struct Fixture {
        _directory: TempDir,
        path: PathBuf,
        orders: mpsc::Receiver<Order>,
        token: CancellationToken,
        serving: JoinHandle<io::Result<()>>,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("control");
            let listener = Arc::new(ControlListener::bind(&path, None).unwrap());
            let (sender, orders) = mpsc::channel(8);
            let token = CancellationToken::new();
            let serving = tokio::spawn(serve(listener, sender, token.clone()));
            Self {
                _directory: directory,
                path,
                orders,
                token,
                serving,
            }
        }

        async fn connect(&self) -> UnixStream {
            UnixStream::connect(&self.path).await.unwrap()
        }

        /// Sends a request whose answer is read later.
        async fn send(&self, line: &str) -> UnixStream {
            let mut stream = self.connect().await;
            let head = format!("{line} HTTP/1.1\r\nHost: scoter\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            stream
        }

        async fn order(&mut self) -> Order {
            self.orders.recv().await.unwrap()
        }
    }

    /// The status code and the body of the one response on a connection.
    async fn receive(mut stream: UnixStream) -> (u16, String) {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(SERVER_NAME), "{head}");
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn some_status() -> Status {
        Status {
            phase: Phase::Draining,
            workers: vec![WorkerStatus {
                phase: WorkerPhase::Ready,
                ..WorkerStatus::default()
            }],
            ..Status::default()
        }
    }

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
    async fn reload_is_answered_with_what_came_of_it() {
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
                Err(ReloadError::Busy("a reload is running".to_owned())),
                (409, "a reload is running\n"),
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
    async fn silent_connections_keep_nobody_out() {
        let mut fixture = Fixture::new();
        let mut silent = Vec::new();
        for _ in 0..80 {
            silent.push(fixture.connect().await);
        }
        let answered = async {
            let stream = fixture.send("GET /ready").await;
            let Order::Status(reply) = fixture.order().await else {
                panic!("/ready asks for the status");
            };
            reply.send(some_status()).unwrap();
            receive(stream).await.0
        };
        // Before any of them is closed for its silence.
        assert_eq!(timeout(HEAD_PATIENCE / 2, answered).await, Ok(503));
    }

    #[tokio::test]
    async fn strangers_are_refused() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut client = theirs;
        client
            .write_all(b"POST /stop HTTP/1.0\r\n\r\n")
            .await
            .unwrap();
        converse(ours, None, Asked::default()).await;
        assert_eq!(receive(client).await, (403, FORBIDDEN.to_owned()));
    }

    #[test]
    fn strangers_are_reported_once_and_not_without_end() {
        let mut strangers = Strangers::default();
        for uid in 1..=64 {
            assert!(strangers.is_new(Some(Uid::from_raw(uid))), "{uid}");
            assert!(!strangers.is_new(Some(Uid::from_raw(uid))), "{uid}");
        }
        assert!(!strangers.is_new(Some(Uid::from_raw(65))));
    }

    #[tokio::test]
    async fn half_closed_connection_gets_its_answer() {
        let mut fixture = Fixture::new();
        let mut stream = fixture.send("GET /ready").await;
        stream.shutdown().await.unwrap();
        let Order::Status(reply) = fixture.order().await else {
            panic!("/ready asks for the status");
        };
        reply.send(some_status()).unwrap();
        assert_eq!(receive(stream).await.0, 503);
    }

    #[tokio::test]
    async fn order_is_carried_out_though_its_client_has_gone() {
        let mut fixture = Fixture::new();
        drop(fixture.send("POST /stop").await);
        assert!(matches!(fixture.order().await, Order::Stop(_)));
    }

    #[tokio::test]
    async fn body_is_not_waited_for() {
        let mut fixture = Fixture::new();
        let mut stream = fixture.connect().await;
        let head = "POST /stop HTTP/1.1\r\nHost: scoter\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let Order::Stop(reply) = fixture.order().await else {
            panic!("/stop asks for a stop");
        };
        reply.send(()).unwrap();
        assert_eq!(receive(stream).await.0, 202);
    }

    #[tokio::test]
    async fn master_that_ends_is_503() {
        let mut fixture = Fixture::new();
        let stream = fixture.send("POST /reload").await;
        drop(fixture.order().await);
        let (code, body) = receive(stream).await;
        assert_eq!(
            (code, &*body),
            (503, "the server does not answer: it is ending\n")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silent_connections_are_closed() {
        let fixture = Fixture::new();
        for head in ["", "GET /sta"] {
            let mut stream = fixture.connect().await;
            stream.write_all(head.as_bytes()).await.unwrap();
            let started = tokio::time::Instant::now();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert!(started.elapsed() >= HEAD_PATIENCE, "{head:?}");
            assert!(started.elapsed() < 2 * HEAD_PATIENCE, "{head:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answer_that_nobody_reads_is_given_up() {
        let (ours, mut client) = UnixStream::pair().unwrap();
        client
            .write_all(b"GET /status HTTP/1.1\r\nHost: scoter\r\n\r\n")
            .await
            .unwrap();
        let (sender, mut orders) = mpsc::channel(1);
        let master = async {
            let Some(Order::Status(reply)) = orders.recv().await else {
                panic!("/status asks for the status");
            };
            // Far more than the kernel buffers.
            let workers = vec![WorkerStatus::default(); 10_000];
            reply
                .send(Status {
                    workers,
                    ..Status::default()
                })
                .unwrap();
        };
        let started = tokio::time::Instant::now();
        tokio::join!(converse(ours, Some(sender), Asked::default()), master);
        assert!(started.elapsed() >= SEND_PATIENCE);
        assert!(started.elapsed() < 2 * SEND_PATIENCE);
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_are_closed_if_all_have_asked() {
        let mut fixture = Fixture::new();
        let mut waiting = Vec::new();
        let mut pending = Vec::new();
        for _ in 0..MOST_OF_A_USER {
            waiting.push(fixture.send("POST /reload").await);
            pending.push(fixture.order().await);
        }
        let mut text = String::new();
        // It may be reset, for what it says is not read.
        let _ = fixture.connect().await.read_to_string(&mut text).await;
        assert_eq!(text, "");
        drop(pending.pop());
        assert_eq!(receive(waiting.pop().unwrap()).await.0, 503);
        let late = fixture.send("POST /stop").await;
        let Order::Stop(reply) = fixture.order().await else {
            panic!("the late one comes next");
        };
        reply.send(()).unwrap();
        assert_eq!(receive(late).await.0, 202);
    }

    #[tokio::test]
    async fn cancelled_server_gives_its_last_answers_and_accepts_no_more() {
        let mut fixture = Fixture::new();
        let stream = fixture.send("POST /stop").await;
        let order = fixture.order().await;
        fixture.token.cancel();
        let Order::Stop(reply) = order else {
            panic!("/stop asks for a stop");
        };
        reply.send(()).unwrap();
        assert_eq!(receive(stream).await.0, 202);
        fixture.serving.await.unwrap().unwrap();
        assert!(UnixStream::connect(&fixture.path).await.is_err());
    }
}
