use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use serde_json::Value;
use uwsgi_codec::modifier;

use crate::UWSGI_DUMP;
use crate::support::{
    DEADLINE, Folder, Running, ask, connect, request, run, serve_bytes, stdout, until,
};

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Starts `uwsgi-dump tee` from `front` to `server` in a folder.
fn tee(folder: &Folder, more: &[&str]) -> Running {
    let tee = Running::start(&mut command(folder, more));
    tee.error_line("listening on");
    tee
}

fn command(folder: &Folder, more: &[&str]) -> Command {
    let mut command = Command::new(UWSGI_DUMP);
    command
        .args(["tee", "--listen", &folder.text("front")])
        .args(["--to", &folder.text("server")])
        .args(more);
    command
}

fn json_line(tee: &Running, event: &str) -> Value {
    let line = tee.output_line(&format!("{{\"event\":\"{event}\""));
    serde_json::from_str(&line).unwrap()
}

#[test]
fn requests_and_replies_are_passed_on_and_shown() {
    let folder = Folder::new();
    let received = serve_bytes(&folder.path("server"), HELLO);
    let tee = tee(&folder, &["--json"]);
    let answer = ask(&folder.path("front"), &request("POST", "/a", b"body"));
    assert_eq!(answer, HELLO);
    assert_eq!(received.recv().unwrap().body, b"body");

    let shown = json_line(&tee, "request");
    assert_eq!(
        (&shown["connection"], &shown["request"]),
        (&1.into(), &1.into())
    );
    assert_eq!(shown["vars"][1], serde_json::json!(["REQUEST_URI", "/a"]));
    assert_eq!(shown["body_bytes"], 4);
    let reply = json_line(&tee, "reply");
    assert_eq!(
        (&reply["connection"], &reply["request"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        (&reply["status"], &reply["body_bytes"]),
        (&200.into(), &5.into())
    );
    assert_eq!(reply["head"][1], "Content-Length: 5");
    let [first_byte, total] = ["first_byte_seconds", "total_seconds"].map(|it| reply[it].as_f64());
    assert!(0.0 < first_byte.unwrap() && first_byte <= total, "{reply}");

    ask(&folder.path("front"), &request("GET", "/b", b""));
    assert_eq!(json_line(&tee, "request")["connection"], 2);
}

#[test]
fn text_is_readable() {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), HELLO);
    let tee = tee(&folder, &[]);
    ask(&folder.path("front"), &request("GET", "/a", b""));
    let line = tee.output_line("wsgi GET /a");
    assert!(
        line.contains("Z #1.1: wsgi GET /a, 2 vars in 38 bytes"),
        "{line}"
    );
    tee.output_line("    REQUEST_URI = /a");
    let line = tee.output_line("reply");
    assert!(
        line.contains("Z #1.1: reply 200, 5 bytes, first byte after "),
        "{line}"
    );
    assert!(line.ends_with(" ms"), "{line}");
    tee.output_line("    HTTP/1.1 200 OK");
}

#[test]
fn body_that_has_not_come_is_announced() {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), HELLO);
    let tee = tee(&folder, &[]);
    let mut bytes = request("POST", "/", b"hello");
    bytes.truncate(bytes.len() - 2);
    ask(&folder.path("front"), &bytes);
    tee.output_line("    body of 5 bytes announced");
    tee.output_line("the stream ends within a body: 3 of 5 bytes");
}

#[test]
fn tcp_is_passed_on_too() {
    let (server, _tee, mut front) = tee_on_tcp();
    let capture = request("GET", "/", b"");
    front.write_all(&capture).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    let mut got = vec![0; capture.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, capture);
    stream.write_all(HELLO).unwrap();
    drop(stream);
    let mut answer = Vec::new();
    front.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, HELLO);
}

/// A server that dies with unread input resets the connection; a front end must not take that for the end of a reply.
#[test]
fn reset_is_passed_on() {
    let (server, tee, mut front) = tee_on_tcp();
    front.write_all(&request("GET", "/", b"")).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").unwrap();
    let mut got = [0; 23];
    front.read_exact(&mut got).unwrap();
    // Its input is not read to the end.
    drop(stream);
    let error = front.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    tee.output_line("error: the server broke the connection: Connection reset");
}

#[test]
fn pieces_are_passed_on_as_they_come() {
    let folder = Folder::new();
    let server = UnixListener::bind(folder.path("server")).unwrap();
    let _tee = tee(&folder, &[]);
    let mut front = connect(&folder.path("front"));
    let (mut stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let capture = request("POST", "/", b"one two");
    let mut pieces = capture.chunks(10);
    for piece in &mut pieces {
        front.write_all(piece).unwrap();
        let mut got = vec![0; piece.len()];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, piece);
    }
    for piece in [&b"HTTP/1.1 2"[..], b"00 OK\r\n\r\n", b"one", b"two"] {
        stream.write_all(piece).unwrap();
        let mut got = vec![0; piece.len()];
        front.read_exact(&mut got).unwrap();
        assert_eq!(got, piece);
    }
}

#[test]
fn end_of_one_direction_leaves_the_other_open() {
    let folder = Folder::new();
    let server = UnixListener::bind(folder.path("server")).unwrap();
    let _tee = tee(&folder, &[]);
    // The front end ends first.
    let mut front = connect(&folder.path("front"));
    let (mut stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    front.write_all(&request("GET", "/", b"")).unwrap();
    front.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    assert_eq!(got, request("GET", "/", b""));
    stream.write_all(HELLO).unwrap();
    front.read_exact(&mut vec![0; HELLO.len()]).unwrap();
    // And then the server.
    let mut front = connect(&folder.path("front"));
    let (mut stream, _) = server.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(HELLO).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = Vec::new();
    front.read_to_end(&mut got).unwrap();
    assert_eq!(got, HELLO);
    front.write_all(b"late").unwrap();
    stream.read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn sender_waits_for_a_receiver_that_does_not_read() {
    let folder = Folder::new();
    let server = UnixListener::bind(folder.path("server")).unwrap();
    let _tee = tee(&folder, &[]);
    let front = connect(&folder.path("front"));
    let (stream, _) = server.accept().unwrap();
    for (mut sender, _receiver) in [(&front, &stream), (&stream, &front)] {
        sender
            .set_write_timeout(Some(std::time::Duration::from_millis(300)))
            .unwrap();
        let mut sent = 0;
        loop {
            match sender.write(&[0; 65_536]) {
                Ok(written) => sent += written,
                Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            assert!(sent < 16 << 20, "{sent} bytes were taken");
        }
    }
}

#[test]
fn requests_of_a_kept_connection_have_their_own_replies() {
    let folder = Folder::new();
    let server = UnixListener::bind(folder.path("server")).unwrap();
    let tee = tee(&folder, &["--json"]);
    let mut front = connect(&folder.path("front"));
    let (mut stream, _) = server.accept().unwrap();
    for (number, (method, reply, status)) in [
        ("GET", HELLO, 200),
        (
            "HEAD",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n",
            404,
        ),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", HELLO, 200),
    ]
    .into_iter()
    .enumerate()
    {
        let capture = request(method, "/", b"");
        front.write_all(&capture).unwrap();
        stream.read_exact(&mut vec![0; capture.len()]).unwrap();
        stream.write_all(reply).unwrap();
        front.read_exact(&mut vec![0; reply.len()]).unwrap();
        let shown = json_line(&tee, "reply");
        assert_eq!(
            (&shown["request"], &shown["status"]),
            (&(number + 1).into(), &status.into())
        );
    }
}

#[test]
fn what_is_no_request_is_passed_on_and_named() {
    for (name, sent, answer, expected) in [
        (
            "malformed",
            &b"\0\x08\0\0\x03\0abc\xff\xff\x01 and more"[..],
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "#1.1: error: at byte 9: value of 65535 bytes at offset 5, 1 left in the block; there: ff ff 01 ",
        ),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "#1.1: error: at byte 0: plain HTTP request: ",
        ),
        (
            "incomplete",
            b"\0\x08\0\0\x03\0a",
            b"HTTP/1.1 408 Request Timeout\r\n\r\n",
            "error: at byte 0: the stream ends within a packet: 7 of 12 bytes",
        ),
        (
            "reply of another protocol",
            &[0, 0, 0, 0],
            b"\x15\x03\x01\x00\x02",
            "not an HTTP reply: ",
        ),
        (
            "no reply",
            &[0, 0, 0, 0],
            b"",
            "#1.1: error: the connection ended without a reply, after ",
        ),
    ] {
        let folder = Folder::new();
        let server = UnixListener::bind(folder.path("server")).unwrap();
        let tee = tee(&folder, &[]);
        let served = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).unwrap();
            stream.write_all(answer).unwrap();
            got
        });
        assert_eq!(ask(&folder.path("front"), sent), answer, "{name}");
        assert_eq!(served.join().unwrap(), sent, "{name}");
        tee.output_line(expected);
        if answer.starts_with(b"HTTP") {
            // It is a reply to that, and not to nothing.
            let line = tee.output_line("#1.1: reply 4");
            assert!(!line.contains("no request asked for"), "{name}: {line}");
        }
    }
}

#[test]
fn other_protocol_after_an_upgrade_is_no_error() {
    let folder = Folder::new();
    let server = UnixListener::bind(folder.path("server")).unwrap();
    let tee = tee(&folder, &["--json"]);
    let mut front = connect(&folder.path("front"));
    let (mut stream, _) = server.accept().unwrap();
    front.write_all(&request("GET", "/", b"")).unwrap();
    stream
        .read_exact(&mut vec![0; request("GET", "/", b"").len()])
        .unwrap();
    let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    stream.write_all(head).unwrap();
    front.read_exact(&mut vec![0; head.len()]).unwrap();
    front.write_all(b"GET /").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    stream.write_all(b"pong").unwrap();
    front.read_exact(&mut [0; 4]).unwrap();
    drop((front, stream));
    json_line(&tee, "request");
    let next: Value = serde_json::from_str(&tee.output_line("")).unwrap();
    assert_eq!(
        (&next["event"], &next["status"]),
        (&"reply".into(), &101.into()),
        "{next}"
    );
    assert_eq!(next["body_bytes"], 4);
}

#[test]
fn ping_is_answered_by_a_packet() {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), &[modifier::PING, 0, 0, 1]);
    let tee = tee(&folder, &[]);
    ask(&folder.path("front"), &[modifier::PING, 0, 0, 0]);
    tee.output_line("#1.1: ping (100, 0), 0 bytes");
    tee.output_line("    packet: ping (100, 1), 0 bytes");
}

#[test]
fn server_that_does_not_listen_is_named() {
    let folder = Folder::new();
    let tee = tee(&folder, &[]);
    let mut front = connect(&folder.path("front"));
    assert_eq!(front.read(&mut [0]).unwrap(), 0);
    tee.output_line("#1: error: cannot connect to unix:");
}

#[test]
fn saved_connections_can_be_read_and_replayed() {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), HELLO);
    let tee = tee(&folder, &["--save", &folder.text("saved")]);
    let bodies = [&b"one"[..], b"\xff\0"];
    for body in bodies {
        ask(&folder.path("front"), &request("POST", "/", body));
    }
    tee.output_line("#2.1: reply");
    let saved = folder.path("saved");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&saved), 0o700);
    let files = until("two connections are saved", || {
        let entries = fs::read_dir(&saved).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        let is_filled = files.iter().all(|file| file.metadata().unwrap().len() > 0);
        files.sort();
        (files.len() == 4 && is_filled).then_some(files)
    });
    for (file, expected) in files.iter().zip([
        HELLO.to_vec(),
        request("POST", "/", bodies[0]),
        HELLO.to_vec(),
        request("POST", "/", bodies[1]),
    ]) {
        assert_eq!(fs::read(file).unwrap(), expected, "{}", file.display());
        assert_eq!(mode(file), 0o600);
    }
    let output = run(UWSGI_DUMP, &[saved.to_str().unwrap(), "--bodies"]);
    let text = stdout(&output);
    assert!(text.contains("body of 3 bytes: one\n"), "{text}");
    assert!(text.contains("body of 2 bytes: \\xff\\x00\n"), "{text}");
    assert!(text.contains("body of 5 bytes: hello\n"), "{text}");
    let to = folder.text("server");
    let saved = saved.to_str().unwrap();
    let output = run(
        UWSGI_DUMP,
        &["replay", saved, "--to", &to, "--compare", "saved"],
    );
    assert_eq!(
        stdout(&output).matches(": same\n").count(),
        2,
        "{}",
        stdout(&output)
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn folder_that_is_gone_stops_no_connection() {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), HELLO);
    let tee = tee(&folder, &["--save", &folder.text("saved")]);
    fs::remove_dir(folder.path("saved")).unwrap();
    assert_eq!(ask(&folder.path("front"), &request("GET", "/", b"")), HELLO);
    let line = tee.output_line("#1: error: cannot save to ");
    assert!(
        line.ends_with("No such file or directory (os error 2); passed on all the same"),
        "{line}"
    );
}

#[test]
fn full_disk_stops_no_connection() {
    let folder = Folder::new();
    let saved = folder.path("saved");
    fs::create_dir(&saved).unwrap();
    let script = "mount -t tmpfs -o size=64k none \"$1\" || exit 77; shift; exec \"$@\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--map-root-user", "sh", "-c", script, "sh"]);
    unshare.arg(&saved);
    let mut attempt = Command::new(unshare.get_program());
    let attempt = attempt.args(unshare.get_args()).arg("true").output();
    if !attempt.is_ok_and(|output| output.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED full_disk_stops_no_connection: no namespaces to mount in"
        );
        return;
    }
    let received = serve_bytes(&folder.path("server"), HELLO);
    let command = command(&folder, &["--save", saved.to_str().unwrap()]);
    unshare.arg(command.get_program()).args(command.get_args());
    let tee = Running::start(&mut unshare);
    tee.error_line("listening on");
    let body = vec![b'x'; 1_000_000];
    assert_eq!(
        ask(&folder.path("front"), &request("POST", "/", &body)),
        HELLO
    );
    assert_eq!(received.recv().unwrap().body.len(), body.len());
    let line = tee.output_line("#1: error: cannot save to ");
    assert!(line.contains("No space left on device"), "{line}");
}

#[test]
fn output_that_nobody_reads_stops_no_connection() {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), HELLO);
    let mut child = command(&folder, &[])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until("it listens", || {
        UnixStream::connect(folder.path("front")).ok()
    });
    // A pipe takes 64 KiB, and the queue 1024 events.
    for _ in 0..2000 {
        assert_eq!(ask(&folder.path("front"), &request("GET", "/", b"")), HELLO);
    }
    // Read again: what was left out is said with what comes next.
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    let (to, lines) = channel();
    thread::spawn(move || {
        let mut text = String::new();
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = err.read(&mut piece) {
            text.push_str(&String::from_utf8_lossy(&piece[..read]));
            if text.contains("events are not shown: the output is read too slowly") {
                to.send(()).unwrap();
                break;
            }
        }
    });
    until("it is said", || {
        ask(&folder.path("front"), &request("GET", "/", b""));
        lines.try_recv().ok()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap().unwrap();
}

#[test]
fn signal_ends_it_once_connections_have_ended() {
    let folder = Folder::new();
    let server = UnixListener::bind(folder.path("server")).unwrap();
    let mut tee = tee(&folder, &[]);
    let mut front = connect(&folder.path("front"));
    front.write_all(&request("GET", "/", b"")).unwrap();
    let (mut stream, _) = server.accept().unwrap();
    signal(&tee, "TERM");
    tee.error_line("waiting for 1 open connection,");
    assert!(!folder.path("front").exists());
    stream.write_all(HELLO).unwrap();
    drop(stream);
    let mut answer = Vec::new();
    front.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, HELLO);
    drop(front);
    tee.output_line("#1.1: reply 200");
    assert_eq!(tee.wait(), Some(0));
}

#[test]
fn second_signal_ends_it_at_once() {
    let folder = Folder::new();
    let _server = UnixListener::bind(folder.path("server")).unwrap();
    let mut tee = tee(&folder, &[]);
    let _front = connect(&folder.path("front"));
    let mut front = connect(&folder.path("front"));
    front.write_all(&request("GET", "/", b"")).unwrap();
    tee.output_line("wsgi GET /");
    signal(&tee, "INT");
    tee.error_line("waiting for 2 open connections,");
    signal(&tee, "INT");
    assert_eq!(tee.wait(), Some(0));
}

#[test]
fn socket_is_not_taken_from_a_running_server_but_from_a_dead_one() {
    let folder = Folder::new();
    let live = UnixListener::bind(folder.path("front")).unwrap();
    let mut second = Running::start(&mut command(&folder, &[]));
    let text = second.error_line("uwsgi-dump: ");
    assert!(text.contains("cannot listen on unix:"), "{text}");
    assert!(text.contains("Address already in use"), "{text}");
    assert_eq!(second.wait(), Some(2));
    drop(live);
    let _tee = tee(&folder, &["--mode", "666"]);
    let mode = folder
        .path("front")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o666);
}

fn signal(process: &Running, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(process.child.id().to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// A server's listener on TCP, the tee in front of it, and a connection to the tee.
fn tee_on_tcp() -> (TcpListener, Running, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = server.local_addr().unwrap().to_string();
    let tee = Running::start(Command::new(UWSGI_DUMP).args([
        "tee",
        "--listen",
        "127.0.0.1:0",
        "--to",
        &to,
    ]));
    let line = tee.error_line("listening on 127.0.0.1:");
    let address = line
        .split([' ', ','])
        .find(|word| word.starts_with("127."))
        .unwrap();
    let front = TcpStream::connect(address).unwrap();
    front.set_read_timeout(Some(DEADLINE)).unwrap();
    (server, tee, front)
}
