//! HUP and `scoter reload`: new code is in place without anybody having noticed, broken code is not.

use std::collections::BTreeSet;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use integration_tests::{
    Connections, Crowd, Finished, Package, Scoter, ScoterBuilder, Site, get, through_nginx, until,
};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// A server of `changing.py`, which is version 1 of `apps/versions.py` and belongs to the test.
pub(crate) fn serving_version_1() -> ScoterBuilder {
    Scoter::serving("changing").with_file("changing.py", &version(1))
}

/// The code of a version.
pub(crate) fn version(number: usize) -> String {
    format!("import versions\napplication = versions.serving({number})\n")
}

/// Asks which version serves.
#[track_caller]
pub(crate) fn ask(scoter: &Scoter) -> String {
    scoter.connect().packet(&get("/version")).reply().text()
}

#[track_caller]
fn assert_says(finished: &Finished, code: i32, words: &[&str]) {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert_eq!(finished.code, Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} in {said}");
    }
}

fn pids(scoter: &Scoter) -> Vec<i32> {
    let workers = scoter.workers();
    workers.iter().map(|worker| worker.pid().as_raw()).collect()
}

#[through_nginx(gateway)]
fn twenty_reloads_under_load_lose_no_request_and_bring_every_version(connections: Connections) {
    const LAST: usize = 21;
    let site = Site::of(serving_version_1().workers("2"), connections);
    let scoter = site.scoter();
    let crowd = Crowd::asking(&site, "/version", 16);
    crowd.wait_for_text("1");
    for number in 2..=LAST {
        scoter.put("changing.py", &version(number));
        scoter.signal(Signal::SIGHUP);
        crowd.wait_for_text(&number.to_string());
        scoter.wait_for_log(&format!("reloaded generation={number}"));
    }
    // Nobody who comes now meets the old code.
    scoter.wait_for_workers_that("workers of the last generation", |workers| {
        workers.len() == 2 && workers.iter().all(|worker| worker.generation == 21)
    });
    let later = crowd.next_answers(50);
    assert!(later.iter().all(|reply| reply.body == "21"), "{later:?}");
    let replies = crowd.leave();

    let failed: Vec<_> = replies.iter().filter(|reply| reply.status != 200).collect();
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:?}",
        failed.len(),
        replies.len()
    );
    let seen: BTreeSet<_> = replies.iter().map(|reply| reply.text()).collect();
    let expected = (1..=LAST).map(|number| number.to_string()).collect();
    assert_eq!(seen, expected);
    assert_eq!(site.failures(), "");
    until("the processes of the old generations are gone", || {
        (scoter.launchers().len() == 1 && scoter.processes().len() == 4).then_some(())
    });
}

/// What code can do to keep its workers from serving, and what is said about it.
const BROKEN: [(&str, &str, &[&str]); 8] = [
    (
        "syntax",
        "def application(\n",
        &["SyntaxError", "changing.py"],
    ),
    (
        "missing module",
        "import no_such_module\n",
        &["Traceback", "no_such_module", "changing.py"],
    ),
    ("exception", "1 / 0\n", &["Traceback", "ZeroDivisionError"]),
    (
        "no callable",
        "hello = 1\n",
        &["no callable", "application"],
    ),
    ("exit", "raise SystemExit(5)\n", &["SystemExit"]),
    (
        "hook that raises",
        "from scoter import hooks\n\
         import versions\n\
         application = versions.serving(2)\n\
         @hooks.on_worker_start\n\
         def start():\n    raise LookupError('no database')\n",
        &["on_worker_start", "Traceback", "LookupError: no database"],
    ),
    ("hard exit", "import os\nos._exit(9)\n", &["exit code 9"]),
    (
        "segmentation fault",
        "import faulthandler\nfaulthandler._sigsegv()\n",
        &["SIGSEGV"],
    ),
];

#[through_nginx(gateway)]
fn broken_code_changes_nothing_and_is_explained(connections: Connections) {
    for preload in ["--preload=false", "--preload"] {
        let site = Site::of(
            serving_version_1().args([preload]).workers("2"),
            connections,
        );
        let scoter = site.scoter();
        let before = pids(scoter);
        let crowd = Crowd::asking(&site, "/version", 4);
        for (name, code, words) in BROKEN {
            let logged = scoter.stderr().len();
            scoter.put("changing.py", code);
            assert_says(&scoter.command(["reload"]), 1, words);
            let log = scoter.stderr().split_off(logged);
            assert!(
                log.contains("the old code continues to serve"),
                "{name}: {log}"
            );
            for word in words {
                assert!(log.contains(word), "{name}: {word:?} in {log}");
            }
            let status = scoter.status();
            assert_eq!(status["generation"], 1, "{name}");
            assert_eq!(status["last_reload"]["ok"], false, "{name}");
            until("the attempt is gone", || {
                (pids(scoter) == before).then_some(())
            });
        }
        // Once it is mended it comes.
        scoter.put("changing.py", &version(2));
        assert_says(&scoter.command(["reload"]), 0, &["serves"]);
        crowd.wait_for_text("2");
        let replies = crowd.leave();
        assert!(replies.iter().all(|reply| reply.status == 200), "{preload}");
        scoter.launcher();
    }
}

#[test]
fn code_that_never_gets_ready_is_given_up() {
    let scoter = serving_version_1()
        .with_file("scoter.toml", "start-timeout = '2m'\n")
        .start();
    let _never = scoter.gate("never");
    scoter.put("scoter.toml", "start-timeout = '500ms'\n");
    scoter.put("changing.py", "import probe\nprobe.wait_at('never')\n");
    assert_says(&scoter.command(["reload"]), 1, &["start-timeout"]);
    assert_eq!(ask(&scoter), "1");
    assert_eq!(scoter.wait_for_workers(1)[0].generation, 1);
}

#[test]
fn second_hup_during_a_reload_is_not_forgotten() {
    let scoter = serving_version_1().start();
    let gate = scoter.gate("import");
    let slow = "import probe\nprobe.event('importing')\nprobe.wait_at('import')\n";
    scoter.put("changing.py", &format!("{slow}{}", version(2)));
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_event("importing");
    // What changes now is not in the code that is being imported.
    scoter.put("changing.py", &version(3));
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("another reload follows");
    // Who waits for an answer is told to come again.
    assert_says(
        &scoter.command(["reload"]),
        1,
        &["a reload is already running"],
    );
    gate.open();
    scoter.wait_for_log("reloaded generation=3");
    until("the last version serves", || {
        (ask(&scoter) == "3").then_some(())
    });
}

#[test]
fn preloaded_code_is_imported_again_and_once() {
    let importing = |number| format!("import probe\nprobe.event('imported')\n{}", version(number));
    let scoter = serving_version_1()
        .with_file("changing.py", &importing(1))
        .args(["--preload"])
        .workers("3")
        .start();
    for number in 2..=3 {
        scoter.put("changing.py", &importing(number));
        assert_says(
            &scoter.command(["reload"]),
            0,
            &[&format!("generation {number} serves")],
        );
        assert_eq!(scoter.events().len(), number);
        until("the new version serves", || {
            (ask(&scoter) == number.to_string()).then_some(())
        });
    }
}

#[test]
fn changed_configuration_is_in_force_after_a_reload() {
    let scoter = serving_version_1()
        .default_workers()
        .with_file("scoter.toml", "workers = 1\nthreads = 2\n")
        .start();
    assert_eq!(scoter.worker().slots, 2);
    scoter.put("scoter.toml", "workers = 3\nthreads = 5\n");
    assert_says(&scoter.command(["reload"]), 0, &["with 3 workers"]);
    let workers = scoter.wait_for_workers(3);
    assert!(
        workers.iter().all(|worker| worker.slots == 5),
        "{workers:?}"
    );
    // And back.
    scoter.put("scoter.toml", "workers = 1\nthreads = 2\n");
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=3");
    assert_eq!(scoter.wait_for_workers(1)[0].slots, 2);
}

#[test]
fn options_that_need_a_restart_are_named() {
    let scoter = serving_version_1()
        .with_file("scoter.toml", "backlog = 100\numask = '022'\nthreads = 2\n")
        .start();
    scoter.put("scoter.toml", "backlog = 200\numask = '027'\nthreads = 3\n");
    assert_says(
        &scoter.command(["reload"]),
        0,
        &["restart", "backlog", "umask"],
    );
    let line = scoter.wait_for_log("restart");
    assert!(
        line.contains("WARN") && line.contains("backlog") && line.contains("umask"),
        "{line}"
    );
    assert!(!line.contains("threads"), "{line}");
    assert_eq!(scoter.wait_for_workers(1)[0].slots, 3);
}

#[test]
fn broken_configuration_changes_nothing_and_is_explained() {
    let scoter = serving_version_1()
        .with_file("scoter.toml", "threads = 2\n")
        .start();
    let before = pids(&scoter);
    for (text, words) in [
        (
            "\nthread = 3\n",
            &["scoter.toml:2", "thread", "threads"][..],
        ),
        ("threads = 0\n", &["scoter.toml:1", "threads"]),
        ("threads = \n", &["scoter.toml:1"]),
    ] {
        scoter.put("scoter.toml", text);
        assert_says(&scoter.command(["reload"]), 1, words);
        let status = scoter.status();
        assert_eq!(
            (&status["generation"], &status["last_reload"]["ok"]),
            (&1.into(), &false.into())
        );
        assert_eq!(pids(&scoter), before);
    }
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log_lines(4, "nothing has changed");
    assert_eq!(ask(&scoter), "1");
}

#[test]
fn touched_file_reloads() {
    let scoter = serving_version_1()
        .args(["--reload-on-touch", "touched", "--reload-on-touch", "also"])
        .start();
    // Neither is there yet, and each is named: one may be misspelt.
    for file in ["touched", "also"] {
        let path = format!("path={} ", scoter.folder().join(file).display());
        let line = scoter.wait_for_log(&path);
        assert!(line.contains("WARN"), "{line}");
        assert!(line.contains("--reload-on-touch"), "{line}");
    }
    for (number, file) in [(2, "also"), (3, "touched"), (4, "also")] {
        scoter.put("changing.py", &version(number));
        scoter.put(file, "");
        scoter.wait_for_log(&format!("reloaded generation={number}"));
        until("the new version serves", || {
            (ask(&scoter) == number.to_string()).then_some(())
        });
    }
}

#[through_nginx(gateway)]
fn request_that_began_before_a_reload_ends_with_the_old_code(connections: Connections) {
    let site = Site::of(serving_version_1(), connections);
    let scoter = site.scoter();
    let gate = scoter.gate("a");
    let mut old = scoter.begin("a");
    let worker = scoter.worker();
    let launcher = scoter.launcher();
    scoter.put("changing.py", &version(2));
    assert_says(&scoter.command(["reload"]), 0, &["generation 2 serves"]);
    for _ in 0..20 {
        assert_eq!(site.get("/version").text(), "2");
    }
    assert!(!worker.is_gone());
    gate.open();
    assert_eq!(old.reply().text(), "1");
    worker.wait_until_gone();
    launcher.wait_until_gone();
}

#[test]
fn request_of_the_old_code_that_never_ends_is_cut_and_named() {
    let scoter = serving_version_1()
        .args(["--graceful-timeout", "300ms"])
        .start();
    let _never = scoter.gate("never");
    let mut old = scoter.begin("never");
    let worker = scoter.worker();
    assert_says(&scoter.command(["reload"]), 0, &["generation 2 serves"]);
    assert!(old.ending().bytes().is_empty());
    worker.wait_until_gone();
    let cut = scoter.wait_for_log("uri=\"/waits\"");
    assert!(cut.contains("method=\"GET\""), "{cut}");
    assert_eq!(ask(&scoter), "1");
}

#[test]
fn peers_that_stall_do_not_hold_up_a_reload() {
    let scoter = serving_version_1()
        .args([
            "--threads",
            "2",
            "--header-timeout",
            "1h",
            "--graceful-timeout",
            "1h",
        ])
        .start();
    let packet = get("/version").to_vec().expect("fits");
    let _silent: Vec<_> = (0..4).map(|_| scoter.connect()).collect();
    let mut half: Vec<_> = (0..4).map(|_| scoter.connect()).collect();
    for peer in &mut half {
        peer.send(&packet[..packet.len() / 2]);
    }
    // Accepted by the worker that is about to go: whoever comes later is.
    assert_eq!(ask(&scoter), "1");
    let worker = scoter.worker();
    scoter.put("changing.py", &version(2));
    assert_says(&scoter.command(["reload"]), 0, &[]);
    // Who goes on is answered by the old code.
    assert_eq!(
        half[0].send(&packet[packet.len() / 2..]).reply().text(),
        "1"
    );
    worker.wait_until_gone();
}

/// Code whose second worker cannot be forked, while orders for others are already given.
const SECOND_FORK_FAILS: &str = "\
import os
import versions
real, calls = os.fork, []
def fork():
    calls.append(None)
    if len(calls) == 2:
        raise BlockingIOError(11, 'Resource temporarily unavailable')
    return real()
os.fork = fork
application = versions.serving(2)
";

#[test]
fn workers_of_refused_code_end_also_where_they_are_not_forked_yet() {
    let scoter = serving_version_1()
        .args(["--preload", "--start-timeout", "10m"])
        .workers("8")
        .start();
    scoter.put("changing.py", SECOND_FORK_FAILS);
    let words = ["Resource temporarily unavailable"];
    assert_says(&scoter.command(["reload"]), 1, &words);
    scoter.wait_for_log("reload failed half-way");
    scoter.wait_for_workers_that("the old code alone", |workers| {
        workers.len() == 8 && workers.iter().all(|worker| worker.generation == 1)
    });
    for _ in 0..30 {
        assert_eq!(ask(&scoter), "1");
    }
    assert_eq!(scoter.log_lines("killed"), [""; 0]);
}

#[test]
fn surge_of_a_reload_is_bounded() {
    let scoter = serving_version_1().workers("4").start();
    scoter.put("changing.py", &version(2));
    scoter.signal(Signal::SIGHUP);
    until("the reload is over", || {
        let workers = scoter.workers();
        // Half as many more.
        assert!(workers.len() <= 6, "{workers:?}");
        let serving = workers.iter().filter(|worker| worker.is_ready()).count();
        assert!(serving >= 4, "{workers:?}");
        (scoter.status()["generation"] == 2).then_some(())
    });
    assert_eq!(scoter.wait_for_workers(4)[0].generation, 2);
}

#[test]
fn launcher_that_cannot_be_started_fails_the_reload_and_not_the_next() {
    let scoter = serving_version_1();
    let python = scoter.folder().join("python");
    let package = Package::installed().on_linked_python(&python);
    let scoter = scoter.from_package(&package).start();
    scoter.put("no program", "");
    let aside = scoter.folder().join("aside");
    fs::rename(&python, &aside).expect("just made");
    for (target, words) in [
        (
            None,
            &["cannot start a launcher", "python", "No such file"][..],
        ),
        (
            Some("no program"),
            &["cannot start a launcher", "Permission"],
        ),
        (
            Some("/bin/false"),
            &["the launcher died", "exit code 1", "loaded scoter"],
        ),
    ] {
        if let Some(target) = target {
            symlink(target, &python).expect("nothing is there");
        }
        assert_says(&scoter.command(["reload"]), 1, words);
        let status = scoter.status();
        assert_eq!(status["phase"], "running", "{target:?}");
        assert_eq!(status["last_reload"]["ok"], false, "{target:?}");
        assert_eq!(ask(&scoter), "1");
        let _ = fs::remove_file(&python);
    }
    fs::rename(&aside, &python).expect("as it was");
    scoter.put("changing.py", &version(2));
    assert_says(&scoter.command(["reload"]), 0, &["generation"]);
    assert_eq!(ask(&scoter), "2");
}

#[test]
fn reload_for_which_there_are_no_descriptors_fails_and_the_next_does_not() {
    let scoter = serving_version_1().start();
    // With the descriptors of as many, the limit is no lower than what the configuration needs.
    assert_says(&scoter.command(["scale", "20"]), 0, &[]);
    scoter.wait_for_workers(20);
    let pid = Pid::from_raw(scoter.pid().as_raw()).expect("not zero");
    let open: BTreeSet<u64> = fs::read_dir(format!("/proc/{}/fd", scoter.pid()))
        .expect("the server runs")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let set = |current| {
        let limit = Rlimit {
            current,
            // Inherited from the tests.
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        prlimit(Some(pid), Resource::Nofile, limit).expect("our own process")
    };
    // The first descriptor that is needed is one too many, then the second, and so on.
    let free = (0..).filter(|number| !open.contains(number));
    for (failed, limit) in free.take(4).enumerate() {
        let before = set(Some(limit));
        scoter.signal(Signal::SIGHUP);
        until("the reload fails", || {
            let log = scoter.stderr();
            let failures =
                log.matches("reload failed").count() + log.matches("reload refused").count();
            (failures > failed).then_some(())
        });
        set(before.current);
        assert_eq!(scoter.status()["phase"], "running");
    }
    let log = scoter.stderr();
    let too_many: Vec<_> = log.split("Too many open files").skip(1).collect();
    assert!(!too_many.is_empty(), "{log}");
    for rest in too_many {
        let hint = rest.lines().nth(1).unwrap_or_default();
        let is_hint = hint.starts_with("| hint: raise the open file limit");
        assert!(is_hint, "{log}");
    }
    scoter.put("changing.py", &version(2));
    assert_says(&scoter.command(["reload"]), 0, &["generation"]);
    assert_eq!(ask(&scoter), "2");
}

#[test]
fn configuration_may_be_larger_than_a_message() {
    let scoter = serving_version_1().start();
    let addresses: Vec<_> = (0..20_000)
        .map(|number| format!("'10.1.{}.{}'", number / 256, number % 256))
        .collect();
    let large = format!("threads = 3\nallow = [{}]\n", addresses.join(", "));
    assert!(large.len() > 250_000);
    scoter.put("scoter.toml", &large);
    assert_says(&scoter.command(["reload"]), 0, &["generation 2 serves"]);
    assert_eq!(scoter.wait_for_workers(1)[0].slots, 3);
    assert_says(&scoter.command(["reload", "--upgrade"]), 0, &[]);
    assert_eq!(ask(&scoter), "1");
    drop(scoter);
    let scoter = serving_version_1().with_file("scoter.toml", &large).start();
    assert_eq!(ask(&scoter), "1");
}

/// An application whose workers end by themselves once they are ready, one after the other.
const SHORT_LIVED: &str = "\
import os, threading, time
import probe, versions
from scoter import hooks
path = os.path.join(probe.FOLDER, 'predecessor')
try:
    predecessor = int(open(path).read())
    while os.path.exists(f'/proc/{predecessor}'):
        time.sleep(0.01)
except FileNotFoundError:
    pass
with open(f'{path}.{os.getpid()}', 'w') as file:
    file.write(str(os.getpid()))
os.replace(file.name, path)
@hooks.on_worker_start
def end():
    threading.Timer(0.3, os._exit, [7]).start()
application = versions.serving(2)
";

#[test]
fn workers_that_die_as_soon_as_they_are_ready_fail_the_reload() {
    let scoter = serving_version_1().workers("2").start();
    scoter.put("changing.py", SHORT_LIVED);
    let words = ["before they have served", "exit code 7"];
    assert_says(&scoter.command(["reload"]), 1, &words);
    assert_eq!(scoter.status()["phase"], "running");
    scoter.wait_for_workers_that("the old code", |workers| {
        workers.len() == 2 && workers.iter().all(|worker| worker.generation == 1)
    });
}

#[test]
fn workers_that_die_as_soon_as_they_are_ready_fail_the_start() {
    let scoter = serving_version_1().workers("2");
    let finished = scoter.with_file("changing.py", SHORT_LIVED).run();
    assert_says(&finished, 3, &["before they have served", "exit code 7"]);
}

#[test]
fn configuration_may_come_through_a_pipe() {
    let scoter = serving_version_1().args(["--config", "pipe"]);
    let pipe = scoter.folder().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("the test's own folder");
    // To open a pipe for writing waits for its reader.
    let write = |threads: u8| {
        let pipe = pipe.clone();
        thread::spawn(move || fs::write(pipe, format!("threads = {threads}\n")))
    };
    let written = write(2);
    let scoter = scoter.start();
    written.join().expect("no panic").expect("somebody reads");
    assert_eq!(scoter.worker().slots, 2);
    // Nobody writes: that is not the end of the default settings, nor of the server.
    let words = ["cannot read the configuration pipe", "nothing was written"];
    assert_says(&scoter.command(["reload"]), 1, &words);
    assert_eq!(scoter.worker().slots, 2);
    let written = write(3);
    assert_says(&scoter.command(["reload"]), 0, &["generation 2 serves"]);
    written.join().expect("no panic").expect("somebody reads");
    assert_eq!(scoter.wait_for_workers(1)[0].slots, 3);
}

/// Takes a lease on a file: whoever opens it waits, as for a file system that does not answer (F_SETLEASE in
/// fcntl(2)).
const LEASE: &str = "\
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open('scoter.toml', os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
open('leased', 'w').close()
time.sleep(60)
";

#[test]
fn file_system_that_does_not_answer_keeps_the_server_from_nothing() {
    let mut scoter = serving_version_1()
        .with_file("scoter.toml", "threads = 2\n")
        .start();
    let lease = || {
        let _ = fs::remove_file(scoter.folder().join("leased"));
        let mut command = Command::new("python3");
        command.args(["-c", LEASE]).current_dir(scoter.folder());
        let holder = command.spawn().expect("Python is there");
        until("the lease", || {
            scoter.folder().join("leased").exists().then_some(())
        });
        holder
    };
    let mut holder = lease();
    thread::scope(|scope| {
        let reloading = scope.spawn(|| scoter.command(["reload"]));
        until("the reload has begun", || {
            (scoter.status()["phase"] == "reloading").then_some(())
        });
        assert_says(
            &scoter.command(["reload"]),
            1,
            &["a reload is already running"],
        );
        // The master goes on with everything else meanwhile.
        let before = scoter.worker();
        before.signal(Signal::SIGKILL);
        scoter.wait_for_workers_that("another worker", |now| {
            now.len() == 1 && now[0].pid() != before.pid()
        });
        let finished = reloading.join().expect("no panic");
        let words = ["scoter.toml", "could not be read within 10 seconds"];
        assert_says(&finished, 1, &words);
    });
    assert_eq!(scoter.status()["phase"], "running");
    holder.kill().expect("it runs");
    holder.wait().expect("it is ours");
    assert_says(&scoter.command(["reload"]), 0, &["generation 2 serves"]);
    // Nor from its end.
    let mut holder = lease();
    scoter.signal(Signal::SIGHUP);
    until("the reload has begun", || {
        (scoter.status()["phase"] == "reloading").then_some(())
    });
    scoter.stop();
    holder.kill().expect("it runs");
    holder.wait().expect("it is ours");
}
