//! A request on a kept connection does not wait for a busy worker while another one is idle.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use integration_tests::{Peer, Scoter, get, keeping, until, with};

use crate::kept_connections::{agrees, asking, figure};

fn waiting_at(gate: &str) -> uwsgi_codec::PacketBuilder {
    keeping(with(get("/waits"), [("QUERY_STRING", gate)]), 0)
}

/// Eight kept connections of one worker, and the id of its process.
fn many_of_a_worker(scoter: &Scoter) -> (String, Vec<Peer>) {
    let mut by_worker: BTreeMap<String, Vec<Peer>> = BTreeMap::new();
    loop {
        let mut peer = scoter.connect();
        let reply = peer.packet(&asking("/who")).next_reply("GET");
        assert!(agrees(&reply));
        let peers = by_worker.entry(reply.text()).or_default();
        peers.push(peer);
        if peers.len() == 8 {
            return (reply.text(), std::mem::take(peers));
        }
    }
}

#[test]
fn request_for_a_busy_worker_is_served_by_another() {
    let scoter = Scoter::serving("kept")
        .workers("2")
        .args(["--threads", "2"])
        .start();
    scoter.wait_for_workers(2);
    let gate = scoter.gate("slow");
    let (busy, mut there) = many_of_a_worker(&scoter);
    let mut there_too = there.split_off(4);
    let here = format!("begun in {busy}");
    let mut waiting = 0;
    // A slot that does not get to run for some milliseconds is passed over: as many as it takes.
    until("both threads are busy", || {
        let events = scoter.events();
        let begun = events.iter().filter(|event| event.starts_with("begun"));
        let (here, others): (Vec<_>, Vec<_>) = begun.partition(|event| **event == here);
        if here.len() + others.len() == waiting && here.len() < 2 {
            there[waiting].packet(&with(
                keeping(get("/who_waits"), 0),
                [("QUERY_STRING", "slow")],
            ));
            waiting += 1;
        }
        (here.len() == 2).then_some(())
    });
    let before = figure(&scoter, "passed_on");
    let start = Instant::now();
    for peer in &mut there_too {
        peer.packet(&asking("/who"));
    }
    for peer in &mut there_too {
        let reply = peer.next_reply("GET");
        assert!(agrees(&reply) && reply.text() != busy, "{reply:?}");
    }
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
    assert_eq!(figure(&scoter, "passed_on") - before, 4);
    gate.open_for(waiting);
    for peer in &mut there[..waiting] {
        assert!(agrees(&peer.next_reply("GET")));
    }
    // They have moved for good.
    assert_eq!(figure(&scoter, "passed_on") - before, 4);
    for peer in there[..waiting].iter_mut().chain(&mut there_too) {
        assert!(agrees(&peer.packet(&asking("/who")).next_reply("GET")));
    }
}

#[test]
fn whoever_is_free_first_takes_a_request_where_all_are_busy() {
    let scoter = Scoter::serving("kept")
        .workers("2")
        .args(["--threads", "1"])
        .start();
    scoter.wait_for_workers(2);
    let gates = [scoter.gate("one"), scoter.gate("two")];
    let mut peers: Vec<Peer> = (0..6).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
    }
    let (busy, others) = peers.split_at_mut(2);
    busy[0].packet(&waiting_at("one"));
    scoter.wait_for_event("begun one");
    busy[1].packet(&waiting_at("two"));
    scoter.wait_for_event("begun two");
    for peer in others.iter_mut() {
        peer.packet(&asking("/text"));
    }
    // All of them wait in the queue for both.
    until("they have been passed on", || {
        (figure(&scoter, "passed_on") >= 4).then_some(())
    });
    gates[1].open();
    for peer in others {
        assert!(agrees(&peer.next_reply("GET")));
    }
    gates[0].open();
    for peer in busy {
        assert!(agrees(&peer.next_reply("GET")));
        assert!(agrees(&peer.packet(&asking("/text")).next_reply("GET")));
    }
}
