//! Commands that find the running servers by themselves.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use integration_tests::{Finished, Package, Process, Scoter, ScoterBuilder, python, skip, until};
use nix::sys::signal::Signal;
use nix::unistd::{User, chown};
use tempfile::TempDir;

/// A network of its own, whose processes see no other Unix sockets. Their paths are those of this machine.
struct Network {
    /// A process that is in it until it is told to end.
    member: Process,
    folder: TempDir,
}

impl Network {
    /// Makes one; none if this user may not.
    fn new() -> Option<Self> {
        let folder = TempDir::with_prefix("scoter-").expect("as for the servers");
        let tried = Command::new("unshare").args(["--net", "true"]).output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            skip("it takes root to make a network namespace");
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "sleep", "600"]);
        let member = Process::spawn("member", &mut command, folder.path(), "util-linux has it");
        let network = Self { member, folder };
        until("it is in its own network", || {
            let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
            (of(&network.member.pid().to_string())? != of("self")?).then_some(())
        });
        Some(network)
    }

    /// The words that start a command in it.
    fn inside(&self) -> Vec<OsString> {
        let namespace = format!("--net=/proc/{}/ns/net", self.member.pid());
        vec!["nsenter".into(), namespace.into(), "--".into()]
    }

    fn start(&self, name: Option<&str>) -> Scoter {
        let name = name.map(|name| format!("--name={name}"));
        let scoter = Scoter::serving("hello").under(self.inside());
        scoter.args(name).start()
    }

    /// Runs `scoter` where no file says anything of a server.
    fn command(&self, words: &[&str]) -> Finished {
        let in_folder = ["sh", "-c", "cd \"$0\" && exec \"$@\""].map(OsString::from);
        let folder = self.folder.path().as_os_str().to_owned();
        let wrapper = self.inside().into_iter().chain(in_folder);
        let scoter = Scoter::told_nothing().under(wrapper.chain([folder]));
        scoter.args(words).run()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.member.signal(Signal::SIGKILL);
    }
}

#[track_caller]
fn assert_refused(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert_eq!(finished.stdout, "", "{finished:?}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} in {finished:?}");
    }
}

#[track_caller]
fn assert_shows(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(finished.stderr, "", "{finished:?}");
    for word in words {
        assert!(finished.stdout.contains(word), "{word:?} in {finished:?}");
    }
}

#[test]
fn status_shows_the_only_server_and_lists_several() {
    let Some(network) = Network::new() else {
        return;
    };
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--ready"],
        &["top"],
        &["status", "shop"],
        &["reload", "--name", "shop"],
        &["stop"],
    ] {
        assert_refused(&network.command(words), &["no running server", "hint"]);
    }

    let shop = network.start(Some("shop"));
    let shop_pid = format!("pid {}", shop.pid());
    for words in [&["status"][..], &["top"], &["status", "shop"]] {
        assert_shows(&network.command(words), &[&shop_pid, "WORKER"]);
    }
    assert_shows(
        &network.command(&["status", "--json"]),
        &["\"name\":\"shop\""],
    );
    assert_shows(&network.command(&["status", "--ready"]), &[]);
    // Nobody stops or changes a server that may not be meant.
    for words in [&["stop"][..], &["reload"], &["scale", "2"]] {
        assert_refused(&network.command(words), &["--name", "shop"]);
    }

    let mut other = network.start(None);
    let listed = network.command(&["status"]);
    assert_shows(&listed, &["NAME"]);
    let line = |pid: String| {
        let mut lines = listed.stdout.lines();
        let line = lines.find(|line| line.split_whitespace().nth(1) == Some(&pid));
        line.unwrap_or_else(|| panic!("no {pid} in {listed:?}"))
    };
    for (server, name) in [(&shop, "shop "), (&other, "- ")] {
        let line = line(server.pid().to_string());
        let address = format!("unix:{}", server.socket().display());
        assert!(line.starts_with(name), "{line}");
        for word in [env!("CARGO_PKG_VERSION"), "running, ready", &address] {
            assert!(line.contains(word), "{word} in {line}");
        }
    }
    for words in [&["status", "--json"][..], &["status", "--ready"], &["top"]] {
        assert_refused(&network.command(words), &["--name", "shop"]);
    }
    let other_pid = other.pid().to_string();
    for (server, pid) in [
        ("shop", &shop_pid),
        (&*other_pid, &format!("pid {other_pid}")),
    ] {
        assert_shows(&network.command(&["status", server]), &[pid]);
        assert_shows(&network.command(&["top", "--name", server]), &[pid]);
    }
    assert_refused(
        &network.command(&["status", "blog"]),
        &["called blog", "shop"],
    );

    assert_shows(
        &network.command(&["scale", "2", "--name", "shop"]),
        &["1 -> 2"],
    );
    assert_shows(
        &network.command(&["reload", "--name", "shop"]),
        &["generation 2"],
    );
    assert_shows(
        &network.command(&["stop", "--name", &other_pid]),
        &["stopped"],
    );
    assert_eq!(other.wait().code, Some(0));
    assert_shows(&network.command(&["status"]), &[&shop_pid]);
}

#[test]
fn two_servers_with_one_name_are_told_apart_by_their_process_ids() {
    let Some(network) = Network::new() else {
        return;
    };
    let servers = [(); 2].map(|()| network.start(Some("shop")));
    let finished = network.command(&["reload", "--name", "shop"]);
    assert_refused(&finished, &["2 servers called shop", "process ID"]);
    for server in &servers {
        let pid = server.pid().to_string();
        assert!(finished.stderr.contains(&pid), "{finished:?}");
        assert_shows(
            &network.command(&["status", &pid]),
            &[&format!("pid {pid}")],
        );
    }
}

#[test]
fn what_is_no_server_is_left_out() {
    let Some(network) = Network::new() else {
        return;
    };
    let scoter = network.start(None);
    let folder = scoter.folder().to_owned();
    let script = "import os, socket, sys, time\n\
                  for name in sys.argv[1:]:\n\
                  \x20   listener = socket.socket(socket.AF_UNIX)\n\
                  \x20   listener.bind(name)\n\
                  \x20   listener.listen(0 if 'full' in name else 9)\n\
                  \x20   if 'full' in name:\n\
                  \x20       waiting = socket.socket(socket.AF_UNIX)\n\
                  \x20       waiting.connect(name)\n\
                  \x20   if 'ended' not in name:\n\
                  \x20       os.dup(listener.fileno())\n\
                  open('there', 'w').close()\n\
                  time.sleep(600)\n";
    let names = [
        "silent.control",
        "full.control",
        "ended.control",
        "line\nbreak.control",
    ];
    let mut command = Command::new("nsenter");
    command
        .args(&network.inside()[1..])
        .arg(python())
        .args(["-c", script])
        .args(names)
        .current_dir(&folder);
    let others = Process::spawn("others", &mut command, &folder, "util-linux has it");
    until("all listen", || folder.join("there").exists().then_some(()));
    // That of a killed server.
    drop(UnixListener::bind(folder.join("stale.control")).expect("a path of its own"));
    let pid = format!("pid {}", scoter.pid());
    assert_shows(&network.command(&["status"]), &[&pid]);
    others.signal(Signal::SIGKILL);
}

#[test]
fn server_that_does_not_answer_is_listed() {
    let Some(network) = Network::new() else {
        return;
    };
    let (shop, stopped) = (network.start(Some("shop")), network.start(Some("stopped")));
    stopped.signal(Signal::SIGSTOP);
    let listed = network.command(&["status"]);
    stopped.signal(Signal::SIGCONT);
    assert_shows(&listed, &["shop", "does not answer"]);
    let pid = stopped.pid().to_string();
    let line = listed.stdout.lines().find(|line| line.contains(&pid));
    assert!(
        line.is_some_and(|line| line.contains("does not answer")),
        "{listed:?}"
    );
    drop(shop);
}

#[test]
fn users_find_their_own_servers_and_root_finds_all() {
    let Some(network) = Network::new() else {
        return;
    };
    let find = |name| User::from_name(name).ok().flatten();
    let (Some(user), Some(stranger)) = (find("www-data"), find("nobody")) else {
        return skip("there is no user www-data, or no user nobody");
    };
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    let Some(package) = Package::within_reach_of(uid, gid) else {
        return skip("no Python can run scoter as www-data");
    };
    let as_user = |user: &User, scoter: ScoterBuilder| {
        let open = Permissions::from_mode(0o755);
        fs::set_permissions(scoter.folder(), open).expect("the test's own folder");
        chown(scoter.folder(), Some(user.uid), Some(user.gid)).expect("root may");
        let ids = [
            format!("--reuid={}", user.uid),
            format!("--regid={}", user.gid),
        ];
        let words = ["setpriv".to_owned(), "--clear-groups".to_owned()].into_iter();
        let words = words.chain(ids).map(OsString::from);
        let wrapper = network.inside().into_iter().chain(words);
        scoter.from_package(&package).under(wrapper)
    };
    let _of_root = network.start(Some("shop"));
    let blog = Scoter::serving("hello").args(["--name=blog"]);
    let blog = as_user(&user, blog).start();
    let status = |user: &User| as_user(user, Scoter::told_nothing()).args(["status"]).run();
    assert_shows(
        &status(&user),
        &["name blog", &format!("pid {}", blog.pid())],
    );
    assert_refused(&status(&stranger), &["no running server", "try sudo"]);
    let listed = network.command(&["status"]);
    assert_shows(&listed, &["USER"]);
    for (name, user) in [("shop", "-"), ("blog", "www-data")] {
        let mut lines = listed.stdout.lines();
        let line = lines.find(|line| line.starts_with(name));
        let found = line.and_then(|line| line.split_whitespace().nth(2));
        assert_eq!(found, Some(user), "{listed:?}");
    }
}
