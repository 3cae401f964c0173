//! What is written where.

use std::fs;

use integration_tests::{Connections, Scoter, Site, get, post, through_nginx, with};
use nix::sys::signal::Signal;

#[test]
fn access_log_has_a_line_per_request() {
    let mut scoter = Scoter::serving("forms").start();
    let vars = [
        ("QUERY_STRING", "q=1"),
        ("REQUEST_URI", "/pa%20th?q=1"),
        ("REMOTE_USER", "alice"),
        ("HTTP_REFERER", "http://example.com/from"),
        ("HTTP_USER_AGENT", "test/1.0"),
    ];
    scoter.connect().packet(&with(get("/pa th"), vars)).reply();
    scoter.connect().packet(&get("/second")).reply();
    let log = scoter.stop().stdout;
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    // As nginx's `combined`, with the request time in seconds behind it.
    let (peer, rest) = lines[0].split_once(" [").expect("a time");
    let (time, rest) = rest.split_once("] ").expect("the end of the time");
    assert_eq!(peer, "192.0.2.1 - alice");
    assert_eq!(time.len(), "22/Nov/2026:06:57:02 +0000".len(), "{time}");
    // "function GET /pa th" are 19 bytes.
    let (request, duration) = rest.rsplit_once(' ').expect("the request time");
    assert_eq!(
        request,
        r#""GET /pa%20th?q=1 HTTP/1.1" 203 19 "http://example.com/from" "test/1.0""#
    );
    let seconds: f64 = duration.parse().expect("a number");
    assert!((0.0..10.0).contains(&seconds), "{seconds}");
    assert!(lines[1].starts_with("192.0.2.1 - - ["), "{}", lines[1]);
    assert!(lines[1].contains(r#" "-" "-" "#), "{}", lines[1]);
}

#[test]
fn peer_cannot_forge_log_lines() {
    let mut scoter = Scoter::serving("failures:before_start").start();
    let vars = [
        ("REQUEST_URI", "/x\" 200 5\n192.0.2.9 - forged"),
        (
            "HTTP_USER_AGENT",
            "quote \" newline \n escape \x1b[31m back\\slash caf\u{e9}",
        ),
        ("REMOTE_USER", "a b\r\n"),
        ("REQUEST_METHOD", "GET \n"),
    ];
    scoter.connect().packet(&with(get("/"), vars)).ending();
    let finished = scoter.stop();
    assert_eq!(finished.stdout.lines().count(), 1, "{}", finished.stdout);
    for log in [&finished.stdout, &finished.stderr] {
        assert!(!log.contains(['\x1b', '\r']), "{log}");
        assert!(
            !log.lines().any(|line| line.starts_with("192.0.2.9")),
            "{log}"
        );
    }
    // Quotes end no field early.
    assert_eq!(
        finished.stdout.matches('"').count(),
        6,
        "{}",
        finished.stdout
    );
}

#[test]
fn access_log_can_be_turned_off_or_go_to_a_file() {
    let mut scoter = Scoter::serving("forms")
        .args(["--access-log", "off"])
        .start();
    scoter.connect().packet(&get("/")).reply();
    assert_eq!(scoter.stop().stdout, "");

    let scoter = Scoter::serving("forms");
    let file = scoter.folder().join("access.log");
    fs::write(&file, "earlier line\n").expect("the test's own folder");
    let mut scoter = scoter.args(["--access-log".into(), file.clone()]).start();
    scoter.connect().packet(&get("/")).reply();
    assert_eq!(scoter.stop().stdout, "");
    let log = fs::read_to_string(file).expect("still there");
    assert!(
        log.starts_with("earlier line\n") && log.lines().count() == 2,
        "{log}"
    );
}

#[test]
fn full_disk_under_the_access_log_stops_nothing() {
    let mut scoter = Scoter::serving("forms")
        .args(["--access-log", "/dev/full"])
        .start();
    for _ in 0..50 {
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 203);
    }
    scoter.stop();
}

#[test]
fn access_log_is_written_soon() {
    let scoter = Scoter::serving("forms").start();
    scoter.connect().packet(&get("/")).reply();
    scoter.wait_for_access_log(1);
}

#[test]
fn failed_requests_are_in_the_access_log() {
    let mut scoter = Scoter::serving("failures").start();
    scoter.connect().packet(&get("/before_start")).reply();
    scoter
        .connect()
        .packet(&get("/after_first_chunk_announced"))
        .ending();
    let log = scoter.stop().stdout;
    let mut statuses: Vec<_> = log
        .lines()
        .filter_map(|line| line.split('"').nth(2))
        .collect();
    statuses.sort_unstable();
    let bytes = "Internal Server Error\n".len();
    assert_eq!(
        statuses,
        [" 200 7 ".to_owned(), format!(" 500 {bytes} ")],
        "{log}"
    );
}

#[test]
fn wsgi_errors_goes_to_the_log_line_by_line() {
    let scoter = Scoter::serving("talkative");
    fs::write(
        scoter.folder().join("talkative.py"),
        "def application(environ, start_response):\n    \
             errors = environ['wsgi.errors']\n    \
             errors.write('first ')\n    \
             errors.write('line\\nsecond caf\\xe9 \\u20ac\\n')\n    \
             print('printed', file=errors)\n    \
             errors.writelines(['third', ' line\\n', 'no end'])\n    \
             errors.flush()\n    \
             start_response('200 OK', [])\n    \
             return []\n",
    )
    .expect("the test's own folder");
    let mut scoter = scoter.start();
    scoter.connect().packet(&get("/")).reply();
    scoter.connect().packet(&get("/")).reply();
    let log = scoter.stop().stderr;
    for line in [
        "first line",
        "second caf\u{e9} \u{20ac}",
        "printed",
        "third line",
        "no end",
    ] {
        let found = log
            .lines()
            .filter(|written| written.ends_with(line))
            .count();
        assert_eq!(found, 2, "{line}: {log}");
    }
}

#[through_nginx(gateway)]
fn ordinary_requests_are_silent(connections: Connections) {
    let mut site = Site::serving("bodies", connections);
    let before = site.scoter().stderr();
    site.get("/everything");
    site.post("/everything", "body");
    site.post("/unread", vec![b'x'; 3_000_000]);
    site.scoter()
        .connect()
        .packet(&post("/everything", 100))
        .send("left");
    assert_eq!(site.scoter().stderr(), before);
    site.scoter_mut().stop();
}

#[test]
fn level_of_the_log_is_as_asked() {
    let mut quiet = Scoter::serving("failures")
        .args(["--log-level", "debug"])
        .start();
    let before = quiet.stderr().len();
    let mut leaving = quiet.connect();
    leaving.packet(&post("/fine", 100)).send("part");
    drop(leaving);
    quiet.connect().packet(&get("/fine")).reply();
    let log = quiet.stop().stderr;
    assert!(log[before..].contains("DEBUG"), "{log}");
}

#[test]
fn server_outlives_its_standard_error() {
    let scoter = Scoter::serving("mute");
    fs::write(
        scoter.folder().join("mute.py"),
        "import os\n\
         from probe import plain\n\
         def application(environ, start_response):\n    \
             if environ['PATH_INFO'] == '/mute':\n        \
                 reader, writer = os.pipe()\n        \
                 os.close(reader)\n        \
                 os.dup2(writer, 2)\n    \
             if environ['PATH_INFO'] == '/fails':\n        \
                 raise ValueError\n    \
             return plain(start_response, 'served')\n",
    )
    .expect("the test's own folder");
    let mut scoter = scoter.start();
    let text = |path| {
        scoter
            .connect()
            .packet(&get(path))
            .reply()
            .text()
            .to_string()
    };
    assert_eq!(text("/mute"), "served");
    scoter.connect().send([5, 0, 0, 0]).ending();
    assert_eq!(text("/fails"), "Internal Server Error\n");
    assert_eq!(text("/"), "served");
    scoter.signal(Signal::SIGTERM);
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn traceback_of_a_message_that_is_not_unicode_is_whole() {
    let scoter = Scoter::serving("surrogate");
    fs::write(
        scoter.folder().join("surrogate.py"),
        "def application(environ, start_response):\n    raise ValueError('name \\udcff')\n",
    )
    .expect("the test's own folder");
    let scoter = scoter.start();
    scoter.connect().packet(&get("/")).reply();
    scoter.wait_for_log("surrogate.py\", line 2, in application");
    scoter.wait_for_log("ValueError: name ");
}
