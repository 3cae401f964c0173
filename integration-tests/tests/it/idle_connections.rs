//! Connections that never send a byte: attacks, health checks that hang, front ends that died.

use std::time::Instant;

use integration_tests::{DEADLINE, Ending, Peer, Scoter, ScoterBuilder, post, until};

fn serving() -> ScoterBuilder {
    Scoter::serving("bodies").args(["--header-timeout", "10m"])
}

fn healthy() -> Vec<u8> {
    [&post("/everything", 2).to_vec().expect("fits")[..], b"ok"].concat()
}

/// Connects without a byte; the kernel's queue makes it wait for the server.
fn crowd(scoter: &Scoter, count: usize) -> Vec<Peer> {
    (0..count).map(|_| scoter.connect()).collect()
}

/// How many were turned away, as a few lines of the log say.
#[track_caller]
fn turned_away(scoter: &Scoter) -> usize {
    let lines = scoter.log_lines("--max-pending");
    assert!(lines.len() < 50, "{lines:?}");
    let counts = lines.iter().map(|line| {
        let count = line
            .split_once("idle=")
            .or_else(|| line.split_once("refused="));
        let (_, count) = count.expect("a count");
        let digits = count.split(' ').next().expect("not empty");
        digits.parse::<usize>().expect("a number")
    });
    counts.sum()
}

#[test]
fn thousands_of_silent_connections_delay_nobody() {
    let scoter = serving().start();
    let start = Instant::now();
    let silent = crowd(&scoter, 5_000);
    for _ in 0..100 {
        assert_eq!(scoter.connect().send(healthy()).reply().text(), "ok");
    }
    // A wait of 100 ms for each beyond --max-pending would be 99 s for the four threads.
    let elapsed = start.elapsed();
    assert!(elapsed < DEADLINE, "{elapsed:?}");
    assert!(scoter.worker().open_files() < 1_500);
    // The default of --max-pending is 1024; each of those that are served may have been one too many for a moment.
    let closed = until("every closed connection is counted", || {
        Some(turned_away(&scoter)).filter(|closed| *closed >= 5_000 - 1_024)
    });
    assert!(closed <= 5_100 - 1_024, "{closed}");
    drop(silent);
}

#[test]
fn oldest_silent_connection_makes_room() {
    let scoter = serving()
        .args(["--threads", "1", "--max-pending", "8"])
        .start();
    let mut silent = crowd(&scoter, 30);
    until("the others are closed", || {
        (turned_away(&scoter) == 22).then_some(())
    });
    for peer in &mut silent[..22] {
        assert!(matches!(peer.ending(), Ending::Closed(answer) if answer.is_empty()));
    }
    // The youngest ones are still welcome.
    for peer in &mut silent[22..] {
        assert_eq!(peer.send(healthy()).reply().text(), "ok");
    }
}

#[test]
fn partial_request_is_not_thrown_away_for_an_idle_connection() {
    let scoter = serving()
        .args(["--max-pending", "8", "--body-timeout", "10m"])
        .start();
    let packet = post("/everything", 10).to_vec().expect("fits");
    let mut heads = crowd(&scoter, 4);
    for peer in &mut heads {
        peer.send(&packet[..10]);
    }
    let mut bodies = crowd(&scoter, 4);
    for peer in &mut bodies {
        peer.send(&packet).send("01234");
    }
    let mut silent = crowd(&scoter, 100);
    for _ in 0..20 {
        assert_eq!(scoter.connect().send(healthy()).reply().text(), "ok");
    }
    // A request that comes whole needs no place among those, however late it comes.
    let late = silent.last_mut().expect("there are some");
    assert_eq!(late.send(healthy()).reply().text(), "ok");
    for peer in &mut heads {
        let rest = [&packet[10..], b"0123456789"].concat();
        assert_eq!(peer.send(rest).reply().text(), "0123456789");
    }
    for peer in &mut bodies {
        assert_eq!(peer.send("56789").reply().text(), "0123456789");
    }
}

#[test]
fn requests_refused_for_want_of_room_are_counted_in_a_line() {
    let scoter = serving().args(["--max-pending", "2"]).start();
    let packet = post("/everything", 10).to_vec().expect("fits");
    let begun = [&packet[..], b"01234"].concat();
    // One by one: of many that are idle at the same time the oldest would be closed.
    let peers: Vec<_> = (0..60)
        .map(|_| {
            let mut peer = scoter.connect();
            let _ = peer.try_send(&begun);
            peer
        })
        .collect();
    until("all are refused but two", || {
        let status = scoter.status();
        let refused = status["totals"]["refused"].as_u64().expect("a number");
        (refused == 58).then_some(())
    });
    scoter.wait_for_log("requests refused: --max-pending");
    let lines = scoter.log_lines("--max-pending").len();
    assert!(lines < 20, "{}", scoter.stderr());
    drop(peers);
}
