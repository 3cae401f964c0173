//! An axum application behind nginx, served by `uwsgi_http::server` without scoter.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use hyper::{Method, StatusCode};
use integration_tests::{
    Client, Completeness, Connections, Nginx, Pattern, empty, through_nginx, until,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot};
use uwsgi_http::BoxError;
use uwsgi_http::server::{Listener, Server};
use uwsgi_http::uwsgi_codec::http::{RequestContext, Scheme};

const UPLOAD_LEN: u64 = 20 << 20;
const DOWNLOAD_LEN: u64 = 64 << 20;

/// What the handlers tell the test, and wait for.
struct App {
    gate: Semaphore,
    events: mpsc::Sender<&'static str>,
}

/// Says when a handler, or a body, is dropped.
struct Dropped(Arc<App>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.tell("dropped");
    }
}

impl App {
    fn tell(&self, event: &'static str) {
        // A test that has its answer listens no more.
        let _ = self.events.send(event);
    }

    async fn wait(&self) {
        self.gate.acquire().await.expect("never closed").forget();
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/request/{*rest}", any(describe))
        .route("/digest", post(digest))
        .route("/refuse", post(refuse))
        .route("/download", get(download))
        .route("/ticks", get(ticks))
        .route("/status/{status}", get(status))
        .route("/short", get(short))
        .route("/wait", get(wait))
        .route("/panic", get(panic))
        .with_state(app)
}

async fn describe(Extension(context): Extension<RequestContext>, request: Request) -> String {
    let host = request.headers().get("host").map(HeaderValue::as_bytes);
    format!(
        "{} {} {:?} {:?} {} {}",
        request.method(),
        request.uri(),
        host.map(String::from_utf8_lossy),
        request.version(),
        context.connection.scheme == Scheme::Http,
        context.vars.get("HTTP_X_REQUEST_ID").is_some(),
    )
}

async fn digest(request: Request) -> Result<String, StatusCode> {
    let mut body = request.into_body();
    let mut sha256 = Sha256::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        sha256.update(frame.into_data().map_err(|_| StatusCode::BAD_REQUEST)?);
    }
    Ok(hex(sha256))
}

async fn refuse(_: Request) -> (StatusCode, &'static str) {
    (
        StatusCode::PAYLOAD_TOO_LARGE,
        "too large for the application",
    )
}

async fn download() -> Response {
    response_of(|mut sender| async move {
        for piece in Pattern::with_length(DOWNLOAD_LEN) {
            if sender.send_data(piece).await.is_err() {
                return;
            }
        }
    })
}

async fn ticks(State(app): State<Arc<App>>) -> Response {
    let dropped = Dropped(Arc::clone(&app));
    let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
    tokio::spawn(async move {
        loop {
            app.wait().await;
            if sender.send_data("tick\n".into()).await.is_err() {
                return;
            }
        }
    });
    let body = body.map_frame(move |tick| {
        let _dropped_with_the_body = &dropped;
        tick
    });
    let mut response = Response::new(Body::new(body));
    let off = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", off);
    response
}

async fn status(axum::extract::Path(status): axum::extract::Path<u16>) -> StatusCode {
    StatusCode::from_u16(status).expect("a test's status")
}

async fn short() -> Response {
    let mut response = response_of(|mut sender| async move {
        let _ = sender.send_data("hello".into()).await;
    });
    let length = HeaderValue::from_static("6");
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

async fn wait(State(app): State<Arc<App>>) -> &'static str {
    app.tell("waiting");
    let _dropped = Dropped(Arc::clone(&app));
    app.wait().await;
    "waited"
}

async fn panic() -> &'static str {
    panic!("on purpose");
}

fn response_of<F>(produce: impl FnOnce(Sender<Bytes, BoxError>) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, body) = Channel::new(1);
    tokio::spawn(produce(sender));
    Response::new(Body::new(body))
}

/// nginx in front of the application.
struct Site {
    client: Client,
    // Dropped first: nginx must not report that the application is gone.
    nginx: Nginx,
    app: Arc<App>,
    events: mpsc::Receiver<&'static str>,
    accepted: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    served: Option<thread::JoinHandle<()>>,
    _folder: TempDir,
}

/// Counts the connections of nginx.
struct Counted {
    inner: UnixListener,
    accepted: Arc<AtomicUsize>,
}

impl Listener for Counted {
    type Io = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        let stream = Listener::accept(&mut self.inner).await?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(stream)
    }
}

impl Site {
    fn start(connections: Connections) -> Self {
        let folder = TempDir::new().expect("there is room for a folder");
        let socket = folder.path().join("app.sock");
        let (sender, events) = mpsc::channel();
        let app = Arc::new(App {
            gate: Semaphore::new(0),
            events: sender,
        });
        let accepted = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = oneshot::channel();
        let runtime = Runtime::new().expect("a runtime needs threads only");
        let listener = {
            let _runtime = runtime.enter();
            Counted {
                inner: UnixListener::bind(&socket).expect("a folder of its own"),
                accepted: Arc::clone(&accepted),
            }
        };
        let server = Server::new(router(Arc::clone(&app)));
        let served = thread::spawn(move || {
            runtime.block_on(server.serve(listener, async {
                let _ = stopped.await;
            }));
        });
        let nginx = Nginx::prepare(folder.path(), &socket, connections)
            .extra(
                "client_max_body_size 0;
                 location / {
                     include scoter/uwsgi_params;
                     uwsgi_request_buffering off;
                     uwsgi_pass scoter;
                 }",
            )
            .start();
        Self {
            client: nginx.site(),
            nginx,
            app,
            events,
            accepted,
            stop: Some(stop),
            served: Some(served),
            _folder: folder,
        }
    }

    /// With and without nginx's buffer for uploads.
    fn clients(&self) -> [Client; 2] {
        [self.nginx.site(), self.nginx.extra()]
    }

    #[track_caller]
    fn expect_event(&self, expected: &str) {
        let event = until(expected, || self.events.try_recv().ok());
        assert_eq!(event, expected);
    }

    fn stop(&mut self) {
        drop(self.stop.take());
    }

    fn ended(&mut self) {
        let served = self.served.take().expect("ended once");
        until("the end of the server", || {
            served.is_finished().then_some(())
        });
        served.join().expect("the server does not panic");
    }
}

fn sha256(len: u64) -> String {
    let mut sha256 = Sha256::new();
    Pattern::with_length(len).for_each(|piece| sha256.update(piece));
    hex(sha256)
}

fn hex(sha256: Sha256) -> String {
    let bytes = sha256.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request(method: Method, path: &str) -> hyper::Request<integration_tests::Body> {
    let request = hyper::Request::builder().method(method).uri(path);
    request.body(empty()).expect("a test's path is well-formed")
}

#[through_nginx]
fn request_is_what_the_client_sent(connections: Connections) {
    let site = Site::start(connections);
    let expected = r#"GET /request/caf%C3%A9/a%2Fb?q=1%202 Some("example.com") HTTP/1.1 true true"#;
    let reply = site.client.get("/request/caf%C3%A9/a%2Fb?q=1%202");
    assert_eq!(reply.text(), expected);
    assert_eq!(site.client.get("/none").status, 404);
}

#[through_nginx]
fn upload_is_unchanged(connections: Connections) {
    let site = Site::start(connections);
    let expected = sha256(UPLOAD_LEN);
    for client in site.clients() {
        for body in [
            Pattern::with_length(UPLOAD_LEN),
            Pattern::chunked(UPLOAD_LEN),
        ] {
            let request = hyper::Request::post("/digest").body(body.boxed());
            let reply = client.send(request.expect("well-formed"));
            assert_eq!(reply.text(), expected);
        }
    }
}

#[through_nginx]
fn upload_that_nobody_reads_is_answered(connections: Connections) {
    let site = Site::start(connections);
    for client in site.clients() {
        for _ in 0..20 {
            let body = Pattern::with_length(UPLOAD_LEN / 4);
            let request = hyper::Request::post("/refuse").body(body.boxed());
            let reply = client.send(request.expect("well-formed"));
            let answer = (reply.status, reply.text());
            let expected = "too large for the application".to_owned();
            assert_eq!(answer, (413, expected));
        }
    }
}

#[through_nginx]
fn download_is_unchanged(connections: Connections) {
    let site = Site::start(connections);
    let mut open = site.client.open(request(Method::GET, "/download"));
    let mut received = Sha256::new();
    while let Some(piece) = open.piece().expect("a complete response") {
        received.update(piece);
    }
    assert_eq!(hex(received), sha256(DOWNLOAD_LEN));
}

#[through_nginx]
fn pieces_arrive_as_they_are_made(connections: Connections) {
    let site = Site::start(connections);
    let mut open = site.client.open(request(Method::GET, "/ticks"));
    for _ in 0..3 {
        site.app.gate.add_permits(1);
        assert_eq!(open.read(5), "tick\n");
    }
    // The body has no next piece: nothing is sent that could fail.
    drop(open);
    site.expect_event("dropped");
}

#[through_nginx]
fn responses_without_a_body_have_none(connections: Connections) {
    let site = Site::start(connections);
    for (method, path, length) in [
        (Method::HEAD, "/wait", Some("6")),
        (Method::GET, "/status/204", None),
        (Method::GET, "/status/304", None),
        (Method::GET, "/status/205", Some("0")),
    ] {
        site.app.gate.add_permits(1);
        let reply = site.client.send(request(method, path));
        assert_eq!(reply.header("content-length"), length, "{path}");
        assert_eq!(reply.text(), "", "{path}");
    }
}

#[through_nginx]
fn handler_is_dropped_when_its_client_leaves(connections: Connections) {
    let site = Site::start(connections);
    let mut stream = site.client.connect();
    io::Write::write_all(&mut stream, b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("nginx reads");
    site.expect_event("waiting");
    drop(stream);
    site.expect_event("dropped");
}

#[through_nginx]
fn response_that_is_cut_is_seen_to_be(connections: Connections) {
    let site = Site::start(connections);
    let mut open = site.client.open(request(Method::GET, "/short"));
    let (body, completeness) = open.rest();
    assert_eq!(
        (&body[..], completeness),
        (&b"hello"[..], Completeness::Cut)
    );
}

#[through_nginx]
fn panic_is_answered_and_ends_nothing_else(connections: Connections) {
    let site = Site::start(connections);
    for _ in 0..3 {
        assert_eq!(site.client.get("/panic").status, 500);
        assert_eq!(site.client.get("/status/200").status, 200);
    }
}

#[through_nginx]
fn stop_waits_for_the_request_under_way(connections: Connections) {
    let mut site = Site::start(connections);
    // A connection that waits, if it is kept, beside the one of the request.
    assert_eq!(site.client.get("/status/200").status, 200);
    let client = site.client.clone();
    let asking = thread::spawn(move || client.get("/wait"));
    site.expect_event("waiting");
    site.stop();
    site.app.gate.add_permits(1);
    let reply = asking.join().expect("a response");
    assert_eq!(reply.text(), "waited");
    site.ended();
}

#[through_nginx]
fn connections_are_kept_if_nginx_asks(connections: Connections) {
    let site = Site::start(connections);
    for _ in 0..50 {
        assert_eq!(site.client.get("/status/200").status, 200);
        let request = hyper::Request::post("/request/a").body(integration_tests::whole("body"));
        let reply = site.client.send(request.expect("well-formed"));
        assert_eq!(reply.status, 200);
    }
    let accepted = site.accepted.load(Ordering::Relaxed);
    let expected = match connections {
        Connections::Closed => 100,
        Connections::Kept | Connections::Gateway | Connections::Dev => 1,
    };
    assert_eq!(accepted, expected);
}
