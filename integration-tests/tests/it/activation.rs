//! Sockets that somebody else has bound: systemd's socket activation (sd_listen_fds(3)) and `fd://N`.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;

use integration_tests::{
    Activation, Connections, Crowd, Nginx, Peer, Scoter, ScoterBuilder, exchange, get,
    through_nginx, until, with,
};
use nix::sys::signal::Signal;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// A server without any address of its own, but with a control socket where the harness looks for it.
fn activated(app: &str) -> (ScoterBuilder, PathBuf) {
    let scoter = Scoter::serving(app).unbound();
    let control = scoter.folder().join("scoter.sock.control");
    let socket = scoter.folder().join("scoter.sock");
    (scoter.args(["--control".into(), control]), socket)
}

#[test]
fn every_socket_that_was_passed_is_served() {
    let (scoter, path) = activated("hello");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = tcp.local_addr().expect("bound");
    let mut activation = Activation::of_nothing()
        .with_unix("site.socket", &path)
        .with("admin", tcp);
    let scoter = scoter.under(activation.socket_unit()).start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    let stream = TcpStream::connect(address).expect("it listens");
    assert_eq!(exchange(stream, &get("/")).status, 200);
    let listeners = scoter.status()["listeners"].clone();
    let expected = [format!("unix:{}", path.display()), address.to_string()];
    let addresses: Vec<_> = listeners
        .as_array()
        .expect("a list")
        .iter()
        .map(|listener| listener["address"].as_str().expect("a string"))
        .collect();
    assert_eq!(addresses, expected);
    for address in &expected {
        let line = scoter.wait_for_log(address);
        assert!(line.contains("listening"), "{line}");
    }
}

#[test]
fn sockets_of_both_kinds_are_served_together() {
    let (scoter, path) = activated("hello");
    let own = scoter.folder().join("own.sock");
    let mut activation = Activation::of_nothing().with_unix("site.socket", &path);
    let mut scoter = scoter
        .bind(format!("unix:{}", own.display()))
        .under(activation.socket_unit())
        .start();
    for path in [&path, &own] {
        let mut peer = Peer::connect(path);
        assert_eq!(peer.packet(&get("/")).reply().status, 200);
    }
    scoter.stop();
    assert!(!own.exists());
    assert!(path.exists());
}

#[test]
fn passed_socket_outlives_the_server() {
    let (first, path) = activated("streaming");
    let mut activation = Activation::of_nothing().with_unix("site.socket", &path);
    let mut first = first
        .args(["--threads", "1"])
        .under(activation.socket_unit())
        .start();
    let gate = first.gate("a");
    let mut running = first.begin("a");
    first.signal(Signal::SIGTERM);
    first.wait_for_log("stopping");
    gate.open();
    assert_eq!(running.reply().text(), "waited at a");
    assert_eq!(first.wait().code, Some(0));
    first.wait_until_all_are_gone();

    // Nobody serves, and still nobody is turned away.
    let mut between = Peer::connect(&path);
    between.packet(&get("/quick"));
    let (second, _) = activated("streaming");
    let _second = second.under(activation.socket_unit()).start();
    assert_eq!(between.reply().text(), "quick");
}

#[test]
fn connection_that_the_kernel_woke_another_process_for_is_accepted() {
    let (scoter, path) = activated("hello");
    let listener = UnixListener::bind(&path).expect("a socket");
    // As a worker's slot does. What comes first is woken first.
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("an epoll instance");
    let exclusive = EventFlags::IN | EventFlags::EXCLUSIVE;
    epoll::add(&epoll, &listener, EventData::new_u64(0), exclusive).expect("added");
    // It accepts nothing, as a process that is killed at that moment.
    let woken = thread::spawn(move || {
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }];
        epoll::wait(&epoll, &mut events, None).expect("it waits")
    });
    let mut activation = Activation::of_nothing().with("site.socket", listener);
    let scoter = scoter.under(activation.socket_unit()).start();
    until("it is woken", || {
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
        woken.is_finished().then_some(())
    });
}

#[through_nginx(gateway)]
fn restart_with_a_passed_socket_loses_no_request(connections: Connections) {
    let (scoter, path) = activated("hello");
    let nginx_folder = tempfile::TempDir::with_prefix("scoter-").expect("as for the server");
    let mut activation = Activation::of_nothing().with_unix("site.socket", &path);
    let mut scoter = scoter.under(activation.socket_unit()).start();
    let nginx = Nginx::prepare(nginx_folder.path(), &path, connections).start();
    let crowd = Crowd::asking(&nginx.site(), "/", 4);
    crowd.wait_for_answers(20);
    let mut retired = Vec::new();
    for _ in 0..3 {
        scoter.stop();
        let (next, _) = activated("hello");
        let next = next.under(activation.socket_unit()).start();
        retired.push(std::mem::replace(&mut scoter, next));
        crowd.wait_for_more(20);
    }
    for reply in crowd.leave() {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

#[test]
fn reload_keeps_a_passed_socket() {
    let (scoter, path) = activated("hello");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = tcp.local_addr().expect("bound");
    let mut activation = Activation::of_nothing()
        .with_unix("site.socket", &path)
        .with("admin", tcp);
    let scoter = scoter.under(activation.socket_unit()).start();
    for (generation, signal) in [
        (2, Signal::SIGHUP),
        (3, Signal::SIGUSR2),
        (4, Signal::SIGHUP),
    ] {
        scoter.signal(signal);
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
        let stream = TcpStream::connect(address).expect("it listens");
        assert_eq!(exchange(stream, &get("/")).status, 200);
    }
}

#[test]
fn passed_socket_is_shut_by_no_kind_of_end() {
    let (scoter, path) = activated("streaming");
    let mut activation = Activation::of_nothing().with_unix("site.socket", &path);
    let mut scoter = scoter.under(activation.socket_unit()).start();
    // Every thread is busy, so that nobody takes the next connection.
    let gate = scoter.gate("a");
    let running: Vec<_> = (0..4)
        .map(|_| {
            let mut peer = scoter.connect();
            peer.packet(&with(get("/waits"), [("QUERY_STRING", "a")]));
            peer
        })
        .collect();
    until("every thread is busy", || {
        (scoter.events().len() == 4).then_some(())
    });
    scoter.signal(Signal::SIGTERM);
    scoter.wait_for_log("stopping");
    // At once, with requests that are cut.
    scoter.signal(Signal::SIGINT);
    scoter.wait();
    drop((running, gate));
    assert!(UnixStream::connect(&path).is_ok());

    let (scoter, _) = activated("hello");
    let mut scoter = scoter.under(activation.socket_unit()).start();
    scoter.signal(Signal::SIGKILL);
    scoter.wait();
    scoter.wait_until_all_are_gone();
    let mut between = Peer::connect(&path);
    between.packet(&get("/"));

    let (scoter, _) = activated("hello");
    let _scoter = scoter.under(activation.socket_unit()).start();
    assert_eq!(between.reply().status, 200);
}

#[test]
fn sockets_for_another_process_are_none_of_ours() {
    let scoter = Scoter::serving("hello")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    let finished = Scoter::serving("hello")
        .unbound()
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("--bind"), "{}", finished.stderr);
}

#[test]
fn descriptor_that_is_no_listening_socket_is_explained() {
    let folder = tempfile::TempDir::with_prefix("scoter-").expect("as for the server");
    let file = File::create(folder.path().join("file")).expect("just made");
    let (connected, _other) = UnixStream::pair().expect("a descriptor is left");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("there is a free port");
    for activation in [
        Activation::of_nothing().with("file", file),
        Activation::of_nothing().with("connected", connected),
        Activation::of_nothing().with("udp", udp),
    ] {
        let mut activation = activation;
        let (scoter, _) = activated("hello");
        let finished = scoter.under(activation.socket_unit()).run();
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        for word in ["fd://3", "not a listening stream socket", "hint"] {
            assert!(finished.stderr.contains(word), "{}", finished.stderr);
        }
    }
}

#[test]
fn socket_beyond_loopback_needs_an_allow_list_though_it_was_passed() {
    let tcp = || TcpListener::bind("0.0.0.0:0").expect("there is a free port");
    let (scoter, _) = activated("hello");
    let mut activation = Activation::of_nothing().with("wide", tcp());
    let finished = scoter.under(activation.socket_unit()).run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("--allow"), "{}", finished.stderr);

    let (scoter, _) = activated("hello");
    let tcp = tcp();
    let port = tcp.local_addr().expect("bound").port();
    let mut activation = Activation::of_nothing().with("wide", tcp);
    let _scoter = scoter
        .args(["--allow", "192.0.2.0/24"])
        .under(activation.socket_unit())
        .start();
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert_eq!(exchange(stream, &get("/")).status, 200);
}

#[test]
fn descriptor_is_served_by_its_number() {
    let (scoter, path) = activated("hello");
    let other = scoter.folder().join("other.sock");
    let mut activation = Activation::of_nothing()
        .with_unix("unnamed", &path)
        .with_unix("unnamed", &other);
    let mut scoter = scoter
        .bind("fd://4")
        .under(activation.descriptors())
        .start();
    let mut peer = Peer::connect(&other);
    assert_eq!(peer.packet(&get("/")).reply().status, 200);
    for generation in [2, 3] {
        scoter.signal(Signal::SIGHUP);
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
        let mut peer = Peer::connect(&other);
        assert_eq!(peer.packet(&get("/")).reply().status, 200);
    }
    scoter.stop();
    assert!(UnixStream::connect(&other).is_ok());
}

#[test]
fn descriptor_that_is_not_open_is_explained() {
    let finished = Scoter::serving("hello").bind("fd://7").run();
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    for word in ["fd://7", "no such descriptor", "hint"] {
        assert!(finished.stderr.contains(word), "{}", finished.stderr);
    }
}

#[test]
fn nobody_behind_the_master_knows_of_the_activation() {
    let (scoter, path) = activated("echo");
    let mut activation = Activation::of_nothing().with_unix("site.socket", &path);
    let scoter = scoter.under(activation.socket_unit()).start();
    let look = || {
        let seen = scoter.connect().packet(&get("/")).reply().json();
        let variables = seen["process"]["environ"].as_object().expect("a map");
        assert!(
            !variables.keys().any(|name| name.starts_with("LISTEN_")),
            "{variables:?}"
        );
        for process in scoter.family() {
            if process.pid() == scoter.pid() {
                continue;
            }
            let environment = fs::read(format!("/proc/{}/environ", process.pid()));
            let environment = String::from_utf8_lossy(&environment.expect("it runs")).into_owned();
            assert!(!environment.contains("LISTEN_"), "{environment}");
        }
    };
    look();
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("reloaded generation=2");
    scoter.wait_for_workers(1);
    look();
}

#[test]
fn application_without_a_master_knows_nothing_of_systemd() {
    let scoter = Scoter::serving("echo").unbound();
    let path = scoter.folder().join("scoter.sock");
    let manager = integration_tests::Manager::at(scoter.folder());
    let mut activation = Activation::of_nothing().with_unix("site.socket", &path);
    let mut scoter = scoter
        .args(["--no-master"])
        .env("NOTIFY_SOCKET", manager.address())
        .env("WATCHDOG_USEC", "60000000")
        .env("WATCHDOG_PID", "1")
        .under(activation.socket_unit())
        .start();
    let seen = Peer::connect(&path).packet(&get("/")).reply().json();
    let variables = seen["process"]["environ"].as_object().expect("a map");
    for start in ["NOTIFY_", "WATCHDOG_", "LISTEN_"] {
        let is_one = |name: &String| name.starts_with(start);
        assert!(!variables.keys().any(is_one), "{variables:?}");
    }
    let line = scoter.wait_for_log("does not notify systemd");
    assert!(line.contains("Type=exec"), "{line}");
    scoter.stop();
}

#[test]
fn children_of_the_application_do_not_inherit_a_passed_socket() {
    let (scoter, path) = activated("children");
    let mut activation = Activation::of_nothing().with_unix("site.socket", &path);
    let scoter = scoter.under(activation.socket_unit()).start();
    let inherited = scoter.connect().packet(&get("/inherits")).reply().text();
    assert!(!inherited.contains("socket:"), "{inherited}");
}

#[test]
fn queue_of_a_passed_socket_is_served_while_the_server_starts() {
    let (scoter, path) = activated("slow_to_load");
    let scoter = scoter.with_file(
        "slow_to_load.py",
        "import probe\nprobe.wait_at('load')\nfrom hello import application\n",
    );
    let gate = integration_tests::Gate::at(scoter.folder(), "load");
    let listener = UnixListener::bind(&path).expect("a path of its own");
    // That is what starts a service that is activated by its socket.
    let mut early = Peer::connect(&path);
    early.packet(&get("/"));
    let mut activation = Activation::of_nothing().with("site.socket", listener);
    gate.open();
    let _scoter = scoter.under(activation.socket_unit()).start();
    assert_eq!(early.reply().status, 200);
}
