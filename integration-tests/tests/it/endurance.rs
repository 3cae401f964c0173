//! A long time of anything and everything. What is random comes from fixed seeds, so that a failure can be repeated.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use integration_tests::{Ending, Peer, Reply, Scoter, get, until, with};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Numbers that look random: xorshift64 (Marsaglia, "Xorshift RNGs").
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

type Vars = Vec<(&'static str, Vec<u8>)>;

fn random_vars(dice: &mut Dice) -> Vars {
    const KEYS: &[&str] = &[
        "REQUEST_METHOD",
        "SCRIPT_NAME",
        "PATH_INFO",
        "QUERY_STRING",
        "SERVER_NAME",
        "SERVER_PORT",
        "SERVER_PROTOCOL",
        "REQUEST_URI",
        "REMOTE_ADDR",
        "REMOTE_USER",
        "CONTENT_TYPE",
        "HTTPS",
        "REQUEST_SCHEME",
        "UWSGI_SCHEME",
        "UWSGI_FILE",
        "HTTP_HOST",
        "HTTP_COOKIE",
        "HTTP_ACCEPT",
        "HTTP_X_FORWARDED_FOR",
        "HTTP_REFERER",
        "HTTP_X_UNHEARD_OF",
        "HTTP_PROXY",
        "HTTP_CONTENT_LENGTH",
        "HTTP_CONTENT_TYPE",
        "wsgi.url_scheme",
        "wsgi.input",
        "lower_case",
    ];
    const VALUES: &[&[u8]] = &[
        b"",
        b"/",
        b"/a/b",
        b"http",
        b"https",
        b"on",
        b"1",
        b"off",
        b"a=b",
        b"\xe9t\xe9",
        b"\xff",
        b"a, b",
        b"\"\\",
        b"\t",
    ];
    let count = dice.below(24);
    let mut vars = vec![("REQUEST_METHOD", b"GET".to_vec())];
    for _ in 0..count {
        let key = dice.choose(KEYS);
        let value = match dice.below(12) {
            0 => vec![b'x'; dice.below(9_000)],
            _ => dice.choose(VALUES).to_vec(),
        };
        // A HEAD would be answered without a body, and the method cannot be empty.
        let value = if key == "REQUEST_METHOD" {
            b"POST".to_vec()
        } else {
            value
        };
        vars.push((key, value));
    }
    vars
}

/// What the environ of a request is, written down again from README.md and PEP 3333, and not from the code.
fn model(vars: &Vars) -> BTreeMap<String, String> {
    let latin1 = |value: &[u8]| value.iter().copied().map(char::from).collect::<String>();
    let mut environ = BTreeMap::new();
    for (key, value) in vars {
        let value = latin1(value);
        match *key {
            "HTTP_PROXY" | "HTTP_CONTENT_LENGTH" | "HTTP_CONTENT_TYPE" => {}
            _ if key.starts_with("wsgi.") => {}
            // Lists (RFC 9110, 5.3), and what nobody knows.
            "HTTP_COOKIE" | "HTTP_ACCEPT" | "HTTP_X_FORWARDED_FOR" | "HTTP_X_UNHEARD_OF" => {
                let separator = if *key == "HTTP_COOKIE" { "; " } else { ", " };
                environ
                    .entry((*key).to_owned())
                    .and_modify(|earlier: &mut String| {
                        earlier.push_str(separator);
                        earlier.push_str(&value);
                    })
                    .or_insert(value);
            }
            _ => {
                environ.insert((*key).to_owned(), value);
            }
        }
    }
    let of = |key: &str| environ.get(key).map_or("", String::as_str).to_owned();
    let named = |key: &str| match of(key).to_ascii_lowercase().as_str() {
        "https" => Some("https"),
        "http" => Some("http"),
        _ => None,
    };
    let switched_on = matches!(&*of("HTTPS").to_ascii_lowercase(), "on" | "1" | "true");
    let scheme = named("UWSGI_SCHEME")
        .or_else(|| switched_on.then_some("https"))
        .or_else(|| named("REQUEST_SCHEME"))
        .unwrap_or("http");
    environ.insert("wsgi.url_scheme".to_owned(), scheme.to_owned());
    for (key, default) in [
        ("SCRIPT_NAME", ""),
        ("PATH_INFO", ""),
        ("QUERY_STRING", ""),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", "80"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
    ] {
        let entry = environ.entry(key.to_owned()).or_default();
        if entry.is_empty() {
            default.clone_into(entry);
        }
    }
    if environ["SCRIPT_NAME"].is_empty() && environ["PATH_INFO"].is_empty() {
        environ.insert("PATH_INFO".to_owned(), "/".to_owned());
    }
    environ
}

#[test]
fn random_packets_become_the_environ_of_the_model() {
    let scoter = Scoter::serving("echo").args(["--threads", "2"]).start();
    let mut dice = Dice(0x5EED_0001);
    for round in 0..1_500 {
        let vars = random_vars(&mut dice);
        let mut packet = uwsgi_codec::PacketBuilder::new();
        packet.vars(vars.iter().map(|(k, v)| (k, v))).expect("fits");
        let seen = scoter.connect().packet(&packet).reply().json();
        let seen: BTreeMap<_, _> = seen["environ"]
            .as_object()
            .expect("an object")
            .iter()
            .filter(|(key, _)| !key.starts_with("wsgi.") || *key == "wsgi.url_scheme")
            .filter(|(key, _)| *key != "scoter.request_id")
            .map(|(key, value)| (key.clone(), value.as_str().map(str::to_owned)))
            .collect();
        let expected: BTreeMap<_, _> = model(&vars)
            .into_iter()
            .map(|(key, value)| (key, Some(value)))
            .collect();
        assert_eq!(seen, expected, "round {round}: {vars:?}");
    }
}

/// What becomes of bytes that a peer sends before it ends its own direction.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    Refused,
    Incomplete,
}

/// The protocol's own definition, read again: a header of four bytes, a block of pairs, each with its length
/// before it, little-endian.
fn fate(bytes: &[u8]) -> Fate {
    let Some((header, rest)) = bytes.split_at_checked(4) else {
        return Fate::Incomplete;
    };
    let size = usize::from(u16::from_le_bytes([header[1], header[2]]));
    let Some(mut block) = rest.get(..size) else {
        return Fate::Incomplete;
    };
    // WSGI requests, the second with the mount point still in its path; everything else is another service.
    if !matches!(header[0], 0 | 30) {
        return Fate::Refused;
    }
    if size == 0 {
        return Fate::Refused;
    }
    let mut text = || {
        let (length, rest) = block.split_at_checked(2)?;
        let length = usize::from(u16::from_le_bytes([length[0], length[1]]));
        let (text, rest) = rest.split_at_checked(length)?;
        block = rest;
        Some((text.is_empty(), rest.is_empty()))
    };
    loop {
        match (text(), text()) {
            (Some((false, _)), Some((_, true))) => return Fate::Answered,
            (Some((false, _)), Some((_, false))) => {}
            _ => return Fate::Refused,
        }
    }
}

#[test]
fn mutated_packets_are_told_apart_as_the_protocol_defines_them() {
    let scoter = Scoter::serving("hello").args(["--threads", "2"]).start();
    let whole = get("/").to_vec().expect("fits");
    let mut dice = Dice(0x5EED_0002);
    let mut seen = [0; 3];
    for round in 0..3_000 {
        let mut bytes = whole.clone();
        for _ in 0..=dice.below(2) {
            let at = dice.below(bytes.len());
            match dice.below(5) {
                0 => bytes[at] ^= 1 << dice.below(8),
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, u8::try_from(dice.below(256)).expect("a byte")),
                3 => drop(bytes.remove(at)),
                // Where lengths are.
                _ => bytes[1] = u8::try_from(dice.below(256)).expect("a byte"),
            }
        }
        let mut peer = scoter.connect();
        peer.send(&bytes).finish();
        let (index, statuses): (_, &[u16]) = match fate(&bytes) {
            // 400: a length that is none.
            Fate::Answered => (0, &[200, 400]),
            Fate::Refused => (1, &[400]),
            Fate::Incomplete => (2, &[]),
        };
        seen[index] += 1;
        let answer = peer.ending().bytes();
        match Reply::parse(&answer) {
            Ok(reply) => assert!(
                statuses.contains(&reply.status),
                "round {round}: {} to {bytes:?}",
                reply.status
            ),
            Err(error) => assert!(
                answer.is_empty() && statuses.is_empty(),
                "round {round}: {error}, {answer:?} to {bytes:?}"
            ),
        }
    }
    assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
}

/// Has the clients of a test leave, also when it fails.
struct Leave<'a>(&'a AtomicBool);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn twenty_kills_of_workers_under_load_cost_what_they_were_running() {
    let scoter = Scoter::serving("streaming").workers("3").start();
    scoter.wait_for_workers(3);
    let (over, answered, lost) = (
        AtomicBool::new(false),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let mut dice = Dice(0x5EED_0003);
    thread::scope(|scope| {
        let leave = Leave(&over);
        for _ in 0..6 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut peer = scoter.connect();
                    let packet = get("/quick").to_vec().expect("fits");
                    let sent = peer.try_send(&packet);
                    assert!(
                        sent.is_ok() || sent.is_err_and(|e| e.kind() == ErrorKind::BrokenPipe),
                        "the socket is always there"
                    );
                    let count = match peer.ending() {
                        Ending::Closed(bytes) if bytes.is_empty() => &lost,
                        Ending::Reset(bytes) if bytes.is_empty() => &lost,
                        ending => {
                            assert_eq!(ending.reply().text(), "quick");
                            &answered
                        }
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..20 {
            let workers = scoter.wait_for_workers(3);
            let before = answered.load(Ordering::Relaxed);
            let victim = &workers[dice.below(3)];
            victim.signal(Signal::SIGKILL);
            until("the others serve", || {
                (answered.load(Ordering::Relaxed) > before + 20).then_some(())
            });
            victim.wait_until_gone();
        }
        drop(leave);
    });
    // A worker of four threads can be running four requests.
    let lost = lost.into_inner();
    assert!(lost <= 20 * 4, "{lost} lost, {answered:?} answered");
    assert_eq!(scoter.status()["totals"]["crashed"], 20);
}

#[test]
fn killed_masters_leave_the_socket_to_the_next() {
    let place = tempfile::TempDir::with_prefix("scoter-").expect("a folder for temporary files");
    let socket = place.path().join("again.sock");
    for _ in 0..8 {
        let mut scoter = Scoter::serving("hello")
            .unbound()
            .bind(format!("unix:{}", socket.display()))
            .workers("2")
            .start();
        let reply = Peer::connect(&socket).packet(&get("/")).reply();
        assert_eq!(reply.status, 200);
        scoter.signal(Signal::SIGKILL);
        scoter.wait();
        scoter.wait_until_all_are_gone();
    }
}

#[test]
fn other_threads_that_misuse_a_request_reach_no_other() {
    let scoter = Scoter::serving("misused").args(["--threads", "4"]).start();
    thread::scope(|scope| {
        for client in 0..4 {
            let scoter = &scoter;
            scope.spawn(move || {
                for number in 0..500 {
                    let token = format!("{client}-{number}");
                    let query = with(get("/"), [("QUERY_STRING", &token)]);
                    let reply = scoter.connect().packet(&query).reply();
                    assert_eq!((reply.status, reply.text()), (200, token.clone()));
                    assert_eq!(reply.header("X-Token"), Some(&*token));
                }
            });
        }
    });
    let status = scoter.status();
    let requests = |worker: &Value| worker["requests"].as_u64();
    let workers = status["workers"].as_array().expect("a list");
    assert_eq!(workers.iter().filter_map(requests).sum::<u64>(), 2_000);
}
