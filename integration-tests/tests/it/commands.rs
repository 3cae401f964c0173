//! The commands that talk to a running server: what they print, and their exit codes.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use integration_tests::{
    Client, Finished, Gate, Peer, Scoter, apps_folder, empty, get, says_ready, until, with,
};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// Runs `scoter` with these arguments in `folder`, away from any server of its own.
fn command_in(folder: &Path, words: &[&str]) -> Finished {
    let in_folder = ["sh", "-c", "cd \"$0\" && exec \"$@\""].map(Into::into);
    Scoter::told_nothing()
        .under(in_folder.into_iter().chain([folder.as_os_str().to_owned()]))
        .args(words)
        .run()
}

#[track_caller]
fn assert_done(finished: &Finished) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "", "{finished:?}");
}

#[track_caller]
fn assert_says(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} in {finished:?}");
    }
    assert!(!finished.stderr.contains("panicked"), "{finished:?}");
}

#[test]
fn status_shows_workers_and_what_they_do() {
    let scoter = Scoter::serving("streaming")
        .workers("2")
        .args(["--threads", "3"])
        .start();
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    let finished = scoter.command(["status"]);
    assert_done(&finished);
    let text = &finished.stdout;
    let socket = format!("listening on unix:{}", scoter.socket().display());
    let pid = format!("pid {}", scoter.pid());
    for words in [
        concat!("scoter ", env!("CARGO_PKG_VERSION")),
        &pid,
        "generation 1: running, ready",
        &socket,
        "2 wanted",
        "GET  /waits",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    let mut busy = Vec::new();
    for worker in scoter.workers() {
        let pid = worker.pid().to_string();
        let line = text
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(&pid));
        let line = line.unwrap_or_else(|| panic!("no worker {pid} in {text}"));
        assert!(line.contains("ready"), "{line}");
        busy.push(line.split_whitespace().last().expect("a column"));
    }
    busy.sort_unstable();
    assert_eq!(busy, ["0/3", "1/3"], "{text}");
    gate.open();
    assert_eq!(peer.reply().text(), "waited at a");
}

#[test]
fn readiness_is_an_exit_code() {
    let scoter = Scoter::serving("slow_to_load").with_file(
        "slow_to_load.py",
        "from probe import event, wait_at\nevent('loading')\nwait_at('load')\nfrom streaming import application\n",
    );
    let scoter = scoter.args(["--drain-delay", "60s"]);
    let gate = Gate::at(scoter.folder(), "load");
    let control = scoter.folder().join("scoter.sock.control");
    let events = scoter.folder().join("events");
    let process = scoter.spawn();
    until("the application is being loaded", || {
        (fs::read_to_string(&events).ok()? == "loading\n").then_some(())
    });
    let ready = || {
        let path = control.to_str().expect("UTF-8");
        command_in(Path::new("/"), &["status", "--ready", "--control", path])
    };
    assert_says(&ready(), 1, &["not ready", "starting"]);
    let health = Client::new(&control).get("/health");
    assert_eq!(health.status, 503, "{}", health.text());
    gate.open();
    until("scoter is ready", || {
        says_ready(&process.stderr()).then_some(())
    });
    let finished = ready();
    assert_done(&finished);
    assert_eq!(finished.stdout, "");
    assert_eq!(Client::new(&control).get("/health").status, 200);

    process.signal(Signal::SIGTERM);
    until("it drains", || {
        process.stderr().contains("draining").then_some(())
    });
    assert_says(&ready(), 1, &["not ready", "draining"]);
    // It serves on, and so it is not to be killed.
    assert_eq!(Client::new(&control).get("/health").status, 200);
    let socket = scoter.folder().join("scoter.sock");
    let mut peer = Peer::connect(&socket);
    assert_eq!(peer.packet(&get("/quick")).reply().text(), "quick");
}

#[test]
fn reload_waits_for_its_end() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .workers("2")
        .start();
    scoter.put("changing.py", "from forms import function as application\n");
    let finished = scoter.command(["reload"]);
    assert_done(&finished);
    assert!(
        finished
            .stdout
            .starts_with("generation 2 serves with 2 workers, after "),
        "{finished:?}"
    );
    // Nobody of the old generation takes a connection any more.
    for _ in 0..10 {
        let reply = scoter.connect().packet(&get("/")).reply();
        assert_eq!(reply.text(), "function GET /");
    }
}

#[test]
fn reload_of_broken_code_shows_the_traceback() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .start();
    for (code, words) in [
        (
            "1 / 0\n",
            &["Traceback", "changing.py", "ZeroDivisionError"][..],
        ),
        ("def application(\n", &["changing.py", "SyntaxError"]),
        ("import missing_thing\n", &["Traceback", "missing_thing"]),
        ("application = 3\n", &["application", "int"]),
        ("import os\nos._exit(7)\n", &["exit code 7"]),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
            &["KILL"],
        ),
    ] {
        scoter.put("changing.py", code);
        let finished = scoter.command(["reload"]);
        assert_says(&finished, 1, words);
        assert_says(
            &finished,
            1,
            &["not reloaded, the old generation continues to serve"],
        );
        assert_eq!(finished.stdout, "");
        let tracebacks = finished.stderr.matches("Traceback").count();
        let expected = usize::from(words.contains(&"Traceback"));
        assert_eq!(tracebacks, expected, "{finished:?}");
        assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
        let status = scoter.status();
        assert_eq!(status["last_reload"]["ok"], false, "{status}");
        assert!(status["last_reload"]["error"].is_string(), "{status}");
        assert_eq!(status["generation"], 1);
    }
    scoter.put("changing.py", "from hello import application\n");
    assert_done(&scoter.command(["reload"]));
    assert_eq!(scoter.status()["last_reload"]["ok"], true);
}

#[test]
fn reload_of_a_wrong_configuration_is_refused() {
    let file = format!(
        "app = 'hello'\nbind = 'unix:scoter.sock'\nworkers = 1\npythonpath = {:?}\n",
        apps_folder()
    );
    let scoter = Scoter::told_nothing()
        .with_file("scoter.toml", &file)
        .start();
    scoter.put("scoter.toml", &format!("{file}thread = 2\n"));
    let finished = scoter.command(["reload"]);
    assert_says(
        &finished,
        1,
        &["scoter.toml:5:1", "unknown key \"thread\"", "threads"],
    );
    // What only a start can change is named, and the rest done.
    scoter.put(
        "scoter.toml",
        &format!("{file}threads = 2\nbacklog = 5\numask = '077'\n"),
    );
    let finished = scoter.command(["reload"]);
    assert_done(&finished);
    let waits = "takes effect only after a restart: ";
    let line = finished.stdout.lines().find(|line| line.contains(waits));
    let line = line.unwrap_or_else(|| panic!("{finished:?}"));
    assert!(
        line.contains("backlog") && line.contains("umask") && !line.contains("threads"),
        "{line}"
    );
    let workers = scoter.wait_for_workers(1);
    assert_eq!(workers[0].slots, 2);
}

#[test]
fn one_reload_at_a_time() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .start();
    let gate = scoter.gate("load");
    scoter.put(
        "changing.py",
        "from probe import event, wait_at\nevent('loading')\nwait_at('load')\nfrom hello import application\n",
    );
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_event("loading");
    assert_says(
        &scoter.command(["reload"]),
        1,
        &["not reloaded", "a reload is already running"],
    );
    let request = hyper::Request::post("/reload").body(empty());
    let reply = scoter.control().send(request.expect("well-formed"));
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(scoter.status()["phase"], "reloading");
    assert_done(&scoter.command(["status", "--ready"]));
    gate.open();
    scoter.wait_for_log("reloaded generation=2");
}

#[test]
fn stop_waits_for_the_end_of_the_process() {
    let mut scoter = Scoter::serving("streaming").workers("2").start();
    let gate = scoter.gate("a");
    let mut peer = scoter.begin("a");
    std::thread::scope(|scope| {
        let stop = scope.spawn(|| {
            let finished = scoter.command(["stop"]);
            // By then nothing is left that could be in the way of another start.
            let left = scoter.control().socket().exists() || scoter.socket().exists();
            (finished, left)
        });
        scoter.wait_for_log("stopping");
        assert!(!stop.is_finished());
        gate.open();
        assert_eq!(peer.reply().text(), "waited at a");
        let (finished, left) = stop.join().expect("it ends");
        assert_done(&finished);
        assert_eq!(finished.stdout, "stopped\n");
        assert!(!left);
    });
    assert_eq!(scoter.wait().code, Some(0));
    scoter.wait_until_all_are_gone();
}

#[test]
fn top_without_a_terminal_is_a_picture_of_now() {
    let scoter = Scoter::serving("hello").workers("2").start();
    let finished = scoter.command(["top"]);
    assert_done(&finished);
    for worker in scoter.workers() {
        let pid = worker.pid().to_string();
        assert!(finished.stdout.contains(&pid), "{finished:?}");
    }
    assert!(!finished.stdout.contains('\x1b'), "{finished:?}");
}

#[test]
fn nobody_who_answers_is_explained() {
    let folder = TempDir::with_prefix("scoter-").expect("as for the server");
    let folder = folder.path();
    // That of a server that was killed, of another kind, and none at all.
    let stale = folder.join("stale.control");
    drop(UnixListener::bind(&stale).expect("a path of its own"));
    fs::write(folder.join("file"), "").expect("the test's own folder");
    let other = Scoter::serving("hello").start();
    let uwsgi = other.socket().to_str().expect("UTF-8").to_owned();
    for command in [
        &["status"][..],
        &["status", "--ready"],
        &["status", "--json"],
        &["reload"],
        &["stop"],
        &["scale", "2"],
        &["top"],
    ] {
        for (path, word) in [
            ("none.control", "there is no such socket"),
            ("stale.control", "has ended"),
            ("file", "hint"),
            (&uwsgi, "is not scoter's control socket"),
        ] {
            let words = [command, &["--control", path]].concat();
            let finished = command_in(folder, &words);
            assert_says(&finished, 2, &[path, word]);
            assert_eq!(finished.stdout, "", "{words:?}");
        }
    }
    assert_eq!(other.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn server_is_found_as_it_was_configured() {
    let file = format!(
        "app = 'hello'\nbind = ['127.0.0.1:0', 'unix:scoter.sock']\npythonpath = {:?}\n",
        apps_folder()
    );
    let scoter = Scoter::told_nothing()
        .with_file("scoter.toml", &file)
        .start();
    let found = |finished: &Finished| {
        assert_done(finished);
        let pid = format!("pid {}", scoter.pid());
        assert!(finished.stdout.contains(&pid), "{finished:?}");
    };
    let folder = scoter.folder();
    // In its working directory, from elsewhere by its file, and by what it was told.
    found(&command_in(folder, &["status"]));
    let config = folder.join("scoter.toml");
    let config = config.to_str().expect("UTF-8");
    found(&command_in(Path::new("/"), &["status", "--config", config]));
    found(&command_in(
        folder,
        &["status", "--bind", "unix:scoter.sock"],
    ));
    let bind = format!("unix:{}", scoter.socket().display());
    found(&command_in(Path::new("/"), &["status", "--bind", &bind]));
    let control = "scoter.sock.control";
    found(&command_in(folder, &["status", "--control", control]));
    // Where a server of the same configuration would have none, nobody is asked.
    let finished = command_in(folder, &["status", "--control", "off"]);
    assert_says(&finished, 2, &["control is off"]);
    // A file that is broken meanwhile is not in the way of who says where.
    scoter.put("scoter.toml", "thread = 2\n");
    let finished = command_in(folder, &["status"]);
    assert_says(&finished, 2, &["scoter.toml:1:1"]);
    found(&command_in(folder, &["status", "--control", control]));
}

#[test]
fn what_clients_ask_for_is_printed_without_what_a_terminal_would_obey() {
    let scoter = Scoter::serving("waiting").with_file(
        "waiting.py",
        "from probe import event, wait_at\n\
         from hello import application as hello\n\
         def application(environ, start_response):\n    \
             event('begun')\n    \
             wait_at('a')\n    \
             return hello(environ, start_response)\n",
    );
    let scoter = scoter.start();
    let gate = scoter.gate("a");
    let mut peer = scoter.connect();
    let vars = [
        ("REQUEST_URI", "/\x1b]0;title\x07\x1b[2J?\r\n"),
        ("HTTP_X_REQUEST_ID", "\x1b[31mred"),
    ];
    peer.packet(&with(get("/"), vars));
    scoter.wait_for_event("begun");
    for command in ["status", "top"] {
        let finished = scoter.command([command]);
        assert_done(&finished);
        assert!(
            !finished.stdout.contains(['\x1b', '\x07', '\r']),
            "{finished:?}"
        );
    }
    let status = scoter.command(["status", "--json"]);
    serde_json::from_str::<serde_json::Value>(&status.stdout).expect("JSON");
    assert!(!status.stdout.contains('\x1b'), "{status:?}");
    gate.open();
    assert_eq!(peer.reply().status, 200);
}

#[test]
fn client_that_is_interrupted_does_not_take_the_order_back() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .start();
    let gate = scoter.gate("load");
    scoter.put(
        "changing.py",
        "from probe import event, wait_at\nevent('loading')\nwait_at('load')\nfrom forms import function as application\n",
    );
    let control = scoter.control().socket().to_owned();
    let client = Scoter::told_nothing()
        .args(["reload"])
        .args(["--control".into(), control]);
    let mut process = client.spawn();
    scoter.wait_for_event("loading");
    process.signal(Signal::SIGINT);
    let finished = process.wait();
    assert_says(&finished, 130, &["interrupted", "continues"]);
    gate.open();
    scoter.wait_for_log("reloaded generation=2");
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!(reply.text(), "function GET /");
}

#[test]
fn mistyped_command_is_recognised_while_the_server_runs() {
    let scoter = Scoter::serving("hello").start();
    let folder = scoter.folder();
    let address = format!("unix:{}", scoter.socket().display());
    let configuration = format!("app = 'hello'\nbind = '{address}'\n");
    scoter.put("scoter.toml", &configuration);
    for (words, meant) in [
        (&["relaod"][..], "did you mean scoter reload?"),
        (&["restart", "--no-master"], "did you mean scoter reload?"),
        (
            &["--bind", &address, "status"],
            "did you mean scoter status?",
        ),
        (&["start"], "did you mean scoter APP"),
    ] {
        let finished = command_in(folder, words);
        let list = "The commands are check, ";
        assert_says(&finished, 3, &["there is no module", meant, list]);
        assert!(!finished.stderr.contains("running server"), "{finished:?}");
    }
    // A module of such a name is the application: its start gets as far as the socket.
    scoter.put("restart.py", "from hello import application\n");
    let finished = command_in(folder, &["restart"]);
    assert_says(&finished, 2, &["a running server answers there"]);
    fs::remove_file(folder.join("restart.py")).expect("just made");
    fs::create_dir(folder.join("elsewhere")).expect("the test's own folder");
    scoter.put("elsewhere/restart.py", "from hello import application\n");
    for option in ["--chdir", "--pythonpath"] {
        let finished = command_in(folder, &["restart", option, "elsewhere"]);
        assert_says(&finished, 2, &["a running server answers there"]);
    }
}
