//! Application code closes descriptors that are not its own: what that costs is bounded, and said by name.

use std::os::unix::net::UnixStream;

use integration_tests::{Peer, Running, Scoter, ScoterBuilder, get, post, until, with};
use nix::unistd::Pid;

/// Beyond every descriptor that a server may have.
const ALL: &str = "1048576";

fn serving() -> ScoterBuilder {
    // Two slots, so that one of them may keep the other's connection from its end.
    let serving =
        Scoter::serving("descriptors").args(["--threads", "2", "--request-timeout", "1s"]);
    // Whoever waited for one of these would not be well again in time.
    serving
        .args(["--header-timeout", "1h", "--body-timeout", "1h"])
        .args(["--write-timeout", "1h", "--graceful-timeout", "1h"])
}

fn request(name: &str, query: &str) -> uwsgi_codec::PacketBuilder {
    with(get(&format!("/{name}")), [("QUERY_STRING", query)])
}

/// Sends a request that may well be lost with its connection, and waits until it is over.
#[track_caller]
fn send(scoter: &Scoter, name: &str, query: &str) -> String {
    let mut peer = scoter.connect();
    peer.packet(&request(name, query));
    String::from_utf8_lossy(&peer.ending().bytes()).into_owned()
}

/// Sends a request, and returns the answer if there is a whole one.
fn ask(scoter: &Scoter, packet: &uwsgi_codec::PacketBuilder, body: &str) -> Option<String> {
    // While a worker is replaced nobody may be there.
    UnixStream::connect(scoter.socket()).ok()?;
    let mut peer = scoter.connect();
    let mut bytes = packet.to_vec().expect("fits");
    bytes.extend_from_slice(body.as_bytes());
    peer.try_send(&bytes).ok()?;
    let bytes = peer.ending().bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200 ").then(|| body.to_owned())
}

fn who(scoter: &Scoter) -> Option<Pid> {
    ask(scoter, &get("/who"), "").and_then(|pid| pid.parse().ok().map(Pid::from_raw))
}

/// The numbers of all descriptors at the time of a request, and what they lead to.
fn descriptors(scoter: &Scoter) -> Vec<(u32, String)> {
    let list = until("a list", || ask(scoter, &get("/lists"), ""));
    let descriptor = |line: &str| {
        let (number, target) = line.split_once(' ')?;
        Some((number.parse().ok()?, target.to_owned()))
    };
    let mut descriptors: Vec<_> = list.lines().filter_map(descriptor).collect();
    descriptors.sort();
    descriptors
}

/// Those that the server cannot do without: neither the standard streams, nor a connection, nor what the test has
/// left open for it, nor what is at hand for forked children.
fn own(scoter: &Scoter) -> Vec<(u32, String)> {
    let mut own = descriptors(scoter);
    own.retain(|(number, target)| *number >= 4_096 && target != "/dev/null");
    own
}

/// Everything works: an ordinary request, one that comes in pieces, and a timeout.
#[track_caller]
fn assert_is_well(scoter: &Scoter) {
    until("an answer", || who(scoter));
    until("an answer to a request in pieces", || {
        UnixStream::connect(scoter.socket()).ok()?;
        let mut peer = scoter.connect();
        let packet = post("/reads", 6).to_vec().expect("fits");
        peer.try_send(&packet).ok()?;
        peer.try_send(b"abc").ok()?;
        peer.try_send(b"def").ok()?;
        peer.ending().bytes().ends_with(b"abcdef").then_some(())
    });
}

/// Waits until the worker has been replaced, and everything works.
#[track_caller]
fn wait_for_another(scoter: &Scoter, old: Pid) {
    Running::new(old).wait_until_gone();
    until("another worker", || who(scoter).filter(|new| *new != old));
    assert_is_well(scoter);
}

#[test]
fn own_descriptors_are_beyond_what_programs_close() {
    let mut scoter = serving().start();
    let worker = scoter.worker().pid();
    let low: Vec<_> = descriptors(&scoter)
        .into_iter()
        .filter(|(number, target)| {
            let is_connection = *number < 10 && target.starts_with("socket");
            (3..4_096).contains(number) && !is_connection && !target.contains("scoter-scoreboard")
        })
        // What the test has inherited, and handed down.
        .filter(|(number, target)| {
            std::fs::read_link(format!("/proc/self/fd/{number}"))
                .map_or(true, |ours| ours.to_string_lossy() != *target)
        })
        .collect();
    assert_eq!(low, []);
    for end in ["10", "256", "1024", "4096"] {
        // The connection of the request itself was among them.
        assert_eq!(send(&scoter, "closes_range", end), "", "{end}");
        assert_eq!(who(&scoter), Some(worker), "{end}");
    }
    scoter.wait_for_log_lines(4, "response lost: application code closed its connection");
    assert_is_well(&scoter);
    let timed_out = request("waits", "gate");
    let _gate = scoter.gate("gate");
    assert_eq!(scoter.connect().packet(&timed_out).reply().status, 504);
    assert_eq!(scoter.status()["totals"]["peers_gone"], 0);
    scoter.stop();
}

#[test]
fn worker_that_has_lost_everything_is_replaced() {
    for limit in [None, Some(64), Some(1_024)] {
        let mut serving = serving();
        if let Some(limit) = limit {
            serving = serving.limit_files(limit);
        }
        let mut scoter = serving.start();
        let worker = scoter.worker().pid();
        send(&scoter, "closes_range", ALL);
        wait_for_another(&scoter, worker);
        scoter.wait_for_log("the process has lost a descriptor or a thread of its own");
        scoter.wait_for_log("it had lost a descriptor or a thread of its own, which its last");
        assert_eq!(scoter.control().get("/ready").status, 200);
        scoter.may_panic();
        scoter.stop();
    }
}

#[test]
fn worker_that_has_lost_any_one_descriptor_is_replaced() {
    for name in ["closes", "exchanges"] {
        let mut scoter = serving().args(["--access-log", "access.log"]).start();
        scoter.may_panic();
        let count = own(&scoter).len();
        assert!(count > 10, "{:?}", own(&scoter));
        for index in 0..count {
            let worker = until("a worker", || who(&scoter));
            let (number, target) = &own(&scoter)[index];
            println!("{name} {number}, which is {target}");
            send(&scoter, name, &number.to_string());
            wait_for_another(&scoter, worker);
        }
        let lines = scoter.log_lines("the process has lost a descriptor or a thread of its own");
        assert_eq!(lines.len(), count, "{lines:?}");
        assert_eq!(scoter.control().get("/ready").status, 200);
        scoter.stop();
    }
}

#[test]
fn process_without_a_master_that_has_lost_any_one_descriptor_ends() {
    let serving = || serving().args(["--no-master", "--access-log", "access.log"]);
    let count = own(&serving().start()).len();
    assert!(count > 8, "{count}");
    for index in 0..count {
        let mut scoter = serving().start();
        scoter.may_panic();
        let (number, target) = &own(&scoter)[index];
        println!("{number}, which is {target}");
        send(&scoter, "closes", &number.to_string());
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(1), "{}", finished.stderr);
        assert!(!scoter.socket().exists());
        assert_eq!(
            scoter
                .log_lines("the process has lost a descriptor or a thread of its own")
                .len(),
            1
        );
    }
}

/// Closes or exchanges one of the server's descriptors, or all, as the file `loss` says.
const LOSING: &str = "\
import os, socket
from scoter import hooks
from probe import FOLDER, event, plain


def own():
    numbers = [int(number) for number in os.listdir('/proc/self/fd') if int(number) >= 4096]
    return sorted(number for number in numbers if leads_somewhere(number))


def leads_somewhere(number):
    try:
        return os.readlink(f'/proc/self/fd/{number}') != '/dev/null'
    except FileNotFoundError:
        return False


def lose(moment):
    with open(os.path.join(FOLDER, 'loss')) as file:
        at, how, index = file.read().split()
    if at != moment:
        return
    event(f'own {len(own())}')
    if how == 'close-all':
        os.closerange(3, 1048576)
    elif how == 'close':
        os.close(own()[int(index)])
    elif how == 'exchange':
        number = own()[int(index)]
        ours, theirs = socket.socketpair()
        os.dup2(ours.fileno(), number)


@hooks.on_worker_start
def start():
    lose('hook')


def application(environ, start_response):
    lose('warm-up')
    return plain(start_response, 'warm')


lose('import')
";

fn losing(loss: &str) -> ScoterBuilder {
    Scoter::serving("losing")
        .with_file("losing.py", LOSING)
        .with_file("loss", loss)
        .args(["--access-log", "access.log", "--warm-up", "/"])
}

#[test]
fn start_whose_application_loses_any_one_descriptor_says_so() {
    let scoter = losing("import nothing 0").start();
    let events = scoter.events();
    let count = events[0].strip_prefix("own ").expect("a number");
    let count: usize = count.parse().expect("a number");
    assert!(count > 8, "{count}");
    drop(scoter);
    let one = ["close", "exchange"]
        .into_iter()
        .flat_map(|how| (0..count).map(move |index| format!("import {how} {index}")));
    let all = ["import", "hook", "warm-up"].map(|moment| format!("{moment} close-all 0"));
    for loss in one.chain(all) {
        let finished = losing(&loss).run();
        let log = &finished.stderr;
        assert_eq!(finished.code, Some(3), "{loss}: {log}");
        assert!(
            log.contains("descriptors that are not its own"),
            "{loss}: {log}"
        );
        assert!(!log.contains("cannot start"), "{loss}: {log}");
    }
}

#[test]
fn panic_is_one_structured_line() {
    let mut scoter = Scoter::serving("descriptors").start();
    scoter.may_panic();
    let line = until("a panic before the next look at the descriptors", || {
        let worker = until("a worker", || who(&scoter));
        // The reactor's own: the one that wakes it.
        let own = own(&scoter);
        let is_eventfd = |(_, target): &&(u32, String)| target.contains("eventfd");
        let (waker, _) = own.iter().rev().find(is_eventfd).expect("it has one");
        let mut peer = scoter.connect();
        peer.packet(&request("closes_and_sends", &waker.to_string()));
        Running::new(worker).wait_until_gone();
        until("another worker", || {
            who(&scoter).filter(|new| *new != worker)
        });
        scoter.log_lines("panicked").pop()
    });
    for part in [
        "ERROR worker=1 pid=",
        "a thread panicked thread=\"",
        "location=",
        "text=\"",
    ] {
        assert!(line.contains(part), "{line}");
    }
    let log = scoter.stderr();
    assert!(
        !log.contains("RUST_BACKTRACE") && !log.contains("stack backtrace"),
        "{log}"
    );
    let is_event = |line: &str| line.starts_with("20");
    assert!(log.lines().all(is_event), "{log}");
    scoter.stop();
}

#[test]
fn what_the_server_closes_itself_at_its_end_is_not_missed() {
    for master in [&[][..], &["--no-master"]] {
        let mut scoter = serving()
            .args(["--access-log", "access.log"])
            .args(master)
            .start();
        assert_eq!(
            send(&scoter, "leaves_late", "").lines().last(),
            Some("registered")
        );
        let finished = scoter.stop();
        assert!(!finished.stderr.contains("ERROR"), "{}", finished.stderr);
        assert_eq!(scoter.events(), ["left"]);
    }
}

#[test]
fn response_never_goes_to_another_client() {
    let mut scoter = Scoter::serving("descriptors")
        .args(["--threads", "8"])
        .start();
    let gate = scoter.gate("gate");
    let mut first = scoter.connect();
    first.packet(&request("closes_and_waits", "gate"));
    scoter.wait_for_event("closed");
    // These get the number of the first one's connection, and others, and keep them.
    let waiting = scoter.gate("waiting");
    let mut others: Vec<Peer> = (0..4)
        .map(|_| {
            let mut peer = scoter.connect();
            peer.packet(&request("waits", "waiting"));
            peer
        })
        .collect();
    until("four requests wait", || {
        let begun = scoter
            .events()
            .iter()
            .filter(|event| *event == "begun waiting")
            .count();
        (begun == 4).then_some(())
    });
    gate.open();
    scoter.wait_for_log("response lost: application code closed its connection");
    assert_eq!(first.ending().bytes(), b"");
    waiting.open_for(4);
    for other in &mut others {
        assert_eq!(other.reply().text(), "waited");
    }
    scoter.stop();
}

#[test]
fn connection_never_takes_the_place_of_a_standard_stream() {
    let mut scoter = serving().start();
    let worker = scoter.worker().pid();
    send(&scoter, "closes_standard", "");
    for _ in 0..4 {
        // Between accept4(2) and its move a connection has such a number for an instant.
        until("no connection is a standard stream", || {
            let reply = ask(&scoter, &get("/lists"), "").expect("it serves");
            let is_standard = |line: &str| ["0 ", "1 ", "2 "].iter().any(|it| line.starts_with(it));
            let mut standard = reply.lines().filter(|line| is_standard(line));
            (!standard.any(|line| line.contains("socket"))).then_some(())
        });
    }
    assert_eq!(who(&scoter), Some(worker));
    scoter.stop();
}

#[test]
fn files_of_a_preloaded_application_that_closes_everything_stay_its_own() {
    let code = "import os\n\
                from probe import event, plain\n\
                def target(number):\n    \
                    try:\n        \
                        return os.readlink(f'/proc/self/fd/{number}')\n    \
                    except FileNotFoundError:\n        \
                        return 'closed'\n\
                low = [target(number) for number in range(3, 256)]\n\
                event(f'sockets {sum(name.startswith(\"socket\") for name in low)}')\n\
                os.closerange(3, 256)\n\
                files = [open(__file__) for _ in range(12)]\n\
                def application(environ, start_response):\n    \
                    names = {target(file.fileno()) for file in files}\n    \
                    return plain(start_response, ' '.join(names))\n";
    let mut scoter = Scoter::serving("greedy")
        .with_file("greedy.py", code)
        .args(["--preload"])
        .start();
    scoter.wait_for_event("sockets 0");
    let text = scoter.connect().packet(&get("/")).reply().text();
    assert!(text.ends_with("greedy.py") && !text.contains(' '), "{text}");
    scoter.stop();
}
