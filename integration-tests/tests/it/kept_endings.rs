//! Reloads, recycling, scaling and stops while connections are kept: no request is lost.

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use integration_tests::{Gate, Peer, Scoter, get, keeping, until, with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kept_connections::{agrees, asking, figure, posting};

/// Sends GET and POST in turns over one connection after the other, for as long as `runs`. Every request has to be
/// answered: a connection ends only where the response has said so.
fn exchange_all(scoter: &Scoter, runs: &AtomicBool, answered: &AtomicUsize) -> io::Result<()> {
    let mut connection: Option<Peer> = None;
    let mut number = 0_usize;
    while runs.load(Ordering::Relaxed) {
        let mut peer = connection.take().unwrap_or_else(|| scoter.connect());
        number += 1;
        let (method, request, expected) = match number % 2 {
            0 => ("POST", posting("/body", b"posted"), "posted"),
            _ => ("GET", asking("/text").to_vec().expect("fits"), "text"),
        };
        peer.try_send(&request)?;
        let reply = peer.try_next_reply(method)?;
        if reply.text() != expected {
            return Err(io::Error::other(reply.text()));
        }
        answered.fetch_add(1, Ordering::Relaxed);
        connection = agrees(&reply).then_some(peer);
        if number % 10 == 0 {
            // Now and then nothing is under way.
            thread::sleep(Duration::from_micros(300));
        }
    }
    Ok(())
}

/// Runs `during` while eight clients exchange GET and POST.
fn lose_nothing(scoter: &Scoter, during: impl FnOnce()) {
    let (runs, answered) = (AtomicBool::new(true), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| exchange_all(scoter, &runs, &answered)))
            .collect();
        let wait_for_more = |count| {
            let before = answered.load(Ordering::Relaxed);
            until("answers", || {
                (answered.load(Ordering::Relaxed) >= before + count).then_some(())
            });
        };
        wait_for_more(200);
        during();
        wait_for_more(200);
        runs.store(false, Ordering::Relaxed);
        for client in clients {
            client
                .join()
                .expect("no panic")
                .expect("no request is lost");
        }
    });
}

/// The same while a signal brings one generation after the other.
fn lose_nothing_in_generations(scoter: &Scoter, signal: Signal, generations: RangeInclusive<u32>) {
    lose_nothing(scoter, || {
        for generation in generations {
            scoter.signal(signal);
            scoter.wait_for_log(&format!("reloaded generation={generation}"));
        }
    });
}

#[test]
fn reloads_lose_no_request_on_kept_connections() {
    let scoter = Scoter::serving("kept").workers("2").start();
    scoter.wait_for_workers(2);
    lose_nothing(&scoter, || {
        for generation in 2..=11 {
            scoter.signal(Signal::SIGHUP);
            scoter.wait_for_log(&format!("reloaded generation={generation}"));
        }
    });
    assert!(figure(&scoter, "passed_on") > 0);
    assert!(figure(&scoter, "reused") > 100);
}

#[test]
fn reload_of_a_single_worker_loses_no_request() {
    let scoter = Scoter::serving("kept")
        .workers("1")
        .args(["--threads", "2"])
        .start();
    lose_nothing_in_generations(&scoter, Signal::SIGHUP, 2..=6);
}

#[test]
fn upgrades_lose_no_request() {
    let scoter = Scoter::serving("kept").workers("2").start();
    scoter.wait_for_workers(2);
    lose_nothing_in_generations(&scoter, Signal::SIGUSR2, 2..=4);
}

#[test]
fn recycling_loses_no_request() {
    let scoter = Scoter::serving("kept")
        .workers("2")
        .args(["--max-requests", "300", "--recycle-jitter", "0%"])
        .start();
    scoter.wait_for_workers(2);
    lose_nothing(&scoter, || {
        until("workers have been replaced", || {
            let replaced = scoter.status()["totals"]["replaced"].as_u64();
            (replaced >= Some(4)).then_some(())
        });
    });
}

#[test]
fn scaling_loses_no_request() {
    let scoter = Scoter::serving("kept").workers("4").start();
    scoter.wait_for_workers(4);
    lose_nothing(&scoter, || {
        for number in ["1", "3", "1"] {
            assert_eq!(scoter.command(["scale", number]).code, Some(0));
            scoter.wait_for_workers(number.parse().expect("a number"));
        }
    });
}

#[test]
fn connections_for_which_the_last_worker_has_no_place_are_not_closed() {
    let scoter = Scoter::serving("kept")
        .workers("2")
        .args(["--threads", "1", "--keep-alive", "20"])
        .start();
    scoter.wait_for_workers(2);
    let gate = scoter.gate("busy");
    let keep_busy = |peer: &mut Peer, begun: usize| {
        let waiting = with(get("/who_waits"), [("QUERY_STRING", "busy")]);
        peer.packet(&keeping(waiting, 0));
        until("it has begun", || {
            (scoter.events().len() == begun).then_some(())
        });
    };
    // Fifteen of the one worker while the other is busy, and the reverse.
    let mut first = scoter.connect();
    keep_busy(&mut first, 1);
    let mut peers: Vec<Peer> = (0..15).map(|_| kept(&scoter)).collect();
    gate.open();
    assert!(agrees(&first.next_reply("GET")));
    keep_busy(&mut peers[0], 2);
    peers.extend((0..15).map(|_| kept(&scoter)));
    gate.open();
    assert!(agrees(&peers[0].next_reply("GET")));
    assert_eq!(scoter.command(["scale", "1"]).code, Some(0));
    scoter.wait_for_workers(1);
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.send(posting("/body", b"posted"));
        let reply = peer.next_reply("POST");
        assert_eq!((reply.status, &*reply.text()), (200, "posted"), "{number}");
    }
}

#[test]
fn idle_connection_of_an_old_generation_reaches_new_code() {
    let scoter = Scoter::serving("changing")
        .with_file(
            "changing.py",
            "import versions\napplication = versions.serving(1)\n",
        )
        .workers("2")
        .start();
    scoter.wait_for_workers(2);
    let mut peers: Vec<_> = (0..20).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        let reply = peer.packet(&asking("/version")).next_reply("GET");
        assert!(agrees(&reply) && reply.text() == "1", "{reply:?}");
    }
    scoter.put(
        "changing.py",
        "import versions\napplication = versions.serving(2)\n",
    );
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    for peer in &mut peers {
        let reply = peer.packet(&asking("/version")).next_reply("GET");
        assert!(agrees(&reply) && reply.text() == "2", "{reply:?}");
    }
}

#[test]
fn stop_closes_idle_connections_and_answers_what_runs() {
    for master in [true, false] {
        let scoter = Scoter::serving("kept").args(["--threads", "2"]);
        let mut scoter = match master {
            true => scoter.start(),
            false => scoter.args(["--no-master"]).start(),
        };
        let gate = scoter.gate("last");
        let mut idle: Vec<_> = (0..5).map(|_| scoter.connect()).collect();
        for peer in &mut idle {
            assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
        }
        let mut busy = scoter.connect();
        busy.packet(&keeping(with(get("/waits"), [("QUERY_STRING", "last")]), 0));
        scoter.wait_for_event("begun last");
        let start = Instant::now();
        scoter.begin_to_stop(Signal::SIGTERM);
        for peer in &mut idle {
            assert_eq!(peer.ending().bytes(), b"");
            // Nothing can be lost any more.
            assert!(peer.try_send(b"more").is_err());
        }
        gate.open();
        assert_eq!(busy.next_reply("GET").text(), "waited at last");
        assert_eq!(busy.ending().bytes(), b"");
        scoter.wait();
        let elapsed = start.elapsed();
        assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    }
}

#[test]
fn request_that_comes_with_the_stop_is_answered_or_not_taken() {
    for _ in 0..10 {
        let scoter = Scoter::serving("kept").workers("2").start();
        scoter.wait_for_workers(2);
        let mut peers: Vec<_> = (0..16).map(|_| scoter.connect()).collect();
        for peer in &mut peers {
            assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
        }
        scoter.signal(Signal::SIGTERM);
        for peer in &mut peers {
            // Who could send it gets an answer.
            if peer.try_send(&posting("/body", b"posted")).is_ok() {
                let reply = peer.next_reply("POST");
                assert_eq!(reply.text(), "posted");
            }
        }
    }
}

#[test]
fn stop_answers_an_upload_that_waits_for_the_only_thread() {
    for master in [true, false] {
        let scoter = Scoter::serving("kept").args(["--threads", "1"]);
        let mut scoter = match master {
            true => scoter.workers("1").start(),
            false => scoter.args(["--no-master"]).start(),
        };
        let (mut uploading, mut idle) = (kept(&scoter), kept(&scoter));
        let gate = scoter.gate("only");
        let mut busy = scoter.begin("only");
        let (upload, body) = large_upload();
        let (begun, rest) = upload.split_at(BEGUN);
        uploading.send(begun);
        scoter.begin_to_stop(Signal::SIGTERM);
        // The connections are closed in the order in which they were kept.
        assert_eq!(idle.ending().bytes(), b"");
        gate.open();
        uploading.send(rest);
        let reply = uploading.next_reply("POST");
        assert!(reply.status == 200 && reply.body == body, "{master}");
        assert_eq!(busy.reply().text(), "waited at only");
        assert_eq!(uploading.ending().bytes(), b"");
        scoter.wait();
    }
}

#[test]
fn upload_that_waits_for_the_only_thread_is_not_idle() {
    let scoter = Scoter::serving("kept")
        .workers("1")
        .args(["--threads", "1", "--keep-alive-timeout", "2s"])
        .start();
    let (mut uploading, mut idle) = (kept(&scoter), kept(&scoter));
    let gate = scoter.gate("only");
    let mut busy = scoter.begin("only");
    let (upload, body) = large_upload();
    let (begun, rest) = upload.split_at(BEGUN);
    uploading.send(begun);
    // Its wait began later.
    assert_eq!(idle.ending().bytes(), b"");
    gate.open();
    uploading.send(rest);
    let reply = uploading.next_reply("POST");
    assert!(
        reply.status == 200 && reply.body == body,
        "{}",
        reply.status
    );
    assert_eq!(busy.reply().text(), "waited at only");
}

/// Two busy workers, and requests in the queue between them.
struct Waiting {
    scoter: Scoter,
    requests: Vec<Peer>,
    /// The process of each worker, and what it is busy with.
    busy: Vec<(Pid, Peer, Gate)>,
}

impl Waiting {
    fn new() -> Self {
        let scoter = Scoter::serving("kept")
            .workers("2")
            .args(["--threads", "1", "--log-level", "debug"])
            .start();
        scoter.wait_for_workers(2);
        let mut requests: Vec<_> = (0..20).map(|_| kept(&scoter)).collect();
        let busy = ["one", "two"].map(|name| {
            let gate = scoter.gate(name);
            let mut peer = scoter.connect();
            let before = scoter.events().len();
            peer.packet(&with(get("/who_waits"), [("QUERY_STRING", name)]));
            let pid = until("it has begun", || {
                let event = scoter.events().get(before)?.clone();
                event.strip_prefix("begun in ")?.parse().ok()
            });
            (Pid::from_raw(pid), peer, gate)
        });
        for peer in &mut requests {
            peer.send(posting("/body", b"posted"));
        }
        until("all wait in the queue", || {
            (figure(&scoter, "passed_on") == 20).then_some(())
        });
        Self {
            scoter,
            requests,
            busy: busy.into(),
        }
    }
}

#[test]
fn retiring_worker_that_a_stop_finds_leaves_the_queue_to_the_last_one() {
    let mut waiting = Waiting::new();
    let scoter = &mut waiting.scoter;
    assert_eq!(scoter.command(["scale", "1"]).code, Some(0));
    let retiring = until("a worker retires", || {
        let workers = scoter.workers();
        let retiring = workers.iter().find(|worker| worker.phase == "retiring");
        retiring.map(|worker| worker.pid())
    });
    scoter.begin_to_stop(Signal::SIGTERM);
    scoter.wait_for_log("so do all other workers");
    let is_retiring = |pid: Pid| pid == retiring;
    waiting.busy.sort_by_key(|(pid, ..)| !is_retiring(*pid));
    for (pid, peer, gate) in &mut waiting.busy {
        gate.open();
        assert_eq!(peer.reply().text(), pid.to_string());
        until("it has ended, unless it is the last", || {
            let workers = scoter.workers();
            let is_there = workers.iter().any(|worker| worker.pid() == *pid);
            (!is_retiring(*pid) || !is_there).then_some(())
        });
    }
    for peer in &mut waiting.requests {
        let reply = peer.next_reply("POST");
        assert_eq!((reply.status, &*reply.text()), (200, "posted"));
    }
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn requests_whose_last_worker_is_killed_during_a_stop_are_refused() {
    let mut waiting = Waiting::new();
    let scoter = &mut waiting.scoter;
    scoter.begin_to_stop(Signal::SIGTERM);
    for (pid, ..) in &waiting.busy {
        kill(*pid, Signal::SIGKILL).expect("it runs");
    }
    for peer in &mut waiting.requests {
        let reply = peer.reply();
        assert_eq!(reply.status, 503);
        assert_eq!(reply.header("Retry-After"), Some("1"));
    }
    let log = scoter.wait().stderr;
    let refused = "requests refused: the last worker ended before it could serve them refused=20";
    assert!(log.contains(refused), "{log}");
    assert_eq!(
        log.matches("request lost with its worker").count(),
        2,
        "{log}"
    );
}

/// A connection that has served a request and is kept.
fn kept(scoter: &Scoter) -> Peer {
    let mut peer = scoter.connect();
    assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
    peer
}

/// A request whose body does not fit into a socket, and the body.
fn large_upload() -> (Vec<u8>, Vec<u8>) {
    let body = vec![b'z'; 2_000_000];
    (posting("/body", &body), body)
}

/// So much of it fits.
const BEGUN: usize = 50_000;
