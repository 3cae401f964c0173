//! What an operator is told about connections that wait in the kernel.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::thread;
use std::time::Duration;

use integration_tests::{
    Connections, DEADLINE, Gate, Scoter, ScoterBuilder, Site, elapse, get, until, with,
};
use serde_json::Value;

/// One thread, for which sixteen connections may wait, and one more.
fn serving() -> ScoterBuilder {
    Scoter::serving("workers").args(["--threads", "1", "--backlog", "16"])
}

/// The same on one other socket. The control socket is where it would be.
fn alone(address: String) -> ScoterBuilder {
    let scoter = serving().unbound().bind(address);
    let mut control = scoter.folder().join("scoter.sock").into_os_string();
    control.push(".control");
    scoter.args(["--control".into(), control])
}

/// The kernel's queue of the only listener: how many wait, and how many may.
fn queue(scoter: &Scoter) -> (Value, Value) {
    let listener = &scoter.status()["listeners"][0];
    (listener["waiting"].clone(), listener["capacity"].clone())
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// A way to reach a server.
type Connect<'a> = &'a dyn Fn(&Scoter) -> Box<dyn Stream>;

#[test]
fn status_counts_who_waits_in_the_kernel() {
    let name = format!("scoter-test-{}", std::process::id());
    let to_path = |scoter: &Scoter| -> Box<dyn Stream> {
        let stream = UnixStream::connect(scoter.socket()).expect("listening");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        Box::new(stream)
    };
    let to_name = |_: &Scoter| -> Box<dyn Stream> {
        let address = SocketAddr::from_abstract_name(&name).expect("short");
        let stream = UnixStream::connect_addr(&address).expect("listening");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        Box::new(stream)
    };
    let to_port = |scoter: &Scoter| -> Box<dyn Stream> {
        let stream = TcpStream::connect(scoter.tcp_address()).expect("listening");
        stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
        Box::new(stream)
    };
    let connects: [(ScoterBuilder, Connect<'_>); 3] = [
        (serving(), &to_path),
        (alone(format!("unix:@{name}")), &to_name),
        (alone("127.0.0.1:0".to_owned()), &to_port),
    ];
    let first = with(get("/waits"), [("QUERY_STRING", "open")]).to_vec();
    let (first, quick) = (first.expect("fits"), get("/quick").to_vec().expect("fits"));
    for (scoter, connect) in connects {
        let scoter = scoter.start();
        assert_eq!(queue(&scoter), (0.into(), 17.into()));
        let gate = scoter.gate("open");
        let peers = [&first, &quick, &quick, &quick].map(|packet| {
            let mut peer = connect(&scoter);
            peer.write_all(packet).expect("room");
            peer
        });
        until("one runs and three wait", || {
            (queue(&scoter) == (3.into(), 17.into())).then_some(())
        });
        let shown = scoter.command(["status"]).stdout;
        assert!(shown.contains(", waiting 3 of 17\n"), "{shown}");
        gate.open();
        for mut peer in peers {
            let mut reply = String::new();
            peer.read_to_string(&mut reply).expect("a reply");
            assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
        }
        assert_eq!(queue(&scoter), (0.into(), 17.into()));
    }
}

#[test]
fn overload_is_logged_when_it_begins_and_when_it_is_over() {
    for options in [&[][..], &["--no-master"]] {
        let site = Site::of(serving().args(options), Connections::Closed);
        let scoter = site.scoter();
        let gate = scoter.gate("open");
        let mut first = scoter.connect();
        first.packet(&with(get("/waits"), [("QUERY_STRING", "open")]));
        scoter.wait_for_event("begun open");
        let client = site.client();
        let replies: Vec<_> = thread::scope(|scope| {
            let asking = [(); 30].map(|()| scope.spawn(|| client.get("/quick").status));
            let full = scoter.wait_for_log("connections are refused");
            for part in [
                " WARN ",
                "address=unix:",
                "waiting=17 capacity=17",
                "--backlog",
                "--threads",
            ] {
                assert!(full.contains(part), "{part}: {full}");
            }
            gate.open();
            let replies = asking.into_iter().map(|asking| asking.join());
            replies.map(|status| status.expect("an answer")).collect()
        });
        assert_eq!(first.reply().status, 200);
        let served = replies.iter().filter(|status| **status == 200).count();
        let refused = replies.iter().filter(|status| **status == 502).count();
        assert_eq!((served, refused), (17, 13), "{replies:?}");
        let over = scoter.wait_for_log("the overload is over");
        assert!(over.contains("longest=17"), "{over}");
        assert_eq!(scoter.log_lines("connections are refused").len(), 1);
    }
}

#[test]
fn growing_queue_is_logged_when_there_are_as_many_workers_as_may() {
    let scoter = Scoter::serving("workers");
    let scoter = scoter.workers("1..2").args(["--threads", "1"]).start();
    let gates = ["a", "b"].map(|name| scoter.gate(name));
    let mut peers = ["a", "b"].map(|name| {
        let mut peer = scoter.connect();
        peer.packet(&with(get("/waits"), [("QUERY_STRING", name)]));
        peer
    });
    for name in ["a", "b"] {
        scoter.wait_for_event(&format!("begun {name}"));
    }
    assert_eq!(scoter.log_lines("more and more connections wait").len(), 0);
    let waiting: Vec<_> = (1..=3)
        .map(|count: u64| {
            let mut peer = scoter.connect();
            peer.packet(&get("/quick"));
            // Longer than the interval between two looks at the queue.
            elapse(Duration::from_millis(600));
            assert_eq!(queue(&scoter).0, count);
            peer
        })
        .collect();
    let line = scoter.wait_for_log("more and more connections wait");
    assert!(
        line.contains("waiting=3") && line.contains("--workers"),
        "{line}"
    );
    gates.iter().for_each(Gate::open);
    for mut peer in waiting {
        assert_eq!(peer.reply().status, 200);
    }
    for peer in &mut peers {
        assert_eq!(peer.reply().status, 200);
    }
}
