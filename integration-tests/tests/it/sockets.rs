//! The sockets that scoter listens on, and what becomes of their files.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr as UnixSocketAddr, UnixListener, UnixStream};
use std::path::Path;

use integration_tests::{
    Peer, Process, Scoter, ScoterBuilder, exchange, get, says_ready, skip, until, with,
};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Group, Uid, User, getgroups};
use tempfile::TempDir;

fn mode(path: &Path) -> u32 {
    fs::metadata(path)
        .expect("the socket is there")
        .permissions()
        .mode()
        & 0o7777
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[test]
fn socket_is_for_owner_and_group() {
    let scoter = Scoter::serving("hello").start();
    assert_eq!(mode(scoter.socket()), 0o660);
    let socket = fs::metadata(scoter.socket()).expect("the socket is there");
    assert_eq!(socket.uid(), Uid::effective().as_raw());
}

#[test]
fn mode_of_the_socket_is_as_asked() {
    for (asked, expected) in [("600", 0o600), ("666", 0o666), ("0640", 0o640)] {
        let scoter = Scoter::serving("hello")
            .args(["--socket-mode", asked])
            .start();
        assert_eq!(mode(scoter.socket()), expected, "{asked}");
    }
}

#[test]
fn group_and_owner_of_the_socket_are_as_asked() {
    // A group that isn't the usual one, if this user may give files to another.
    let own = Gid::effective();
    let candidates: Vec<Gid> = match Uid::effective().is_root() {
        true => vec![Gid::from_raw(1), Gid::from_raw(33)],
        false => getgroups().expect("a process has groups"),
    };
    let other = candidates
        .into_iter()
        .find(|gid| *gid != own)
        .unwrap_or(own);
    let user = User::from_uid(Uid::effective())
        .expect("readable")
        .expect("this user has a name");
    let group = Group::from_gid(other).expect("readable");
    let names = [Some(other.to_string()), group.map(|group| group.name)];
    for group in names.into_iter().flatten() {
        let scoter = Scoter::serving("hello")
            .args(["--socket-group", &group, "--socket-owner", &user.name])
            .start();
        let socket = fs::metadata(scoter.socket()).expect("the socket is there");
        assert_eq!(
            (socket.uid(), socket.gid()),
            (user.uid.as_raw(), other.as_raw()),
            "{group}"
        );
        assert_eq!(mode(scoter.socket()), 0o660);
        let name = Group::from_gid(other).expect("readable");
        let name = name.map_or_else(|| other.to_string(), |group| group.name);
        let line = scoter.log_lines("listening").concat();
        let access = format!("(mode 660, owner {}, group {name})", user.name);
        assert!(line.contains(&access), "{line}");
    }
}

#[test]
fn every_bind_is_served() {
    let scoter = Scoter::serving("hello");
    let paths = ["a.sock", "b.sock"].map(|name| scoter.folder().join(name));
    let mut scoter = scoter
        .bind("127.0.0.1:0")
        .bind(unix(&paths[0]))
        .bind(unix(&paths[1]))
        .args(["--threads", "1"])
        .start();
    for _ in 0..3 {
        for path in &paths {
            let reply = Peer::connect(path).packet(&get("/")).reply();
            assert_eq!(reply.text(), "Hello, 192.0.2.1!\n");
        }
        let stream = TcpStream::connect(scoter.tcp_address()).expect("it listens");
        assert_eq!(exchange(stream, &get("/")).text(), "Hello, 192.0.2.1!\n");
    }
    scoter.stop();
    assert!(!paths[0].exists() && !paths[1].exists());
}

#[test]
fn abstract_socket_is_served() {
    let scoter = Scoter::serving("hello");
    // The name of a private folder is taken by nobody else.
    let name = scoter.folder().join("abstract").display().to_string();
    let scoter = scoter.bind(format!("unix:@{name}")).start();
    let address = UnixSocketAddr::from_abstract_name(name.as_bytes()).expect("short");
    let stream = UnixStream::connect_addr(&address).expect("it listens");
    assert_eq!(exchange(stream, &get("/")).status, 200);
    assert!(!scoter.folder().join("abstract").exists());
}

#[test]
fn socket_is_unlinked_when_the_server_stops() {
    let mut scoter = Scoter::serving("hello").start();
    let entries = |scoter: &Scoter| -> BTreeSet<_> {
        let entries = fs::read_dir(scoter.folder()).expect("the test's own folder");
        entries
            .map(|entry| entry.expect("readable").file_name())
            .collect()
    };
    assert!(scoter.socket().exists());
    scoter.stop();
    assert!(!scoter.socket().exists());
    // And nothing else is left, no lock file.
    let ours = ["events", "gates", "scoter.stderr", "scoter.stdout"].map(Into::into);
    assert_eq!(entries(&scoter), BTreeSet::from(ours));
}

#[test]
fn relative_path_means_the_folder_of_the_start() {
    let scoter = Scoter::serving("hello");
    let elsewhere = scoter.folder().join("elsewhere");
    fs::create_dir(&elsewhere).expect("the test's own folder");
    let socket = scoter.folder().join("relative.sock");
    let mut scoter = scoter
        .bind("unix:relative.sock")
        .args(["--chdir".into(), elsewhere])
        .start();
    assert_eq!(Peer::connect(&socket).packet(&get("/")).reply().status, 200);
    scoter.stop();
    assert!(!socket.exists());
}

#[test]
fn socket_of_somebody_else_is_left_alone() {
    let mut scoter = Scoter::serving("hello").start();
    fs::remove_file(scoter.socket()).expect("the socket is there");
    let other = UnixListener::bind(scoter.socket()).expect("the path is free");
    scoter.stop();
    UnixStream::connect(scoter.socket()).expect("still the other's");
    drop(other);
}

#[test]
fn stale_socket_of_a_killed_server_is_replaced() {
    let killed = Scoter::serving("hello").start();
    killed.kill();
    assert!(killed.socket().exists(), "nobody was left to unlink it");
    let path = killed.socket().to_owned();
    let scoter = Scoter::serving("hello").bind(unix(&path)).start();
    assert_eq!(Peer::connect(&path).packet(&get("/")).reply().status, 200);
    drop(scoter);
}

#[test]
fn of_servers_started_together_one_gets_the_socket() {
    let folder = TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
    let socket = folder.path().join("contested.sock");
    // A stale one, which each of them would replace.
    drop(UnixListener::bind(&socket).expect("the path is free"));
    let builders: Vec<_> = (0..4)
        .map(|_| Scoter::serving("hello").bind(unix(&socket)))
        .collect();
    let mut processes: Vec<_> = builders.iter().map(ScoterBuilder::spawn).collect();
    until("each is ready or has given up", || {
        let settled = |process: &mut Process| {
            process.exit_status().is_some() || says_ready(&process.stderr())
        };
        processes.iter_mut().all(settled).then_some(())
    });
    let (mut ready, failed): (Vec<_>, Vec<_>) = processes
        .into_iter()
        .partition(|process| says_ready(&process.stderr()));
    assert_eq!(ready.len(), 1);
    for mut process in failed {
        assert_eq!(process.wait().code, Some(2));
    }
    assert_eq!(Peer::connect(&socket).packet(&get("/")).reply().status, 200);
    ready[0].signal(Signal::SIGTERM);
    assert_eq!(ready[0].wait().code, Some(0));
}

#[test]
fn socket_of_a_live_server_is_refused() {
    let first = Scoter::serving("hello").start();
    let second = Scoter::serving("hello").bind(unix(first.socket())).run();
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    let path = first.socket().display().to_string();
    assert!(
        second.stderr.contains(&path) && second.stderr.contains("running server"),
        "{}",
        second.stderr
    );
    // The first doesn't notice.
    assert_eq!(first.connect().packet(&get("/")).reply().status, 200);
    assert_eq!(mode(first.socket()), 0o660);
}

#[test]
fn address_that_is_named_twice_is_refused() {
    for (option, expected) in [
        ("--bind=unix:twice.sock", "cannot listen on unix:"),
        ("--control=twice.sock", "name the same socket"),
    ] {
        for as_check in [false, true] {
            let scoter = Scoter::serving("hello").args(["--bind=unix:twice.sock", option]);
            let folder = scoter.folder().to_owned();
            let scoter = if as_check { scoter.as_check() } else { scoter };
            let finished = scoter.run();
            assert_eq!(finished.code, Some(2), "{finished:?}");
            assert!(finished.stderr.contains(expected), "{finished:?}");
            assert!(!finished.stderr.contains("running server"), "{finished:?}");
            assert!(!folder.join("twice.sock").exists(), "{option}");
        }
    }
}

#[test]
fn file_that_is_no_socket_is_never_replaced() {
    let scoter = Scoter::serving("hello");
    let path = scoter.folder().join("precious");
    fs::write(&path, "precious").expect("the test's own folder");
    let finished = scoter.bind(unix(&path)).spawn().wait();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("precious"), "{}", finished.stderr);
}

#[test]
fn two_servers_live_side_by_side() {
    let mut first = Scoter::serving("forms:function").start();
    let second = Scoter::serving("forms:generator").start();
    assert_eq!(
        first.connect().packet(&get("/")).reply().text(),
        "function GET /"
    );
    assert_eq!(
        second.connect().packet(&get("/")).reply().text(),
        "generator GET /"
    );
    first.stop();
    assert_eq!(
        second.connect().packet(&get("/")).reply().text(),
        "generator GET /"
    );
}

#[test]
fn tcp_port_in_use_is_refused() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let finished = Scoter::serving("hello").bind(&address).run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(
        finished.stderr.contains(&address) && finished.stderr.contains("another process"),
        "{}",
        finished.stderr
    );
}

#[test]
fn tcp_beyond_loopback_needs_an_allow_list() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9000"] {
        let finished = Scoter::serving("hello").bind(address).run();
        assert_eq!(finished.code, Some(2), "{address}: {}", finished.stderr);
        assert!(
            finished.stderr.contains("--allow"),
            "{address}: {}",
            finished.stderr
        );
    }
}

#[test]
fn allow_list_never_shuts_this_machine_out() {
    // Whom else it admits is tested where it is made: the tests send nothing to any other address.
    let scoter = Scoter::serving("hello")
        .bind("0.0.0.0:0")
        .args(["--allow", "192.0.2.0/24"])
        .start();
    let port = scoter.tcp_address().port();
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert_eq!(exchange(stream, &get("/")).status, 200);
}

#[test]
fn socket_in_a_folder_that_is_missing_or_forbidden_is_explained() {
    for path in [
        "/nonexistent/scoter.sock",
        "/sys/scoter.sock",
        "/dev/null/scoter.sock",
    ] {
        let finished = Scoter::serving("hello").bind(format!("unix:{path}")).run();
        assert_eq!(finished.code, Some(2), "{path}: {}", finished.stderr);
        assert!(
            finished.stderr.contains(path),
            "{path}: {}",
            finished.stderr
        );
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    }
}

#[test]
fn forbidden_folder_is_explained() {
    let scoter = Scoter::serving("hello");
    let folder = match Uid::effective().is_root() {
        // Nothing else is forbidden to root.
        true => "/sys".into(),
        false => {
            let folder = scoter.folder().join("forbidden");
            fs::create_dir(&folder).expect("the test's own folder");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("ours");
            folder
        }
    };
    let finished = scoter.bind(unix(&folder.join("scoter.sock"))).run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    let words = finished.stderr.to_lowercase();
    // In a container /sys may be mounted read-only.
    assert!(
        words.contains("permission denied") || words.contains("read-only file system"),
        "{words}"
    );
}

#[test]
fn ipv6_loopback_is_served() {
    if let Err(error) = TcpListener::bind("[::1]:0") {
        return skip(&format!("no IPv6: {error}"));
    }
    let scoter = Scoter::serving("hello").bind("[::1]:0").start();
    let stream = TcpStream::connect(scoter.tcp_address()).expect("it listens");
    assert_eq!(exchange(stream, &get("/")).status, 200);
}

#[test]
fn path_longer_than_a_socket_address_is_explained() {
    let path = format!("/nonexistent/{}", "x".repeat(120));
    let finished = Scoter::serving("hello").bind(format!("unix:{path}")).run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("107"), "{}", finished.stderr);
}

#[test]
fn socket_is_there_only_when_it_is_served() {
    // An application that takes its time to load: nginx gets an error at once, not a request that hangs, or
    // its request waits in the backlog and is answered.
    let scoter = Scoter::serving("slow_to_load");
    fs::write(
        scoter.folder().join("slow_to_load.py"),
        "import probe\nprobe.event('loading')\nprobe.wait_at('load')\nfrom hello import application\n",
    )
    .expect("the test's own folder");
    let gate = integration_tests::Gate::at(scoter.folder(), "load");
    let mut process = scoter.spawn();
    let socket = scoter.folder().join("scoter.sock");
    let events = scoter.folder().join("events");
    until("the application is being loaded", || {
        (fs::read_to_string(&events).ok()? == "loading\n").then_some(())
    });
    let early = UnixStream::connect(&socket);
    gate.open();
    until("scoter is ready", || {
        says_ready(&process.stderr()).then_some(())
    });
    if let Ok(stream) = early {
        assert_eq!(exchange(stream, &get("/")).status, 200);
    }
    assert!(
        fs::metadata(&socket)
            .expect("ready")
            .file_type()
            .is_socket()
    );
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn busy_socket_does_not_starve_the_others() {
    let scoter = Scoter::serving("streaming");
    let own = scoter.folder().join("scoter.sock");
    let other = scoter.folder().join("other.sock");
    let scoter = scoter
        .bind(format!("unix:{}", own.display()))
        .bind(format!("unix:{}", other.display()))
        .args(["--threads", "1"])
        .start();
    let gates = [scoter.gate("a"), scoter.gate("b")];
    let waiting = |name| {
        let mut peer = scoter.connect();
        peer.packet(&with(get("/waits"), [("QUERY_STRING", name)]));
        peer
    };
    let mut first = waiting("a");
    scoter.wait_for_event("begun a");
    let mut second = waiting("b");
    let mut elsewhere = Peer::connect(&other);
    elsewhere.packet(&get("/quick"));
    gates[0].open();
    assert_eq!(first.reply().text(), "waited at a");
    // The next on the first socket waits at a gate that only opens later.
    assert_eq!(elsewhere.reply().text(), "quick");
    gates[1].open();
    assert_eq!(second.reply().text(), "waited at b");
}
