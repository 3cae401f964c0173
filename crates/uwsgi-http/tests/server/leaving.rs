//! Clients that leave, and clients that only stop sending.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use http_body_util::channel::Channel;
use tokio::sync::{Semaphore, oneshot};
use uwsgi_http::server::{HalfClose, RequestBody, Server};

use crate::harness::{
    Dropped, End, Of, On, Peer, QUIET, Running, for_ever, get, post, with, within,
};

/// A server whose service never answers, and what tells that it was called and that its
/// future was dropped.
async fn waiting(
    on: On,
    half_close: HalfClose,
) -> (Running, oneshot::Receiver<()>, oneshot::Receiver<()>) {
    let (called, was_called) = Dropped::new();
    let (dropped, was_dropped) = Dropped::new();
    let witnesses = Arc::new(Mutex::new(Some((called, dropped))));
    let service = Of(move |request: Request<RequestBody>| {
        let witnesses = witnesses.lock().unwrap().take();
        async move {
            let (called, dropped) = witnesses.unwrap();
            drop(called);
            let _held = (dropped, request);
            for_ever::<Result<Response<Full<Bytes>>, Infallible>>().await
        }
    });
    let server = Server::new(service).with_half_close(half_close);
    let running = Running::start(on, server).await;
    (running, was_called, was_dropped)
}

async fn has_happened(what: &str, told: oneshot::Receiver<()>) {
    within(what, told).await.unwrap();
}

#[tokio::test]
async fn service_is_dropped_when_its_client_leaves() {
    for (name, on, half_close, packet, leave) in [
        (
            "Unix socket closed",
            On::Unix,
            HalfClose::Answer,
            get("/"),
            Peer::close as fn(Peer),
        ),
        (
            "TCP reset",
            On::Tcp,
            HalfClose::Answer,
            get("/"),
            Peer::reset,
        ),
        (
            "TCP closed",
            On::Tcp,
            HalfClose::Drop,
            get("/"),
            Peer::close,
        ),
        (
            "within an upload",
            On::Unix,
            HalfClose::Answer,
            post("/", 1_000),
            Peer::close,
        ),
        (
            "within an upload on TCP",
            On::Tcp,
            HalfClose::Answer,
            post("/", 1_000),
            Peer::reset,
        ),
    ] {
        let (running, was_called, was_dropped) = waiting(on, half_close).await;
        let mut peer = running.connect().await;
        peer.packet(&packet).await;
        has_happened(name, was_called).await;
        leave(peer);
        has_happened(name, was_dropped).await;
    }
}

#[tokio::test]
async fn service_is_dropped_when_a_client_leaves_that_had_stopped_sending() {
    let (running, was_called, mut was_dropped) = waiting(On::Unix, HalfClose::Answer).await;
    let mut peer = running.connect().await;
    peer.packet(&get("/")).await;
    peer.finish().await;
    has_happened("the call", was_called).await;
    let early = tokio::time::timeout(QUIET, &mut was_dropped).await;
    assert!(early.is_err(), "dropped while the client waits");
    peer.close();
    has_happened("the drop", was_dropped).await;
}

#[tokio::test]
async fn service_is_dropped_when_a_client_leaves_that_had_sent_too_much() {
    let (running, was_called, was_dropped) = waiting(On::Unix, HalfClose::Answer).await;
    let mut peer = running.connect().await;
    peer.packet(&get("/")).await;
    peer.send("more than the request").await;
    has_happened("the call", was_called).await;
    peer.close();
    has_happened("the drop", was_dropped).await;
}

#[tokio::test]
async fn client_that_stops_sending_is_answered() {
    let gate = Arc::new(Semaphore::new(0));
    for on in [On::Unix, On::Tcp] {
        let service = {
            let gate = Arc::clone(&gate);
            Of(move |_| {
                let gate = Arc::clone(&gate);
                async move {
                    gate.acquire().await.unwrap().forget();
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("late"))))
                }
            })
        };
        let running = Running::start(on, Server::new(service)).await;
        let mut peer = running.connect().await;
        peer.packet(&get("/")).await;
        peer.finish().await;
        assert!(!peer.has_news().await, "{on:?}");
        gate.add_permits(1);
        assert_eq!(peer.reply(&Method::GET).await.text(), "late", "{on:?}");
    }
}

#[tokio::test]
async fn body_of_a_response_is_dropped_when_its_client_leaves() {
    for (on, leave) in [(On::Unix, Peer::close as fn(Peer)), (On::Tcp, Peer::reset)] {
        let (dropped, was_dropped) = Dropped::new();
        let dropped = Arc::new(Mutex::new(Some(dropped)));
        let service = Of(move |_| {
            let dropped = dropped.lock().unwrap().take().unwrap();
            async move {
                let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
                tokio::spawn(async move {
                    let _ = sender.send_data(Bytes::from("begun")).await;
                    while sender.send_data(Bytes::new()).await.is_ok() {
                        tokio::task::yield_now().await;
                    }
                    drop(dropped);
                });
                Ok::<_, Infallible>(Response::new(body))
            }
        });
        let running = Running::start(on, Server::new(service)).await;
        let mut peer = running.connect().await;
        peer.packet(&get("/")).await;
        peer.head(&Method::GET).await;
        assert_eq!(peer.read(5).await, b"begun");
        leave(peer);
        has_happened("the drop", was_dropped).await;
    }
}

#[tokio::test]
async fn client_that_takes_nothing_is_left_after_a_time() {
    for on in [On::Unix, On::Tcp] {
        let service = Of(|_| async {
            let body = Bytes::from(vec![b'.'; 64 << 20]);
            Ok::<_, Infallible>(Response::new(Full::new(body)))
        });
        let server = Server::new(service).with_write_timeout(QUIET);
        let mut running = Running::start(on, server).await;
        let mut peer = running.connect().await;
        peer.packet(&get("/")).await;
        peer.head(&Method::GET).await;
        running.stop();
        // It waits for nothing but this request.
        running.ended().await;
        match peer.end().await {
            End::Closed(body) => assert!(body.len() < 64 << 20),
            End::Reset => {}
        }
    }
}

#[tokio::test]
async fn any_stream_is_served() {
    let service = Of(|request: Request<RequestBody>| async move {
        let path = request.uri().path().to_owned();
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(path))))
    });
    let (ours, theirs) = tokio::io::duplex(64);
    // One that keeps what is written until it is flushed.
    let ours = tokio::io::BufStream::new(ours);
    let server = Server::new(service);
    let served = tokio::spawn(server.serve_connection(ours, for_ever()));
    let mut peer = Peer::new(crate::harness::Stream::Other(theirs));
    for path in ["/one", "/two"] {
        peer.packet(&with(get(path), "UWSGI_KEEP_CONN", 0)).await;
        let reply = peer.reply(&Method::GET).await;
        assert_eq!((reply.text().as_str(), reply.is_kept), (path, true));
    }
    peer.packet(&get("/three")).await;
    assert_eq!(peer.reply(&Method::GET).await.text(), "/three");
    assert_eq!(peer.end().await, End::Closed(String::new()));
    within("the end", served).await.unwrap();
}
