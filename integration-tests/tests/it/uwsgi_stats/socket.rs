//! The socket of the statistics, and who is at its other end.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use integration_tests::{Scoter, until};
use nix::sys::signal::Signal;

use super::{read, read_tcp, serving, sum, wait_for};

#[test]
fn socket_stays_through_reload_and_upgrade_and_goes_with_the_server() {
    let mut scoter = Scoter::serving("measured")
        .args(["--uwsgi-stats", "127.0.0.1:0"])
        .start();
    let address = scoter.tcp_address();
    let log = scoter.wait_for_log("serving uWSGI's statistics");
    assert!(log.contains(&address.to_string()), "{log}");
    for command in [&["reload"][..], &["reload", "--upgrade"]] {
        assert_eq!(scoter.command(command.iter().copied()).code, Some(0));
        wait_for(&1, || sum(&read_tcp(address), "accepting"));
    }
    scoter.stop();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn file_has_the_permissions_of_the_others_and_goes_with_the_server() {
    let (scoter, path) = serving("measured");
    // A server that was killed has left it.
    drop(UnixListener::bind(&path).expect("the test's own folder"));
    let mut scoter = scoter.args(["--socket-mode", "640"]).start();
    let mode = fs::metadata(&path).expect("bound").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(read(&path)["workers"][0]["id"], 1);
    scoter.stop();
    assert!(!path.exists());
}

#[test]
fn file_of_a_master_that_is_killed_is_removed() {
    let (scoter, path) = serving("measured");
    let scoter = scoter.start();
    scoter.signal(Signal::SIGKILL);
    until("nobody's socket is removed", || {
        (!path.exists()).then_some(())
    });
    scoter.wait_until_all_are_gone();
}

#[test]
fn address_that_statistics_cannot_have_is_named_at_the_start() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other.local_addr().expect("it is bound").to_string();
    for (args, text) in [
        (
            &["--uwsgi-stats", &taken][..],
            "another process already does",
        ),
        (&["--uwsgi-stats", "0.0.0.0:0"], "--metrics-allow CIDR"),
        (&["--uwsgi-stats", "http://[::]:0"], "--metrics-allow CIDR"),
        (&["--uwsgi-stats", "unix:/nowhere/s.sock"], "/nowhere"),
        (&["--uwsgi-stats", ":1717"], "write 127.0.0.1:1717"),
        (&["--uwsgi-stats", "/tmp/s.sock"], "`unix:/tmp/s.sock`"),
        (
            &["--metrics=unix:/tmp/s", "--uwsgi-stats=unix:/tmp/s"],
            "twice",
        ),
    ] {
        let finished = Scoter::serving("measured").args(args).run();
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(text), "{text}: {finished:?}");
    }
}

#[test]
fn second_server_at_the_address_is_refused() {
    let (scoter, path) = serving("measured");
    let _scoter = scoter.start();
    let address = format!("unix:{}", path.display());
    let second = Scoter::serving("measured")
        .args(["--uwsgi-stats", &address])
        .run();
    assert_eq!(second.code, Some(2), "{second:?}");
    assert!(
        second.stderr.contains("a running server answers there"),
        "{second:?}"
    );
    assert_eq!(read(&path)["workers"][0]["id"], 1);
}

#[test]
fn clients_that_send_anything_get_the_same() {
    let (scoter, path) = serving("measured");
    let scoter = scoter.start();
    for sent in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\0\xff\xfe",
        &[b'x'; 4_096],
    ] {
        let mut stream = UnixStream::connect(&path).expect("somebody listens");
        stream.write_all(sent).expect("the kernel takes it");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("UTF-8");
        assert!(text.starts_with("{\"version\""), "{text}");
        assert!(text.ends_with("}]}"), "{text}");
    }
    // Whoever leaves at once disturbs nobody.
    for _ in 0..100 {
        drop(UnixStream::connect(&path).expect("somebody listens"));
    }
    assert_eq!(read(&path)["workers"][0]["id"], 1);
    assert_eq!(scoter.log_lines(" ERROR ").len(), 0);
}

#[test]
fn clients_that_stay_keep_nobody_out() {
    for option in ["127.0.0.1:0", "http://127.0.0.1:0"] {
        let scoter = Scoter::serving("measured")
            .args(["--uwsgi-stats", option])
            .start();
        let address = scoter.tcp_address();
        let connect = || TcpStream::connect(address).expect("somebody listens");
        let staying: Vec<_> = (0..80).map(|_| connect()).collect();
        let mut stream = connect();
        stream
            .write_all(b"GET / HTTP/1.0\r\n\r\n")
            .expect("the kernel takes it");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("UTF-8");
        assert!(text.contains("\"workers\":["), "{text}");
        drop(staying);
    }
}
