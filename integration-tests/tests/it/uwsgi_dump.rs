//! `uwsgi-dump` between the real nginx and the real server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use integration_tests::{Connections, Nginx, Peer, Process, Scoter, through_nginx, tool, until};
use nix::sys::signal::Signal;
use serde_json::Value;

/// `uwsgi-dump tee` in front of a server.
struct Tee {
    process: Process,
    socket: PathBuf,
    saved: PathBuf,
}

impl Tee {
    #[track_caller]
    fn in_front_of(scoter: &Scoter) -> Self {
        let socket = scoter.folder().join("tee.sock");
        let saved = scoter.folder().join("saved");
        let mut command = Command::new(tool("uwsgi-dump"));
        command.arg("tee").arg("--json");
        command.arg("--listen").arg(&socket);
        command.arg("--to").arg(scoter.socket());
        command.arg("--save").arg(&saved);
        let process = Process::spawn("tee", &mut command, scoter.folder(), "just built");
        until("it listens", || {
            process.stderr().contains("listening on").then_some(())
        });
        Self {
            process,
            socket,
            saved,
        }
    }

    /// Waits until it has shown as many events of this kind, and returns them.
    #[track_caller]
    fn events(&self, kind: &str, count: usize) -> Vec<Value> {
        until(&format!("{count} of {kind}"), || {
            let events = self.process.stdout();
            let lines = events
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let events = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let events: Vec<_> = events.filter(|event| event["event"] == kind).collect();
            (events.len() >= count).then_some(events)
        })
    }
}

fn dump(arguments: &[&Path]) -> Output {
    let mut command = Command::new(tool("uwsgi-dump"));
    command.args(arguments).output().expect("just built")
}

#[through_nginx]
fn site_is_the_same_with_a_tee_in_between(connections: Connections) {
    let scoter = Scoter::serving("kept").start();
    let mut tee = Tee::in_front_of(&scoter);
    let nginx = Nginx::prepare(scoter.folder(), &tee.socket, connections).start();
    let site = nginx.site();
    let body: Vec<u8> = (0..2_000_000_u32)
        .map(|number| (number % 251) as u8)
        .collect();
    for _ in 0..2 {
        assert_eq!(site.get("/text").text(), "text");
        let reply = site.post("/body", body.clone());
        assert!(reply.body == body, "{} bytes", reply.body.len());
        assert_eq!(site.get("/large").body.len(), 8_000_000);
        assert_eq!(site.get("/no_content").status, 204);
        assert_eq!(site.get("/file").body.len(), 200_000);
    }

    let requests = tee.events("request", 10);
    let replies = tee.events("reply", 10);
    assert_eq!((requests.len(), replies.len()), (10, 10));
    let sizes = [4, body.len(), 8_000_000, 0, 200_000].map(Value::from);
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply["body_bytes"], sizes[number % 5], "{number}");
        let is_the_same = |request: &&Value| {
            ["connection", "request"]
                .iter()
                .all(|it| request[*it] == reply[*it])
        };
        assert!(
            requests.iter().any(|request| is_the_same(&request)),
            "{reply}"
        );
    }
    let kept = requests.iter().filter(|it| it["request"] != 1).count();
    assert_eq!(
        kept > 0,
        connections == Connections::Kept,
        "{kept} on kept connections"
    );
    assert!(
        tee.process
            .stdout()
            .lines()
            .all(|line| !line.contains("\"event\":\"error\""))
    );

    // What was saved is answered in the same way again.
    drop(nginx);
    tee.process.signal(Signal::SIGTERM);
    assert_eq!(tee.process.wait().code, Some(0));
    assert!(!tee.socket.exists());
    let shown = dump(&[&tee.saved, Path::new("--json")]);
    assert_eq!(shown.status.code(), Some(0));
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(
        shown.matches("\"event\":\"request\"").count(),
        10,
        "{shown}"
    );
    assert_eq!(shown.matches("\"event\":\"reply\"").count(), 10, "{shown}");
    let [replay, to, compare, saved] = ["replay", "--to", "--compare", "saved"].map(Path::new);
    let replayed = dump(&[replay, &tee.saved, to, scoter.socket(), compare, saved]);
    let text = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert_eq!(text.matches(": same\n").count(), 10, "{text}");
    assert_eq!(replayed.status.code(), Some(0), "{text}");
}

#[through_nginx]
fn response_that_is_cut_is_cut_at_the_client_too(connections: Connections) {
    let scoter = Scoter::serving("kept").start();
    let tee = Tee::in_front_of(&scoter);
    let nginx = Nginx::prepare(scoter.folder(), &tee.socket, connections).start();
    let reply = nginx
        .site()
        .raw(b"GET /too_short HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n");
    assert!(reply.contains("Content-Length: "), "{reply}");
    let shown = &tee.events("reply", 1)[0];
    assert!(
        shown["error"]
            .as_str()
            .is_some_and(|error| error.contains("within the body")),
        "{shown}"
    );
}

#[test]
fn what_the_server_refuses_is_named_and_refused() {
    let scoter = Scoter::serving("kept").start();
    let tee = Tee::in_front_of(&scoter);
    for (sent, kind) in [
        (&b"\0\x08\0\0\x03\0abc\xff\xff\x01"[..], "value_past_end"),
        (b"GET / HTTP/1.1\r\n\r\n", "plain_http"),
        (b"\0\x09\0\0\x03\0abc", "incomplete_packet"),
    ] {
        let through = Peer::connect(&tee.socket).send(sent).finish().ending();
        let direct = scoter.connect().send(sent).finish().ending();
        assert_eq!(through.bytes(), direct.bytes(), "{kind}");
        until("it is named", || {
            let errors = tee.events("error", 1);
            errors
                .iter()
                .any(|error| error["kind"] == kind)
                .then_some(())
        });
    }
}

#[test]
fn saved_connections_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let scoter = Scoter::serving("kept").start();
    let tee = Tee::in_front_of(&scoter);
    let packet = integration_tests::get("/text");
    assert_eq!(
        Peer::connect(&tee.socket).packet(&packet).reply().text(),
        "text"
    );
    let mode = |path: &Path| fs::metadata(path).expect("made").permissions().mode() & 0o777;
    assert_eq!(mode(&tee.saved), 0o700);
    let mut files = fs::read_dir(&tee.saved)
        .expect("made")
        .map(|file| file.expect("there").path());
    assert!(files.all(|file| mode(&file) == 0o600));
}
