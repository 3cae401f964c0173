//! Where the application is imported, what is shared, and when its hooks run.

use std::collections::BTreeSet;

use integration_tests::{Gate, Running, Scoter, ScoterBuilder, get, until};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// A turn in the life of a process, as `apps/hooked.py` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Turn {
    what: String,
    pid: i32,
    worker: Option<u64>,
}

fn serving(args: &[&str]) -> ScoterBuilder {
    Scoter::serving("hooked").args(args)
}

fn turns(scoter: &Scoter) -> Vec<Turn> {
    let events = scoter.events();
    let turns = events.iter().map(|event| {
        let words: Vec<_> = event.split(' ').collect();
        let [what, pid, worker] = words[..] else {
            panic!("{event}");
        };
        Turn {
            what: what.to_owned(),
            pid: pid.parse().expect("a process id"),
            worker: worker.parse().ok(),
        }
    });
    turns.collect()
}

/// What a process has reported.
fn life(turns: &[Turn], pid: i32) -> Vec<&str> {
    let own = turns.iter().filter(|turn| turn.pid == pid);
    own.map(|turn| turn.what.as_str()).collect()
}

#[track_caller]
fn ask(scoter: &Scoter, path: &str) -> String {
    scoter.connect().packet(&get(path)).reply().text()
}

#[test]
fn each_worker_imports_for_itself_and_runs_its_hooks() {
    let mut scoter = serving(&[]).workers("2").start();
    let workers = scoter.wait_for_workers(2);
    scoter.stop();
    let turns = turns(&scoter);
    for worker in &workers {
        assert_eq!(
            life(&turns, worker.pid().as_raw()),
            [
                "import",
                "post_fork",
                "start",
                "start_again",
                "exit",
                "atexit"
            ],
            "{turns:?}"
        );
        let mut own = turns
            .iter()
            .filter(|turn| turn.pid == worker.pid().as_raw());
        assert!(own.all(|turn| turn.worker == Some(worker.id)), "{turns:?}");
    }
    assert_eq!(turns.len(), 12, "{turns:?}");
}

#[test]
fn preloaded_application_is_imported_once_and_forked() {
    let mut scoter = serving(&["--preload"]).workers("3").start();
    let workers = scoter.wait_for_workers(3);
    let launcher = scoter.launcher();
    for _ in 0..10 {
        let who = ask(&scoter, "/who");
        let (pid, id) = who.split_once(' ').expect("two words");
        assert!(
            workers
                .iter()
                .any(|worker| worker.pid().to_string() == pid && worker.id.to_string() == id),
            "{who}"
        );
    }
    scoter.stop();
    let turns = turns(&scoter);
    let of_launcher = life(&turns, launcher.pid().as_raw());
    let forks = ["before_fork", "after_fork_in_parent"].repeat(3);
    assert_eq!(
        of_launcher,
        [&["import"][..], &forks, &["atexit"]].concat(),
        "{turns:?}"
    );
    assert_eq!(turns[0].worker, None, "{turns:?}");
    for worker in &workers {
        assert_eq!(
            life(&turns, worker.pid().as_raw()),
            [
                "after_fork_in_child",
                "post_fork",
                "start",
                "start_again",
                "exit",
                "atexit"
            ],
            "{turns:?}"
        );
    }
    let ids: BTreeSet<_> = workers.iter().map(|worker| worker.id).collect();
    assert_eq!(ids, [1, 2, 3].into());
}

#[test]
fn what_is_preloaded_is_out_of_the_collectors_sight() {
    let scoter = serving(&["--preload"]).start();
    let frozen: usize = ask(&scoter, "/frozen").parse().expect("a number");
    assert!(frozen > 1_000, "{frozen}");
    let scoter = serving(&[]).start();
    assert_eq!(ask(&scoter, "/frozen"), "0");
}

#[test]
fn hooks_run_in_the_worker_that_replaces_another() {
    let scoter = serving(&["--preload"]).start();
    let first = scoter.worker();
    first.signal(Signal::SIGTERM);
    let second = scoter.wait_for_workers_that("another worker", |workers| {
        workers.len() == 1 && workers[0].pid() != first.pid()
    });
    first.wait_until_gone();
    let turns = turns(&scoter);
    let ended = life(&turns, first.pid().as_raw());
    assert_eq!(ended.last(), Some(&"atexit"), "{turns:?}");
    let begun = life(&turns, second[0].pid().as_raw());
    assert_eq!(begun.last(), Some(&"start_again"), "{turns:?}");
}

#[test]
fn exception_in_a_hook_keeps_the_server_from_starting() {
    for hook in ["post_fork", "on_worker_start"] {
        for preload in ["--preload=false", "--preload"] {
            let code = format!(
                "from scoter import hooks\n\
                 from hello import application\n\
                 @hooks.{hook}\n\
                 def connect():\n    raise LookupError('no database')\n"
            );
            let finished = Scoter::serving("failing")
                .with_file("failing.py", &code)
                .args([preload])
                .run();
            assert_eq!(finished.code, Some(3), "{hook}: {}", finished.stderr);
            for words in [hook, "Traceback", "in connect", "LookupError: no database"] {
                assert!(
                    finished.stderr.contains(words),
                    "{words} in {}",
                    finished.stderr
                );
            }
        }
    }
}

#[test]
fn exception_in_a_last_hook_is_logged_and_the_others_run() {
    let mut scoter = Scoter::serving("failing")
        .with_file(
            "failing.py",
            "from probe import event\n\
             from scoter import hooks\n\
             from hello import application\n\
             @hooks.on_worker_exit\n\
             def part():\n    raise LookupError('no farewell')\n\
             @hooks.on_worker_exit\n\
             def leave():\n    event('left')\n",
        )
        .start();
    let finished = scoter.stop();
    assert!(
        finished.stderr.contains("LookupError: no farewell"),
        "{}",
        finished.stderr
    );
    assert_eq!(scoter.events(), ["left"]);
}

#[test]
fn threads_that_a_fork_would_lose_are_named() {
    let code = "import threading\n\
                from hello import application\n\
                never = threading.Event()\n\
                threading.Thread(target=never.wait, name='poller', daemon=True).start()\n";
    let scoter = Scoter::serving("threaded")
        .with_file("threaded.py", code)
        .args(["--preload"])
        .start();
    let line = scoter.wait_for_log("threads");
    assert!(
        line.contains("WARN") && line.contains("poller") && line.contains("post_fork"),
        "{line}"
    );
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);

    // Without it nothing is lost, and nothing said.
    let mut scoter = Scoter::serving("threaded")
        .with_file("threaded.py", code)
        .start();
    let log = scoter.stop().stderr;
    assert!(!log.contains("poller"), "{log}");
}

/// An application whose imports wait, each at a gate of its own: `import-1`, `import-2`, … The third has started a
/// process then.
const GATED: &str = "\
import os, subprocess
from probe import FOLDER, event, wait_at
from hello import application
event(f'importing {os.getpid()}')
with open(os.path.join(FOLDER, 'events')) as events:
    number = events.read().count('importing')
if number == 3:
    event(f'process {subprocess.Popen([\"sleep\", \"600\"]).pid}')
wait_at(f'import-{number}')
";

/// Returns the process that imports [`GATED`] for the `number`th time, once it does.
#[track_caller]
fn importing(scoter: &Scoter, number: usize) -> Running {
    until(&format!("import {number}"), || {
        let events = scoter.events();
        let mut pids = events
            .iter()
            .filter_map(|event| event.strip_prefix("importing "));
        let pid = pids.nth(number - 1)?.parse().expect("a process id");
        Some(Running::new(Pid::from_raw(pid)))
    })
}

#[test]
fn launcher_that_is_let_go_while_it_imports_leaves_the_sockets_alone() {
    let scoter = Scoter::serving("gated")
        .with_file("gated.py", GATED)
        .args(["--preload"]);
    let gates = (1..=3).map(|number| Gate::at(scoter.folder(), &format!("import-{number}")));
    let gates: Vec<_> = gates.collect();
    gates[0].open();
    let mut scoter = scoter.start();
    let old = scoter.launcher();
    scoter.signal(Signal::SIGHUP);
    importing(&scoter, 2);
    // Until the reload is done the old code gets another launcher, which imports still when
    // nobody needs it any more.
    old.signal(Signal::SIGKILL);
    let replacement = importing(&scoter, 3);
    let started = process(&scoter, 0);
    gates[1].open();
    scoter.wait_for_log("reloaded generation=2");
    replacement.wait_until_gone();
    started.wait_until_gone();
    assert!(scoter.socket().exists(), "{}", scoter.stderr());
    assert_eq!(scoter.command(["status", "--ready"]).code, Some(0));
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    let log = scoter.stop().stderr;
    assert!(!log.contains("the master is gone"), "{log}");
    drop(gates);
}

#[test]
fn server_whose_master_dies_while_a_launcher_imports_removes_its_sockets() {
    let scoter = Scoter::serving("gated")
        .with_file("gated.py", GATED)
        .args(["--preload"]);
    let _gate = Gate::at(scoter.folder(), "import-1");
    let socket = scoter.folder().join("scoter.sock");
    let events = scoter.folder().join("events");
    let mut process = scoter.spawn();
    until("it imports", || {
        let events = std::fs::read_to_string(&events).ok()?;
        events.contains("importing").then_some(())
    });
    assert!(socket.exists());
    process.signal(Signal::SIGKILL);
    process.wait();
    until("its sockets are removed", || {
        (!socket.exists()).then_some(())
    });
    until("the reason", || {
        let log = process.stderr();
        log.contains("the master is gone").then_some(())
    });
}

#[test]
fn launcher_whose_exit_handlers_hang_ends_after_its_master() {
    const APPLICATION: &str = "\
import atexit, threading
from hello import application

atexit.register(threading.Event().wait)
";
    let scoter = Scoter::serving("hanging")
        .with_file("hanging.py", APPLICATION)
        .args(["--preload", "--graceful-timeout", "1s"])
        .start();
    let launcher = scoter.launcher();
    scoter.signal(Signal::SIGKILL);
    launcher.wait_until_gone();
}

/// Returns the process that `apps/starting.py` has started most lately.
#[track_caller]
fn process(scoter: &Scoter, number: usize) -> Running {
    until("the process of the application", || {
        let events = scoter.events();
        let mut pids = events
            .iter()
            .filter_map(|event| event.strip_prefix("process "));
        let pid = pids.nth(number)?.parse().expect("a process id");
        Some(Running::new(Pid::from_raw(pid)))
    })
}

fn starting(kind: &str) -> ScoterBuilder {
    let scoter = Scoter::serving("starting").env("KIND", kind);
    scoter.args(["--preload"])
}

#[test]
fn processes_of_a_preloaded_application_end_with_it() {
    for kind in ["process", "stubborn", "daemon", "manager", "fork"] {
        let mut scoter = starting(kind).start();
        let first = process(&scoter, 0);
        assert_eq!(ask(&scoter, "/"), "42", "{kind}");
        // Its launcher ends with its last worker, and with that the process.
        assert_eq!(scoter.command(["reload"]).code, Some(0), "{kind}");
        let second = process(&scoter, 1);
        first.wait_until_gone();
        assert_eq!(ask(&scoter, "/"), "42", "{kind}");
        assert!(!second.is_gone(), "{kind}");
        scoter.signal(Signal::SIGTERM);
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        // What the master would say of a launcher that it has to kill.
        assert!(
            !finished.stderr.contains("killed"),
            "{kind}: {}",
            finished.stderr
        );
        scoter.wait_until_all_are_gone();
    }
}

#[test]
fn processes_of_a_preloaded_application_end_by_term() {
    for kind in ["process", "daemon", "manager", "fork"] {
        let scoter = starting(kind).start();
        let process = process(&scoter, 0);
        process.signal(Signal::SIGTERM);
        // A zombie until its parent looks: nothing of it runs.
        until("its end", || {
            let state = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()));
            state
                .map_or(true, |state| state.contains(") Z "))
                .then_some(())
        });
        drop(scoter);
    }
}

#[test]
fn process_that_a_worker_has_started_ends_with_it() {
    let scoter = Scoter::serving("starting").env("KIND", "process");
    let mut scoter = scoter.args(["--graceful-timeout", "3s"]).start();
    process(&scoter, 0);
    scoter.signal(Signal::SIGTERM);
    assert_eq!(scoter.wait().code, Some(0));
    scoter.wait_until_all_are_gone();
}

#[test]
fn worker_that_ends_leaves_the_processes_of_its_launcher_alone() {
    for kind in ["process", "daemon", "manager"] {
        let scoter = starting(kind).start();
        let process = process(&scoter, 0);
        let before = scoter.worker();
        before.signal(Signal::SIGTERM);
        scoter.wait_for_workers_that("a new worker", |workers| {
            workers.len() == 1 && workers[0].pid() != before.pid()
        });
        before.wait_until_gone();
        assert!(!process.is_gone(), "{kind}");
        let status = std::fs::read_to_string(format!("/proc/{}/stat", process.pid()));
        assert!(
            !status.is_ok_and(|status| status.contains(") Z ")),
            "{kind}"
        );
        assert_eq!(ask(&scoter, "/"), "42", "{kind}");
    }
}

#[test]
fn handler_for_ended_children_of_a_preloaded_application_runs_in_workers() {
    let code = "import os, signal\n\
                from probe import event, plain\n\
                def note(number, frame):\n    \
                    event(f'child of {os.getpid()}')\n\
                signal.signal(signal.SIGCHLD, note)\n\
                def application(environ, start_response):\n    \
                    child = os.fork()\n    \
                    if child == 0:\n        \
                        os._exit(0)\n    \
                    os.waitpid(child, 0)\n    \
                    return plain(start_response, str(os.getpid()))\n";
    let mut scoter = Scoter::serving("counting")
        .with_file("counting.py", code)
        .args(["--preload", "--threads", "1"])
        .start();
    let pid = ask(&scoter, "/");
    scoter.wait_for_event(&format!("child of {pid}"));
    // None of the launcher's, which reaps the workers itself.
    scoter.stop();
    let of_worker = format!("child of {pid}");
    let events = scoter.events();
    assert!(events.iter().all(|event| *event == of_worker), "{events:?}");
}

#[test]
fn process_that_a_hook_of_a_fork_forks_keeps_nothing_of_the_server() {
    let code = "import os\n\
                from hello import application\n\
                from probe import event\n\
                busy = False\n\
                def fork(place):\n    \
                    global busy\n    \
                    if busy:\n        \
                        return\n    \
                    busy = True\n    \
                    child = os.fork()\n    \
                    if child == 0:\n        \
                        folder, kinds = '/proc/self/fd/', ('socket:', 'anon_inode:', 'memfd:')\n        \
                        targets = [os.readlink(folder + n) for n in os.listdir(folder) if os.path.lexists(folder + n)]\n        \
                        event(f'{place} {sum(target.startswith(kinds) for target in targets)}')\n        \
                        os._exit(0)\n    \
                    os.waitpid(child, 0)\n    \
                    busy = False\n\
                os.register_at_fork(\n    \
                    before=lambda: fork('before'),\n    \
                    after_in_child=lambda: fork('child'),\n    \
                    after_in_parent=lambda: fork('parent'),\n\
                )\n";
    let mut scoter = Scoter::serving("nesting")
        .with_file("nesting.py", code)
        .args(["--preload"])
        .workers("2")
        .start();
    scoter.wait_for_workers(2);
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    scoter.stop();
    let mut events = scoter.events();
    events.sort();
    let expected = ["before 0", "child 0", "parent 0"].map(|event| [event; 2]);
    assert_eq!(events, expected.concat());
}
