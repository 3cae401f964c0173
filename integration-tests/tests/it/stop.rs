//! TERM and INT: requests that were accepted are answered, and the server goes.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use integration_tests::{DEADLINE, Gate, Peer, Scoter, Site, get, post, until, with};
use nix::sys::signal::Signal;

/// Sends a request that waits at the gate `name`, and returns when the application has it.
fn begin(scoter: &Scoter, name: &str) -> Peer {
    let mut peer = scoter.connect();
    peer.packet(&with(get("/waits"), [("QUERY_STRING", name)]));
    scoter.wait_for_event(&format!("begun {name}"));
    peer
}

/// Sends a signal and waits until the server takes no more connections.
fn send(scoter: &Scoter, signal: Signal) {
    scoter.signal(signal);
    until("nobody listens", || {
        UnixStream::connect(scoter.socket()).is_err().then_some(())
    });
}

#[test]
fn running_requests_are_answered_before_the_server_stops() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut scoter = Scoter::serving("streaming").start();
        let gates = [scoter.gate("a"), scoter.gate("b")];
        let mut peers = [begin(&scoter, "a"), begin(&scoter, "b")];
        send(&scoter, signal);
        assert!(scoter.exit_status().is_none());
        gates.iter().for_each(Gate::open);
        assert_eq!(peers[0].reply().text(), "waited at a", "{signal}");
        assert_eq!(peers[1].reply().text(), "waited at b", "{signal}");
        assert_eq!(scoter.wait().code, Some(0), "{signal}");
        assert!(!scoter.socket().exists(), "{signal}");
    }
}

#[test]
fn idle_server_stops_at_once() {
    let mut scoter = Scoter::serving("streaming").start();
    let start = Instant::now();
    // Neither of them is a request.
    let _silent = scoter.connect();
    let mut half = scoter.connect();
    half.send([0, 100]);
    scoter.stop();
    // --graceful-timeout is 30 seconds.
    assert!(start.elapsed() < DEADLINE / 3);
}

#[test]
fn response_under_way_is_finished() {
    let mut site = Site::serving("streaming");
    let gate = site.scoter().gate("chunk");
    let request = hyper::Request::get("/gated").body(integration_tests::empty());
    let mut response = site.open(request.expect("well-formed"));
    assert_eq!(response.read(6), "first\n");
    send(site.scoter(), Signal::SIGTERM);
    gate.open_for(2);
    assert_eq!(response.rest().0, "second\nthird\n");
    assert_eq!(site.scoter_mut().wait().code, Some(0));
}

#[test]
fn slow_reader_gets_the_rest() {
    let mut scoter = Scoter::serving("transfer").start();
    let mut peer = scoter.connect();
    peer.packet(&with(get("/at_once"), [("QUERY_STRING", "5000000")]));
    assert_eq!(peer.read(12), b"HTTP/1.1 200");
    send(&scoter, Signal::SIGTERM);
    let rest = peer.ending().bytes();
    let body = rest
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a head")
        + 4;
    assert_eq!(rest.len() - body, 5_000_000);
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn request_whose_body_is_under_way_is_answered() {
    let mut scoter = Scoter::serving("bodies").start();
    let mut peer = scoter.connect();
    peer.packet(&post("/everything", 10)).send("01234");
    // Taken from the kernel's queue before a later one that was answered.
    assert_eq!(
        scoter
            .connect()
            .packet(&post("/everything", 0))
            .reply()
            .text(),
        ""
    );
    send(&scoter, Signal::SIGTERM);
    assert_eq!(peer.send("56789").reply().text(), "0123456789");
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn second_signal_stops_at_once() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut scoter = Scoter::serving("streaming").start();
        let _gate = scoter.gate("a");
        let mut peer = begin(&scoter, "a");
        send(&scoter, Signal::SIGTERM);
        scoter.signal(signal);
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(peer.ending().bytes().is_empty());
        assert!(!scoter.socket().exists());
    }
}

#[test]
fn request_that_never_ends_is_cut_at_the_deadline() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--graceful-timeout", "300ms"])
        .start();
    let _gate = scoter.gate("a");
    let mut peer = begin(&scoter, "a");
    scoter.signal(Signal::SIGTERM);
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(
        finished.stderr.contains("graceful-timeout"),
        "{}",
        finished.stderr
    );
    assert!(peer.ending().bytes().is_empty());
    assert!(!scoter.socket().exists());
}

#[test]
fn server_that_is_still_loading_stops() {
    let scoter = Scoter::serving("slow_to_load");
    let source = "import probe\nprobe.event('loading')\nprobe.wait_at('load')\n";
    fs::write(scoter.folder().join("slow_to_load.py"), source).expect("the test's own folder");
    let _gate = Gate::at(scoter.folder(), "load");
    let mut process = scoter.spawn();
    until("the application is being loaded", || {
        let events = fs::read_to_string(scoter.folder().join("events")).ok()?;
        (events == "loading\n").then_some(())
    });
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code, Some(0));
    assert!(!scoter.folder().join("scoter.sock").exists());
}

#[test]
fn no_request_through_nginx_is_lost() {
    // Clients come and come while the server stops: each is answered whole, or nginx says 502 because nobody
    // listens any more.
    let mut site = Site::serving("streaming");
    let statuses = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let client = site.nginx().site();
                scope.spawn(move || {
                    let mut statuses = Vec::new();
                    while statuses.last() != Some(&502) {
                        let reply = client.get("/quick");
                        assert!(reply.status == 502 || reply.text() == "quick", "{reply:?}");
                        statuses.push(reply.status);
                    }
                    statuses
                })
            })
            .collect();
        until("requests are answered", || {
            (site.scoter().stdout().lines().count() > 20).then_some(())
        });
        site.scoter().signal(Signal::SIGTERM);
        clients
            .into_iter()
            .map(|client| client.join().expect("asserts hold"))
            .collect::<Vec<_>>()
    });
    assert_eq!(site.scoter_mut().wait().code, Some(0));
    let answered: usize = statuses.iter().map(|statuses| statuses.len() - 1).sum();
    assert_eq!(site.scoter().stdout().lines().count(), answered);
    // nginx never got half a response, nor none from a connection that had been accepted.
    let log = site.nginx().error_log();
    for line in log.lines().filter(|line| line.contains("[error]")) {
        assert!(line.contains("connect() to unix:"), "{line}");
    }
}

#[test]
fn connections_in_the_kernels_queue_are_answered_however_long_it_takes() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--threads", "1"])
        .start();
    let gate = scoter.gate("a");
    let mut running = begin(&scoter, "a");
    let mut queued: Vec<_> = (0..4).map(|_| scoter.connect()).collect();
    for peer in &mut queued {
        peer.packet(&get("/quick"));
    }
    send(&scoter, Signal::SIGTERM);
    let stopping = Instant::now();
    until("the stop has lasted", || {
        (stopping.elapsed() > Duration::from_millis(1_500)).then_some(())
    });
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    for peer in &mut queued {
        assert_eq!(peer.reply().text(), "quick");
    }
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn signals_that_reload_other_servers_do_not_end_this_one() {
    let scoter = Scoter::serving("streaming").start();
    for (signal, name) in [(Signal::SIGHUP, "HUP"), (Signal::SIGUSR1, "USR1")] {
        scoter.signal(signal);
        let line = scoter.wait_for_log(&format!("signal={name:?}"));
        assert!(line.contains("signal ignored"), "{line}");
    }
    assert_eq!(
        scoter.connect().packet(&get("/quick")).reply().text(),
        "quick"
    );
}
