//! What an application does to its process, and what the server does for it at the end.

use std::fs;
use std::os::unix::net::UnixStream;
use std::process::Command;

use integration_tests::{Gate, Peer, Scoter, get, until};
use nix::sys::signal::Signal;

#[test]
fn children_of_the_application_hold_no_connection() {
    // The end of such a response is the end of the connection: nginx would wait for the child's end too.
    let scoter = Scoter::serving("children").start();
    let gate = scoter.gate("child");
    for (path, expected) in [("/forks", "forked"), ("/executes", "executed")] {
        let mut peer = scoter.connect();
        let reply = peer.packet(&get(path)).reply();
        assert_eq!(
            (reply.header("Content-Length"), &*reply.text()),
            (None, expected)
        );
    }
    gate.open_for(2);
}

#[test]
fn executed_children_do_not_keep_the_socket_alive() {
    let scoter = Scoter::serving("children").start();
    let gate = scoter.gate("child");
    scoter.connect().packet(&get("/executes")).reply();
    scoter.kill();
    // Else the next server would find a live one on the path.
    assert!(UnixStream::connect(scoter.socket()).is_err());
    let path = format!("unix:{}", scoter.socket().display());
    let next = Scoter::serving("children").bind(path).start();
    let mut peer = Peer::connect(scoter.socket());
    assert_eq!(peer.packet(&get("/quick")).reply().text(), "quick");
    gate.open();
    drop(next);
}

#[test]
fn executed_children_inherit_no_file() {
    let scoter = Scoter::serving("children");
    let log = scoter.folder().join("access.log");
    let scoter = scoter.args(["--access-log".into(), log]).start();
    // Connections in every state there is.
    let _silent = scoter.connect();
    scoter.connect().send([0, 100]);
    let mut pending = scoter.connect();
    pending
        .packet(&integration_tests::post("/quick", 10))
        .send("part");
    let inherited = scoter.connect().packet(&get("/inherits")).reply().text();
    // What the tests were started with is none of the server's business: pipes, terminals.
    for kind in ["socket:", "anon_inode:", "access.log"] {
        assert!(!inherited.contains(kind), "{inherited}");
    }
}

#[test]
fn thread_that_is_woken_too_early_leaves_the_core_to_the_waker() {
    let scoter = Scoter::serving("children").args(["--no-master", "--threads", "1"]);
    let scoter = scoter.start();
    let policy = || {
        // proc_pid_stat(5): the name, in parentheses, is the second field, the policy the 41st.
        let stat = fs::read_to_string(format!("/proc/{}/stat", scoter.pid())).expect("it runs");
        let (_, fields) = stat.rsplit_once(") ").expect("a name in parentheses");
        fields
            .split_whitespace()
            .nth(38)
            .expect("41 fields")
            .to_owned()
    };
    let (normal, batch) = ("0", "3");
    let mut silent = scoter.connect();
    until("it is SCHED_BATCH", || {
        if policy() == batch {
            return Some(());
        }
        silent.packet(&get("/quick")).reply();
        silent = scoter.connect();
        None
    });
    // Only as long as it sleeps.
    for path in ["/schedules", "/child_schedules"] {
        let reply = silent.packet(&get(path)).reply();
        assert_eq!(reply.text(), "other", "{path}");
        silent = scoter.connect();
    }
    until("it is SCHED_OTHER", || {
        scoter.connect().packet(&get("/quick")).reply();
        (policy() == normal).then_some(())
    });
}

#[test]
fn scheduling_of_the_operators_choice_is_kept() {
    let niceness = |command: &mut Command| {
        let printed = command.output().expect("coreutils").stdout;
        String::from_utf8_lossy(&printed).trim_end().to_owned()
    };
    let nicer = niceness(Command::new("nice").args(["-n", "3", "nice"]));
    for (wrapper, path, expected) in [
        (&["chrt", "--idle", "0"][..], "/schedules", "idle"),
        (&["chrt", "--batch", "0"], "/schedules", "batch"),
        (&["nice", "-n", "3"], "/nice", &nicer),
    ] {
        for arguments in [&["--threads", "2"][..], &["--no-master", "--threads", "1"]] {
            let scoter = Scoter::serving("children").args(arguments).under(wrapper);
            let scoter = scoter.start();
            let reply = scoter.connect().packet(&get(path)).reply();
            assert_eq!(reply.text(), expected, "{wrapper:?} {arguments:?}");
        }
    }
}

#[test]
fn terminated_child_of_the_application_ends() {
    // Else multiprocessing's Process.terminate() and Pool.terminate() would hang.
    let scoter = Scoter::serving("children").start();
    let _never = scoter.gate("never");
    let reply = scoter.connect().packet(&get("/terminates")).reply();
    assert_eq!(reply.text(), "-15");
}

#[test]
fn exit_handlers_run_though_a_thread_never_ends() {
    let scoter = Scoter::serving("leaving").args(["--graceful-timeout", "2s"]);
    let _never = Gate::at(scoter.folder(), "never");
    fs::write(
        scoter.folder().join("leaving.py"),
        "import atexit, threading\n\
         from probe import event, wait_at\n\
         from hello import application\n\
         atexit.register(event, 'exit handler')\n\
         threading.Thread(target=wait_at, args=['never'], name='stuck').start()\n",
    )
    .expect("the test's own folder");
    let mut scoter = scoter.start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    let finished = scoter.stop();
    assert!(
        finished.stderr.contains("name=\"stuck\""),
        "{}",
        finished.stderr
    );
    assert_eq!(scoter.events(), ["exit handler"]);
}

#[test]
fn thread_pools_of_the_application_finish_their_work() {
    let scoter = Scoter::serving("pooled");
    fs::write(
        scoter.folder().join("pooled.py"),
        "from concurrent.futures import ThreadPoolExecutor\n\
         from probe import event, plain, wait_at\n\
         pool = ThreadPoolExecutor()\n\
         def work():\n    \
             event('begun')\n    \
             wait_at('work')\n    \
             event('done')\n\
         def application(environ, start_response):\n    \
             pool.submit(work)\n    \
             return plain(start_response, 'submitted')\n",
    )
    .expect("the test's own folder");
    let gate = Gate::at(scoter.folder(), "work");
    let mut scoter = scoter.start();
    scoter.connect().packet(&get("/")).reply();
    scoter.wait_for_event("begun");
    scoter.begin_to_stop(Signal::SIGTERM);
    gate.open();
    assert_eq!(scoter.wait().code, Some(0));
    assert_eq!(scoter.events(), ["begun", "done"]);
}

#[test]
fn application_that_dies_of_sigpipe_elsewhere_lives_here() {
    // Python ignores SIGPIPE; some command line programs that became applications restore it.
    let scoter = Scoter::serving("piped");
    fs::write(
        scoter.folder().join("piped.py"),
        "import signal\n\
         from streaming import application\n\
         signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n",
    )
    .expect("the test's own folder");
    let mut scoter = scoter.start();
    for path in ["/endless", "/endless_writes"] {
        scoter.connect().packet(&get(path)).read(100);
    }
    until("both applications have noticed", || {
        let events = scoter.events();
        let noticed = |start: &str| events.iter().any(|event| event.starts_with(start));
        (noticed("closed") && noticed("write raised")).then_some(())
    });
    scoter.stop();
}

#[test]
fn every_thread_can_run_an_event_loop() {
    // What Flask's and Django's async views do; in the main thread asyncio handles SIGINT for a while.
    let scoter = Scoter::serving("looping");
    fs::write(
        scoter.folder().join("looping.py"),
        "import asyncio\n\
         async def answer():\n    \
             await asyncio.sleep(0)\n    \
             return b'async'\n\
         def application(environ, start_response):\n    \
             start_response('200 OK', [])\n    \
             return [asyncio.run(answer())]\n",
    )
    .expect("the test's own folder");
    let mut scoter = scoter.args(["--threads", "3"]).start();
    let mut peers: Vec<_> = (0..60).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        peer.packet(&get("/"));
    }
    for peer in &mut peers {
        assert_eq!(peer.reply().text(), "async");
    }
    scoter.signal(Signal::SIGINT);
    assert_eq!(scoter.wait().code, Some(0));
}

#[test]
fn requests_leave_nothing_behind_in_memory() {
    let scoter = Scoter::serving("failures").args(["--threads", "2"]).start();
    let ask_all = |rounds: usize| {
        for _ in 0..rounds {
            for path in [
                "/fine",
                "/before_start",
                "/after_first_chunk",
                "/returns_str",
                "/replaces",
            ] {
                scoter.connect().packet(&get(path)).ending();
            }
            scoter
                .connect()
                .packet(&integration_tests::post("/fine", 50_000))
                .send([b'x'; 50_000])
                .ending();
        }
    };
    let worker = scoter.worker();
    ask_all(100);
    let before = worker.resident_kib();
    ask_all(500);
    let after = worker.resident_kib();
    // 3000 requests: a leak of 1 KiB each would show.
    assert!(after < before + 2048, "{before} KiB, then {after} KiB");
}

#[test]
fn burst_beyond_the_threads_waits_its_turn() {
    let scoter = Scoter::serving("hello").args(["--threads", "2"]).start();
    let mut peers: Vec<_> = (0..300).map(|_| scoter.connect()).collect();
    for peer in &mut peers {
        peer.packet(&get("/"));
    }
    for peer in &mut peers {
        assert_eq!(peer.reply().text(), "Hello, 192.0.2.1!\n");
    }
    until("all are logged", || {
        (scoter.stdout().lines().count() == 300).then_some(())
    });
}

#[test]
fn standard_streams_that_are_closed_are_nobodys_files() {
    let code = "import os\n\
                from probe import plain\n\
                def application(environ, start_response):\n    \
                    for number in range(3):\n        \
                        try:\n            \
                            os.write(number, b'stray')\n        \
                        except OSError:\n            \
                            pass\n    \
                    return plain(start_response, 'whole')\n";
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        for kind in [&[][..], &["--preload"], &["--no-master"]] {
            let script = format!("exec \"$0\" \"$@\" {closed}");
            let server = Scoter::serving("strays")
                .with_file("strays.py", code)
                .args(kind)
                .under(["sh", "-c", &script]);
            let process = server.spawn();
            let socket = server.folder().join("scoter.sock");
            until("somebody listens", || UnixStream::connect(&socket).ok());
            for _ in 0..10 {
                let reply = Peer::connect(&socket).packet(&get("/")).reply();
                assert_eq!(reply.text(), "whole", "{closed} {kind:?}");
            }
            for one in process.family() {
                for number in 0..3 {
                    let file = fs::read_link(format!("/proc/{}/fd/{number}", one.pid()));
                    let file = file.unwrap_or_else(|error| panic!("{number} {closed}: {error}"));
                    let file = file.to_string_lossy();
                    for ours in ["socket:", "anon_inode:", "memfd:"] {
                        assert!(!file.contains(ours), "{number} {closed} {kind:?}: {file}");
                    }
                }
            }
        }
    }
}

#[test]
fn end_that_fails_in_one_place_is_completed_in_the_others() {
    let scoter = Scoter::serving("leaving").args(["--graceful-timeout", "2s"]);
    let _never = Gate::at(scoter.folder(), "never");
    // Handlers of threads run last come, first served; threads are waited for in their order.
    let mut scoter = scoter
        .with_file(
            "leaving.py",
            "import atexit, threading\n\
             from probe import event, wait_at\n\
             from hello import application\n\
             def fails():\n\
            \x20   raise RuntimeError('first handler')\n\
             class Unjoinable(threading.Thread):\n\
            \x20   def join(self, timeout=None):\n\
            \x20       raise RuntimeError('unjoinable')\n\
             threading._register_atexit(event, 'second handler')\n\
             threading._register_atexit(fails)\n\
             atexit.register(event, 'exit handler')\n\
             Unjoinable(target=wait_at, args=['never']).start()\n\
             threading.Thread(target=wait_at, args=['never'], name='stuck').start()\n",
        )
        .start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    let log = scoter.stop().stderr;
    for text in ["first handler", "unjoinable", "name=\"stuck\""] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert_eq!(scoter.events(), ["second handler", "exit handler"]);
}
