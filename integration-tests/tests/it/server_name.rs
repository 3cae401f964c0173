//! `--name`: what a server is called in its status, by `ps`, and in its log.

use integration_tests::{Running, Scoter, apps_folder, get, until};
use nix::sys::signal::Signal;

/// The names of the master, the launcher and the worker.
fn names(scoter: &Scoter) -> [String; 3] {
    // A worker has the launcher's name for a moment after the fork.
    let mut family: Vec<_> = scoter.processes();
    family.sort_by_key(|process| process.pid() != scoter.pid());
    let worker = scoter.worker().pid();
    let launcher = family[1..].iter().find(|process| process.pid() != worker);
    let launcher = launcher.map(Running::name).unwrap_or_default();
    [family[0].name(), launcher, scoter.worker().name()]
}

#[test]
fn name_is_in_the_status_and_the_names_of_the_processes() {
    let scoter = Scoter::serving("arguments")
        .with_file(
            "arguments.py",
            "import sys\n\
             from probe import plain\n\
             def application(environ, start_response):\n\
            \x20   return plain(start_response, repr(sys.argv[1:]))\n",
        )
        .args(["--name", "shop"])
        .start();
    assert_eq!(scoter.status()["name"], "shop");
    let finished = scoter.command(["status"]);
    assert!(finished.stdout.contains(", name shop, pid"), "{finished:?}");
    assert_eq!(names(&scoter), ["shop-master", "shop-launcher", "shop-w1"]);
    assert!(
        scoter
            .wait_for_log("scoter starts")
            .contains("name=\"shop\"")
    );
    // `ps -f` has it even where the system cuts it, and the application does not see it.
    let arguments = scoter.worker().arguments();
    assert_eq!(arguments.last().map(String::as_str), Some("shop"));
    assert_eq!(scoter.connect().packet(&get("/")).reply().text(), "[]");
}

#[test]
fn server_without_a_name_is_called_scoter() {
    let scoter = Scoter::serving("hello").start();
    assert!(scoter.status()["name"].is_null());
    assert_eq!(
        names(&scoter),
        ["scoter-master", "scoter-launcher", "scoter-w1"]
    );
    assert!(!scoter.wait_for_log("scoter starts").contains("name="));
}

#[test]
fn reload_changes_the_name() {
    let file = |name: &str| {
        format!(
            "app = 'hello'\nbind = 'unix:scoter.sock'\nworkers = 1\npythonpath = {:?}\nname = {name:?}\n",
            apps_folder()
        )
    };
    let scoter = Scoter::told_nothing()
        .with_file("scoter.toml", &file("shop"))
        .start();
    scoter.put("scoter.toml", &file("customer-portal"));
    scoter.signal(Signal::SIGHUP);
    scoter.wait_for_log("reloaded generation=2");
    scoter.wait_for_workers(1);
    until("all have the new name", || {
        let expected = ["customer-master", "custom-launcher", "customer-por-w2"];
        (names(&scoter) == expected).then_some(())
    });
    assert_eq!(scoter.status()["name"], "customer-portal");
}

#[test]
fn single_process_is_called_as_the_server() {
    let scoter = Scoter::serving("hello")
        .args(["--no-master", "--name", "shop"])
        .start();
    assert_eq!(Running::new(scoter.pid()).name(), "shop");
}

#[test]
fn name_that_would_be_an_option_a_path_or_a_number_is_refused() {
    for name in [
        "",
        "-w",
        "a/b",
        "4242",
        "shop 1",
        "shop\n",
        "caf\u{e9}",
        &"x".repeat(33),
    ] {
        let argument = format!("--name={name}");
        let finished = Scoter::serving("hello").args([argument]).run();
        assert_eq!(finished.code, Some(2), "{name:?}: {finished:?}");
        assert!(
            finished.stderr.contains("expected up to 32 letters"),
            "{finished:?}"
        );
    }
}
