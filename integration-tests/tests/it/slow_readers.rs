//! Memory of responses whose readers are slow.

use std::time::Duration;

use integration_tests::{Peer, Scoter, ScoterBuilder, elapse, get, until, with};
use uwsgi_codec::PacketBuilder;

const MB: usize = 1_000_000;

fn serving() -> ScoterBuilder {
    Scoter::serving("transfer").args(["--write-timeout", "10m"])
}

fn asking(len: usize) -> PacketBuilder {
    with(get("/at_once"), [("QUERY_STRING", len.to_string())])
}

fn readers(scoter: &Scoter, count: usize, len: usize) -> Vec<Peer> {
    let mut peers: Vec<_> = (0..count).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        peer.packet(&asking(len));
    }
    peers
}

/// Waits until the number has not changed for a while.
#[track_caller]
fn settled(what: &str, mut number: impl FnMut() -> usize) -> usize {
    let mut seen = Vec::new();
    until(what, || {
        seen.push(number());
        elapse(Duration::from_millis(20));
        let last = &seen[seen.len().saturating_sub(25)..];
        let (least, most) = (last.iter().min()?, last.iter().max()?);
        (last.len() == 25 && most - least < 1_000).then_some(*most)
    })
}

#[test]
fn memory_for_slow_readers_is_bounded_and_freed() {
    let mut scoter = serving().start();
    // Of each thread once, so that its memory is counted before.
    for _ in 0..8 {
        assert_eq!(
            scoter.connect().packet(&asking(8 * MB)).reply().body.len(),
            8 * MB
        );
    }
    let worker = scoter.worker();
    let before = worker.resident_kib();
    let slow = readers(&scoter, 100, 8 * MB);
    let held = settled("nobody gets on any more", || worker.resident_kib());
    // The 64M of --response-buffer, what its four threads wait with, and what they make it of.
    let grown = held.saturating_sub(before);
    assert!(grown < (64 + 4 * 16) * 1_100, "{grown} KiB");
    assert!(grown > 30_000, "{grown} KiB: nobody waits");
    drop(slow);
    // With no further request.
    until("the memory is given back", || {
        (worker.resident_kib() < before + 30_000).then_some(())
    });
    scoter.stop();
}

#[test]
fn slow_readers_beyond_the_memory_hold_a_thread_and_those_within_none() {
    let scoter = serving()
        .args(["--threads", "1", "--response-buffer", "32M"])
        .start();
    // Whatever way a response ends, its bytes come back.
    for round in 0..6 {
        let mut slow = readers(&scoter, 3, 8 * MB);
        assert_eq!(scoter.connect().packet(&asking(10)).reply().body.len(), 10);
        match round % 3 {
            0 => assert_eq!(slow[0].reply().body.len(), 8 * MB),
            1 => drop(slow.pop()),
            _ => {
                slow[1].read(MB);
            }
        }
        drop(slow);
        // Before that their bytes may be taken, and the thread would wait for one of the next.
        until("the end of these responses", || {
            let ended = scoter.stdout().lines().count();
            (ended == 4 * (round + 1)).then_some(())
        });
    }
    let mut slow = readers(&scoter, 5, 8 * MB);
    let mut other = scoter.connect();
    other.packet(&asking(10));
    // Four fit into the memory, the thread waits with the fifth.
    let run = settled("no further request is run", || {
        let requests = &scoter.status()["workers"][0]["requests"];
        requests
            .as_u64()
            .expect("a number")
            .try_into()
            .expect("few")
    });
    assert_eq!(run, 6 * 4 + 5);
    // Nothing is lost.
    for peer in &mut slow {
        assert_eq!(peer.reply().body.len(), 8 * MB);
    }
    assert_eq!(other.reply().body.len(), 10);
}

#[test]
fn response_that_has_been_sent_is_not_kept_for_the_next_request() {
    let scoter = serving().args(["--threads", "1"]).start();
    scoter.connect().packet(&asking(10)).reply();
    let worker = scoter.worker();
    let before = worker.resident_kib();
    assert_eq!(
        scoter
            .connect()
            .packet(&asking(100 * MB))
            .reply()
            .body
            .len(),
        100 * MB
    );
    until("the memory is given back", || {
        (worker.resident_kib() < before + 50_000).then_some(())
    });
}
