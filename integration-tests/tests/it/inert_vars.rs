//! Variables and modifiers by which uWSGI can be told to do things: here they are data, or refused.

use std::fs;

use integration_tests::{Ending, Scoter, get, post, with};
use uwsgi_codec::{PacketBuilder, modifier};

/// Starts a server with a file beside it that must never be read or run, and returns its path too.
fn start() -> (Scoter, String) {
    let scoter = Scoter::serving("echo");
    let trap = scoter.folder().join("trap.py");
    fs::write(
        &trap,
        "import builtins, os\n\
         builtins.touched = ['imported']\n\
         open(os.environ['TEST_FOLDER'] + '/touched', 'w').close()\n\
         def application(environ, start_response):\n    \
             start_response('200 OK', [])\n    \
             return [b'trapped']\n",
    )
    .expect("the test's own folder");
    let trap = trap.to_str().expect("UTF-8").to_owned();
    (scoter.start(), trap)
}

#[test]
fn uwsgi_variables_are_plain_data() {
    let (scoter, trap) = start();
    let folder = scoter.folder().to_str().expect("UTF-8").to_owned();
    let before = scoter.connect().packet(&get("/")).reply().json()["process"].clone();
    for (key, value) in [
        ("UWSGI_FILE", trap.as_str()),
        ("UWSGI_SCRIPT", "trap:application"),
        ("UWSGI_MODULE", "trap"),
        ("UWSGI_CALLABLE", "application"),
        ("UWSGI_POSTFILE", &trap),
        ("UWSGI_SETENV", "SET_BY_PEER=1"),
        ("UWSGI_CHDIR", "/"),
        ("UWSGI_HOME", &folder),
        ("UWSGI_PYHOME", &folder),
        ("UWSGI_APPID", "/other"),
        ("UWSGI_TOUCH_RELOAD", &trap),
        ("UWSGI_CACHE_GET", "key"),
        ("UWSGI_PYTHONPATH", &folder),
        ("UWSGI_SCHEME", "ftp://"),
        ("PYTHONPATH", &folder),
        ("LD_PRELOAD", &trap),
    ] {
        let packet = with(post("/", 4), [(key, value)]);
        let seen = scoter.connect().packet(&packet).send("body").reply().json();
        assert_eq!(seen["environ"][key], value);
        assert_eq!(seen["body"], "body", "{key}");
        assert_eq!(seen["process"], before, "{key}");
    }
    assert!(!scoter.folder().join("touched").exists());
}

#[test]
fn every_other_modifier_is_refused() {
    let (scoter, trap) = start();
    let before = scoter.connect().packet(&get("/")).reply().json()["process"].clone();
    // 30 is WSGI too, see below.
    for modifier1 in (1..=255).filter(|m| ![modifier::PING, 30].contains(m)) {
        for modifier2 in [0, 1, 17] {
            let mut packet = with(get("/"), [("UWSGI_FILE", &trap), ("key", &trap)]);
            packet.modifier1(modifier1).modifier2(modifier2);
            let Ok(bytes) = packet.to_vec() else {
                continue; // would begin like HTTP or TLS
            };
            let Ending::Closed(answer) = scoter.connect().send(bytes).ending() else {
                panic!("{modifier1}: reset");
            };
            let answer = String::from_utf8_lossy(&answer);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{modifier1}: {answer}"
            );
        }
    }
    let after = scoter.connect().packet(&get("/")).reply().json()["process"].clone();
    assert_eq!(after, before);
    assert!(!scoter.folder().join("touched").exists());
}

#[test]
fn code_to_evaluate_is_refused() {
    // Modifier 22 of uWSGI: the block is a program.
    let (scoter, _) = start();
    let code = format!("open({:?}, 'w').close()", scoter.folder().join("touched"));
    let mut packet = vec![22];
    packet.extend(u16::try_from(code.len()).expect("short").to_le_bytes());
    packet.push(0);
    packet.extend(code.as_bytes());
    let answer = scoter.connect().send(packet).ending().bytes();
    assert!(!answer.starts_with(b"HTTP/1.1 2"));
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    assert!(!scoter.folder().join("touched").exists());
}

#[test]
fn ping_is_answered() {
    let (scoter, _) = start();
    for ping in [&[100, 0, 0, 0][..], b"\x64\x05\x00\x00\x01\x00A\x00\x00"] {
        let answer = scoter.connect().send(ping).ending().bytes();
        assert_eq!(answer, [100, 0, 0, 1], "{ping:?}");
    }
}

#[test]
fn modifier_30_strips_the_script_name_from_the_path() {
    // uWSGI: "Standard WSGI request followed by the HTTP request body. The PATH_INFO is automatically
    // modified, removing the SCRIPT_NAME from it".
    let (scoter, _) = start();
    for (script_name, path, expected) in [
        ("/foo", "/foo/bar", "/bar"),
        ("/foo", "/foo", ""),
        ("/foo", "/foobar", "/foobar"),
        ("", "/foo", "/foo"),
    ] {
        let mut packet = PacketBuilder::new();
        packet.modifier1(30);
        let packet = with(packet, [("SCRIPT_NAME", script_name), ("PATH_INFO", path)]);
        let seen = scoter.connect().packet(&packet).reply().json();
        assert_eq!(
            seen["environ"]["PATH_INFO"], expected,
            "{script_name} {path}"
        );
        assert_eq!(seen["environ"]["SCRIPT_NAME"], script_name);
    }
}
