//! Where options come from, what is said about wrong ones, and checks that serve nothing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use integration_tests::{
    Finished, Package, Scoter, ScoterBuilder, apps_folder, get, says_ready, skip,
};
use nix::unistd::{Uid, User};

/// A server that knows nothing but this `scoter.toml` in its working directory.
fn configured(file: &str) -> ScoterBuilder {
    let scoter = Scoter::told_nothing();
    write(scoter.folder(), "scoter.toml", file);
    scoter
}

/// What `--print-config` says of an option: its value, and where that came from.
fn printed(scoter: ScoterBuilder, name: &str) -> (String, String) {
    let finished = scoter.args(["--print-config"]).run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines = finished.stdout.lines();
    let (value, origin) = lines
        .filter_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(" = ")?
                .split_once('#')
        })
        .next()
        .unwrap_or_else(|| panic!("no {name} in {}", finished.stdout));
    (value.trim().to_owned(), origin.trim().to_owned())
}

fn write(folder: &Path, name: &str, text: impl AsRef<str>) {
    fs::write(folder.join(name), text.as_ref()).expect("the test's own folder");
}

/// The lines that every server of these tests needs.
fn serving_hello() -> String {
    format!(
        "app = 'hello'\nbind = 'unix:scoter.sock'\npythonpath = {:?}\n",
        apps_folder()
    )
}

#[track_caller]
fn assert_refused(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
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
fn file_in_the_working_directory_is_enough() {
    let scoter = configured(&serving_hello()).start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn environment_is_enough() {
    let scoter = Scoter::told_nothing()
        .env("SCOTER_APP", "hello")
        .env("SCOTER_BIND", "127.0.0.1:0,unix:scoter.sock")
        .env("SCOTER_PYTHONPATH", apps_folder())
        .start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    assert_ne!(scoter.tcp_address().port(), 0);
}

#[test]
fn paths_of_a_file_start_beside_it() {
    let scoter = Scoter::told_nothing().args(["--config", "etc/site.toml"]);
    let folder = scoter.folder().join("etc");
    fs::create_dir_all(folder.join("code")).expect("the test's own folder");
    fs::copy(apps_folder().join("hello.py"), folder.join("code/there.py"))
        .expect("the test's own folder");
    write(
        &folder,
        "site.toml",
        "app = 'there'\nchdir = 'code'\nbind = 'unix:../scoter.sock'\naccess-log = 'access.log'\n",
    );
    let mut scoter = scoter.start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
    scoter.stop();
    let log = fs::read_to_string(folder.join("access.log")).expect("beside the file");
    assert!(log.contains("GET / "), "{log}");
}

#[test]
fn option_without_effect_is_warned_of_by_check_start_and_reload() {
    const WARNING: &str = "slow-request = \"5m\": has no effect: --request-timeout ends requests";
    let file = || serving_hello() + "slow-request = '5m'\nrequest-timeout = '1s'\n";
    let checked = configured(&file()).args(["check"]).run();
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let warning = format!("warning: scoter.toml:4:16: {WARNING}");
    assert!(checked.stderr.contains(&warning), "{}", checked.stderr);
    let scoter = configured(&file()).start();
    assert_eq!(scoter.stderr().matches(WARNING).count(), 1);
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    assert_eq!(scoter.stderr().matches(WARNING).count(), 2);
}

#[test]
fn command_line_counts_more_than_environment_and_environment_more_than_file() {
    let scoter = || configured("threads = 2\n");
    for (scoter, value, origin) in [
        (configured(""), "4", "default"),
        (scoter(), "2", "scoter.toml:1:11"),
        (scoter().env("SCOTER_THREADS", "3"), "3", "SCOTER_THREADS"),
        (
            scoter().env("SCOTER_THREADS", "3").args(["--threads", "5"]),
            "5",
            "command line",
        ),
    ] {
        assert_eq!(printed(scoter, "threads"), (value.into(), origin.into()));
    }
    let scoter = configured("preload = true\n").args(["--preload=false"]);
    assert_eq!(
        printed(scoter, "preload"),
        ("false".into(), "command line".into())
    );
}

#[test]
fn named_file_is_read_instead_of_the_usual_one() {
    let scoter = || {
        let scoter = configured("threads = 2\n");
        write(scoter.folder(), "mine.toml", "threads = 3\n");
        write(scoter.folder(), "yours.toml", "threads = 5\n");
        scoter.env("SCOTER_CONFIG", "mine.toml")
    };
    assert_eq!(printed(scoter(), "threads").0, "3");
    assert_eq!(
        printed(scoter().args(["--config", "yours.toml"]), "threads").0,
        "5"
    );
    let finished = Scoter::serving("hello")
        .args(["--config", "none.toml"])
        .run();
    assert_refused(&finished, &["none.toml", "No such file"]);
}

#[test]
fn misspelt_keys_are_all_named_with_their_lines() {
    let file = format!("{}worker = 4\n\nsocket_mode = '660'\n", serving_hello());
    let finished = configured(&file).run();
    assert_refused(
        &finished,
        &[
            "scoter.toml:4:1: unknown key \"worker\"",
            "did you mean workers?",
            "scoter.toml:6:1: unknown key \"socket_mode\"",
            "did you mean socket-mode?",
        ],
    );
}

#[test]
fn file_that_is_no_toml_is_refused_with_its_line() {
    let finished = configured("app = 'hello'\nbind unix:scoter.sock\n").run();
    assert_refused(&finished, &["error: scoter.toml:2:"]);
}

#[test]
fn value_out_of_range_is_refused_with_its_source() {
    let file = format!("{}threads = 0\n", serving_hello());
    for (scoter, words) in [
        (
            configured(&file),
            ["scoter.toml:4:11: threads = \"0\"", "from 1 to 1024"],
        ),
        (
            Scoter::serving("hello")
                .default_workers()
                .env("SCOTER_WORKERS", "8..2"),
            ["SCOTER_WORKERS=8..2", "larger than the second"],
        ),
        (
            Scoter::serving("hello").args(["--request-grace", "0"]),
            ["--request-grace 0", "from 1ms to 30d"],
        ),
        (
            Scoter::serving("hello").args(["--max-rss", "101%"]),
            ["--max-rss 101%", "from 1% to 100%"],
        ),
    ] {
        assert_refused(&scoter.run(), &words);
    }
}

#[test]
fn contradiction_is_refused() {
    let scoter = Scoter::serving("hello").env("SCOTER_MAX_REQUESTS", "100");
    let finished = scoter.args(["--no-master", "--preload"]).run();
    assert_refused(
        &finished,
        &[
            "--preload",
            "SCOTER_MAX_REQUESTS=100",
            "needs the master process",
        ],
    );
}

#[test]
fn unknown_variable_is_refused_with_a_suggestion() {
    let finished = Scoter::serving("hello").env("SCOTER_THREAD", "2").run();
    assert_refused(
        &finished,
        &["SCOTER_THREAD", "did you mean SCOTER_THREADS?"],
    );
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_are_no_mistake() {
    let scoter = Scoter::serving("hello")
        .env("SCOTER_PORT", "tcp://10.0.0.11:80")
        .env("SCOTER_PORT_80_TCP_PROTO", "tcp")
        .env("SCOTER_SERVICE_HOST", "10.0.0.11")
        .start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn printed_configuration_serves_the_same() {
    let printing = configured(&serving_hello()).args(["--threads=3", "--print-config"]);
    let finished = printing.run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stderr, "");

    let scoter = configured(&finished.stdout);
    let again = configured(&finished.stdout).args(["--print-config"]).run();
    let values = |text: &str| {
        let lines = text
            .lines()
            .map(|line| line.rsplit_once("# ").map(|(value, _)| value.to_owned()));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(values(&again.stdout), values(&finished.stdout));
    // It names the socket of the first folder, which is gone with that server.
    let socket = format!("unix:{}", scoter.folder().join("scoter.sock").display());
    let scoter = scoter.args(["--bind", &socket]).start();
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn template_of_a_file_needs_no_application() {
    assert_eq!(printed(Scoter::told_nothing(), "workers").1, "default");
}

#[test]
fn check_of_what_is_fine_says_so() {
    // The socket is in use, which is as it should be.
    let running = Scoter::serving("hello").start();
    let socket = format!("unix:{}", running.socket().display());
    let finished = configured(&serving_hello())
        .args(["check", "--bind", &socket])
        .run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout, "configuration and application are fine\n");
    assert_eq!(finished.stderr, "");
    assert_eq!(running.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn check_of_a_wrong_configuration_fails() {
    for (file, words) in [
        ("app = 'hello'\nthread = 2\n", "did you mean threads?"),
        ("app = 'hello'\nthreads = 0\n", "from 1 to 1024"),
        ("threads = 2\n", "no APP"),
        (
            "app = 'hello'\nsocket-group = 'no-such-group'\n",
            "no-such-group",
        ),
        ("app = 'hello'\nchdir = 'nowhere'\n", "nowhere"),
    ] {
        let finished = configured(file).args(["check"]).run();
        assert_refused(&finished, &["error: ", words]);
        assert_eq!(finished.stdout, "", "{file}");
    }
}

/// Runs a start that must fail, and a check with the same options, which must fail alike. Returns what the check
/// said.
fn checked_like_a_start(options: &[&str], prepare: fn(&Path)) -> Finished {
    let run = |scoter: ScoterBuilder| {
        let scoter = scoter.unbound().args(options);
        prepare(scoter.folder());
        let entries = || {
            let entries = fs::read_dir(scoter.folder()).expect("the test's own folder");
            let names = entries.map(|entry| entry.expect("readable").file_name());
            names.collect::<BTreeSet<_>>()
        };
        let before = entries();
        let finished = scoter.spawn().wait();
        let mut after = entries();
        after.retain(|name| !name.to_string_lossy().starts_with("scoter.std"));
        assert_eq!(after, before, "{options:?}");
        finished
    };
    let started = run(Scoter::serving("hello"));
    let checked = run(Scoter::serving("hello").as_check());
    assert_eq!(
        checked.code, started.code,
        "{options:?}: {} {}",
        checked.stderr, started.stderr
    );
    checked
}

#[test]
fn check_finds_what_a_start_would_fail_at() {
    fn nothing(_: &Path) {}
    fn file(folder: &Path) {
        fs::write(folder.join("file"), "").expect("the test's own folder");
    }
    for (options, prepare, words) in [
        (&[][..], nothing as fn(&Path), "no address"),
        (&["--bind", "unix:nowhere/s"], nothing, "does not exist"),
        (&["--bind", "unix:file/s"], file, "file/s"),
        (&["--bind", "unix:file"], file, "is not a socket"),
        (&["--bind", "unix:s", "--bind", "unix:s"], nothing, "unix:"),
        (&["--bind", "0.0.0.0:0"], nothing, "--allow"),
        (
            &["--bind", "192.0.2.1:9", "--allow", "192.0.2.0/24"],
            nothing,
            "192.0.2.1:9",
        ),
        (&["--bind", "fd://77"], nothing, "fd://77"),
        (
            &["--bind", "unix:s", "--control", "nowhere/c"],
            nothing,
            "nowhere/c",
        ),
        (
            &["--bind", "unix:s", "--pid-file", "nowhere/pid"],
            nothing,
            "nowhere/pid",
        ),
        (
            &["--bind", "unix:s", "--access-log", "nowhere/log"],
            nothing,
            "nowhere does not exist",
        ),
        (
            &["--bind", "unix:s", "--chdir", "nowhere"],
            nothing,
            "nowhere",
        ),
    ] {
        let checked = checked_like_a_start(options, prepare);
        assert_refused(&checked, &["error: ", words]);
        assert_eq!(checked.code, Some(2), "{options:?}");
    }
}

#[test]
fn check_finds_what_only_some_users_cannot_do() {
    if !Uid::effective().is_root() {
        return skip("only root can be another user");
    }
    let nobody = User::from_name("nobody").ok().flatten();
    let Some(nobody) = nobody else {
        return skip("there is no user nobody");
    };
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    let Some(package) = Package::within_reach_of(uid, gid) else {
        return skip("no Python of the tests can run scoter as nobody");
    };
    for (options, words) in [
        (&["--bind", "unix:closed/s"][..], "must be writable"),
        (&["--bind", "unix:shut/s"], "must be writable"),
        (
            &["--bind", "unix:s", "--socket-owner", "root"],
            "--socket-owner",
        ),
        (
            &["--bind", "unix:s", "--socket-group", "root"],
            "usermod -aG root nobody",
        ),
        (&["--bind", "unix:s", "--user", "root"], "need root"),
        (
            &["--bind", "unix:s", "--pid-file", "closed/pid"],
            "closed/pid",
        ),
    ] {
        for check in [false, true] {
            let scoter = Scoter::serving("hello").unbound().args(options);
            let scoter = scoter.from_package(&package).as_user(uid, gid);
            let scoter = if check { scoter.as_check() } else { scoter };
            fs::create_dir(scoter.folder().join("closed")).expect("the test's own folder");
            let shut = scoter.folder().join("shut");
            fs::create_dir(&shut).expect("the test's own folder");
            fs::set_permissions(shut, fs::Permissions::from_mode(0o700)).expect("ours");
            fs::set_permissions(scoter.folder(), fs::Permissions::from_mode(0o777)).expect("ours");
            assert_refused(&scoter.run(), &[words]);
        }
    }
}

#[test]
fn check_of_a_broken_application_fails_with_its_traceback() {
    let bound = "app = 'broken'\nbind = 'unix:scoter.sock'\n";
    let scoter = configured(bound).args(["check"]);
    write(scoter.folder(), "broken.py", "1 / 0\n");
    let finished = scoter.run();
    assert_eq!(finished.code, Some(3), "{}", finished.stderr);
    for word in ["broken", "Traceback", "ZeroDivisionError"] {
        assert!(
            finished.stderr.contains(word),
            "{word:?} in {}",
            finished.stderr
        );
    }
    let scoter = configured("app = 'broken'\n").args(["check", "--configuration-only"]);
    write(scoter.folder(), "broken.py", "1 / 0\n");
    let finished = scoter.run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.stdout, "the configuration is fine\n");
}

#[test]
fn check_ends_though_a_thread_of_the_application_does_not() {
    let scoter = configured("app = 'endless'\nbind = 'unix:scoter.sock'\n").args(["check"]);
    write(
        scoter.folder(),
        "endless.py",
        "import threading\nthreading.Thread(target=threading.Event().wait).start()\n\
         def application(environ, start_response): pass\n",
    );
    let finished = scoter.run();
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn client_command_without_a_server_says_whom_it_asked() {
    for (scoter, words) in [
        (configured("bind = 'unix:here.sock'\n"), "here.sock.control"),
        (configured("bind = '127.0.0.1:0'\n"), "--control PATH"),
        (
            Scoter::told_nothing().env("SCOTER_CONTROL", "c.sock"),
            "c.sock",
        ),
    ] {
        assert_refused(&scoter.args(["status"]).run(), &[words]);
    }
}

#[test]
fn help_fits_the_eye() {
    let help = |flag: &str| {
        let finished = Scoter::told_nothing().args([flag]).run();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        finished.stdout
    };
    let (short, long) = (help("-h"), help("--help"));
    for text in [&short, &long] {
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 110), "{text}");
    }
    assert!(short.lines().count() < 50, "{short}");
    let is_continued = |line: &&str| line.starts_with("          ");
    for (first, second) in long.lines().zip(long.lines().skip(1)) {
        let is_third = is_continued(&first) && is_continued(&second);
        assert!(!is_third, "more than two lines for an option: {first}");
    }
}
