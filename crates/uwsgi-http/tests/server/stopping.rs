//! How a server stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use uwsgi_http::server::{RequestBody, Server};

use crate::harness::{
    Dropped, End, Log, Of, On, Peer, QUIET, Running, Stream, for_ever, get, keeping, piece, post,
    within,
};

type Answer = Result<Response<Full<Bytes>>, Infallible>;

fn ok() -> Answer {
    Ok(Response::new(Full::new("ok".into())))
}

#[tokio::test]
async fn requests_under_way_are_finished() {
    let gate = Arc::new(Semaphore::new(0));
    let (called, mut calls) = mpsc::channel(1);
    let service = {
        let gate = Arc::clone(&gate);
        Of(move |_| {
            let (gate, called) = (Arc::clone(&gate), called.clone());
            async move {
                called.send(()).await.unwrap();
                gate.acquire().await.unwrap().forget();
                ok()
            }
        })
    };
    for on in [On::Unix, On::Tcp] {
        let mut running = Running::start(on, Server::new(service.clone())).await;
        let mut peer = running.connect().await;
        peer.packet(&keeping(get("/"), 0)).await;
        within("the call", calls.recv()).await;
        running.stop();
        tokio::time::sleep(QUIET).await;
        assert!(!running.has_ended());
        gate.add_permits(1);
        let reply = peer.reply(&Method::GET).await;
        assert_eq!((reply.text().as_str(), reply.is_kept), ("ok", false));
        running.ended().await;
    }
}

#[tokio::test]
async fn requests_are_dropped_after_the_stop_timeout() {
    let log = Log::new();
    let (dropped, was_dropped) = Dropped::new();
    let (called, was_called) = Dropped::new();
    let witnesses = Arc::new(std::sync::Mutex::new(Some((called, dropped))));
    let service = Of(move |_| {
        let witnesses = witnesses.lock().unwrap().take();
        async move {
            let (called, _dropped) = witnesses.unwrap();
            drop(called);
            for_ever::<Answer>().await
        }
    });
    let server = Server::new(service).with_stop_timeout(QUIET);
    let mut running = Running::start(On::Unix, server).await;
    let mut peer = running.connect().await;
    peer.packet(&get("/")).await;
    within("the call", was_called).await.unwrap();
    running.stop();
    running.ended().await;
    within("the drop", was_dropped).await.unwrap();
    assert_eq!(peer.end().await, End::Closed(String::new()));
    let lines = log.with("dropped");
    assert!(lines[0].contains("connections=1"), "{lines:?}");
}

#[tokio::test]
async fn connections_that_wait_for_a_request_are_closed() {
    for on in [On::Unix, On::Tcp] {
        let service = Of(|_| async { ok() });
        let mut running = Running::start(on, Server::new(service)).await;
        let mut peer = running.connect().await;
        peer.packet(&keeping(get("/"), 0)).await;
        assert!(peer.reply(&Method::GET).await.is_kept);
        running.stop();
        running.ended().await;
        assert_eq!(peer.end().await, End::Closed(String::new()), "{on:?}");
    }
}

#[tokio::test]
async fn request_that_was_sent_before_the_stop_is_answered() {
    let service = Of(|_| async { ok() });
    for on in [On::Unix, On::Tcp] {
        let mut running = Running::start(on, Server::new(service.clone())).await;
        let mut kept = running.connect().await;
        kept.packet(&keeping(get("/"), 0)).await;
        assert!(kept.reply(&Method::GET).await.is_kept);
        // Connected, but not accepted: this thread does not wait in between.
        let mut new = running.connect().await;
        let (kept_sent, new_sent) = (keeping(get("/"), 0), get("/"));
        kept.packet(&kept_sent).await;
        new.packet(&new_sent).await;
        running.stop();
        let reply = kept.reply(&Method::GET).await;
        assert_eq!((reply.text().as_str(), reply.is_kept), ("ok", false));
        assert_eq!(new.reply(&Method::GET).await.text(), "ok");
        running.ended().await;
    }
}

#[tokio::test]
async fn request_whose_connection_was_made_before_the_stop_is_answered() {
    let service = Of(|_| async { ok() });
    let mut running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    running.stop();
    tokio::task::yield_now().await;
    peer.packet(&get("/")).await;
    assert_eq!(peer.reply(&Method::GET).await.text(), "ok");
    running.ended().await;
}

#[tokio::test]
async fn single_connection_is_closed_when_it_waits_for_a_request() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = Server::new(Of(|_: Request<RequestBody>| async { ok() }));
    let served = tokio::spawn(server.serve_connection(ours, async {
        let _ = stopped.await;
    }));
    let mut peer = Peer::new(Stream::Unix(theirs));
    peer.packet(&keeping(get("/"), 0)).await;
    assert!(peer.reply(&Method::GET).await.is_kept);
    stop.send(()).unwrap();
    assert_eq!(peer.end().await, End::Closed(String::new()));
    within("the end", served).await.unwrap();
}

#[tokio::test]
async fn body_that_nobody_reads_does_not_hold_up_a_stop_for_long() {
    let service = Of(|request: Request<RequestBody>| async move {
        drop(request);
        ok()
    });
    let mut running = Running::start(On::Unix, Server::new(service)).await;
    let mut peer = running.connect().await;
    peer.packet(&post("/", 1_000)).await;
    assert_eq!(peer.reply(&Method::GET).await.text(), "ok");
    let begun = std::time::Instant::now();
    running.stop();
    running.ended().await;
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn connections_beyond_the_maximum_are_served_during_a_stop() {
    for on in [On::Unix, On::Tcp] {
        let gate = Arc::new(Semaphore::new(0));
        let (called, mut calls) = mpsc::channel(1);
        let service = {
            let gate = Arc::clone(&gate);
            Of(move |_| {
                let (gate, called) = (Arc::clone(&gate), called.clone());
                async move {
                    called.send(()).await.unwrap();
                    gate.acquire().await.unwrap().forget();
                    ok()
                }
            })
        };
        let server = Server::new(service).with_max_connections(1);
        let mut running = Running::start(on, server).await;
        let mut peers = vec![];
        for _ in 0..4 {
            let mut peer = running.connect().await;
            peer.packet(&get("/")).await;
            peers.push(peer);
        }
        within("the call", calls.recv()).await;
        running.stop();
        tokio::time::sleep(QUIET).await;
        assert!(calls.try_recv().is_err(), "{on:?}: more than the maximum");
        gate.add_permits(4);
        for peer in &mut peers {
            assert_eq!(peer.reply(&Method::GET).await.text(), "ok", "{on:?}");
            within("the next call", calls.recv()).await;
        }
        running.ended().await;
    }
}

#[tokio::test(start_paused = true)]
async fn stop_takes_half_a_minute_at_most() {
    // Time flies: a body that trickles in, and a service that waits for it.
    let service = Of(|request: Request<RequestBody>| async move {
        let mut body = request.into_body();
        while piece(&mut body).await.is_some() {}
        ok()
    });
    let (mut running, mut peer) = {
        let running = Running::start(On::Unix, Server::new(service)).await;
        let mut peer = running.connect().await;
        peer.packet(&post("/", 1_000)).await;
        (running, peer)
    };
    let begun = tokio::time::Instant::now();
    running.stop();
    while !running.has_ended() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no end");
        peer.trickle(b".").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let took = begun.elapsed().as_secs();
    assert!((30..40).contains(&took), "{took} s");
}

#[tokio::test]
async fn server_that_takes_the_name_of_a_socket_loses_no_request_of_the_one_before() {
    let folder = tempfile::TempDir::new().unwrap();
    let (path, next) = (folder.path().join("socket"), folder.path().join("next"));
    let start = |name: &'static str| {
        let listener = UnixListener::bind(&next).unwrap();
        std::fs::rename(&next, &path).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let service = Of(move |_| async move {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(name))))
        });
        let served = tokio::spawn(Server::new(service).serve(listener, async {
            let _ = stopped.await;
        }));
        (stop, served)
    };
    let ask = async || {
        let mut peer = Peer::new(Stream::Unix(UnixStream::connect(&path).await.unwrap()));
        peer.packet(&get("/")).await;
        peer
    };
    let (stop, served) = start("old");
    let mut early = ask().await;
    let (_stop_new, _served) = start("new");
    let mut late = ask().await;
    drop(stop);
    assert_eq!(early.reply(&Method::GET).await.text(), "old");
    assert_eq!(late.reply(&Method::GET).await.text(), "new");
    within("the end", served).await.unwrap();
    assert_eq!(ask().await.reply(&Method::GET).await.text(), "new");
}
