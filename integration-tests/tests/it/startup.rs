//! Servers that must not start, and what they say; what one says that does.

use std::fs;

use integration_tests::{Finished, Gate, Scoter, apps_folder, get, says_ready, until};

/// Starts a server whose application is this module, which must fail.
fn run_module(source: &str, app: &str) -> Finished {
    let scoter = Scoter::serving(app);
    fs::write(scoter.folder().join("broken.py"), source).expect("the test's own folder");
    scoter.run()
}

#[track_caller]
fn assert_fails(finished: &Finished, code: i32, words: &[&str]) {
    assert_eq!(finished.code, Some(code), "{}", finished.stderr);
    for word in words {
        assert!(
            finished.stderr.contains(word),
            "{word:?} in {}",
            finished.stderr
        );
    }
    assert!(!says_ready(&finished.stderr), "{}", finished.stderr);
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
}

#[test]
fn missing_module_is_reported_with_what_was_searched() {
    let finished = Scoter::serving("no_such_module:application").run();
    let apps = apps_folder().to_str().expect("UTF-8");
    assert_fails(&finished, 3, &["no_such_module", apps]);
    assert!(
        !finished.stderr.contains("Traceback"),
        "{}",
        finished.stderr
    );
}

#[test]
fn missing_file_is_reported() {
    let finished = Scoter::serving("no/such/file.py").run();
    assert_fails(&finished, 3, &["no/such/file.py"]);
    assert!(
        !finished.stderr.contains("Traceback"),
        "{}",
        finished.stderr
    );
}

#[test]
fn threads_that_cannot_be_had_are_reported() {
    // As a limit of the system would have it, of processes or memory.
    let source = "import threading\n\
                  from hello import application\n\
                  really = threading.Thread.start\n\
                  def start(thread):\n    \
                      if thread.name == 'scoter-slot-2':\n        \
                          raise RuntimeError(\"can't start new thread\")\n    \
                      really(thread)\n\
                  threading.Thread.start = start\n";
    for arguments in [&["--threads", "4"][..], &["--no-master", "--threads", "4"]] {
        let finished = Scoter::serving("threadless")
            .with_file("threadless.py", source)
            .args(arguments)
            .run();
        assert_fails(&finished, 1, &["RuntimeError: can't start new thread"]);
        assert!(
            !finished.stderr.contains("os._exit()"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn threads_that_are_none_are_reported() {
    // As gevent's monkey.patch_all() makes them: they run where they are started.
    let source = "import threading\n\
                  from hello import application\n\
                  threading.Thread.start = threading.Thread.run\n";
    let finished = Scoter::serving("patched")
        .with_file("patched.py", source)
        .args(["--threads", "2"])
        .run();
    assert_fails(&finished, 1, &["gevent", "--threads 1"]);
}

#[test]
fn module_without_callable_is_reported_with_what_it_has() {
    let finished = run_module("def my_wsgi(environ, start_response): pass\n", "broken");
    assert_fails(&finished, 3, &["broken", "application", "app", "my_wsgi"]);
    let finished = run_module(
        "def my_wsgi(environ, start_response): pass\n",
        "broken:other",
    );
    assert_fails(&finished, 3, &["broken", "other", "my_wsgi"]);
}

#[test]
fn thing_that_cannot_be_called_is_reported() {
    let finished = run_module("application = 'a string'\n", "broken");
    assert_fails(&finished, 3, &["broken", "application", "str"]);
}

#[test]
fn exception_in_the_application_is_shown_with_its_traceback() {
    for (source, words) in [
        (
            "import missing_dependency\n",
            &["missing_dependency", "broken.py", "Traceback"][..],
        ),
        ("def application(\n", &["SyntaxError", "broken.py"]),
        ("1 / 0\n", &["ZeroDivisionError", "broken.py", "Traceback"]),
        (
            "raise SystemExit(5)\n",
            &["SystemExit", "broken.py", "Traceback"],
        ),
    ] {
        let finished = run_module(source, "broken");
        assert_fails(&finished, 3, words);
        let tracebacks = finished.stderr.matches("Traceback").count();
        let expected = usize::from(words.contains(&"Traceback"));
        assert_eq!(tracebacks, expected, "{}", finished.stderr);
    }
}

#[test]
fn factory_that_fails_is_shown_with_its_traceback() {
    let scoter = Scoter::serving("broken:make").args(["--factory"]);
    fs::write(
        scoter.folder().join("broken.py"),
        "def make():\n    1 / 0\n",
    )
    .expect("the test's own folder");
    assert_fails(&scoter.run(), 3, &["ZeroDivisionError", "make"]);
    let scoter = Scoter::serving("broken:make").args(["--factory"]);
    fs::write(scoter.folder().join("broken.py"), "def make():\n    pass\n")
        .expect("the test's own folder");
    assert_fails(&scoter.run(), 3, &["make", "None"]);
}

#[test]
fn failed_start_leaves_no_socket() {
    let scoter = Scoter::serving("no_such_module");
    let socket = scoter.folder().join("scoter.sock");
    let mut process = scoter.spawn();
    assert_eq!(process.wait().code, Some(3));
    assert!(!socket.exists());
}

#[test]
fn wrong_options_are_reported() {
    for (args, words) in [
        (&["--proceses", "4"][..], &["--proceses"][..]),
        (&["--thread", "4"], &["--thread", "--threads"]),
        (&["--threads", "0"], &["--threads", "0"]),
        (&["--threads", "many"], &["--threads", "many"]),
        (&["--body-buffer", "1X"], &["--body-buffer", "1X"]),
        (&["--header-timeout", "soon"], &["--header-timeout", "soon"]),
        (&["--socket-mode", "999"], &["--socket-mode", "999"]),
        (&["--socket-group", "no-such-group"], &["no-such-group"]),
        (&["--socket-owner", "no-such-user"], &["no-such-user"]),
        (&["--allow", "everybody"], &["--allow", "everybody"]),
        (&["--buffer-body", "some"], &["--buffer-body", "some"]),
        (&["--chdir", "/nonexistent"], &["/nonexistent"]),
        (&["--access-log", "/nonexistent/log"], &["/nonexistent/log"]),
        (
            &["--bind", "unix:twice.sock", "--bind", "unix:twice.sock"],
            &["twice.sock"],
        ),
    ] {
        let finished = Scoter::serving("hello").args(args).run();
        assert_fails(&finished, 2, words);
    }
}

#[test]
fn wrong_addresses_are_reported() {
    for address in [
        "nonsense",
        "unix:",
        "unix:@",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:99999",
        ":9000",
        "tcp://x",
        "",
    ] {
        let finished = Scoter::serving("hello").bind(address).run();
        assert_fails(&finished, 2, &["--bind", address]);
    }
}

#[test]
fn server_without_bind_or_application_is_refused() {
    let finished = Scoter::serving("hello").unbound().run();
    assert_fails(&finished, 2, &["--bind"]);
    let finished = Scoter::serving("--threads=2").run();
    assert_fails(&finished, 2, &["APP"]);
}

#[test]
fn version_is_that_of_the_package() {
    let finished = Scoter::serving("hello").args(["--version"]).run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(
        finished.stdout,
        concat!("scoter ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn banner_is_short_and_says_what_runs() {
    let scoter = Scoter::serving("hello").args(["--threads", "3"]).start();
    let banner = scoter.stderr();
    assert!(banner.lines().count() <= 6, "{banner}");
    let socket = scoter.socket().to_str().expect("UTF-8");
    let pid = scoter.pid().to_string();
    for words in [
        socket,
        env!("CARGO_PKG_VERSION"),
        "hello",
        "3",
        "python",
        &pid,
    ] {
        assert!(banner.contains(words), "{words:?} in {banner}");
    }
    assert!(banner.lines().last().is_some_and(says_ready), "{banner}");
}

#[test]
fn module_is_found_in_the_working_directory() {
    let scoter = Scoter::serving("here");
    fs::write(
        scoter.folder().join("here.py"),
        "from hello import application\n",
    )
    .expect("the test's own folder");
    let scoter = scoter.start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn chdir_comes_before_the_import() {
    let scoter = Scoter::serving("echo");
    let folder = scoter.folder().join("elsewhere");
    fs::create_dir(&folder).expect("the test's own folder");
    fs::write(
        folder.join("only_there.py"),
        "from echo import application\n",
    )
    .expect("the test's own folder");
    let scoter = Scoter::serving("only_there")
        .args(["--chdir".into(), folder.clone()])
        .start();
    let seen = scoter.connect().packet(&get("/")).reply().json();
    let cwd = seen["process"]["cwd"].as_str().expect("a string");
    assert_eq!(fs::canonicalize(cwd).ok(), fs::canonicalize(folder).ok());
}

#[test]
fn application_can_use_threads_signals_and_subprocesses() {
    // What only the main thread may do works while a module is loaded, and SIGTERM still stops the server.
    let scoter = Scoter::serving("busy");
    fs::write(
        scoter.folder().join("busy.py"),
        "import signal, subprocess, sys, threading\n\
         signal.signal(signal.SIGTERM, lambda *args: None)\n\
         signal.signal(signal.SIGUSR2, lambda *args: None)\n\
         out = subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True).stdout\n\
         started = threading.Event()\n\
         thread = threading.Thread(target=started.set, daemon=True)\n\
         thread.start()\n\
         def application(environ, start_response):\n    \
             start_response('200 OK', [])\n    \
             return [out, b'thread' if started.wait(10) else b'no thread']\n",
    )
    .expect("the test's own folder");
    let mut scoter = scoter.start();
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!(reply.text(), "42\nthread");
    scoter.stop();
}

#[test]
fn module_can_be_run_as_python_dash_m() {
    let scoter = Scoter::serving("hello").as_module().start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn first_worker_does_alone_what_the_application_does_once() {
    // As an application does that creates its tables when it is imported and finds none.
    let source = "import os, probe, time\n\
                  from workers import application\n\
                  table = os.path.join(probe.FOLDER, 'table')\n\
                  if not os.path.exists(table):\n    \
                      time.sleep(0.2)\n    \
                      os.mkdir(table)\n\
                  probe.event('imported')\n";
    let scoter = Scoter::serving("tables")
        .with_file("tables.py", source)
        .workers("4")
        .start();
    assert_eq!(scoter.events(), ["imported"; 4]);
    scoter.wait_for_workers(4);
}

#[test]
fn workers_behind_the_first_are_started_at_the_same_time() {
    let source = "import probe\n\
                  from workers import application\n\
                  probe.event('importing')\n\
                  probe.wait_at('import')\n";
    let scoter = Scoter::serving("slow")
        .with_file("slow.py", source)
        .workers("4");
    let gate = Gate::at(scoter.folder(), "import");
    let process = scoter.spawn();
    let imports = || {
        let events = fs::read_to_string(scoter.folder().join("events")).unwrap_or_default();
        events.lines().count()
    };
    until("the first import", || (imports() == 1).then_some(()));
    let log = process.stderr();
    assert!(!log.contains("application loaded"), "{log}");
    gate.open();
    // Each of them waits for a gate of its own.
    until("all imports", || (imports() == 4).then_some(()));
    let log = process.stderr();
    assert!(log.contains("application loaded"), "{log}");
    assert!(!says_ready(&log), "{log}");
    gate.open_for(3);
    until("a ready server", || {
        says_ready(&process.stderr()).then_some(())
    });
}
