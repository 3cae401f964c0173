//! Bodies that are announced and have not begun to come: those of nginx's subrequests, which never do, and those of
//! slow clients, which do later.

use std::thread;
use std::time::{Duration, Instant};

use integration_tests::{
    Connections, Ending, Peer, Scoter, ScoterBuilder, Site, elapse, get, post, through_nginx, until,
};

/// Checks before each request, as its documentation has it, and copies of each request.
const GUARDED: &str = "
    client_max_body_size 0;
    location = /auth {
        internal;
        include scoter/uwsgi_params;
        uwsgi_pass_request_body off;
        uwsgi_pass scoter;
    }
    location = /strict {
        internal;
        include scoter/uwsgi_params;
        uwsgi_pass_request_body off;
        uwsgi_pass scoter;
    }
    location = /copy {
        internal;
        include scoter/uwsgi_params;
        uwsgi_pass_request_body off;
        uwsgi_pass scoter;
    }
    location = /upload {
        auth_request /auth;
        auth_request_set $user $upstream_http_x_user;
        include scoter/uwsgi_params;
        uwsgi_param HTTP_X_USER $user;
        uwsgi_pass scoter;
    }
    location = /refused/upload {
        auth_request /strict;
        include scoter/uwsgi_params;
        uwsgi_pass scoter;
    }
    location = /mirrored/upload {
        mirror /copy;
        mirror_request_body off;
        include scoter/uwsgi_params;
        uwsgi_param PATH_INFO /upload;
        uwsgi_pass scoter;
    }
    location = /both/upload {
        auth_request /auth;
        mirror /copy;
        mirror_request_body off;
        include scoter/uwsgi_params;
        uwsgi_param PATH_INFO /upload;
        uwsgi_pass scoter;
    }
    location = /nested/upload {
        auth_request /nested/auth;
        include scoter/uwsgi_params;
        uwsgi_param PATH_INFO /upload;
        uwsgi_pass scoter;
    }
    location = /nested/auth {
        internal;
        auth_request /auth;
        include scoter/uwsgi_params;
        uwsgi_param PATH_INFO /auth;
        uwsgi_pass_request_body off;
        uwsgi_pass scoter;
    }
    location = /immediate/upload {
        auth_request /immediate/auth;
        include scoter/uwsgi_params;
        uwsgi_param PATH_INFO /upload;
        uwsgi_pass scoter;
    }
    location = /immediate/auth {
        internal;
        include scoter/uwsgi_params;
        uwsgi_param PATH_INFO /auth;
        uwsgi_param CONTENT_LENGTH \"\";
        uwsgi_param CONTENT_TYPE \"\";
        uwsgi_pass_request_body off;
        uwsgi_pass scoter;
    }";

/// Passes an upload on as it comes.
const UNBUFFERED: &str = "
    client_max_body_size 0;
    location / {
        include scoter/uwsgi_params;
        uwsgi_request_buffering off;
        uwsgi_pass scoter;
    }";

fn guarded(scoter: ScoterBuilder, connections: Connections) -> Site {
    let mut site = Site::with(scoter, connections, |nginx| nginx.extra(GUARDED));
    site.may_be_out_of_step();
    site
}

fn serving() -> ScoterBuilder {
    // Whoever waited for a body that does not come would wait too long for each of the tests.
    Scoter::serving("guarded").args(["--body-timeout", "1h"])
}

/// Waits until so many applications read a body.
#[track_caller]
fn wait_for_readers(scoter: &Scoter, count: usize) {
    until(&format!("{count} readers"), || {
        let reply = scoter.connect().packet(&get("/readers")).reply();
        (reply.text() == count.to_string()).then_some(())
    });
}

#[through_nginx]
fn subrequest_without_its_body_is_answered(connections: Connections) {
    let site = guarded(serving(), connections);
    let client = site.extra();
    for len in [1, 11, 100_000, 3_000_000] {
        for (path, status, text) in [
            ("/upload", 200, format!("alice {len}")),
            ("/mirrored/upload", 200, format!("nobody {len}")),
            ("/both/upload", 200, format!("nobody {len}")),
            ("/nested/upload", 200, format!("nobody {len}")),
            ("/immediate/upload", 200, format!("nobody {len}")),
        ] {
            let reply = client.post(path, vec![b'x'; len]);
            assert_eq!((reply.status, reply.text()), (status, text), "{path} {len}");
        }
        let reply = client.post("/refused/upload", vec![b'x'; len]);
        assert_eq!(reply.status, 401, "{len}");
    }
    until("each mirrored request has arrived", || {
        let events = site.scoter().events();
        let copies = events.iter().filter(|event| *event == "copy POST");
        (copies.count() == 8).then_some(())
    });
    assert!(site.scoter().events().contains(&"auth ".to_owned()));
    let log = site.nginx().error_log();
    assert!(!log.contains("[error]"), "{log}");
}

#[through_nginx]
fn subrequest_is_answered_whatever_the_options(connections: Connections) {
    for args in [
        &["--threads", "1"][..],
        &["--threads", "2"],
        &["--buffer-body", "all"],
        &["--body-buffer", "0"],
        &["--buffer-body", "all", "--body-buffer", "0"],
    ] {
        let site = guarded(serving().args(args), connections);
        for len in [11, 3_000_000] {
            let reply = site.extra().post("/upload", vec![b'x'; len]);
            assert_eq!(reply.text(), format!("alice {len}"), "{args:?} {len}");
        }
    }
}

#[test]
fn application_that_reads_nothing_waits_for_nothing() {
    let scoter = serving().start();
    // The fastest of a few: a busy machine is not what is measured.
    let fastest = (0..5).map(|_| {
        let start = Instant::now();
        let reply = scoter.connect().packet(&post("/auth", 11)).reply();
        assert_eq!(reply.header("X-User"), Some("alice"));
        start.elapsed()
    });
    let fastest = fastest.min().expect("five");
    assert!(fastest < Duration::from_millis(300), "{fastest:?}");
}

#[test]
fn end_of_a_response_is_there_although_its_body_is_not() {
    let scoter = serving().start();
    for (path, status) in [("/auth", 200), ("/strict", 401)] {
        for len in [11, 3_000_000] {
            // To the end of the connection, and not reset: the body may come yet.
            let mut peer = scoter.connect();
            peer.packet(&post(path, len));
            let reply = peer.reply();
            assert_eq!(reply.status, status, "{path} {len}");
            let _ = peer.try_send(b"late");
        }
    }
}

#[through_nginx(gateway)]
fn body_that_begins_late_arrives_whole(connections: Connections) {
    for threads in ["1", "2", "4"] {
        let site = Site::with(
            serving().args(["--threads", threads]),
            connections,
            |nginx| nginx.extra(UNBUFFERED),
        );
        let client = site.extra();
        for (len, pieces) in [(10, 1), (10, 5), (3_000_000, 3)] {
            let upload = || {
                let mut peer = Peer::from(client.connect());
                peer.send(format!(
                    "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n"
                ));
                // This is how long the client thinks.
                elapse(Duration::from_secs(1));
                for piece in vec![b'x'; len].chunks(len / pieces) {
                    peer.send(piece);
                }
                let answer = peer.ending().bytes();
                let expected = format!("nobody {len}");
                assert!(
                    answer.ends_with(expected.as_bytes()),
                    "--threads {threads}, {len} bytes: {}",
                    String::from_utf8_lossy(&answer)
                );
            };
            thread::scope(|scope| {
                let clients: Vec<_> = (0..4).map(|_| scope.spawn(upload)).collect();
                clients
                    .into_iter()
                    .for_each(|client| client.join().expect("uploaded"));
            });
        }
    }
}

#[test]
fn crowd_that_announces_and_never_sends_stops_nobody() {
    for args in [
        &["--threads", "1"][..],
        &["--threads", "4"],
        &["--threads", "4", "--buffer-body", "all"],
        &["--threads", "2", "--body-buffer", "0"],
    ] {
        let scoter = serving().args(args).start();
        let mut crowd: Vec<_> = (0..200).map(|_| scoter.connect()).collect();
        for (number, peer) in crowd.iter_mut().enumerate() {
            peer.packet(&post("/counted", [11, 3_000_000][number % 2]));
        }
        let healthy = [&post("/counted", 2).to_vec().expect("fits")[..], b"ok"].concat();
        let threads: usize = args[1].parse().expect("a number");
        let mut fewest = threads;
        // For as long as the crowd is being dealt with.
        let end = Instant::now() + Duration::from_secs(4);
        while Instant::now() < end {
            let reply = scoter.connect().send(&healthy).reply();
            assert_eq!(reply.text(), "ok", "{args:?}");
            let reply = scoter.connect().packet(&get("/readers")).reply();
            fewest = fewest.min(reply.text().parse().expect("a number"));
        }
        // Those that are there all the time wait.
        let may_wait = match args.contains(&"all") {
            true => 0,
            false => threads / 2,
        };
        assert!(fewest <= may_wait, "{args:?}: {fewest}");
    }
}

#[test]
fn body_that_began_and_stalls_holds_no_thread_however_late_it_began() {
    let scoter = serving().args(["--threads", "4"]).start();
    let mut stalled: Vec<_> = (0..16).map(|_| scoter.connect()).collect();
    for peer in &mut stalled {
        peer.packet(&post("/counted", 11));
    }
    // Two of them have got a thread each.
    wait_for_readers(&scoter, 2);
    for peer in &mut stalled {
        peer.send("x");
    }
    let healthy = [&post("/counted", 2).to_vec().expect("fits")[..], b"ok"].concat();
    for _ in 0..50 {
        assert_eq!(scoter.connect().send(&healthy).reply().text(), "ok");
    }
    for peer in &mut stalled {
        assert_eq!(peer.send("0123456789").reply().text(), "x0123456789");
    }
}

#[test]
fn body_that_never_begins_is_named_in_the_log() {
    for args in [
        &["--threads", "1"][..],
        &["--threads", "4", "--body-timeout", "200ms"],
        &["--buffer-body", "all"],
    ] {
        let scoter = Scoter::serving("guarded").args(args).start();
        let mut peer = scoter.connect();
        peer.packet(&post("/upload", 11));
        let (Ending::Closed(answer) | Ending::Reset(answer)) = peer.ending();
        assert!(answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
        let line = scoter.wait_for_log("no byte of the announced request body arrived");
        for part in ["method=\"POST\"", "uri=\"/upload\"", "content_length=11"] {
            assert!(line.contains(part), "{line}");
        }
    }
}

#[test]
fn peer_that_leaves_instead_of_sending_its_body_frees_the_thread() {
    let scoter = serving().args(["--threads", "2"]).start();
    for _ in 0..4 {
        let mut peers: Vec<_> = (0..4).map(|_| scoter.connect()).collect();
        for peer in &mut peers {
            peer.packet(&post("/counted", 11));
        }
        wait_for_readers(&scoter, 1);
        drop(peers);
        wait_for_readers(&scoter, 0);
    }
    // An application starts without its body again, and the other thread tells so.
    let mut peer = scoter.connect();
    peer.packet(&post("/counted", 2));
    wait_for_readers(&scoter, 1);
    assert_eq!(peer.send("ok").reply().text(), "ok");
}
