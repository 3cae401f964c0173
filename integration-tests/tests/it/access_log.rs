//! What the lines of the access log look like, and where they go.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use integration_tests::{DEADLINE, Scoter, get, passed_on, post, until, with};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

#[test]
fn json_lines_tell_everything_about_a_request() {
    let mut scoter = Scoter::serving("forms")
        .args(["--access-log-format", "json"])
        .start();
    let vars = [
        ("QUERY_STRING", "q=1"),
        ("REQUEST_URI", "/path?q=1"),
        ("REMOTE_USER", "alice"),
        ("HTTP_HOST", "example.com"),
        ("HTTP_REFERER", "http://example.com/from"),
        ("HTTP_USER_AGENT", "test/1.0"),
        ("HTTP_X_REQUEST_ID", "given-1"),
        (
            "HTTP_TRACEPARENT",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    let ago = Duration::from_secs(2);
    let packet = passed_on(with(get("/path"), vars), ago);
    scoter.connect().packet(&packet).reply();
    scoter.connect().packet(&get("/second")).reply();
    let log = scoter.stop().stdout;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object"))
        .collect();
    let [first, second] = &lines[..] else {
        panic!("{log}");
    };
    for (key, expected) in [
        ("status", Value::from(203)),
        ("bytes", "function GET /path".len().into()),
        ("method", "GET".into()),
        ("uri", "/path?q=1".into()),
        ("protocol", "HTTP/1.1".into()),
        ("host", "example.com".into()),
        ("remote_addr", "192.0.2.1".into()),
        ("remote_user", "alice".into()),
        ("referer", "http://example.com/from".into()),
        ("user_agent", "test/1.0".into()),
        ("request_id", "given-1".into()),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
        ("span_id", "b7ad6b7169203331".into()),
    ] {
        assert_eq!(first[key], expected, "{key}: {first}");
    }
    assert_eq!(first["worker"], 1, "{first}");
    assert!(first["pid"].is_u64() && first["slot"].is_u64(), "{first}");
    let duration = first["duration_ms"].as_f64().expect("a number");
    assert!((0.0..10_000.0).contains(&duration), "{first}");
    let queue = first["queue_ms"].as_f64().expect("a number");
    assert!((2_000.0..10_000.0).contains(&queue), "{first}");
    // 2026-11-22T06:57:02.123+00:00
    let time = first["time"].as_str().expect("a string");
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape.replace('-', "+"), "0000+00+00T00:00:00.000+00:00");
    // Nobody knows how long a request without a front end's clock was in the kernel's queue.
    for absent in [
        "host",
        "remote_user",
        "referer",
        "user_agent",
        "trace_id",
        "queue_ms",
    ] {
        assert!(second.get(absent).is_none(), "{absent}: {second}");
    }
}

#[test]
fn no_request_makes_an_invalid_json_line() {
    let mut scoter = Scoter::serving("forms")
        .args(["--access-log-format", "json"])
        .start();
    let every_byte: Vec<u8> = (0..=255).collect();
    let keys = [
        "REQUEST_METHOD",
        "REQUEST_URI",
        "SERVER_PROTOCOL",
        "REMOTE_ADDR",
        "REMOTE_USER",
        "HTTP_HOST",
        "HTTP_REFERER",
        "HTTP_USER_AGENT",
        "HTTP_X_REQUEST_ID",
        "HTTP_TRACEPARENT",
    ];
    for key in keys {
        let vars = [(key, &every_byte[..])];
        scoter.connect().packet(&with(get("/"), vars)).ending();
    }
    let log = scoter.stop().stdout;
    assert_eq!(log.lines().count(), keys.len(), "{log}");
    for line in log.lines() {
        let object: Value = serde_json::from_str(line).expect("a JSON object");
        assert_eq!(object["status"], 203, "{line}");
    }
}

#[test]
fn template_decides_about_the_line() {
    let template = "$remote_addr - $remote_user \"$request\" $status $body_bytes_sent \
                    fwd=$http_x_forwarded_for id=$request_id app=$var_app_stage cost=$$${pid}";
    let mut scoter = Scoter::serving("forms")
        .args(["--access-log-format", template])
        .start();
    let vars = [
        ("HTTP_X_FORWARDED_FOR", "203.0.113.7\"\n"),
        ("HTTP_X_REQUEST_ID", "given-1"),
        ("APP_STAGE", "blue"),
    ];
    scoter.connect().packet(&with(get("/path"), vars)).reply();
    let log = scoter.stop().stdout;
    let expected = "192.0.2.1 - - \"GET /path HTTP/1.1\" 203 18 fwd=203.0.113.7\\x22\\x0A \
                    id=given-1 app=blue cost=$";
    let served_by = log
        .trim_end()
        .strip_prefix(expected)
        .unwrap_or_else(|| panic!("{log}"));
    assert!(served_by.parse::<u32>().is_ok(), "{log}");
    assert_eq!(log.lines().count(), 1);
}

#[test]
fn template_with_a_mistake_is_refused_at_the_start() {
    let finished = Scoter::serving("forms")
        .args(["--access-log-format", "$status $remote_adr"])
        .run();
    assert_eq!(finished.code, Some(2));
    for part in [
        "access-log-format",
        "column 9: unknown variable $remote_adr",
        "hint: did you mean $remote_addr?",
    ] {
        assert!(
            finished.stderr.contains(part),
            "{part}: {}",
            finished.stderr
        );
    }
}

#[test]
fn access_log_may_share_standard_error() {
    let mut scoter = Scoter::serving("forms")
        .args([
            "--access-log",
            "stderr",
            "--access-log-format",
            "at $request_uri",
        ])
        .start();
    scoter.connect().packet(&get("/path")).reply();
    let finished = scoter.stop();
    assert_eq!(finished.stdout, "");
    assert!(
        finished.stderr.contains("\nat /path\n"),
        "{}",
        finished.stderr
    );
}

#[test]
fn file_of_the_access_log_is_closed_to_strangers() {
    let scoter = Scoter::serving("forms");
    let path = scoter.folder().join("access.log");
    let mut scoter = scoter.args(["--access-log".into(), path.clone()]).start();
    let mode = fs::metadata(&path).expect("made").permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
    scoter.stop();
}

#[test]
fn lines_of_several_servers_stay_whole_in_one_pipe() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("the test's own folder");
    // Whoever opens it for both is not kept waiting, and keeps it from ending.
    let keeper = OpenOptions::new().read(true).write(true).open(&pipe);
    let keeper = keeper.expect("just made");
    let servers = [1, 2].map(|_| {
        Scoter::serving("forms")
            .args(["--access-log-format", "$request_uri"])
            .args(["--access-log".into(), pipe.clone()])
            .start()
    });
    // A pipe tears what is longer than 4 KiB.
    let lengths = [10, 20_000, 5_000, 10_000];
    thread::scope(|scope| {
        for (scoter, letter) in servers.iter().zip(["a", "b"]) {
            scope.spawn(move || {
                for number in 0..REQUESTS {
                    let uri = letter.repeat(lengths[number % lengths.len()]);
                    let packet = with(get("/"), [("REQUEST_URI", uri)]);
                    scoter.connect().packet(&packet).reply();
                }
            });
        }
    });
    // Only now: both have more to write than the pipe holds, and get in each other's way.
    let reader = File::from(keeper.as_fd().try_clone_to_owned().expect("a descriptor"));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
        lines.try_for_each(|line| sender.send(line))
    });
    let next_line = || receiver.recv_timeout(DEADLINE).expect("another line");
    let mut lines: Vec<String> = (0..2 * REQUESTS).map(|_| next_line()).collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..2 * REQUESTS)
        .map(|number| ["a", "b"][number % 2].repeat(lengths[number / 2 % lengths.len()]))
        .collect();
    expected.sort_unstable();
    assert!(lines == expected, "some line is not as it was written");
}

#[test]
fn rotation_by_renaming_loses_no_line_of_any_worker() {
    let scoter = Scoter::serving("forms");
    let folder = scoter.folder().to_owned();
    let file = folder.join("access.log");
    let mut scoter = scoter
        .args(["--access-log-format", "$request_uri"])
        .workers("3")
        .args(["--access-log".into(), file.clone()])
        .start();
    const ROTATIONS: usize = 5;
    const CLIENTS: usize = 4;
    let done = AtomicBool::new(false);
    let mut sent = thread::scope(|scope| {
        let ask = |client: usize| {
            let (scoter, done) = (&scoter, &done);
            move || {
                let uris = (0..).map(|number| format!("/{client}/{number}"));
                uris.take_while(|_| !done.load(Relaxed))
                    .inspect(|uri| {
                        scoter.connect().packet(&get(uri)).reply();
                    })
                    .collect::<Vec<_>>()
            }
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| scope.spawn(ask(client)))
            .collect();
        for rotation in 0..ROTATIONS {
            until("there is something to rotate", || {
                (fs::metadata(&file).ok()?.len() > 1_000).then_some(())
            });
            fs::rename(&file, folder.join(format!("access.log.{rotation}"))).expect("there");
            scoter.signal(Signal::SIGUSR1);
        }
        until("the last file is in use", || file.exists().then_some(()));
        done.store(true, Relaxed);
        let sent = clients
            .into_iter()
            .flat_map(|client| client.join().expect("asks"));
        sent.collect::<Vec<_>>()
    });
    scoter.stop();
    let files = (0..ROTATIONS).map(|rotation| folder.join(format!("access.log.{rotation}")));
    let mut logged: Vec<String> = files
        .chain([file])
        .flat_map(|file| {
            let text = fs::read_to_string(file).expect("one for each rotation");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    logged.sort_unstable();
    sent.sort_unstable();
    assert_eq!(logged, sent);
}

#[test]
fn response_is_logged_before_the_rest_of_its_request_is_taken() {
    let scoter = Scoter::serving("bodies").start();
    let mut peer = scoter.connect();
    peer.packet(&post("/unread", 3_000_000))
        .send(vec![b'x'; 1_000]);
    // The peer goes on for as long as it likes; the response is out.
    scoter.wait_for_access_log(1);
    peer.send(vec![b'x'; 1_000]);
}

/// Of each server in the test of the pipe: less than the megabyte of lines that it keeps.
const REQUESTS: usize = 100;

#[test]
fn request_start_that_cannot_be_is_no_time_in_the_queue() {
    let scoter = Scoter::serving("echo")
        .args(["--access-log-format", "json", "--queue-timeout", "30s"])
        .start();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    let starts = [now - 3_600, now - 86_000, now + 3_600, 1, 0, u64::MAX];
    for (count, start) in (1..).zip(starts) {
        let vars = [("HTTP_X_REQUEST_START", format!("t={start}.000"))];
        let reply = scoter.connect().packet(&with(get("/"), vars)).reply();
        assert_eq!(reply.status, 200, "{start}");
        let line = scoter.wait_for_access_log(count).pop().expect("a line");
        let line: Value = serde_json::from_str(&line).expect("an object");
        assert!(line.get("queue_ms").is_none(), "{start}: {line}");
    }
}
