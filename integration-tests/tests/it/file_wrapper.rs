//! `wsgi.file_wrapper`: PEP 3333, "Optional Platform-Specific File Handling".

use std::fs;

use integration_tests::{Connections, Pattern, Scoter, Site, get, through_nginx, with};

/// 300 000 bytes of which no two pieces are alike.
fn content() -> Vec<u8> {
    (0..37_500_u64)
        .flat_map(|n| (n * n).to_le_bytes())
        .collect()
}

fn prepare() -> integration_tests::ScoterBuilder {
    let scoter = Scoter::serving("files").args(["--threads", "2"]);
    fs::write(scoter.folder().join("file.bin"), content()).expect("the test's own folder");
    scoter
}

#[through_nginx(gateway, dev)]
fn files_are_sent_from_their_position(connections: Connections) {
    let site = Site::of(prepare(), connections);
    let content = content();
    for (name, expected, length) in [
        ("whole", &content[..], Some("300000")),
        ("from_position", &content[20..], Some("299980")),
        ("unbuffered", &content[20..], Some("299980")),
        ("part", &content[20..30], Some("10")),
        ("iterated", &content[..], None),
    ] {
        let reply = site.get(&format!("/{name}"));
        assert!(reply.body == expected, "{name}: {} bytes", reply.body.len());
        assert_eq!(reply.header("Content-Length"), length, "{name}");
    }
}

#[test]
fn whatever_can_be_read_can_be_sent() {
    let scoter = prepare().start();
    for (name, expected) in [
        ("memory", "from memory".to_owned()),
        ("compressed", "unpacked ".repeat(1000)),
        ("temporary", "but not flushed".to_owned()),
        ("without_close", "no close".to_owned()),
        ("pipe", "through a pipe".to_owned()),
    ] {
        let reply = scoter.connect().packet(&get(&format!("/{name}"))).reply();
        assert_eq!((reply.status, reply.text()), (200, expected), "{name}");
    }
}

#[through_nginx(gateway, dev)]
fn files_of_the_kernel_are_sent_as_they_read(connections: Connections) {
    let site = Site::of(prepare(), connections);
    for path in ["/proc/version", "/sys/devices/system/cpu/possible"] {
        let content = fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let reply = site.get(&format!("/of_the_kernel?{path}"));
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.body, content, "{path}");
    }
}

#[test]
fn file_that_grows_while_it_is_sent_has_the_length_it_had() {
    let scoter = prepare().start();
    let path = scoter.folder().join("file.bin");
    fs::write(&path, vec![b'x'; 8_000_000]).expect("the test's own folder");
    let mut peer = scoter.connect();
    let start = peer.packet(&get("/whole")).read(1000);
    let mut file = fs::File::options().append(true).open(&path).expect("there");
    std::io::Write::write_all(&mut file, &[b'y'; 1000]).expect("room on the disk");
    let whole = [start, peer.ending().bytes()].concat();
    assert!(
        whole
            .windows(25)
            .any(|text| text == b"Content-Length: 8000000\r\n")
    );
    let body = whole
        .windows(4)
        .position(|end| end == b"\r\n\r\n")
        .expect("a head")
        + 4;
    assert_eq!(whole.len() - body, 8_000_000);
    assert!(whole[body..].iter().all(|&byte| byte == b'x'));
}

#[test]
fn file_is_closed_once() {
    for method in ["GET", "HEAD"] {
        let mut scoter = prepare().start();
        let packet = with(get("/closes"), [("REQUEST_METHOD", method)]);
        let body = scoter.connect().packet(&packet).reply().body;
        assert_eq!(body.is_empty(), method == "HEAD");
        scoter.stop();
        assert_eq!(scoter.events(), ["file closed"], "{method}");
    }
}

#[test]
fn head_of_a_file_has_its_length() {
    let scoter = prepare().start();
    let packet = with(get("/whole"), [("REQUEST_METHOD", "HEAD")]);
    let reply = scoter.connect().packet(&packet).reply();
    assert_eq!(reply.header("Content-Length"), Some("300000"));
    assert!(reply.body.is_empty());
}

#[test]
fn what_cannot_be_read_is_refused() {
    let scoter = prepare().start();
    let reply = scoter.connect().packet(&get("/not_a_file")).reply();
    assert_eq!(reply.status, 500);
    scoter.wait_for_log("read");
}

#[test]
fn slow_readers_of_files_hold_no_thread_and_leave_no_file_open() {
    let scoter = prepare().start();
    let big = "0123456789abcdef".repeat(500_000);
    fs::write(scoter.folder().join("file.bin"), &big).expect("the test's own folder");
    scoter.connect().packet(&get("/memory")).reply();
    let worker = scoter.worker();
    let before = worker.open_files();
    let mut slow: Vec<_> = (0..8).map(|_| scoter.connect()).collect();
    for peer in &mut slow {
        peer.packet(&get("/whole"));
    }
    for _ in 0..20 {
        let reply = scoter.connect().packet(&get("/memory")).reply();
        assert_eq!(reply.text(), "from memory");
    }
    for mut peer in slow.drain(..4) {
        assert!(peer.reply().body == big.as_bytes());
    }
    // The other four leave without having read anything.
    drop(slow);
    integration_tests::until("every file is closed", || {
        (worker.open_files() <= before).then_some(())
    });
}

#[test]
fn file_that_shrinks_while_it_is_sent_cuts_the_response() {
    let scoter = prepare().start();
    let path = scoter.folder().join("file.bin");
    fs::write(&path, vec![b'x'; 8_000_000]).expect("the test's own folder");
    let mut peer = scoter.connect();
    peer.packet(&get("/whole")).read(1000);
    fs::write(&path, "now short").expect("the test's own folder");
    let len = peer.ending().bytes().len();
    assert!(len < 8_000_000, "{len}");
    assert_eq!(
        scoter.connect().packet(&get("/memory")).reply().text(),
        "from memory"
    );
}

#[test]
fn more_stalled_readers_than_threads_for_files_delay_nobody() {
    // There are 128 such threads. What has no room in a socket is theirs to send: 4 MiB at most have.
    let scoter = prepare().start();
    let big = Pattern::with_length(8 << 20).collect::<Vec<_>>().concat();
    fs::write(scoter.folder().join("file.bin"), &big).expect("the test's own folder");
    let mut stalled: Vec<_> = (0..160).map(|_| scoter.connect()).collect();
    for peer in &mut stalled {
        peer.packet(&get("/whole"));
    }
    for _ in 0..3 {
        assert!(scoter.connect().packet(&get("/whole")).reply().body == big);
    }
    for peer in stalled.iter_mut().rev().take(3) {
        assert!(peer.reply().body == big);
    }
}
