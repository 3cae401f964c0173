//! What is told on standard error, and that telling it never stops the server.

use std::fs;
use std::thread;
use std::time::Duration;

use integration_tests::{Scoter, get, passed_on, post, until, with};
use nix::sys::signal::Signal;
use serde_json::Value;

#[test]
fn messages_are_json_if_asked_for() {
    let scoter = Scoter::serving("speaks");
    fs::write(
        scoter.folder().join("speaks.py"),
        "def application(environ, start_response):\n    \
             environ['wsgi.errors'].write('first \"line\"\\nsecond caf\\xe9\\n')\n    \
             raise ValueError('quote \" newline \\n control \\x01 lone \\udcff')\n",
    )
    .expect("the test's own folder");
    let mut scoter = scoter.args(["--log-format", "json"]).start();
    let vars = [
        ("REQUEST_URI", &b"/x\"\n\xff"[..]),
        ("HTTP_X_REQUEST_ID", b"given-1"),
    ];
    scoter.connect().packet(&with(get("/"), vars)).reply();
    let log = scoter.stop().stderr;
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    for event in &events {
        let time = event["time"].as_str().expect("a time");
        assert_eq!(time.len(), "2026-11-22T06:57:02.123Z".len(), "{event}");
        assert!(event["message"].is_string(), "{event}");
    }
    let failed = events
        .iter()
        .find(|event| event["level"] == "error")
        .unwrap_or_else(|| panic!("{log}"));
    assert_eq!(failed["message"], "the application raised an exception");
    assert_eq!(failed["method"], "GET");
    assert_eq!(failed["uri"], "/x\"\n\u{fffd}");
    assert_eq!(failed["request_id"], "given-1");
    let traceback = failed["traceback"].as_str().expect("text");
    assert!(traceback.starts_with("Traceback (most"), "{traceback}");
    assert!(traceback.contains("\nValueError: quote \" newline \n control \u{1}"));
    let said = events.iter().find(|event| event["source"] == "wsgi.errors");
    let said = said.unwrap_or_else(|| panic!("{log}"));
    assert_eq!(said["message"], "first \"line\"\nsecond caf\u{e9}");
    assert!(said.get("level").is_none(), "{said}");
}

#[test]
fn text_of_others_passes_for_no_line_of_the_server() {
    const FORGED: &str = "2001-01-01T00:00:00.000000Z  INFO stopped";
    let scoter = Scoter::serving("forger").with_file(
        "forger.py",
        "def application(environ, start_response):\n    \
             forged = environ['HTTP_X_FORGED'].replace('LF', '\\n').replace('ESC', '\\x1b[31m')\n    \
             environ['wsgi.errors'].write('user said: ' + forged + '\\ttab\\n')\n    \
             environ['wsgi.errors'].write(forged[2:] + '\\n')\n    \
             raise ValueError('no ' + forged)\n",
    );
    let mut scoter = scoter.start();
    let before = scoter.stderr().lines().count();
    let forged = format!("LF{FORGED}ESC");
    let vars = [
        ("HTTP_X_FORGED", &*forged),
        ("REQUEST_URI", &format!("/\n{FORGED}\x1b[31m\u{9b}")),
    ];
    scoter.connect().packet(&with(get("/"), vars)).reply();
    let log = scoter.stop().stderr;
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    assert!(!log.contains(control), "{log:?}");
    let lines: Vec<_> = log.lines().skip(before).collect();
    for line in &lines {
        let ours = line.starts_with("2001-01-01T00:00:00");
        assert!(!ours, "{line}");
        let is_time = |line: &str| {
            line.split(' ')
                .next()
                .is_some_and(|time| time.ends_with('Z'))
        };
        assert!(line.starts_with("| ") || is_time(line), "{line}");
    }
    for expected in [
        "| user said: ",
        &format!("| {FORGED}\\x1b[31m\ttab"),
        &format!("| {FORGED}\\x1b[31m"),
        "| Traceback (most recent call last):",
        "|   File ",
        "| ValueError: no ",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(expected)),
            "{expected}: {log}"
        );
    }
}

#[test]
fn workers_name_themselves() {
    for (args, expected) in [(&[][..], Some("worker=1 pid=")), (&["--no-master"], None)] {
        let mut scoter = Scoter::serving("failures").args(args).start();
        scoter.connect().packet(&get("/before_start")).reply();
        let line = scoter.wait_for_log("the application raised an exception");
        let (_, rest) = line.split_once(" ERROR ").expect("a level");
        match expected {
            Some(prefix) => assert!(rest.starts_with(prefix), "{line}"),
            None => assert!(rest.starts_with("the application"), "{line}"),
        }
        let log = scoter.stop().stderr;
        let of_master = |line: &&str| line.contains(" ready") || line.ends_with(" stopped");
        for line in log.lines().filter(of_master) {
            assert!(!line.contains(" worker="), "{line}");
        }
    }
}

#[test]
fn level_and_format_follow_a_reload() {
    let scoter = Scoter::serving("failures");
    let file = scoter.folder().join("scoter.toml");
    fs::write(&file, "workers = 1\n").expect("the test's own folder");
    let mut scoter = scoter.args(["--config".into(), file.clone()]).start();
    let before = scoter.stderr().len();
    fs::write(
        &file,
        "workers = 1\nlog-format = 'json'\nlog-level = 'debug'\n",
    )
    .expect("there");
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("\"level\":\"debug\"");
    until("the new worker serves", || {
        scoter.connect().packet(&get("/before_start")).reply();
        let log = scoter.stderr();
        let mut lines = log[before..].lines();
        lines
            .any(|line| {
                let event: Option<Value> = serde_json::from_str(line).ok();
                event.is_some_and(|event| event["level"] == "error" && event["worker"].is_u64())
            })
            .then_some(())
    });
    let log = scoter.stop().stderr;
    let last = log.lines().last().expect("the master's last word");
    let last: Value = serde_json::from_str(last).expect("a JSON object");
    assert_eq!(last["message"], "stopped");
    assert!(last.get("worker").is_none(), "{last}");
}

#[test]
fn peers_that_go_away_are_counted_and_no_error() {
    let mut scoter = Scoter::serving("bodies").start();
    let before = scoter.stderr().len();
    let control = scoter.folder().join("scoter.sock.control");
    let gone = || {
        let status = Scoter::told_nothing()
            .args(["status", "--json", "--control"])
            .args([&control])
            .run();
        let status: Value = serde_json::from_str(&status.stdout).expect("a JSON object");
        status["totals"]["peers_gone"].as_u64().expect("a number")
    };
    assert_eq!(gone(), 0);
    for _ in 0..3 {
        let mut leaving = scoter.connect();
        leaving.packet(&post("/everything", 100)).send("part");
    }
    until("all three are counted", || (gone() == 3).then_some(()));
    let log = scoter.stop().stderr.split_off(before);
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
}

#[test]
fn slow_requests_are_logged_when_they_are_over() {
    let mut scoter = Scoter::serving("streaming")
        .args(["--slow-request", "50ms", "--access-log", "off"])
        .start();
    let gate = scoter.gate("open");
    let vars = [
        ("QUERY_STRING", "open"),
        ("REQUEST_URI", "/slow?a"),
        ("HTTP_X_REQUEST_ID", "given-1"),
    ];
    let mut peer = scoter.connect();
    let packet = passed_on(with(get("/waits"), vars), Duration::from_secs(1));
    peer.packet(&packet);
    scoter.wait_for_event("begun open");
    until("the request is slow", || {
        let slots = &scoter.status()["workers"][0]["slots"];
        let mut slots = slots.as_array()?.iter();
        slots.find(|slot| slot["age_ms"].as_u64() > Some(50))?;
        Some(())
    });
    assert!(!scoter.stderr().contains("slow request method"));
    gate.open();
    peer.reply();
    let line = scoter.wait_for_log("slow request method");
    for part in [
        " WARN worker=",
        " slow request ",
        "method=\"GET\"",
        "uri=\"/slow?a\"",
        "request_id=\"given-1\"",
        "status=200",
        "duration_ms=",
        "queue_ms=",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    scoter.stop();
}

#[test]
fn requests_that_are_not_slow_are_not_logged() {
    let mut scoter = Scoter::serving("forms")
        .args(["--slow-request", "1h"])
        .start();
    scoter.connect().packet(&get("/")).reply();
    let log = scoter.stop().stderr;
    assert!(!log.contains("slow request"), "{log}");
}

/// Starts a server whose standard error is a pipe, shows what comes out of it, and passes TERM on. It ends with the
/// server, and with its exit code.
pub(crate) const READER: &str = "\
import os, signal, sys
reader, writer = os.pipe()
server = os.fork()
if server == 0:
    os.dup2(writer, 2)
    os.execvp(sys.argv[1], sys.argv[1:])
os.close(writer)
signal.signal(signal.SIGTERM, lambda *_: os.kill(server, signal.SIGTERM))
while text := os.read(reader, 65536):
    os.write(2, text)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(server, 0)[1]))
";

#[test]
fn standard_error_that_nobody_reads_stops_nothing() {
    let scoter = Scoter::serving("stuffed")
        .under(["python3", "-c", READER])
        .with_file(
            "stuffed.py",
            "import os\n\
         from probe import plain\n\
         def application(environ, start_response):\n    \
             if environ['PATH_INFO'] == '/stuff':\n        \
                 os.set_blocking(2, False)\n        \
                 try:\n            \
                     while os.write(2, b'.' * 4096):\n                \
                         pass\n        \
                 except BlockingIOError:\n            \
                     os.set_blocking(2, True)\n    \
             if environ['PATH_INFO'] == '/fails':\n        \
                 raise ValueError('x' * 10_000)\n    \
             return plain(start_response, 'served')\n",
        );
    let mut scoter = scoter.args(["--threads", "2"]).start();
    let ask = |path| scoter.connect().packet(&get(path)).reply();
    scoter.signal(Signal::SIGSTOP);
    until("nobody reads", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", scoter.pid()));
        stat.expect("it runs").contains(") T ").then_some(())
    });
    assert_eq!(ask("/stuff").text(), "served");
    for _ in 0..20 {
        assert_eq!(ask("/fails").status, 500);
    }
    scoter.signal(Signal::SIGCONT);
    scoter.wait_for_log("....");
    assert!(!scoter.stderr().contains("ValueError"));
    assert_eq!(ask("/fails").status, 500);
    scoter.wait_for_log("messages were lost: nobody was reading standard error lost=20");
    let finished = scoter.stop();
    let log = finished.stderr;
    assert_eq!(log.matches("ValueError: xxx").count(), 1, "{log}");
    let served = finished.stdout;
    assert_eq!(served.lines().count(), 22, "{served}");
}

#[test]
fn long_messages_of_several_threads_stay_whole_in_a_pipe() {
    let scoter = Scoter::serving("piped")
        .under(["python3", "-c", READER])
        .with_file(
            "piped.py",
            "def application(environ, start_response):\n    \
                 letter = environ['PATH_INFO'][1:]\n    \
                 environ['wsgi.errors'].write(letter * 20_000 + '\\n')\n    \
                 start_response('200 OK', [])\n    \
                 return []\n",
        );
    let scoter = scoter.args(["--threads", "4"]).start();
    thread::scope(|scope| {
        for letter in ["a", "b", "c", "d"] {
            let scoter = &scoter;
            scope.spawn(move || {
                for _ in 0..25 {
                    let path = format!("/{letter}");
                    scoter.connect().packet(&get(&path)).reply();
                }
            });
        }
    });
    let is_message = |line: &&str| line.len() > 10_000;
    let log = until("every line has been copied", || {
        let log = scoter.stderr();
        (log.lines().filter(is_message).count() >= 100 && log.ends_with('\n')).then_some(log)
    });
    for line in log.lines().filter(is_message) {
        let text = line.strip_prefix("| ").expect("it is the application's");
        assert_eq!(text, text[..1].repeat(20_000));
    }
}

#[test]
fn fields_of_a_message_stand_on_its_first_line() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .start();
    scoter.put("changing.py", "misspelt\n");
    assert_eq!(scoter.command(["reload"]).code, Some(1));
    scoter.wait_for_log("NameError");
    let log = scoter.stderr();
    let mut lines = log.lines();
    let first = lines.find(|line| line.contains("reload failed"));
    let first = first.unwrap_or_else(|| panic!("{log}"));
    assert!(
        first.ends_with("could not be imported generation=2"),
        "{log}"
    );
    let last = lines.find(|line| line.contains("NameError"));
    assert_eq!(
        last,
        Some("| NameError: name 'misspelt' is not defined"),
        "{log}"
    );
}
