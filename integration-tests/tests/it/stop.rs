//! TERM, INT and QUIT: requests that were accepted are answered, and the server goes.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use integration_tests::{
    Connections, Crowd, DEADLINE, Gate, Peer, Scoter, Site, elapse, exchange, get, post,
    through_nginx, until, with,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::error_log::READER;

#[test]
fn running_requests_are_answered_before_the_server_stops() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut scoter = Scoter::serving("streaming").start();
        let gates = [scoter.gate("a"), scoter.gate("b")];
        let mut peers = [scoter.begin("a"), scoter.begin("b")];
        scoter.begin_to_stop(signal);
        assert!(scoter.exit_status().is_none());
        assert_eq!(scoter.status()["listeners"], json!([]), "{signal}");
        gates.iter().for_each(Gate::open);
        assert_eq!(peers[0].reply().text(), "waited at a", "{signal}");
        assert_eq!(peers[1].reply().text(), "waited at b", "{signal}");
        assert_eq!(scoter.wait().code, Some(0), "{signal}");
        assert!(!scoter.socket().exists(), "{signal}");
    }
}

#[test]
fn idle_server_stops_at_once() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--graceful-timeout", "1h", "--header-timeout", "1h"])
        .start();
    // Neither of them is a request.
    let _silent = scoter.connect();
    let mut half = scoter.connect();
    half.send([0, 100]);
    scoter.stop();
}

#[through_nginx]
fn response_under_way_is_finished(connections: Connections) {
    let mut site = Site::serving("streaming", connections);
    let gate = site.scoter().gate("chunk");
    let request = hyper::Request::get("/gated").body(integration_tests::empty());
    let mut response = site.open(request.expect("well-formed"));
    assert_eq!(response.read(6), "first\n");
    site.scoter().begin_to_stop(Signal::SIGTERM);
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
    scoter.begin_to_stop(Signal::SIGTERM);
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
    scoter.begin_to_stop(Signal::SIGTERM);
    assert_eq!(peer.send("56789").reply().text(), "0123456789");
    assert_eq!(scoter.wait().code, Some(0));
}

/// Checks that the log names each request that was cut, once.
#[track_caller]
fn assert_cut(log: &str, uris: &[&str]) {
    for uri in uris {
        let words = format!("method=\"GET\" uri=\"{uri}\"");
        assert_eq!(log.matches(&words).count(), 1, "{words} in {log}");
    }
}

/// Sends requests for `paths` that wait at a gate which never opens, and returns when the application has them.
fn begin_waiting(scoter: &Scoter, paths: &[&str]) -> (Gate, Vec<Peer>) {
    let gate = scoter.gate("never");
    let peers = paths.iter().map(|path| {
        let mut peer = scoter.connect();
        peer.packet(&with(
            get("/waits"),
            [("QUERY_STRING", "never"), ("REQUEST_URI", path)],
        ));
        peer
    });
    let peers = peers.collect();
    until("all are begun", || {
        (scoter.events().len() == paths.len()).then_some(())
    });
    (gate, peers)
}

#[test]
fn second_signal_stops_at_once_and_names_what_it_cuts() {
    for (first, second) in [
        (Signal::SIGTERM, Signal::SIGINT),
        (Signal::SIGTERM, Signal::SIGQUIT),
        (Signal::SIGINT, Signal::SIGINT),
        (Signal::SIGINT, Signal::SIGTERM),
        (Signal::SIGQUIT, Signal::SIGQUIT),
        (Signal::SIGQUIT, Signal::SIGTERM),
    ] {
        let mut scoter = Scoter::serving("streaming").workers("2").start();
        let uris = ["/a?1", "/b?2", "/c?3"];
        let (_never, peers) = begin_waiting(&scoter, &uris);
        scoter.begin_to_stop(first);
        scoter.signal(second);
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        for mut peer in peers {
            assert!(peer.ending().bytes().is_empty());
        }
        assert_cut(&finished.stderr, &uris);
        assert!(!scoter.socket().exists());
        assert_eq!(scoter.family(), []);
    }
}

#[test]
fn term_that_is_sent_twice_cuts_no_request() {
    for args in [&[][..], &["--no-master"]] {
        let scoter = Scoter::serving("streaming").args(["--log-level", "debug"]);
        let mut scoter = scoter.args(args).start();
        let gate = scoter.gate("a");
        let mut peer = scoter.begin("a");
        // To a process and to its group, as service managers do.
        scoter.signal(Signal::SIGTERM);
        scoter.signal(Signal::SIGTERM);
        scoter.wait_for_log("stopping");
        scoter.signal(Signal::SIGTERM);
        scoter.wait_for_log("already stopping");
        gate.open();
        assert_eq!(peer.reply().text(), "waited at a", "{args:?}");
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{args:?}");
        assert!(!finished.stderr.contains("cut"), "{}", finished.stderr);
    }
}

#[test]
fn later_term_stops_at_once() {
    for args in [&[][..], &["--no-master"]] {
        let mut scoter = Scoter::serving("streaming").args(args).start();
        let (_never, _peers) = begin_waiting(&scoter, &["/a?1"]);
        scoter.begin_to_stop(Signal::SIGTERM);
        // Whatever the time that it is the same one for: it is over at last.
        until("the server has stopped", || {
            scoter.signal(Signal::SIGTERM);
            scoter.stderr().contains("stopping at once").then_some(())
        });
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_cut(&finished.stderr, &["/a?1"]);
        for expected in [
            "finishing running requests origin=\"TERM\"",
            "stopping at once reason=\"a second signal came\"",
        ] {
            assert!(finished.stderr.contains(expected), "{}", finished.stderr);
        }
    }
}

#[test]
fn request_that_never_ends_is_cut_at_the_deadline_and_named() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--graceful-timeout", "300ms"])
        .workers("2")
        .start();
    let uris = ["/a?1", "/b?2", "/c?3"];
    let (_never, peers) = begin_waiting(&scoter, &uris);
    let finished = scoter.stop();
    assert!(
        finished.stderr.contains("graceful-timeout"),
        "{}",
        finished.stderr
    );
    for mut peer in peers {
        assert!(peer.ending().bytes().is_empty());
    }
    assert_cut(&finished.stderr, &uris);
    assert!(!scoter.socket().exists());
}

#[test]
fn server_that_drains_is_not_ready_but_serves() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--drain-delay", "10m"])
        .workers("2")
        .start();
    assert_eq!(scoter.command(["status", "--ready"]).code, Some(0));
    scoter.signal(Signal::SIGTERM);
    scoter.wait_for_log("draining");
    let status = scoter.command(["status", "--ready"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stderr.contains("draining"), "{status:?}");
    for _ in 0..20 {
        let reply = scoter.connect().packet(&get("/quick")).reply();
        assert_eq!(reply.text(), "quick");
    }
    scoter.signal(Signal::SIGINT);
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn server_that_has_drained_finishes_its_requests_and_stops() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--drain-delay", "300ms"])
        .start();
    let gate = scoter.gate("a");
    let mut before = scoter.begin("a");
    scoter.begin_to_stop(Signal::SIGTERM);
    gate.open();
    assert_eq!(before.reply().text(), "waited at a");
    assert_eq!(scoter.wait().code, Some(0));
    let log = scoter.stderr();
    let order = ["draining", "stopping: ", "stopped"].map(|words| log.find(words));
    assert!(order.is_sorted() && order[0].is_some(), "{log}");
}

#[test]
fn server_that_is_still_loading_stops() {
    for (signal, master) in [
        (Signal::SIGTERM, &[][..]),
        (Signal::SIGQUIT, &[]),
        (Signal::SIGTERM, &["--no-master"]),
        (Signal::SIGQUIT, &["--no-master"]),
    ] {
        let scoter = Scoter::serving("slow_to_load").args(master);
        let source = "import probe\nprobe.event('loading')\nprobe.wait_at('load')\n";
        fs::write(scoter.folder().join("slow_to_load.py"), source).expect("the test's own folder");
        let _gate = Gate::at(scoter.folder(), "load");
        let mut process = scoter.spawn();
        until("the application is being loaded", || {
            let events = fs::read_to_string(scoter.folder().join("events")).ok()?;
            (events == "loading\n").then_some(())
        });
        process.signal(signal);
        assert_eq!(process.wait().code, Some(0), "{signal} {master:?}");
        assert!(!scoter.folder().join("scoter.sock").exists());
    }
}

#[through_nginx]
fn every_request_that_was_accepted_under_load_is_answered(connections: Connections) {
    // Clients come and come while the server stops: each is answered whole, or nginx says 502 because nobody
    // listens any more.
    for workers in ["1", "2"] {
        let mut site = Site::of(Scoter::serving("streaming").workers(workers), connections);
        let crowd = Crowd::asking(&site, "/quick", 16);
        crowd.wait_for_answers(100);
        site.scoter().signal(Signal::SIGTERM);
        let replies = crowd.turned_away();
        let finished = site.scoter_mut().wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        for reply in &replies {
            assert!(reply.status == 502 || reply.text() == "quick", "{reply:?}");
        }
        let answered = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(finished.stdout.lines().count(), answered);
        // nginx never got half a response, nor none to a request that it could send.
        let log = site.nginx().error_log();
        for line in log.lines().filter(|line| line.contains("[error]")) {
            let not_sent = match connections {
                Connections::Closed => line.contains("connect() to unix:"),
                // A connection that waited may be closed just then: KEEPALIVE.md, "Closing".
                Connections::Kept | Connections::Gateway | Connections::Dev => {
                    line.contains("connect() to unix:")
                        || line.contains("writev() failed (32: Broken pipe)")
                }
            };
            assert!(not_sent, "{line}");
        }
        assert_eq!(site.scoter().family(), []);
    }
}

#[test]
fn connections_in_the_kernels_queue_are_answered_however_long_it_takes() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--threads", "1"])
        .start();
    let gate = scoter.gate("a");
    let mut running = scoter.begin("a");
    let mut queued: Vec<_> = (0..4).map(|_| scoter.connect()).collect();
    for peer in &mut queued {
        peer.packet(&get("/quick"));
    }
    scoter.begin_to_stop(Signal::SIGTERM);
    // The stop lasts longer than it waits for anybody else.
    elapse(Duration::from_millis(1_500));
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    for peer in &mut queued {
        assert_eq!(peer.reply().text(), "quick");
    }
    assert_eq!(scoter.wait().code, Some(0));
}

/// Returns a connection over TCP; nothing where nobody listens any more.
fn connect_over_tcp(address: SocketAddr) -> Option<TcpStream> {
    let stream = match TcpStream::connect_timeout(&address, DEADLINE) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return None,
        connected => connected.expect("accepted or refused"),
    };
    stream
        .set_read_timeout(Some(DEADLINE))
        .expect("not a duration of zero");
    Some(stream)
}

#[test]
fn tcp_newcomer_is_refused_while_a_request_is_finished() {
    // 127.0.0.1 is one interface, 0.0.0.0 and [::] are all of them.
    for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        for master in [&[][..], &["--no-master"][..]] {
            let mut scoter = Scoter::serving("streaming")
                .bind(bind)
                .bind("unix:scoter.sock")
                .args(["--threads", "2", "--allow", "127.0.0.1/32"])
                .args(master)
                .start();
            let address = SocketAddr::from(([127, 0, 0, 1], scoter.tcp_address().port()));
            let gate = scoter.gate("a");
            let mut running = scoter.begin("a");
            scoter.signal(Signal::SIGTERM);
            until("nobody listens", || match connect_over_tcp(address) {
                // Who is not refused is served: a slot is free.
                Some(stream) => {
                    assert_eq!(exchange(stream, &get("/quick")).text(), "quick");
                    None
                }
                None => Some(()),
            });
            gate.open();
            assert_eq!(running.reply().text(), "waited at a");
            assert_eq!(scoter.wait().code, Some(0));
        }
    }
}

#[test]
fn tcp_newcomers_of_a_stop_under_load_are_answered_or_refused() {
    for round in 0..10 {
        let mut scoter = Scoter::serving("streaming")
            .bind("127.0.0.1:0")
            .bind("unix:scoter.sock")
            .workers(["1", "2"][round % 2])
            .args(["--threads", "2"])
            .start();
        let address = scoter.tcp_address();
        let gate = scoter.gate("a");
        let mut running = scoter.begin("a");
        let answers = AtomicUsize::new(0);
        thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        while let Some(stream) = connect_over_tcp(address) {
                            assert_eq!(exchange(stream, &get("/quick")).text(), "quick");
                            answers.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            until("the clients are at work", || {
                (answers.load(Ordering::Relaxed) >= 100).then_some(())
            });
            scoter.signal(Signal::SIGTERM);
            // They are done while the request still runs that the server finishes.
            for client in clients {
                client.join().expect("every client is answered or refused");
            }
        });
        gate.open();
        assert_eq!(running.reply().text(), "waited at a");
        assert_eq!(scoter.wait().code, Some(0));
    }
}

#[test]
fn connections_in_the_queue_of_a_tcp_socket_are_answered_however_long_it_takes() {
    let mut scoter = Scoter::serving("streaming")
        .bind("127.0.0.1:0")
        .bind("unix:scoter.sock")
        .args(["--threads", "1"])
        .start();
    let address = scoter.tcp_address();
    let gate = scoter.gate("a");
    let mut running = scoter.begin("a");
    let queued: Vec<_> = (0..4).map(|_| connect_over_tcp(address)).collect();
    scoter.signal(Signal::SIGTERM);
    until("nobody listens", || {
        connect_over_tcp(address).is_none().then_some(())
    });
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    for stream in queued {
        let stream = stream.expect("connected before the stop");
        assert_eq!(exchange(stream, &get("/quick")).text(), "quick");
    }
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn tcp_port_is_free_again_after_a_stop() {
    let mut scoter = Scoter::serving("hello").bind("127.0.0.1:0").start();
    let address = scoter.tcp_address();
    scoter.stop();
    let scoter = Scoter::serving("hello").bind(address.to_string()).start();
    let stream = connect_over_tcp(address).expect("it listens");
    assert_eq!(exchange(stream, &get("/")).status, 200);
    drop(scoter);
}

#[test]
fn worker_that_is_not_ready_when_the_stop_begins_runs_no_request() {
    // Nobody reads its log, so that it takes long to say that it ends.
    let scoter = Scoter::serving("changing")
        .under(["python3", "-c", READER])
        .with_file("changing.py", "from streaming import application\n")
        .args(["--threads", "1"]);
    let mut scoter = scoter.start();
    let [first, second, load] = ["first", "second", "load"].map(|name| scoter.gate(name));
    let mut busy = scoter.begin("first");
    let mut waiting = scoter.connect();
    waiting.packet(&with(get("/waits"), [("QUERY_STRING", "second")]));
    scoter.put("changing.py", STUFFS_ITS_LOG);
    let master = scoter.status()["pid"].as_i64().expect("a number");
    let master = Pid::from_raw(i32::try_from(master).expect("a process id"));
    scoter.signal(Signal::SIGSTOP);
    until("nobody reads", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", scoter.pid()));
        stat.expect("it runs").contains(") T ").then_some(())
    });
    kill(master, Signal::SIGHUP).expect("it runs");
    scoter.wait_for_event("loading");
    // The master waits for its reader only once.
    kill(master, Signal::SIGUSR1).expect("it runs");
    scoter.status();
    kill(master, Signal::SIGTERM).expect("it runs");
    until("nobody listens", || {
        (!scoter.socket().exists()).then_some(())
    });
    load.open();
    until("only the old worker is left", || {
        (scoter.workers().len() == 1).then_some(())
    });
    first.open();
    second.open();
    assert_eq!(busy.reply().text(), "waited at first");
    assert_eq!(waiting.reply().text(), "waited at second");
    scoter.signal(Signal::SIGCONT);
    assert_eq!(scoter.wait().code, Some(0));
}

/// Fills the pipe that standard error is, and waits to be loaded.
const STUFFS_ITS_LOG: &str = "\
import os
import probe
from streaming import application
os.set_blocking(2, False)
try:
    while os.write(2, b'.' * 4096):
        pass
except BlockingIOError:
    os.set_blocking(2, True)
probe.event('loading')
probe.wait_at('load')
";

#[test]
fn requests_that_the_application_ends_with_its_process_during_a_stop_are_named() {
    let mut scoter = Scoter::serving("workers").args(["--threads", "2"]).start();
    let _never = scoter.gate("never");
    let gate = scoter.gate("a");
    let mut running = scoter.begin("never");
    let mut first = scoter.begin("a");
    let mut exits = scoter.connect();
    exits.packet(&get("/exits"));
    scoter.begin_to_stop(Signal::SIGTERM);
    gate.open();
    assert_eq!(first.reply().text(), "waited at a");
    for peer in [&mut exits, &mut running] {
        assert!(peer.ending().bytes().is_empty());
    }
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_cut(&finished.stderr, &["/exits", "/waits"]);
}

#[test]
fn worker_that_stops_after_another_one_has_nothing_to_warn_of() {
    for bind in ["127.0.0.1:0", "unix:other.sock", "unix:@scoter-{}"] {
        let bind = bind.replace("{}", &std::process::id().to_string());
        let mut scoter = Scoter::serving("streaming")
            .bind("unix:scoter.sock")
            .bind(bind)
            .workers("2")
            .args(["--threads", "1", "--log-level", "debug"])
            .start();
        scoter.wait_for_workers(2);
        let gate = scoter.gate("a");
        let mut running = scoter.begin("a");
        scoter.begin_to_stop(Signal::SIGTERM);
        until("only the busy worker is left", || {
            (scoter.workers().len() == 1).then_some(())
        });
        gate.open();
        assert_eq!(running.reply().text(), "waited at a");
        let log = scoter.wait().stderr;
        let (_, stop) = log.split_once("stopping: ").expect("it stops");
        assert!(!stop.contains("WARN"), "{log}");
    }
}
