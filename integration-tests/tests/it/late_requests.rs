//! `--queue-timeout` while every thread is busy: late requests are answered all the same, and nobody else is passed over.

use std::time::{Duration, Instant};

use integration_tests::{
    Connections, Gate, Peer, Scoter, ScoterBuilder, Site, elapse, get, keeping, passed_on, post,
    through_nginx, until, with,
};
use nix::sys::signal::Signal;
use uwsgi_codec::PacketBuilder;

fn serving(options: &[&str]) -> ScoterBuilder {
    Scoter::serving("limits")
        .args(["--threads", "1"])
        .args(options)
}

/// A request that the application reports as `got NAME`, handed over just now by a front end's clock.
fn request(name: &str) -> PacketBuilder {
    passed_on(with(get("/"), [("QUERY_STRING", name)]), Duration::ZERO)
}

#[track_caller]
fn send(scoter: &Scoter, packet: &PacketBuilder) -> Peer {
    let mut peer = scoter.connect();
    peer.packet(packet);
    peer
}

/// Keeps a thread busy until its gate is opened.
#[track_caller]
fn occupy(scoter: &Scoter, name: &str) -> (Gate, Peer) {
    let gate = scoter.gate(name);
    let busy = send(scoter, &with(get("/waits"), [("QUERY_STRING", name)]));
    scoter.wait_for_event(&format!("got {name}"));
    (gate, busy)
}

fn got(scoter: &Scoter, name: &str) -> bool {
    let events = scoter.events();
    events.iter().any(|event| *event == format!("got {name}"))
}

/// Waits until a connection is held: the kernel's queue is one shorter than the clients that wait.
#[track_caller]
fn wait_until_held(scoter: &Scoter, waiting: u64) {
    until("one is held", || {
        let listener = &scoter.status()["listeners"][0];
        (listener["waiting"] == waiting - 1).then_some(())
    });
}

#[track_caller]
fn assert_late(scoter: &Scoter, peer: &mut Peer, name: &str) {
    let reply = peer.reply();
    assert_eq!(
        (reply.status, reply.header("Retry-After")),
        (503, Some("1"))
    );
    assert!(reply.text().contains("--queue-timeout"), "{}", reply.text());
    assert!(!got(scoter, name));
}

#[test]
fn late_request_is_answered_while_every_thread_is_busy() {
    for options in [&["--no-master"][..], &[]] {
        let options = [options, &["--queue-timeout", "300ms"]].concat();
        let mut scoter = serving(&options).start();
        let (gate, mut busy) = occupy(&scoter, "busy");
        for name in ["late", "also-late"] {
            let begun = Instant::now();
            let mut late = send(&scoter, &request(name));
            assert_late(&scoter, &mut late, name);
            assert!(begun.elapsed() >= Duration::from_millis(290));
        }
        // Many that came at the same time, and one that had come to the front end long ago.
        let mut crowd: Vec<_> = (0..50).map(|_| send(&scoter, &request("crowd"))).collect();
        let long_ago = passed_on(get("/"), Duration::from_secs(20));
        crowd.push(send(&scoter, &long_ago));
        for late in &mut crowd {
            assert_late(&scoter, late, "crowd");
        }
        gate.open();
        assert_eq!(busy.reply().text(), "got busy");
        let mut next = send(&scoter, &request("next"));
        assert_eq!(next.reply().text(), "got next");
        let log = scoter.stop().stderr;
        let counts = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once("longer than --queue-timeout count=")?;
            rest.split_whitespace().next()?.parse::<u32>().ok()
        });
        assert_eq!(counts.sum::<u32>(), 53, "{log}");
    }
}

#[through_nginx]
fn late_request_is_answered_through_nginx(connections: Connections) {
    let scoter = serving(&["--queue-timeout", "500ms"]).workers("2");
    let site = Site::of(scoter, connections);
    // So that there are connections to keep.
    for _ in 0..4 {
        assert_eq!(site.get("/?first").status, 200);
    }
    let scoter = site.scoter();
    let busy = ["a", "b"].map(|name| occupy(scoter, name));
    let client = site.client();
    std::thread::scope(|scope| {
        let asking = [(); 8].map(|()| scope.spawn(|| client.get("/?late").status));
        let statuses = asking.map(|asking| asking.join().expect("an answer"));
        assert_eq!(statuses, [503; 8]);
    });
    assert!(!got(scoter, "late"));
    for (gate, mut peer) in busy {
        gate.open();
        assert_eq!(peer.reply().status, 200);
    }
    assert_eq!(site.get("/?next").text(), "got next");
}

#[test]
fn whoever_is_free_first_takes_the_oldest() {
    for free in [0, 1] {
        let scoter = serving(&["--queue-timeout", "1h"]).workers("2").start();
        let mut busy = ["a", "b"].map(|name| Some(occupy(&scoter, name)));
        let mut waiting: Vec<_> = (1..=4_u64)
            .map(|count| {
                let peer = send(&scoter, &request(&format!("waiting-{count}")));
                wait_until_held(&scoter, count);
                peer
            })
            .collect();
        let (gate, mut peer) = busy[free].take().expect("the first time");
        gate.open();
        assert_eq!(peer.reply().status, 200);
        for (peer, count) in waiting.iter_mut().zip(1..) {
            assert_eq!(peer.reply().text(), format!("got waiting-{count}"));
        }
        let events = scoter.events();
        let order: Vec<_> = events.iter().filter(|it| it.contains("waiting")).collect();
        let expected = (1..=4).map(|count| format!("got waiting-{count}"));
        assert_eq!(
            order,
            expected.collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
        let (gate, mut peer) = busy[1 - free].take().expect("the first time");
        gate.open();
        assert_eq!(peer.reply().status, 200);
    }
}

#[test]
fn request_that_comes_after_its_connection_was_accepted_is_served_by_whoever_is_free() {
    let packet = request("newcomer").to_vec().expect("fits");
    for (free, before) in [(0, 0), (1, 0), (0, 10), (1, 10)] {
        let scoter = serving(&["--queue-timeout", "1h"]).workers("2").start();
        let mut busy = ["a", "b"].map(|name| Some(occupy(&scoter, name)));
        let mut newcomer = scoter.connect();
        newcomer.send(&packet[..before]);
        until("one of the busy workers has accepted it", || {
            (scoter.status()["listeners"][0]["waiting"] == 0).then_some(())
        });
        let (gate, mut peer) = busy[free].take().expect("the first time");
        gate.open();
        assert_eq!(peer.reply().status, 200);
        newcomer.send(&packet[before..]);
        assert_eq!(newcomer.reply().text(), "got newcomer");
        let (gate, mut peer) = busy[1 - free].take().expect("the first time");
        gate.open();
        assert_eq!(peer.reply().status, 200);
    }
}

#[test]
fn client_that_leaves_within_its_packet_keeps_nobody_waiting() {
    let packet = request("part").to_vec().expect("fits");
    let scoter = serving(&["--queue-timeout", "300ms"]).workers("1").start();
    let (gate, mut busy) = occupy(&scoter, "busy");
    for (count, closes) in [(1, true), (2, false)] {
        let mut part = scoter.connect();
        part.send(&packet[..10]);
        until("it is accepted", || {
            (scoter.status()["listeners"][0]["waiting"] == 0).then_some(())
        });
        match closes {
            true => drop(part),
            // It still reads.
            false => drop(part.finish().ending()),
        }
        until("it is counted", || {
            (scoter.status()["totals"]["peers_gone"] == count).then_some(())
        });
        let mut late = send(&scoter, &request("late"));
        assert_late(&scoter, &mut late, "late");
    }
    gate.open();
    assert_eq!(busy.reply().status, 200);
}

#[test]
fn held_request_survives_a_reload_and_the_death_of_its_worker() {
    let scoter = serving(&["--queue-timeout", "1h"]).start();
    let (gate, mut busy) = occupy(&scoter, "busy");
    let mut first = send(&scoter, &request("reloaded"));
    wait_until_held(&scoter, 1);
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    assert_eq!(first.reply().text(), "got reloaded");
    gate.open();
    assert_eq!(busy.reply().status, 200);

    let (_gate, _lost) = occupy(&scoter, "killed");
    let mut second = send(&scoter, &request("survived"));
    wait_until_held(&scoter, 1);
    let workers = scoter.wait_for_workers(1);
    workers[0].signal(Signal::SIGKILL);
    assert_eq!(second.reply().text(), "got survived");
}

#[test]
fn held_request_is_served_by_a_stop() {
    let mut scoter = serving(&["--queue-timeout", "1h"]).workers("2").start();
    let busy = ["a", "b"].map(|name| occupy(&scoter, name));
    let mut held = send(&scoter, &request("held"));
    wait_until_held(&scoter, 1);
    scoter.begin_to_stop(Signal::SIGTERM);
    for (gate, mut peer) in busy {
        gate.open();
        assert_eq!(peer.reply().status, 200);
    }
    assert_eq!(held.reply().text(), "got held");
    scoter.stop();
}

#[test]
fn late_request_needs_no_body_and_no_clock_to_be_answered() {
    let scoter = serving(&["--queue-timeout", "300ms"]).start();
    let (gate, mut busy) = occupy(&scoter, "busy");
    // Of the body nothing comes before the answer.
    let body = with(post("/", 100_000), [("QUERY_STRING", "body")]);
    let mut body = send(&scoter, &passed_on(body, Duration::ZERO));
    assert_late(&scoter, &mut body, "body");
    // The server sees by itself how long it has held a request.
    let mut clockless = send(&scoter, &with(get("/"), [("QUERY_STRING", "clockless")]));
    assert_late(&scoter, &mut clockless, "clockless");
    // Also if it came after its connection was accepted.
    let mut connected = scoter.connect();
    until("it is accepted", || {
        (scoter.status()["listeners"][0]["waiting"] == 0).then_some(())
    });
    connected.packet(&with(get("/"), [("QUERY_STRING", "clockless")]));
    assert_late(&scoter, &mut connected, "clockless");
    gate.open();
    assert_eq!(busy.reply().status, 200);
}

#[test]
fn request_that_became_complete_while_every_thread_was_busy_is_answered() {
    let scoter = serving(&["--queue-timeout", "300ms"]).start();
    let packet = request("parts").to_vec().expect("fits");
    let mut parts = scoter.connect();
    parts.send(&packet[..10]);
    // The slot hands it to the reactor before it takes the next one.
    let (gate, mut busy) = occupy(&scoter, "busy");
    parts.send(&packet[10..]);
    assert_late(&scoter, &mut parts, "parts");
    gate.open();
    assert_eq!(busy.reply().status, 200);
}

#[test]
fn client_that_leaves_is_counted_and_never_run() {
    let scoter = serving(&["--queue-timeout", "300ms"]).start();
    let (gate, mut busy) = occupy(&scoter, "busy");
    drop(send(&scoter, &request("gone")));
    until("it is counted", || {
        (scoter.status()["totals"]["peers_gone"] == 1).then_some(())
    });
    gate.open();
    assert_eq!(busy.reply().status, 200);
    assert!(!got(&scoter, "gone"));
}

#[test]
fn late_request_on_a_kept_connection_is_answered() {
    let options = ["--keep-alive", "8", "--queue-timeout", "300ms"];
    for master in [&["--no-master"][..], &[]] {
        let scoter = serving(&[master, &options].concat()).start();
        let mut kept = send(&scoter, &keeping(request("first"), 0));
        assert_eq!(kept.next_reply("GET").text(), "got first");
        let (gate, mut busy) = occupy(&scoter, "busy");
        kept.packet(&keeping(request("late"), 0));
        assert_late(&scoter, &mut kept, "late");
        gate.open();
        assert_eq!(busy.reply().status, 200);
    }
}

#[test]
fn answer_comes_within_a_tenth_of_a_second_on_an_idle_machine() {
    let scoter = serving(&["--queue-timeout", "300ms"]).start();
    let (gate, mut busy) = occupy(&scoter, "busy");
    // The machine may be busy with something else now and then.
    let quick = (0..20).any(|_| {
        elapse(Duration::from_millis(20));
        let begun = Instant::now();
        let mut late = send(&scoter, &request("late"));
        assert_late(&scoter, &mut late, "late");
        begun.elapsed() < Duration::from_millis(400)
    });
    assert!(quick);
    gate.open();
    assert_eq!(busy.reply().status, 200);
}

#[test]
fn lack_of_a_clock_is_logged_once_with_the_line_for_nginx() {
    const WARNING: &str = "uwsgi_param HTTP_X_REQUEST_START";
    let alone = serving(&["--no-master", "--queue-timeout", "5s"]);
    let two_workers = serving(&["--queue-timeout", "5s"]).workers("2");
    for scoter in [alone, two_workers] {
        let mut scoter = scoter.start();
        for _ in 0..60 {
            assert_eq!(send(&scoter, &get("/")).reply().status, 200);
        }
        let line = scoter.wait_for_log(WARNING);
        assert!(
            line.contains(" WARN ") && line.contains("t=${msec}"),
            "{line}"
        );
        let log = scoter.stop().stderr;
        assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    }
    let mut scoter = serving(&["--queue-timeout", "5s"]).start();
    for _ in 0..30 {
        assert_eq!(send(&scoter, &request("told")).reply().status, 200);
    }
    let log = scoter.stop().stderr;
    assert!(!log.contains(WARNING), "{log}");
}
