//! New and kept connections that wait at the same time: neither waits for all of the others.

use std::path::Path;

use integration_tests::{Peer, Scoter, get, keeping, with};

use crate::kept_connections::{agrees, asking};

/// Kept connections that wait for the only thread.
const KEPT: usize = 40;

/// New connections that do.
const NEW: usize = 10;

/// Which requests are served in which order, if they have all arrived before the thread is free: those on kept
/// connections, and those on new ones at each socket.
fn order(scoter: &Scoter, sockets: &[&Path]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let gate = scoter.gate("busy");
    let mut kept: Vec<Peer> = (0..KEPT).map(|_| scoter.connect()).collect();
    for peer in &mut kept {
        assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
    }
    let mut busy = scoter.connect();
    busy.packet(&keeping(with(get("/waits"), [("QUERY_STRING", "busy")]), 0));
    scoter.wait_for_event("begun busy");
    let (first, others) = kept.split_at_mut(KEPT / 2);
    for peer in first {
        peer.packet(&asking("/number"));
    }
    let connect = |socket: &&Path| -> Vec<Peer> {
        let mut peers: Vec<Peer> = (0..NEW).map(|_| Peer::connect(socket)).collect();
        for peer in &mut peers {
            peer.packet(&asking("/number"));
        }
        peers
    };
    let mut new: Vec<Vec<Peer>> = sockets.iter().map(connect).collect();
    for peer in others {
        peer.packet(&asking("/number"));
    }
    gate.open();
    let numbers = |peers: &mut Vec<Peer>| -> Vec<usize> {
        let numbers = peers.iter_mut().map(|peer| {
            let number = peer.next_reply("GET").text();
            number.parse().expect("a number")
        });
        numbers.collect()
    };
    let kept = numbers(&mut kept);
    (kept, new.iter_mut().map(numbers).collect())
}

#[test]
fn new_connections_have_their_turns_among_many_kept_ones() {
    let scoter = Scoter::serving("kept")
        .workers("1")
        .args(["--threads", "1"])
        .start();
    let (kept, new) = order(&scoter, &[scoter.socket()]);
    // Those that came before the first new connection, and then one for each of them.
    let allowed = |number: usize| KEPT / 2 + 2 * (number + 1);
    for (number, &served) in new[0].iter().enumerate() {
        assert!(served <= allowed(number), "{number}: {new:?}");
    }
    // Nor do those that are kept wait for all new ones.
    for (number, &served) in kept.iter().enumerate() {
        assert!(served <= 2 * (number + 1), "{number}: {kept:?}");
    }
}

#[test]
fn each_listener_has_its_turns_among_many_kept_connections() {
    let builder = Scoter::serving("kept");
    let other = builder.folder().join("other.sock");
    let scoter = builder
        .args(["--bind".into(), format!("unix:{}", other.display())])
        .workers("1")
        .args(["--threads", "1"])
        .start();
    let (_, new) = order(&scoter, &[scoter.socket(), &other]);
    for served in &new {
        for (number, &served) in served.iter().enumerate() {
            let allowed = KEPT / 2 + 4 * (number + 1);
            assert!(served <= allowed, "{number}: {new:?}");
        }
    }
}
