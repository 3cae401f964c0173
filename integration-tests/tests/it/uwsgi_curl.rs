//! `uwsgi-curl` with the real server.

use std::process::{Command, Output};

use integration_tests::{Scoter, tool};

fn curl(scoter: &Scoter, arguments: &[&str]) -> Output {
    let mut command = Command::new(tool("uwsgi-curl"));
    command.arg(scoter.socket()).args(arguments);
    command.output().expect("just built")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn application_sees_the_request_as_from_a_web_server() {
    let scoter = Scoter::serving("echo").start();
    let url = "https://example.com:8443/caf%C3%A9?page=2";
    let output = curl(&scoter, &[url, "-d", "hello", "-H", "X-Tag: a"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for (name, value) in [
        ("REQUEST_METHOD", "POST"),
        ("PATH_INFO", "/caf\u{c3}\u{a9}"),
        ("QUERY_STRING", "page=2"),
        ("CONTENT_LENGTH", "5"),
        ("SERVER_NAME", "example.com"),
        ("SERVER_PORT", "8443"),
        ("HTTP_HOST", "example.com:8443"),
        ("HTTP_X_TAG", "a"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("wsgi.url_scheme", "https"),
    ] {
        assert_eq!(answer["environ"][name], value, "{name}");
    }
    assert_eq!(answer["body"], "hello");
}

#[test]
fn bodies_of_any_size_pass_in_both_directions() {
    let scoter = Scoter::serving("kept").start();
    let path = scoter.folder().join("upload");
    let content: Vec<u8> = (0..3_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    std::fs::write(&path, &content).expect("the test's own folder is writable");
    let path = path.to_str().expect("made of letters");
    let output = curl(&scoter, &["/body", "-T", path]);
    assert_eq!(output.stdout.len(), content.len());
    assert!(output.stdout == content);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn status_and_head_are_those_of_the_server() {
    let scoter = Scoter::serving("kept").start();
    let output = curl(
        &scoter,
        &["/text", "-I", "-w", "%{http_code} %{size_download}"],
    );
    let head = text(&output);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.ends_with("Content-Length: 4\r\n\r\n200 0"), "{head}");
    let output = curl(&scoter, &["/no_content", "-w", "%{http_code}"]);
    assert_eq!(text(&output), "204");
    let output = curl(&scoter, &["/", "--modifier1", "rpc", "-f"]);
    assert_eq!(
        output.status.code(),
        Some(22),
        "scoter refuses that modifier"
    );
}

#[test]
fn ping_says_whether_a_thread_is_free() {
    let scoter = Scoter::serving("streaming").args(["--threads", "1"]);
    let mut scoter = scoter.start();
    let ping = |scoter: &Scoter| curl(scoter, &["--ping", "-m", "0.3"]).status.code();
    assert_eq!(ping(&scoter), Some(0));
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    assert_eq!(ping(&scoter), Some(28), "the only thread is busy");
    gate.open();
    assert_eq!(peer.reply().text(), "waited at a");
    scoter.stop();
    assert_eq!(ping(&scoter), Some(7), "after the stop");
}
