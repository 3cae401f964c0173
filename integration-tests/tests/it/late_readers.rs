//! Large responses to readers that come late: how much of them the kernel keeps, and that nothing is lost.
//!
//! How much it may keep is for `net.core.wmem_max` to say, so each test asks the kernel first.

use std::fs;
use std::os::unix::net::UnixStream;

use integration_tests::{Pattern, Scoter, ScoterBuilder, get, with};
use rustix::net::sockopt;
use uwsgi_codec::PacketBuilder;

/// What scoter asks the kernel to keep of bytes, and of a file.
const BYTES: usize = 1 << 20;
const FILE: usize = 4 << 20;

/// Returns how much of `asked` bytes a socket of this machine has room for.
fn granted(asked: usize) -> usize {
    let (socket, _peer) = UnixStream::pair().expect("there are descriptors");
    let room = || sockopt::socket_send_buffer_size(&socket).expect("every socket has it");
    if room() < asked {
        sockopt::set_socket_send_buffer_size(&socket, asked / 2).expect("every socket has it");
    }
    room()
}

/// Less than a socket with that room takes, whatever the kernel keeps beside the bytes.
fn fits(room: usize) -> usize {
    room / 4 * 3
}

fn pattern(len: usize) -> Vec<u8> {
    Pattern::with_length(len as u64)
        .collect::<Vec<_>>()
        .concat()
}

/// Serves responses of `len` bytes, and logs how many of them have left.
fn serving(app: &str, len: usize) -> ScoterBuilder {
    let scoter = Scoter::serving(app).args(["--access-log-format", "$body_bytes_sent"]);
    fs::write(scoter.folder().join("file.bin"), pattern(len)).expect("the test's own folder");
    scoter
}

fn asking(path: &str, len: usize) -> PacketBuilder {
    with(get(path), [("QUERY_STRING", len.to_string())])
}

#[test]
fn response_that_fits_holds_no_thread_though_nobody_reads() {
    for (app, path, asked) in [
        ("transfer", "/at_once", BYTES),
        ("transfer", "/announced", BYTES),
        ("transfer", "/unannounced", BYTES),
        ("transfer", "/written", BYTES),
        ("files", "/whole", FILE),
    ] {
        let len = fits(granted(asked));
        let scoter = serving(app, len).args(["--threads", "1"]).start();
        let mut late = scoter.connect();
        late.packet(&asking(path, len));
        // Written when the last byte has left.
        assert_eq!(scoter.wait_for_access_log(1), [len.to_string()], "{path}");
        let other = scoter.connect().packet(&asking(path, len)).reply();
        assert!(other.body == pattern(len), "{path}");
        assert!(late.reply().body == pattern(len), "{path}");
    }
}

#[test]
fn kernel_keeps_no_more_than_it_was_asked_to() {
    let len = 16 << 20;
    for (app, path, asked) in [("transfer", "/at_once", BYTES), ("files", "/whole", FILE)] {
        let scoter = serving(app, len).args(["--write-timeout", "200ms"]).start();
        let mut peer = scoter.connect();
        peer.packet(&asking(path, len));
        // Written when the rest is known never to be taken.
        let logged = scoter.wait_for_access_log(1).concat();
        let sent: usize = logged.parse().expect("a number");
        let room = granted(asked);
        assert!(
            (fits(room)..room + room / 4).contains(&sent),
            "{path}: {sent} bytes where there is room for {room}"
        );
        let answer = peer.ending().bytes();
        let (_, body) = answer.split_at(answer.len() - sent);
        assert!(body == pattern(sent), "{path}");
    }
}

#[test]
fn late_and_slow_readers_get_every_byte() {
    // More than all of them have room for, and not a multiple of anything.
    let len = 3 * FILE + 1;
    let expected = pattern(len);
    for (app, paths) in [
        (
            "transfer",
            &["/at_once", "/announced", "/unannounced", "/written"][..],
        ),
        ("files", &["/whole"]),
    ] {
        let scoter = serving(app, len).args(["--threads", "5"]).start();
        let mut late: Vec<_> = paths.iter().map(|_| scoter.connect()).collect();
        for (peer, path) in late.iter_mut().zip(paths) {
            peer.packet(&asking(path, len));
        }
        // By the thread that is left, while the others have no room any more.
        let other = scoter.connect().packet(&asking(paths[0], len)).reply();
        assert!(other.body == expected, "{}", paths[0]);
        for (peer, path) in late.iter_mut().zip(paths) {
            let mut pieces: Vec<_> = (1..3_000).map(|len| peer.read(len)).collect();
            pieces.push(peer.ending().bytes());
            let answer = pieces.concat();
            let head = answer.len() - len;
            assert!(answer[..head].ends_with(b"\r\n\r\n"), "{path}");
            assert!(answer[head..] == expected, "{path}");
        }
    }
}
