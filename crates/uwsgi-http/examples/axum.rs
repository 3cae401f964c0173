//! An axum application behind nginx.
//!
//! ```text
//! cargo run --example axum --features server -- app.sock
//! ```
//!
//! In nginx's `server` block:
//!
//! ```nginx
//! location / {
//!     include uwsgi_params;
//!     uwsgi_pass unix:/path/to/app.sock;
//!     client_max_body_size 100m;
//!     uwsgi_request_buffering off;
//! }
//! ```

use std::env;
use std::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use uwsgi_http::BoxError;
use uwsgi_http::server::{BodyError, Server};
use uwsgi_http::uwsgi_codec::http::RequestContext;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Shows what the server has to say.
    tracing_subscriber::fmt::init();

    let app = Router::new()
        .route("/", get(hello))
        .route("/upload", post(upload))
        .route("/ticks", get(ticks));

    let path = env::args().nth(1).unwrap_or_else(|| "app.sock".to_owned());
    // That of a server that has ended stays. This takes it from one that runs, too.
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    // nginx must be able to write to it. Narrower: its group, and 0o660.
    fs::set_permissions(&path, Permissions::from_mode(0o666))?;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    // `/ticks` never ends: it is cut after this time.
    Server::new(app)
        .with_stop_timeout(Duration::from_secs(5))
        .serve(listener, stop)
        .await;
    Ok(())
}

/// What axum's `ConnectInfo` is elsewhere: nginx says who the client is.
async fn hello(Extension(context): Extension<RequestContext>) -> String {
    match context.connection.remote_addr {
        Some(address) => format!("Hello, {address}\n"),
        None => "Hello, whoever you are\n".to_owned(),
    }
}

/// An upload of any length, as it arrives: `Bytes` in place of `Body` would collect it, up
/// to axum's limit.
async fn upload(mut body: Body) -> Result<String, StatusCode> {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(status)?;
        count += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(format!("{count} bytes\n"))
}

fn status(error: axum::Error) -> StatusCode {
    match error.into_inner().downcast_ref() {
        Some(BodyError::TimedOut { .. }) => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// A line a second, until the client leaves. nginx passes each on at once because of
/// `X-Accel-Buffering`.
async fn ticks() -> Response {
    let (mut sender, body) = Channel::<Bytes, BoxError>::new(1);
    tokio::spawn(async move {
        for tick in 0_u64.. {
            let line = format!("tick {tick}\n");
            if sender.send_data(line.into()).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut response = Response::new(Body::new(body));
    let off = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", off);
    response
}
