//! The body of a request.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tokio::sync::{Mutex, Semaphore, oneshot};
use uwsgi_http::server::{BodyError, RequestBody, Server};

use crate::harness::{Of, On, QUIET, Running, for_ever, get, piece, post, within};

fn text(text: impl Into<String>) -> Response<Full<Bytes>> {
    Response::new(Full::new(text.into().into()))
}

/// Bytes that repeat only after a prime number of them.
fn pattern(len: usize) -> &'static [u8] {
    static LONGEST: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..20_000_000).map(|i| (i % 65_521) as u8).collect());
    &LONGEST[..len]
}

/// Sends back how many bytes came, whether they were those of the pattern, and what the
/// size hint said in front of each piece.
async fn inspect(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut body = request.into_body();
    let announced = body.size_hint().exact().unwrap();
    let expected = pattern(usize::try_from(announced).unwrap());
    let mut received = 0;
    let mut verdict = "as sent";
    while let Some(data) = piece(&mut body).await {
        let data = data.unwrap();
        if expected[received..received + data.len()] != data {
            verdict = "garbled";
        }
        received += data.len();
        assert_eq!(body.size_hint().exact(), Some(announced - received as u64));
    }
    assert!(body.is_end_stream());
    Ok(text(format!("{received} {verdict}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_arrives_whole() {
    for on in [On::Unix, On::Tcp] {
        let running = Running::start(on, Server::new(Of(inspect))).await;
        for len in [0, 1, 1_000, 100_000, 20_000_000] {
            let mut peer = running.connect().await;
            let mut wire = post("/", len as u64).to_vec().unwrap();
            wire.extend(pattern(len));
            peer.send(wire).await;
            let reply = peer.reply(&Method::GET).await;
            assert_eq!(reply.text(), format!("{len} as sent"), "{on:?}");
        }
        assert_eq!(running.ask(&get("/")).await.text(), "0 as sent");
    }
}

#[tokio::test]
async fn body_arrives_whole_however_it_is_split() {
    let running = Running::start(On::Unix, Server::new(Of(inspect))).await;
    let mut peer = running.connect().await;
    let mut wire = post("/", 300).to_vec().unwrap();
    wire.extend(pattern(300));
    for byte in wire {
        peer.send([byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(peer.reply(&Method::GET).await.text(), "300 as sent");
}

#[tokio::test]
async fn nothing_is_read_that_the_service_does_not_ask_for() {
    const LEN: usize = 20_000_000;
    let gate = Arc::new(Semaphore::new(0));
    let service = {
        let gate = Arc::clone(&gate);
        Of(move |request| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                inspect(request).await
            }
        })
    };
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.packet(&post("/", LEN as u64)).await;
    let body = pattern(LEN);
    let first = pattern(65_521);
    let taken = peer.send_until_full(first, LEN).await;
    assert!(taken < 1_000_000, "{taken} bytes were taken");
    gate.add_permits(1);
    peer.send(&body[taken..]).await;
    assert_eq!(
        peer.reply(&Method::GET).await.text(),
        format!("{LEN} as sent")
    );
}

#[tokio::test]
async fn body_that_is_cut_short_is_an_error_with_its_lengths() {
    for on in [On::Unix, On::Tcp] {
        let (tell, told) = oneshot::channel();
        let tell = Arc::new(Mutex::new(Some(tell)));
        let service = Of(move |request: Request<RequestBody>| {
            let tell = Arc::clone(&tell);
            async move {
                let mut body = request.into_body();
                let error = loop {
                    match piece(&mut body).await {
                        Some(Ok(_)) => {}
                        Some(Err(error)) => break error,
                        None => panic!("a complete body"),
                    }
                };
                assert!(piece(&mut body).await.is_none());
                tell.lock().await.take().unwrap().send(error).unwrap();
                Ok::<_, Infallible>(text("the rest is missing"))
            }
        });
        let running = Running::start(on, Server::new(service)).await;
        let mut peer = running.connect().await;
        peer.packet(&post("/", 1_000)).await;
        peer.send("abc").await;
        peer.finish().await;
        let error = within("the error", told).await.unwrap();
        assert_eq!(error.to_string(), "the body ended after 3 of 1000 bytes");
        assert!(matches!(
            error,
            BodyError::Incomplete {
                have: 3,
                need: 1_000
            }
        ));
        // It has only said that it sends no more.
        let reply = peer.reply(&Method::GET).await;
        assert_eq!(reply.text(), "the rest is missing", "{on:?}");
    }
}

#[tokio::test]
async fn body_that_stops_is_an_error_after_a_time() {
    let service = Of(|request: Request<RequestBody>| async move {
        let mut body = request.into_body();
        loop {
            match piece(&mut body).await.unwrap() {
                Ok(_) => {}
                Err(error) => return Ok::<_, Infallible>(text(error.to_string())),
            }
        }
    });
    let server = Server::new(service).with_body_timeout(QUIET);
    let running = Running::start(On::Unix, server).await;
    let mut peer = running.connect().await;
    peer.send([&post("/", 10).to_vec().unwrap(), &b"abc"[..]].concat())
        .await;
    let expected = "the body stopped after 3 of 10 bytes, and nothing came for 200ms";
    assert_eq!(peer.reply(&Method::GET).await.text(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn response_before_the_end_of_the_request_arrives() {
    const LEN: usize = 20_000_000;
    let service = Of(|request: Request<RequestBody>| async move {
        match request.uri().path() {
            // Neither reads nor drops it.
            "/held" => {
                tokio::spawn(async move {
                    let _request = request;
                    for_ever::<()>().await;
                });
                Ok::<_, Infallible>(text("too large"))
            }
            _ => Ok(text("too large".repeat(100_000))),
        }
    });
    for on in [On::Unix, On::Tcp] {
        let running = Running::start(on, Server::new(service.clone())).await;
        for (path, len) in [("/", 900_000), ("/held", 9)] {
            let mut peer = running.connect().await;
            peer.packet(&post(path, LEN as u64)).await;
            // It looks for a response only when it has sent everything.
            peer.send(pattern(LEN)).await;
            let reply = peer.reply(&Method::GET).await;
            assert_eq!(reply.body.len(), len, "{on:?} {path}");
        }
    }
}

#[tokio::test]
async fn body_may_be_read_in_another_task() {
    let service = Of(|request: Request<RequestBody>| async move {
        let inspected = tokio::spawn(inspect(request));
        inspected.await.unwrap()
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.packet(&post("/", 1_000_000)).await;
    peer.send(pattern(1_000_000)).await;
    assert_eq!(peer.reply(&Method::GET).await.text(), "1000000 as sent");
}

#[tokio::test]
async fn body_that_outlives_its_response_ends_with_an_error() {
    let (tell, told) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let service = Of(move |request: Request<RequestBody>| {
        let tell = Arc::clone(&tell);
        async move {
            let tell = tell.lock().await.take().unwrap();
            tokio::spawn(async move {
                let mut body = request.into_body();
                loop {
                    match piece(&mut body).await.unwrap() {
                        Ok(_) => {}
                        Err(error) => break tell.send(error).unwrap(),
                    }
                }
            });
            Ok::<_, Infallible>(text("early"))
        }
    });
    let running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.packet(&post("/", 1_000)).await;
    assert_eq!(peer.reply(&Method::GET).await.text(), "early");
    let error = within("the error", told).await.unwrap();
    assert!(matches!(error, BodyError::Ended), "{error}");
}

#[tokio::test]
async fn axum_handler_tells_a_body_that_stops_from_others() {
    async fn upload(mut body: axum::body::Body) -> StatusCode {
        while let Some(frame) = piece(&mut body).await {
            if let Err(error) = frame {
                return match error.into_inner().downcast_ref() {
                    Some(BodyError::TimedOut { have: 5, .. }) => StatusCode::REQUEST_TIMEOUT,
                    _ => StatusCode::BAD_REQUEST,
                };
            }
        }
        StatusCode::OK
    }
    let app = axum::Router::new().route("/", axum::routing::post(upload));
    let server = Server::new(app).with_body_timeout(QUIET);
    let running = Running::start(On::Unix, server).await;
    for (stops, status) in [(true, 408), (false, 400)] {
        let mut peer = running.connect().await;
        peer.packet(&post("/", 10)).await;
        peer.send("first").await;
        if !stops {
            peer.finish().await;
        }
        assert_eq!(peer.reply(&Method::POST).await.status, status);
    }
}
