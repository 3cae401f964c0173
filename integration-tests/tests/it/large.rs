//! A hundred megabytes in either direction, unchanged and without being held in memory.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;

use http_body_util::BodyExt;
use hyper::Request;
use integration_tests::{
    Connections, Pattern, Scoter, Site, empty, get, post, through_nginx, with,
};
use sha2::{Digest, Sha256};

const LEN: u64 = 100 << 20;
/// More than Python with the application needs (about 20 MiB), far less than the body.
const MEMORY_KIB: usize = 64 << 10;

/// One at a time: together they'd only measure the disk.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn sha256() -> String {
    let mut sha256 = Sha256::new();
    Pattern::with_length(LEN).for_each(|piece| sha256.update(piece));
    hex(sha256)
}

fn hex(sha256: Sha256) -> String {
    sha256
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[track_caller]
fn assert_memory_bounded(scoter: &Scoter) {
    let peak = scoter.worker().peak_resident_kib();
    assert!(peak < MEMORY_KIB, "{peak} KiB");
}

fn upload(args: &[&str], chunked: bool, connections: Connections) {
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let site = Site::with(Scoter::serving("bodies").args(args), connections, |nginx| {
        nginx.extra(
            "client_max_body_size 0;
             location / {
                 include scoter/uwsgi_params;
                 uwsgi_request_buffering off;
                 uwsgi_pass scoter;
             }",
        )
    });
    let clients = match (connections, chunked) {
        // Without a buffer it has no length to announce.
        (Connections::Gateway, true) => vec![site.client().clone()],
        _ => vec![site.client().clone(), site.extra()],
    };
    for client in clients {
        let body = match chunked {
            true => Pattern::chunked(LEN),
            false => Pattern::with_length(LEN),
        };
        let request = Request::post("/digest").body(body.boxed());
        let reply = client.send(request.expect("well-formed"));
        assert_eq!(reply.text(), format!("{LEN} {}", sha256()));
    }
    assert_memory_bounded(site.scoter());
}

#[through_nginx(gateway, dev)]
fn upload_is_unchanged_and_memory_bounded(connections: Connections) {
    upload(&[], false, connections);
}

#[through_nginx(gateway, dev)]
fn chunked_upload_is_unchanged_and_memory_bounded(connections: Connections) {
    upload(&[], true, connections);
}

#[through_nginx(gateway, dev)]
fn upload_spooled_first_is_unchanged_and_memory_bounded(connections: Connections) {
    upload(&["--buffer-body", "all"], false, connections);
}

#[test]
fn upload_that_is_read_at_once_is_in_memory_once() {
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let scoter = Scoter::serving("bodies").start();
    let mut peer = scoter.connect();
    peer.packet(&post("/short", LEN as usize));
    for piece in Pattern::with_length(LEN) {
        peer.send(piece);
    }
    assert_eq!(peer.reply().text(), "whole");
    let peak = scoter.worker().peak_resident_kib();
    let body = LEN as usize >> 10;
    assert!((body..body + MEMORY_KIB).contains(&peak), "{peak} KiB");
}

#[through_nginx(gateway, dev)]
fn download_is_unchanged_and_memory_bounded(connections: Connections) {
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let site = Site::serving("transfer", connections);
    let expected = sha256();
    for path in ["/announced", "/unannounced", "/written"] {
        let request = Request::get(format!("{path}?{LEN}")).body(empty());
        let mut open = site.open(request.expect("well-formed"));
        let (mut sha256, mut len) = (Sha256::new(), 0);
        while let Some(piece) = open.piece().expect("the body is complete") {
            sha256.update(&piece);
            len += piece.len();
        }
        assert_eq!(len as u64, LEN, "{path}");
        assert_eq!(hex(sha256), expected, "{path}");
    }
    assert_memory_bounded(site.scoter());
}

#[test]
fn file_is_sent_unchanged_and_memory_bounded() {
    let _guard = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let scoter = Scoter::serving("files");
    let mut file = File::create(scoter.folder().join("file.bin")).expect("the test's own folder");
    for piece in Pattern::with_length(LEN) {
        file.write_all(&piece).expect("there is room for 100 MB");
    }
    let scoter = scoter.start();
    let mut peer = scoter.connect();
    let bytes = peer.packet(&get("/whole")).reply().body;
    let mut sha256 = Sha256::new();
    sha256.update(&bytes);
    assert_eq!(hex(sha256), self::sha256());
    assert_memory_bounded(&scoter);
}

#[test]
fn reader_that_stands_still_costs_no_memory() {
    let scoter = Scoter::serving("transfer").args(["--threads", "3"]).start();
    let mut idle = [scoter.connect(), scoter.connect()];
    for (peer, path) in idle.iter_mut().zip(["/unannounced", "/written"]) {
        peer.packet(&with(get(path), [("QUERY_STRING", LEN.to_string())]));
        assert_eq!(peer.read(15), b"HTTP/1.1 200 OK");
    }
    // The third thread answers meanwhile, often enough for the others to produce all they could.
    for _ in 0..200 {
        let small = with(get("/announced"), [("QUERY_STRING", "10000")]);
        assert_eq!(scoter.connect().packet(&small).reply().body.len(), 10_000);
    }
    assert_memory_bounded(&scoter);
}
