use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use crate::support::{DEADLINE, Folder, Received, run, serve_bytes, stderr, stdout, until};
use crate::{HELLO, UWSGI_CURL, curl};

#[test]
fn body_is_written_and_nothing_else() {
    let output = curl(HELLO, &[]);
    assert_eq!(
        (stdout(&output), stderr(&output)),
        ("hello".to_owned(), String::new())
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn head_is_written_on_demand() {
    let whole = String::from_utf8(HELLO.to_vec()).unwrap();
    assert_eq!(stdout(&curl(HELLO, &["-i"])), whole);
    let head = whole.strip_suffix("hello").unwrap();
    assert_eq!(stdout(&curl(HELLO, &["-I"])), head);
    assert_eq!(stdout(&curl(HELLO, &["-I", "-X", "GET"])), head);
}

#[test]
fn reply_goes_to_a_file() {
    let folder = Folder::new();
    let file = folder.text("reply");
    let output = curl(HELLO, &["-o", &file]);
    assert_eq!(stdout(&output), "");
    assert_eq!(fs::read(&file).unwrap(), b"hello");
    // Also an empty one.
    curl(b"HTTP/1.1 204 No Content\r\n\r\n", &["-o", &file]);
    assert_eq!(fs::read(&file).unwrap(), b"");
    assert_eq!(stdout(&curl(HELLO, &["-o", "-"])), "hello");
}

#[test]
fn pieces_are_written_as_they_come() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("server")).unwrap();
    let mut child = Command::new(UWSGI_CURL)
        .arg(folder.text("server"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    Received::read(&mut stream).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let mut stdout = child.stdout.take().unwrap();
    for piece in [&b"one"[..], b"two"] {
        stream.write_all(piece).unwrap();
        let mut got = vec![0; piece.len()];
        stdout.read_exact(&mut got).unwrap();
        assert_eq!(got, piece);
    }
    drop(stream);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn variables_and_heads_are_reported_on_demand() {
    let folder = Folder::new();
    let server = folder.text("server");
    let _received = serve_bytes(&folder.path("server"), b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX: \xff\r\nContent-Length: 2\r\n\r\nhi");
    let output = run(UWSGI_CURL, &[&server, "-v", "-d", "abc", "/x"]);
    let text = stderr(&output);
    for line in [
        &format!("* connected to unix:{server}\n"),
        "* packet: wsgi (0, 0), ",
        "> PATH_INFO = /x\n",
        "* body: 3 bytes\n",
        "< HTTP/1.1 103 Early Hints\n",
        "< link: </a>\n",
        "< HTTP/1.1 200 OK\n",
        "< X: \\xff\n",
    ] {
        assert!(text.contains(line), "{line:?}: {text}");
    }
    assert_eq!(stdout(&output), "hi");
}

#[test]
fn measurements_are_written_at_the_end() {
    let format = "\\n%{http_code} %{response_code} %{content_type} %{size_download} %{size_upload} %{num_headers} %{size_header} %{method} %{url} %{exitcode} [%{errormsg}] 100%% %x\\t|";
    let output = curl(HELLO, &["-w", format, "-d", "abc", "/x"]);
    assert_eq!(
        stdout(&output),
        format!(
            "hello\n200 200 text/plain 5 3 2 {} POST /x 0 [] 100% %x\t|",
            HELLO.len() - 5
        )
    );
    let folder = Folder::new();
    let discarded = folder.text("reply");
    let format = "%{time_connect} %{time_starttransfer} %{time_total} %{speed_download}";
    let output = curl(HELLO, &["-w", format, "-o", &discarded]);
    let text = stdout(&output);
    let numbers: Vec<f64> = text
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    assert!(
        0.0 < numbers[0] && numbers.is_sorted_by(|a, b| a <= b),
        "{text}"
    );
    let folder = Folder::new();
    let file = folder.file("format", "%{http_code}");
    assert_eq!(
        stdout(&curl(HELLO, &["-w", &format!("@{file}"), "-o", &discarded])),
        "200"
    );
    let output = curl(HELLO, &["-w", "%{http_cod}"]);
    assert!(
        stderr(&output).contains("no variable %{http_cod}"),
        "{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn measurements_are_written_after_a_failure_too() {
    let output = curl(b"", &["-w", "%{http_code} %{exitcode} %{errormsg}", "-s"]);
    assert_eq!(
        stdout(&output),
        "000 52 the server closed the connection without a reply"
    );
    let output = curl(
        b"HTTP/1.1 404 Not Found\r\n\r\n",
        &["-w", "%{http_code}", "-sf"],
    );
    assert_eq!(stdout(&output), "404");
}

#[test]
fn reader_that_leaves_is_not_worth_a_word() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("server")).unwrap();
    let mut child = Command::new(UWSGI_CURL)
        .arg(folder.text("server"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let (mut stream, _) = listener.accept().unwrap();
    Received::read(&mut stream).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    // Until it leaves.
    while stream.write_all(&[b'x'; 65_536]).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(23));
}

#[test]
fn binary_reply_is_kept_from_a_terminal() {
    let folder = Folder::new();
    let _received = serve_bytes(&folder.path("server"), b"HTTP/1.1 200 OK\r\n\r\nPNG\0\x1b");
    let server = folder.text("server");
    for (more, shown, code) in [
        ("", "(23) the reply is binary", "23"),
        (" -o -", "PNG", "0"),
    ] {
        let log = folder.path("log");
        // script(1) gives it a terminal.
        let script = Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .arg(format!("{UWSGI_CURL} {server}{more}; echo code $?"))
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if script.is_err() {
            let name = "SKIPPED binary_reply_is_kept_from_a_terminal: no script(1)";
            let _ = writeln!(std::io::stderr(), "{name}");
            return;
        }
        let text = until("the command has ended", || {
            let text = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
            text.contains("code ").then_some(text)
        });
        assert!(
            text.contains(shown) && text.contains(&format!("code {code}")),
            "{text:?}"
        );
        assert_eq!(text.contains("PNG"), code == "0", "{text:?}");
    }
    // A pipe takes everything.
    assert_eq!(run(UWSGI_CURL, &[&server]).stdout, b"PNG\0\x1b");
}
