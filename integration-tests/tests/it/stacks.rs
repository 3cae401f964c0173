//! Where the threads are: `scoter stacks`, and the log when a request becomes slow.

use std::fs;
use std::path::Path;

use integration_tests::{Finished, Gate, Peer, Scoter, ScoterBuilder, get, until, with};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Has a thread of its own, and functions that wait at a gate, each in its own way.
const APPLICATION: &str = "\
import ctypes, threading
from probe import by_path, event, gate, plain, wait_at


def flush_metrics():
    threading.Event().wait()  # nothing to flush


def november(name):
    event('begun ' + name)
    wait_at(name)  # november waits


def reports(environ, start_response):
    november(environ['QUERY_STRING'])
    return plain(start_response, 'reported')


def holds(environ, start_response):
    hold_the_gil(environ['QUERY_STRING'])
    return plain(start_response, 'held')


def hold_the_gil(name):
    read = ctypes.PyDLL(None).read
    with gate(name) as pipe:
        event('begun ' + name)
        read(pipe.fileno(), ctypes.create_string_buffer(1), 1)  # C code holds it


def dives(environ, start_response):
    def dive(depth):
        if depth == 0:
            return november(environ['QUERY_STRING'])
        return dive(depth - 1)

    dive(300)
    return plain(start_response, 'dived')


application = by_path(reports, holds, dives)
threading.Thread(target=flush_metrics, name='flusher', daemon=True).start()
";

fn serving(workers: &str, threads: &str) -> ScoterBuilder {
    let scoter = Scoter::serving("november").args(["--threads", threads]);
    let scoter = scoter.with_file("november.py", APPLICATION);
    scoter.workers(workers)
}

/// Sends a request whose handler waits at the gate `name`, and returns when it does.
#[track_caller]
fn begin(scoter: &Scoter, path: &str, name: &str) -> Peer {
    let mut peer = scoter.connect();
    let uri = format!("{path}?{name}");
    let id = format!("id-{name}");
    let vars = [
        ("QUERY_STRING", name),
        ("REQUEST_URI", &uri),
        ("HTTP_X_REQUEST_ID", &id),
    ];
    peer.packet(&with(get(path), vars));
    scoter.wait_for_event(&format!("begun {name}"));
    peer
}

/// The line of the application that contains `text`, as stacks show it.
#[track_caller]
fn place(text: &str, function: &str) -> String {
    let line = APPLICATION.lines().position(|line| line.contains(text));
    let line = line.expect("it is in the application") + 1;
    format!("november.py\", line {line}, in {function}\n")
}

#[track_caller]
fn stacks(scoter: &Scoter, args: &[&str]) -> String {
    let finished = scoter.command([&["stacks"], args].concat());
    assert_done(&finished);
    finished.stdout
}

#[track_caller]
fn assert_done(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "", "{finished:?}");
}

#[track_caller]
fn json(scoter: &Scoter, args: &[&str]) -> Value {
    let text = stacks(scoter, &[args, &["--json"]].concat());
    serde_json::from_str(&text).expect("JSON")
}

/// The stack of one thread in the text: from the line that contains `place` to the next thread.
#[track_caller]
fn stack_of<'a>(text: &'a str, place: &str) -> &'a str {
    let at = text.find(place);
    let rest = &text[at.unwrap_or_else(|| panic!("{place:?} in {text}"))..];
    let end = rest
        .match_indices("\n  ")
        .find(|(at, _)| !rest[at + 3..].starts_with(' '));
    &rest[..end.map_or(rest.len(), |(at, _)| at + 1)]
}

#[test]
fn each_thread_is_shown_with_what_it_serves() {
    let scoter = serving("2", "2").start();
    let gate = scoter.gate("a");
    let mut peer = begin(&scoter, "/reports", "a");
    let text = stacks(&scoter, &[]);
    for worker in scoter.workers() {
        let head = format!(
            "worker {}, pid {}, generation 1: ready\n",
            worker.id,
            worker.pid()
        );
        assert!(text.contains(&head), "{head} in {text}");
    }
    let running = stack_of(&text, "GET /reports?a, running for ");
    let (head, calls) = running.split_once('\n').expect("its calls");
    assert!(head.ends_with(", id id-a"), "{running}");
    let own = place("# november waits", "november");
    let (before, after) = calls.split_once(&own).expect("its function");
    assert!(
        before.contains(&place("november(environ[", "reports")),
        "{calls}"
    );
    assert!(
        after.starts_with("      wait_at(name)  # november waits\n"),
        "{calls}"
    );
    // Three slots wait for requests, and each worker has the application's thread.
    let idle: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("  idle: "))
        .collect();
    let idle = idle.join(", ");
    assert_eq!(idle.matches("slot ").count(), 3, "{text}");
    assert_eq!(text.matches("\n  thread flusher\n").count(), 2, "{text}");
    let flusher = stack_of(&text, "thread flusher\n");
    assert!(
        flusher.contains(&place("# nothing to flush", "flush_metrics")),
        "{flusher}"
    );
    gate.open();
    assert_eq!(peer.reply().text(), "reported");
}

#[test]
fn one_worker_can_be_asked_for_and_programs_get_json() {
    let scoter = serving("2", "2").start();
    let _gate = scoter.gate("a");
    let _peer = begin(&scoter, "/reports", "a");
    let all = json(&scoter, &[]);
    let workers = all["workers"].as_array().expect("a list");
    assert_eq!(workers.len(), 2, "{all}");
    let busy = workers
        .iter()
        .find(|worker| worker["threads"][0]["slot"]["phase"] == "running");
    let busy = busy.unwrap_or_else(|| panic!("a running slot, which comes first: {all}"));
    assert_eq!(busy["problem"], Value::Null);
    let thread = &busy["threads"][0];
    assert_eq!(thread["slot"]["method"], "GET");
    assert_eq!(thread["slot"]["uri"], "/reports?a");
    assert_eq!(thread["slot"]["request_id"], "id-a");
    assert!(
        thread["slot"]["age_ms"].is_u64() && thread["ident"].is_u64(),
        "{thread}"
    );
    assert!(thread["name"].is_string(), "{thread}");
    let calls = thread["calls"].as_array().expect("a list");
    let functions: Vec<_> = calls
        .iter()
        .filter_map(|call| call["function"].as_str())
        .collect();
    assert!(
        functions.ends_with(&["reports", "november", "wait_at"]),
        "{functions:?}"
    );

    let id = busy["id"].to_string();
    let one = json(&scoter, &["--worker", &id]);
    assert_eq!(one["workers"].as_array().map(Vec::len), Some(1), "{one}");
    assert_eq!(one["workers"][0]["pid"], busy["pid"]);
    let reply = scoter.control().get(&format!("/stacks/{id}"));
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("november waits"), "{reply:?}");

    let unknown = scoter.command(["stacks", "--worker", "7"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(
        unknown.stderr.contains("no worker 7: there are 1, 2"),
        "{unknown:?}"
    );
    let nobody = scoter.command(["stacks", "--control", "/nonexistent"]);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
}

#[test]
fn what_clients_send_cannot_move_the_cursor() {
    let scoter = serving("1", "2").start();
    let _gate = scoter.gate("a");
    let mut peer = scoter.connect();
    let uri = "/\x1b[2J\n\rworker 9, pid 1";
    peer.packet(&with(
        get("/reports"),
        [("QUERY_STRING", "a"), ("REQUEST_URI", uri)],
    ));
    scoter.wait_for_event("begun a");
    let text = stacks(&scoter, &[]);
    assert!(
        text.contains("GET /?[2J??worker 9, pid 1, running"),
        "{text}"
    );
    assert!(
        !text.contains(['\x1b', '\r']) && !text.contains("\nworker 9"),
        "{text}"
    );
}

#[test]
fn long_stacks_arrive_and_their_outer_calls_are_counted() {
    let scoter = serving("1", "32").start();
    let _gate = scoter.gate("a");
    let peers: Vec<_> = (0..32)
        .map(|_| {
            let mut peer = scoter.connect();
            peer.packet(&with(get("/dives"), [("QUERY_STRING", "a")]));
            peer
        })
        .collect();
    until("all have begun", || {
        (scoter.events().len() == 32).then_some(())
    });
    let found = json(&scoter, &[]);
    // Longer than any message between our processes.
    assert!(found.to_string().len() > 200_000);
    let threads = found["workers"][0]["threads"].as_array().expect("a list");
    let deep = threads
        .iter()
        .filter(|thread| thread["slot"]["phase"] == "running");
    let mut count = 0;
    for thread in deep {
        assert_eq!(thread["calls"].as_array().map(Vec::len), Some(100));
        assert!(thread["calls_left_out"].as_u64() > Some(200), "{thread}");
        count += 1;
    }
    assert_eq!(count, 32);
    assert!(stacks(&scoter, &[]).contains(" more calls\n"));
    drop(peers);
}

#[test]
fn stacks_are_found_although_c_code_holds_the_gil() {
    let scoter = serving("2", "2").start();
    let [gate, other] = ["a", "b"].map(|name| scoter.gate(name));
    let mut waiting = begin(&scoter, "/reports", "b");
    let mut holding = begin(&scoter, "/holds", "a");
    // Twice: the thread that waits for the GIL is still there the second time.
    for _ in 0..2 {
        let text = stacks(&scoter, &[]);
        assert_eq!(text.matches("C code holds the GIL").count(), 1, "{text}");
        let holder = stack_of(&text, "GET /holds?a, running for ");
        assert!(
            holder.contains(&place("# C code holds it", "hold_the_gil")),
            "{holder}"
        );
        let neighbour = stack_of(&text, "GET /reports?b, running for ");
        assert!(
            neighbour.contains(&place("# november waits", "november")),
            "{neighbour}"
        );
        // The thread that asks is none of the application's.
        assert!(
            !text.contains("\n  thread 0x") || text.contains("flush_metrics"),
            "{text}"
        );
    }
    gate.open();
    other.open();
    assert_eq!(holding.reply().text(), "held");
    assert_eq!(waiting.reply().text(), "reported");
    until("the interpreter answers again", || {
        (!stacks(&scoter, &[]).contains("holds the GIL")).then_some(())
    });
}

#[test]
fn many_threads_that_execute_python_are_not_taken_for_c_code() {
    let source = "\
import threading
from probe import event, plain

def application(environ, start_response):
    if environ['PATH_INFO'] == '/ends':
        over.set()
        return plain(start_response, 'ended')
    event('begun')
    spin()
    return plain(start_response, 'spun')

def spin():
    while not over.is_set():
        pass

over = threading.Event()
";
    let scoter = Scoter::serving("spinning").with_file("spinning.py", source);
    let scoter = scoter.args(["--threads", "13"]).start();
    let mut peers: Vec<_> = (0..12).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        peer.packet(&get("/"));
    }
    until("all have begun", || {
        (scoter.events().len() == 12).then_some(())
    });
    let text = stacks(&scoter, &[]);
    assert!(!text.contains("GIL"), "{text}");
    assert_eq!(text.matches(", in application\n").count(), 12, "{text}");
    assert_eq!(
        scoter.connect().packet(&get("/ends")).reply().text(),
        "ended"
    );
    for peer in &mut peers {
        assert_eq!(peer.reply().text(), "spun");
    }
}

#[test]
fn stopped_worker_is_said_to_be_stopped_and_others_are_shown() {
    let scoter = serving("2", "1").start();
    let gates = [scoter.gate("a"), scoter.gate("b")];
    let _peers = [
        begin(&scoter, "/reports", "a"),
        begin(&scoter, "/reports", "b"),
    ];
    let workers = scoter.wait_for_workers(2);
    workers[0].signal(Signal::SIGSTOP);
    let found = json(&scoter, &[]);
    workers[0].signal(Signal::SIGCONT);
    let of = |id: u64| {
        let workers = found["workers"].as_array().expect("a list");
        let worker = workers.iter().find(|worker| worker["id"] == id);
        worker.expect("both are there")
    };
    let stopped = of(workers[0].id);
    let problem = stopped["problem"].as_str().expect("a problem");
    assert!(problem.contains("its process is stopped"), "{problem}");
    let slot = &stopped["threads"][0]["slot"];
    assert_eq!(slot["phase"], "running", "{stopped}");
    assert!(
        slot["uri"]
            .as_str()
            .is_some_and(|uri| uri.starts_with("/reports?")),
        "{stopped}"
    );
    let other = of(workers[1].id);
    assert_eq!(other["problem"], Value::Null, "{other}");
    assert!(other.to_string().contains("november waits"), "{other}");
    gates.iter().for_each(Gate::open);
}

/// Runs `scoter stacks` for a server that is not ready yet.
fn stacks_of(folder: &Path) -> Finished {
    let control = folder.join("scoter.sock.control");
    let words = [
        "stacks".into(),
        "--control".into(),
        control.into_os_string(),
    ];
    Scoter::told_nothing().args(words).run()
}

#[test]
fn hanging_import_is_shown() {
    let waits = "from probe import event, wait_at\nevent('loading')\nwait_at('load')\n";
    let holds = "import ctypes\nfrom probe import event, gate\n\
                 with gate('load') as pipe:\n    event('loading')\n    \
                 ctypes.PyDLL(None).read(pipe.fileno(), ctypes.create_string_buffer(1), 1)\n";
    for (name, source, preload, expected) in [
        ("waits", waits, &[][..], "hanging.py\", line 3, in <module>"),
        (
            "holds the GIL",
            holds,
            &[],
            "hanging.py\", line 5, in <module>",
        ),
        ("preloaded", waits, &["--preload"], "no workers"),
    ] {
        let scoter = Scoter::serving("hanging")
            .args(preload)
            .with_file("hanging.py", source);
        let folder = scoter.folder().to_owned();
        let _gate = Gate::at(&folder, "load");
        let mut process = scoter.spawn();
        until("the application is being loaded", || {
            let events = fs::read_to_string(folder.join("events")).ok()?;
            (events == "loading\n").then_some(())
        });
        let finished = stacks_of(&folder);
        assert_done(&finished);
        assert!(finished.stdout.contains(expected), "{name}: {finished:?}");
        process.signal(Signal::SIGTERM);
        assert_eq!(process.wait().code, Some(0), "{name}");
    }
}

#[test]
fn server_that_stops_shows_what_it_waits_for() {
    let mut scoter = serving("1", "2").start();
    let gate = scoter.gate("a");
    let mut peer = begin(&scoter, "/reports", "a");
    scoter.begin_to_stop(Signal::SIGQUIT);
    let text = stacks(&scoter, &[]);
    let running = stack_of(&text, "GET /reports?a, running for ");
    assert!(running.contains("november waits"), "{text}");
    gate.open();
    assert_eq!(peer.reply().text(), "reported");
    assert_eq!(scoter.wait().code, Some(0));
}

const SLOW: [&str; 2] = ["--slow-request", "50ms"];

/// What the log has from the beginning of a message to the beginning of the next.
#[track_caller]
fn message(scoter: &Scoter, text: &str) -> String {
    let log = scoter.stderr();
    let at = log.find(text).expect("it is there");
    let lines = log[at..].lines().enumerate();
    let own = lines.take_while(|(index, line)| *index == 0 || line.starts_with("| "));
    own.map(|(_, line)| line.to_owned() + "\n").collect()
}

#[test]
fn stack_of_a_slow_request_is_logged_once_while_it_runs() {
    for master in [&[][..], &["--no-master"]] {
        let mut scoter = serving("1", "2").args(SLOW).args(master).start();
        let gate = scoter.gate("a");
        let mut peer = begin(&scoter, "/reports", "a");
        scoter.wait_for_log("slow request is still running");
        until("its whole stack", || {
            scoter.stderr().contains("in wait_at").then_some(())
        });
        let message = message(&scoter, "slow request is still running");
        for part in [
            " method=\"GET\"",
            " uri=\"/reports?a\"",
            " request_id=\"id-a\"",
            " slot=",
            " duration_ms=",
            "| Thread ",
            &place("# november waits", "november"),
            "wait_at(name)  # november waits",
        ] {
            assert!(message.contains(part), "{part:?} in {message}");
        }
        assert!(!message.contains("flush_metrics"), "{message}");
        // It has not become slow a second time when this one does.
        let other = scoter.gate("b");
        let mut second = begin(&scoter, "/reports", "b");
        scoter.wait_for_log("uri=\"/reports?b\"");
        gate.open();
        other.open();
        peer.reply();
        second.reply();
        let log = scoter.stop().stderr;
        assert_eq!(
            log.matches("slow request is still running").count(),
            2,
            "{log}"
        );
        assert_eq!(log.matches(" slow request method").count(), 2, "{log}");
    }
}

#[test]
fn stack_of_a_slow_request_is_a_field_of_the_json_log() {
    let scoter = serving("1", "2")
        .args(SLOW)
        .args(["--log-format", "json"])
        .start();
    let _gate = scoter.gate("a");
    let _peer = begin(&scoter, "/reports", "a");
    let line = scoter.wait_for_log("slow request is still running");
    let event: Value = serde_json::from_str(&line).expect("an object");
    assert_eq!(event["level"], "warn");
    assert_eq!(event["uri"], "/reports?a");
    assert!(event["duration_ms"].as_u64() >= Some(50), "{event}");
    let stack = event["stack"].as_str().expect("a text");
    assert!(
        stack.contains(&place("# november waits", "november")),
        "{stack}"
    );
}

#[test]
fn slow_request_that_holds_the_gil_is_logged_while_it_does() {
    let scoter = serving("1", "2").args(SLOW).start();
    let gate = scoter.gate("a");
    let mut peer = begin(&scoter, "/holds", "a");
    let line = scoter.wait_for_log("slow request is still running");
    assert!(line.contains("problem=\"C code holds the GIL"), "{line}");
    until("its stack", || {
        scoter.stderr().contains("in hold_the_gil").then_some(())
    });
    gate.open();
    assert_eq!(peer.reply().text(), "held");
}

#[test]
fn overload_does_not_fill_the_log_with_stacks() {
    let mut scoter = serving("1", "40").args(SLOW).start();
    let gate = scoter.gate("a");
    let mut peers: Vec<_> = (0..40)
        .map(|_| {
            let mut peer = scoter.connect();
            peer.packet(&with(get("/reports"), [("QUERY_STRING", "a")]));
            peer
        })
        .collect();
    let counted = || -> usize {
        let lines = scoter.log_lines("more requests have become slow");
        let counts = lines
            .iter()
            .filter_map(|line| line.split_once("count=")?.1.parse::<usize>().ok());
        counts.sum()
    };
    // Each of them has its stack in the log, or is counted.
    until("all have been found to be slow", || {
        let stacks = scoter.log_lines("slow request is still running").len();
        (stacks + counted() == 40).then_some(())
    });
    assert!(counted() > 0, "{}", scoter.stderr());
    gate.open_for(40);
    for peer in &mut peers {
        assert_eq!(peer.reply().text(), "reported");
    }
    let log = scoter.stop().stderr;
    assert_eq!(log.matches(" slow request method").count(), 40, "{log}");
}

#[test]
fn request_that_is_slow_first_and_too_late_then_is_logged_twice() {
    let scoter = serving("1", "1")
        .args(SLOW)
        .args(["--request-timeout", "300ms"]);
    let scoter = scoter.args(["--request-grace", "60s"]).start();
    let _gate = scoter.gate("a");
    let mut peer = begin(&scoter, "/reports", "a");
    assert_eq!(peer.reply().status, 504);
    scoter.wait_for_log("request timed out");
    assert_eq!(scoter.log_lines("slow request is still running").len(), 1);
}

/// Executes code whose source text does not arrive: it is in a named pipe that nobody writes to, or
/// its loader waits.
const SOURCELESS: &str = "\
import os, time
from probe import by_path, event, plain, wait_at


class Loader:
    def get_source(self, name):
        event('source wanted')
        wait_at('source')
        return '\\n' * 9


def lasts():
    try:
        while not done:
            wait()
    except BaseException as error:
        event('ended by ' + type(error).__name__)
        raise


def compiled(file):
    text = 'def last():\\n    lasts()\\n'
    space = {'__name__': 'sourceless', '__loader__': Loader(), 'lasts': lasts}
    exec(compile(text, file, 'exec'), space)
    return space['last']


def wait():
    time.sleep(0.001)


def piped(environ, start_response):
    path = os.path.join(os.path.dirname(__file__), 'piped.py')
    os.mkfifo(path)
    event('begun')
    compiled(path)()
    return plain(start_response, 'done')


def loaded(environ, start_response):
    event('begun')
    compiled('/nowhere/loaded.py')()
    return plain(start_response, 'done')


def finish(environ, start_response):
    done.append(True)
    return plain(start_response, 'finished')


done = []
application = by_path(piped, loaded, finish)
";

fn serving_sourceless(args: &[&str]) -> Scoter {
    Scoter::serving("sourceless")
        .with_file("sourceless.py", SOURCELESS)
        .args(["--threads", "2"])
        .args(args)
        .start()
}

#[test]
fn source_text_that_does_not_arrive_hides_no_stacks() {
    for (path, file) in [("/piped", "piped.py"), ("/loaded", "/nowhere/loaded.py")] {
        let scoter = serving_sourceless(&[]);
        let gate = scoter.gate("source");
        let mut peer = scoter.connect();
        peer.packet(&get(path));
        scoter.wait_for_event("begun");
        // The second time it is still awaited on behalf of the first.
        for _ in 0..2 {
            let json = json(&scoter, &[]);
            let worker = &json["workers"][0];
            assert!(worker["problem"].is_null(), "{json}");
            let calls = worker["threads"][0]["calls"].as_array().expect("calls");
            let call = calls.iter().find(|call| call["function"] == "last");
            let call = call.unwrap_or_else(|| panic!("{json}"));
            assert!(
                call["file"].as_str().is_some_and(|it| it.ends_with(file)),
                "{call}"
            );
            assert!(call["source"].is_null(), "{call}");
        }
        gate.open();
        assert_eq!(scoter.connect().packet(&get("/finish")).reply().status, 200);
        assert_eq!(&peer.reply().body[..], b"done");
    }
}

#[test]
fn request_is_ended_before_source_text_is_read() {
    for path in ["/piped", "/loaded"] {
        let scoter = serving_sourceless(&["--request-timeout", "200ms", "--request-grace", "60s"]);
        let gate = scoter.gate("source");
        let mut peer = scoter.connect();
        peer.packet(&get(path));
        assert_eq!(peer.reply().status, 504);
        scoter.wait_for_event("ended by RequestTimeout");
        gate.open();
        scoter.wait_for_log("request timed out");
        scoter.wait_for_log(", in last");
    }
}
