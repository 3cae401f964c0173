//! Requests that run for too long: their client is answered, they end, and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::Request;
use integration_tests::{
    Completeness, Connections, DEADLINE, Ending, Peer, Scoter, ScoterBuilder, Site, elapse, empty,
    get, post, through_nginx, until, with,
};
use nix::sys::signal::Signal;

/// A server that ends requests after `timeout` and, where that does not help, itself after `grace`.
fn serving(threads: &str, timeout: &str, grace: &str) -> ScoterBuilder {
    Scoter::serving("timeouts").args([
        "--no-master",
        "--threads",
        threads,
        "--request-timeout",
        timeout,
        "--request-grace",
        grace,
    ])
}

/// Sends a request, and returns when the application has it.
#[track_caller]
fn begin(scoter: &Scoter, name: &str) -> Peer {
    let mut peer = scoter.connect();
    peer.packet(&get(&format!("/{name}")));
    scoter.wait_for_event(name);
    peer
}

#[track_caller]
fn assert_serves(scoter: &Scoter) {
    let reply = scoter.connect().packet(&get("/quick")).reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, "quick"));
}

#[track_caller]
fn assert_both_slots_serve(scoter: &Scoter) {
    let gate = scoter.gate("both");
    let waits = with(get("/waits"), [("QUERY_STRING", "both")]);
    let mut peers = [scoter.connect(), scoter.connect()];
    for peer in &mut peers {
        peer.packet(&waits);
    }
    until("both have begun", || {
        let begun = scoter
            .events()
            .iter()
            .filter(|event| *event == "waits both")
            .count();
        (begun == 2).then_some(())
    });
    gate.open_for(2);
    for peer in &mut peers {
        assert_eq!(peer.reply().text(), "waited");
    }
}

#[through_nginx(gateway)]
fn sleeping_application_is_answered_for_and_its_neighbour_is_not_disturbed(
    connections: Connections,
) {
    let site = Site::of(serving("2", "500ms", "60s"), connections);
    let over = AtomicBool::new(false);
    let (reply, neighbours) = std::thread::scope(|scope| {
        let neighbours = scope.spawn(|| {
            let mut replies = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let mut peer = site.scoter().connect();
                let spins = with(get("/spins"), [("QUERY_STRING", "5")]);
                replies.push(peer.packet(&spins).reply());
            }
            replies
        });
        let request = Request::get("/sleeps?a=b").body(empty());
        let reply = site.send(request.expect("well-formed"));
        site.scoter().wait_for_log("request timed out");
        over.store(true, Ordering::Relaxed);
        (reply, neighbours.join().expect("no assertion in it"))
    });
    assert_eq!((reply.status, &*reply.reason), (504, "Gateway Timeout"));
    // From scoter, not from nginx.
    assert_eq!(reply.text(), "Gateway Timeout\n");
    assert!(neighbours.len() > 10, "{}", neighbours.len());
    for neighbour in neighbours {
        assert_eq!((neighbour.status, neighbour.text().as_str()), (200, "spun"));
    }
    assert_eq!(site.failures(), "");
}

#[test]
fn log_says_which_request_and_where_everything_stands() {
    let scoter = serving("2", "200ms", "60s").start();
    let vars = [
        ("REQUEST_URI", "/sleeps?a=b"),
        ("HTTP_X_REQUEST_ID", "id-of-the-request"),
    ];
    let mut peer = scoter.connect();
    assert_eq!(peer.packet(&with(get("/sleeps"), vars)).reply().status, 504);
    let log = until("the last line of the stacks", || {
        let log = scoter.stderr();
        log.contains("| Idle: ").then_some(log)
    });
    let event = log.lines().find(|line| line.contains("request timed out"));
    let event = event.expect("the event");
    assert!(event.contains("ERROR"), "{event}");
    for words in [
        "\"GET\"",
        "/sleeps?a=b",
        "id-of-the-request",
        "age_ms=",
        "slot=",
    ] {
        assert!(event.contains(words), "{words} in {event}");
    }
    // Its own stack first, and it is said to be that; the other slot has none worth reading.
    let stacks = &log[log.find("request timed out").expect("just found")..];
    let (own, others) = stacks.split_once("time.sleep(3600)").expect("just seen");
    assert!(own.contains("the request's"), "{stacks}");
    assert_eq!(own.matches("most recent call last").count(), 1, "{stacks}");
    assert!(
        own.contains("timeouts.py") && own.contains("in sleeps"),
        "{stacks}"
    );
    assert!(!others.contains("most recent call last"), "{stacks}");
    assert!(
        others.contains("\n| Idle: scoter-slot-1\n") || others.contains("\n| Idle: MainThread\n"),
        "{stacks}"
    );
    let access = scoter.wait_for_access_log(1);
    assert!(access[0].contains(" 504 "), "{}", access[0]);
}

#[test]
fn busy_slots_have_stacks_and_idle_ones_are_only_named() {
    let scoter = serving("4", "200ms", "60s").start();
    let _gate = scoter.gate("both");
    let mut waiting = scoter.connect();
    waiting.packet(&with(get("/waits"), [("QUERY_STRING", "both")]));
    scoter.wait_for_event("waits both");
    let _sleeping = begin(&scoter, "sleeps");
    let log = until("the stacks of the second request", || {
        let log = scoter.stderr();
        let stacks = &log[log.find("uri=\"/sleeps\"")?..];
        let (stacks, rest) = stacks.split_once("\n| Idle: ")?;
        let (idle, _) = rest.split_once('\n')?;
        Some((stacks.to_owned(), idle.to_owned()))
    });
    let (stacks, idle) = log;
    assert!(
        stacks.contains("in sleeps") && stacks.contains("in waits"),
        "{stacks}"
    );
    assert_eq!(idle.split(", ").count(), 2, "{idle}");
}

#[test]
fn loop_is_left_and_its_thread_serves_again() {
    let scoter = serving("1", "200ms", "60s").start();
    for name in ["loops", "careless", "deep"] {
        let mut peer = scoter.connect();
        assert_eq!(
            peer.packet(&get(&format!("/{name}"))).reply().status,
            504,
            "{name}"
        );
        assert_serves(&scoter);
    }
    scoter.wait_for_event("loops: scoter.RequestTimeout");
    let events = scoter.events();
    assert!(
        !events.iter().any(|event| event.contains("swallowed")),
        "{events:?}"
    );
    // Logged after the exception has been raised, as the source lines may not come soon.
    let log = until("all three are logged", || {
        let log = scoter.stderr();
        (log.matches("request timed out").count() == 3).then_some(log)
    });
    assert!(log.contains("while True:"), "{log}");
    // The exception is no second error, and a stack does not fill the log.
    assert_eq!(log.matches("ERROR").count(), 3, "{log}");
    assert!(
        log.contains("[…]") && log.matches("in deep").count() < 110,
        "{log}"
    );
    // One for each request that was answered.
    let access = scoter.wait_for_access_log(6);
    let timed_out = access.iter().filter(|line| line.contains(" 504 "));
    assert_eq!((access.len(), timed_out.count()), (6, 3), "{access:?}");
}

#[test]
fn exception_that_comes_too_late_never_hits_the_next_request() {
    let scoter = serving("1", "100ms", "60s").start();
    let gate = scoter.gate("c");
    for number in 1..=3 {
        let mut peer = scoter.connect();
        assert_eq!(peer.packet(&get("/ends_in_c")).reply().status, 504);
        // Logged when the exception has been sent; nothing of Python's runs that could raise it.
        until("the exception is under way", || {
            let count = scoter.stderr().matches("request timed out").count();
            (count == number).then_some(())
        });
        gate.open();
        assert_serves(&scoter);
        assert_serves(&scoter);
    }
}

#[test]
fn exception_never_hits_a_thread_that_the_request_is_starting() {
    let scoter = serving("1", "100ms", "60s").start();
    let gate = scoter.gate("thread");
    let mut peer = begin(&scoter, "starts_a_thread");
    assert_eq!(peer.reply().status, 504);
    scoter.wait_for_log("request timed out");
    gate.open();
    // The exception was not lost with the thread.
    assert_serves(&scoter);
}

#[test]
fn exception_that_comes_too_late_never_hits_the_next_request_although_a_thread_is_starting() {
    let scoter = serving("1", "100ms", "60s").start();
    let gate = scoter.gate("c");
    let mut peer = begin(&scoter, "ends_in_c_with_a_thread");
    assert_eq!(peer.reply().status, 504);
    scoter.wait_for_log("request timed out");
    gate.open();
    assert_serves(&scoter);
}

#[test]
fn exceptions_and_ends_of_requests_do_not_cross() {
    let scoter = serving("1", "20ms", "60s").start();
    let (mut in_time, mut timed_out) = (0, 0);
    for number in 0..100 {
        // The requests are looked at every 10 ms: their time is over somewhere between 20 and 30.
        let millis = 10.0 + f64::from(number % 50) / 2.0;
        let timed = with(get("/timed_in_c"), [("QUERY_STRING", millis.to_string())]);
        match scoter.connect().packet(&timed).ending() {
            // Its time was over just as the slot was about to send: it is cut, as it may have begun.
            Ending::Closed(bytes) if bytes.is_empty() => {}
            ending => match ending.reply().status {
                200 => in_time += 1,
                504 => timed_out += 1,
                status => panic!("{status} after {millis} ms"),
            },
        }
        // An exception that was meant for the other request would be a 500. On a busy machine anything can take
        // 20 ms.
        let status = scoter.connect().packet(&get("/quick")).reply().status;
        assert!([200, 504].contains(&status), "{status} after {millis} ms");
    }
    assert!(in_time > 0 && timed_out > 0, "{in_time} and {timed_out}");
    let log = scoter.stderr();
    assert!(!log.contains("raised an exception"), "{log}");
}

#[through_nginx(gateway)]
fn response_that_has_begun_is_cut(connections: Connections) {
    let scoter = serving("1", "200ms", "60s").bind("127.0.0.1:0").start();
    let mut stream = TcpStream::connect(scoter.tcp_address()).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream
        .write_all(&get("/streams").to_vec().expect("fits"))
        .expect("it reads");
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    assert_eq!(end.expect_err("a reset").kind(), ErrorKind::ConnectionReset);
    scoter.wait_for_event("streams: closed");

    let site = Site::of(serving("1", "200ms", "60s"), connections);
    let request = Request::get("/streams").body(empty());
    let mut response = site.open(request.expect("well-formed"));
    assert_eq!(response.read(6), "first\n");
    let (rest, completeness) = response.rest();
    assert_eq!((rest.len(), completeness), (0, Completeness::Cut));
    site.scoter().wait_for_event("streams: closed");
    assert_serves(site.scoter());
    // What was sent is what is logged.
    let access = site.scoter().wait_for_access_log(2);
    assert!(access[0].contains(" 200 6 "), "{access:?}");
}

#[test]
fn peer_whose_response_was_cut_has_not_gone() {
    let scoter = Scoter::serving("timeouts")
        .args(["--threads", "1", "--request-timeout", "200ms"])
        .start();
    for name in ["streams", "finishes"] {
        let bytes = begin(&scoter, name).ending().bytes();
        assert!(bytes.ends_with(b"first\n"), "{bytes:?}");
        assert_serves(&scoter);
    }
    let totals = &scoter.status()["totals"];
    assert_eq!(
        (&totals["timeouts"], &totals["peers_gone"]),
        (&2.into(), &0.into())
    );
}

#[test]
fn wait_for_a_body_ends_and_what_comes_of_it_is_discarded() {
    let scoter = Scoter::serving("timeouts")
        .args(["--no-master", "--threads", "1", "--body-buffer", "1"])
        .args(["--request-timeout", "200ms", "--request-grace", "60s"])
        .start();
    let mut peer = scoter.connect();
    peer.packet(&post("/reads", 100_000)).send("the beginning");
    assert_eq!(peer.read(12), b"HTTP/1.1 504");
    // The slot does not wait for --body-timeout.
    assert_serves(&scoter);
    // A front end that sends everything first is not cut off.
    peer.send(vec![b'x'; 100_000 - 13]).finish();
    assert!(peer.ending().bytes().ends_with(b"Gateway Timeout\n"));
}

#[test]
fn request_that_cannot_be_ended_ends_its_process_when_the_others_have_finished() {
    for (name, last_words) in [("stubborn", "stubborn: swallowed"), ("sleeps", "sleeps")] {
        let mut scoter = serving("2", "2s", "100ms").start();
        let gate = scoter.gate("a");
        let mut stuck = begin(&scoter, name);
        assert_eq!(stuck.reply().status, 504, "{name}");
        let mut neighbour = scoter.connect();
        neighbour.packet(&with(get("/waits"), [("QUERY_STRING", "a")]));
        scoter.wait_for_event("waits a");
        let line = scoter.wait_for_log("cannot end the request");
        assert!(line.contains("ERROR") && line.contains(name), "{line}");
        assert!(scoter.exit_status().is_none(), "{name}");
        if name == "sleeps" {
            // The first signal is no second one because the process is about to end.
            scoter.signal(Signal::SIGTERM);
            scoter.wait_for_log("stopping: finishing running requests");
        }
        gate.open();
        assert_eq!(neighbour.reply().text(), "waited", "{name}");
        scoter.wait_for_event(last_words);
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(1), "{name}: {}", finished.stderr);
        assert!(!scoter.socket().exists(), "{name}");
        assert_eq!(
            finished.stdout.lines().count(),
            2,
            "{name}: {}",
            finished.stdout
        );
    }
}

#[test]
fn clients_are_answered_although_c_code_keeps_the_gil() {
    let mut scoter = serving("2", "300ms", "300ms").start();
    assert_both_slots_serve(&scoter);
    let mut stuck = begin(&scoter, "keeps_the_gil");
    // Taken by the other slot, which does not get as far as Python.
    let mut neighbour = scoter.connect();
    neighbour.packet(&get("/quick"));
    assert_eq!(stuck.reply().status, 504);
    assert_eq!(neighbour.reply().status, 503);
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    let log = finished.stderr;
    assert_eq!(log.matches("ERROR").count(), 1, "{log}");
    let (_, stacks) = log.split_once("cannot end the request").expect("logged");
    assert!(
        stacks.contains("timeouts.py") && stacks.contains("in keeps_the_gil"),
        "{log}"
    );
}

#[test]
fn request_that_no_slot_is_left_for_is_refused() {
    let mut scoter = serving("1", "300ms", "100ms").start();
    let packet = get("/quick").to_vec().expect("fits");
    // The slot hands it to the reactor before it takes the next one.
    let mut half = scoter.connect();
    half.send(&packet[..10]);
    let mut stuck = begin(&scoter, "stubborn");
    half.send(&packet[10..]);
    assert_eq!(stuck.reply().status, 504);
    let refused = half.reply();
    assert_eq!(
        (refused.status, refused.header("Retry-After")),
        (503, Some("1"))
    );
    assert_eq!(scoter.wait().code, Some(1));
}

#[test]
fn stop_does_not_wait_for_what_cannot_be_ended() {
    let mut scoter = serving("1", "200ms", "1s")
        .args(["--graceful-timeout", "1h"])
        .start();
    let mut stuck = begin(&scoter, "stubborn");
    assert_eq!(stuck.reply().status, 504);
    scoter.signal(Signal::SIGTERM);
    scoter.wait_for_log("stopping");
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn grace_does_not_pass_while_the_process_is_frozen() {
    let scoter = serving("1", "200ms", "4s").start();
    let gate = scoter.gate("frozen");
    let mut late = scoter.connect();
    late.packet(&with(get("/waits"), [("QUERY_STRING", "frozen")]));
    assert_eq!(late.reply().status, 504);
    scoter.signal(Signal::SIGSTOP);
    elapse(Duration::from_secs(5));
    scoter.signal(Signal::SIGCONT);
    // It has most of its grace left.
    elapse(Duration::from_secs(1));
    gate.open();
    assert_serves(&scoter);
    let log = scoter.stderr();
    assert!(!log.contains("cannot be ended"), "{log}");
}

#[test]
fn worker_that_cannot_go_on_is_replaced() {
    let mut scoter = Scoter::serving("timeouts")
        .args(["--threads", "1"])
        .args(["--request-timeout", "200ms", "--request-grace", "200ms"])
        .start();
    for name in ["stubborn", "keeps_the_gil"] {
        let mut stuck = scoter.connect();
        assert_eq!(
            stuck.packet(&get(&format!("/{name}"))).reply().status,
            504,
            "{name}"
        );
        // It waits in the kernel's queue for the next worker.
        assert_serves(&scoter);
        scoter.wait_for_log(&format!("request-timeout: GET /{name} has run for"));
    }
    scoter.stop();
}
