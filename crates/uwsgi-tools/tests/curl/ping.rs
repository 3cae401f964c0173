use crate::support::{Folder, run, serve, stderr, stdout};
use crate::{UWSGI_CURL, curl};

#[test]
fn answer_to_a_ping_is_success() {
    let folder = Folder::new();
    // The connection stays open: the answer is complete without its end.
    let (keep, _kept) = std::sync::mpsc::channel();
    let received = serve(&folder.path("server"), move |mut stream, _| {
        std::io::Write::write_all(&mut stream, &[100, 0, 0, 1]).unwrap();
        keep.send(stream).unwrap();
    });
    let output = run(UWSGI_CURL, &[&folder.text("server"), "--ping"]);
    assert_eq!(
        (stdout(&output), stderr(&output)),
        (String::new(), String::new())
    );
    assert_eq!(output.status.code(), Some(0));
    let request = received.recv().unwrap();
    assert_eq!((request.modifiers, request.vars.len()), ((100, 0), 0));
}

#[test]
fn warning_of_the_server_is_shown_on_demand() {
    let output = curl(b"\x64\x04\x00\x01slow", &["--ping", "-v"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stderr(&output).contains("* warning of the server: slow\n"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn other_answers_to_a_ping_are_failures() {
    for (answer, code, message) in [
        (&b""[..], 52, "without an answer: it knows no ping"),
        (
            b"HTTP/1.1 500 X\r\n\r\n",
            8,
            "it takes the ping for a request, or is an HTTP server",
        ),
        (
            b"\x64\x00\x00\x00",
            8,
            "the answer is no ping: d\\x00\\x00\\x00",
        ),
        (b"\x64\x00", 8, "the answer is no ping: d\\x00"),
        (b"\x64\x09\x00\x01cut", 8, "the answer is no ping: "),
        (b"SSH-2.0-OpenSSH", 8, "the answer is no ping: SSH-"),
    ] {
        let output = curl(answer, &["--ping"]);
        let text = stderr(&output);
        assert!(text.contains(message), "{answer:?}: {text}");
        assert_eq!(output.status.code(), Some(code), "{answer:?}: {text}");
    }
}
