//! The files in `systemd/`: what systemd would do with them, as far as that can be done without it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use integration_tests::{
    Activation, Finished, Manager, Package, Peer, Running, Scoter, ScoterBuilder, apps_folder, get,
    skip, until,
};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Pid, Uid, User, chown};
use tempfile::TempDir;

/// A unit file: its settings, section by section, in order.
struct Unit(Vec<(String, String, String)>);

impl Unit {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../systemd")
            .join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let mut section = String::new();
        let mut settings = Vec::new();
        for line in text.lines().map(str::trim) {
            match line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                Some(name) => section = name.to_owned(),
                None if line.is_empty() || line.starts_with('#') => {}
                None => {
                    let (key, value) = line.split_once('=').expect("a setting");
                    settings.push((section.clone(), key.to_owned(), value.to_owned()));
                }
            }
        }
        Self(settings)
    }

    /// The value of a setting that must be there, and once.
    #[track_caller]
    fn get(&self, section: &str, key: &str) -> &str {
        let mut found = self
            .0
            .iter()
            .filter(|(of, name, _)| of == section && name == key);
        let (Some((.., value)), None) = (found.next(), found.next()) else {
            panic!("{key}= is not there once");
        };
        value
    }

    /// Puts the folders of a test in the place of an operator's.
    fn moved(mut self, folder: &Path) -> Self {
        let here = |name: &str| folder.join(name).display().to_string();
        for (_, _, value) in &mut self.0 {
            *value = value
                .replace("/srv/myproject", &here("project"))
                .replace("/etc/scoter.toml", &here("scoter.toml"))
                .replace("/run/", &format!("{}/", here("run")))
                .replace("/var/log/", &format!("{}/", here("log")));
        }
        self
    }

    fn write(&self, path: &Path) {
        let mut text = String::new();
        let mut current = "";
        for (section, key, value) in &self.0 {
            if section != current {
                writeln!(text, "[{section}]").expect("a String takes everything");
                current = section;
            }
            writeln!(text, "{key}={value}").expect("a String takes everything");
        }
        fs::write(path, text).expect("the test's own folder");
    }
}

/// A machine with the unit on it: folders as systemd makes them, the user, a sandbox.
struct Machine {
    service: Unit,
    folder: TempDir,
    user: User,
    package: Package,
    manager: Manager,
}

impl Machine {
    /// None, and a word to whoever runs the tests, where there cannot be one.
    fn set_up() -> Option<Self> {
        if !Uid::effective().is_root() {
            skip("only root can do what systemd does");
            return None;
        }
        let folder =
            TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
        let service = Unit::read("scoter.service").moved(folder.path());
        let user = User::from_name(service.get("Service", "User"));
        let Some(user) = user.ok().flatten() else {
            skip("there is no user www-data");
            return None;
        };
        let Some(package) = Package::within_reach_of(user.uid.as_raw(), user.gid.as_raw()) else {
            skip("neither the Python of the tests nor the system's can run scoter as www-data");
            return None;
        };
        let manager = Manager::at(folder.path());
        manager.open_to_all();
        let machine = Self {
            service,
            folder,
            user,
            package,
            manager,
        };
        let mut sandbox = machine.sandbox("true").into_iter();
        let mut attempt = Command::new(sandbox.next().expect("a program"));
        let output = attempt.args(sandbox).output();
        if !output.as_ref().is_ok_and(|output| output.status.success()) {
            skip(&format!(
                "no sandbox with unshare(1) and setpriv(1): {output:?}"
            ));
            return None;
        }
        Some(machine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn runtime_directory(&self) -> PathBuf {
        self.path("run")
            .join(self.service.get("Service", "RuntimeDirectory"))
    }

    fn logs_directory(&self) -> PathBuf {
        self.path("log")
            .join(self.service.get("Service", "LogsDirectory"))
    }

    /// Makes the folders, and writes the configuration.
    fn install(&self, application: &str, configuration: &str) {
        let make = |path: &Path, mode: u32, uid: Uid, gid: Gid| {
            fs::create_dir_all(path).expect("the test's own folder");
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("just made");
            chown(path, Some(uid), Some(gid)).expect("root");
        };
        let root = (Uid::from_raw(0), Gid::from_raw(0));
        for name in [
            "",
            "project",
            "project/venv",
            "project/venv/bin",
            "run",
            "log",
        ] {
            make(&self.path(name), 0o755, root.0, root.1);
        }
        for (path, mode) in [
            (self.runtime_directory(), "RuntimeDirectoryMode"),
            (self.logs_directory(), "LogsDirectoryMode"),
        ] {
            let mode = self.service.get("Service", mode);
            let mode = u32::from_str_radix(mode, 8).expect("a mode");
            make(&path, mode, self.user.uid, self.user.gid);
        }
        make(&self.path("tmp"), 0o1777, root.0, root.1);
        self.package
            .write_script(&self.path("project/venv/bin/scoter"));
        fs::write(self.path("project/project.py"), application).expect("the test's own folder");
        fs::write(self.path("scoter.toml"), configuration).expect("the test's own folder");
    }

    /// `ProtectSystem=strict`, `RuntimeDirectory=`, `LogsDirectory=`, `PrivateTmp=`, `User=`, `NoNewPrivileges=`,
    /// `CapabilityBoundingSet=`, `UMask=` and `WorkingDirectory=`, around a shell's last words.
    fn sandbox(&self, words: &str) -> Vec<String> {
        let setting = |key: &str| self.service.get("Service", key);
        for (key, value) in [
            ("ProtectSystem", "strict"),
            ("PrivateTmp", "yes"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
        ] {
            assert_eq!(
                setting(key),
                value,
                "{key}: the sandbox of this test is another one"
            );
        }
        let (runtime, logs) = (self.runtime_directory(), self.logs_directory());
        let temporary = self.path("tmp");
        let script = format!(
            "mount --make-rprivate / \
             && for folder in '{runtime}' '{logs}' '{temporary}'; do \
                    if test -d $folder; then mount --bind $folder $folder; fi; \
                done \
             && mount -o remount,bind,ro / \
             && umask {umask} \
             && exec setpriv --reuid={user} --regid={group} --init-groups --no-new-privs \
                --bounding-set=-all --inh-caps=-all sh -c '{words}' \"$0\" \"$@\"",
            runtime = runtime.display(),
            logs = logs.display(),
            temporary = temporary.display(),
            umask = setting("UMask"),
            user = setting("User"),
            group = setting("Group"),
        );
        let unshare = ["unshare", "--mount", "sh", "-c", &script, "sandbox"];
        unshare.map(str::to_owned).into()
    }

    /// Prepares what a line of the unit starts, in the sandbox, with a shell's `variables`.
    fn executing(&self, key: &str, variables: &str) -> ScoterBuilder {
        self.executing_with(Vec::new(), key, variables)
    }

    fn executing_with(&self, outside: Vec<OsString>, key: &str, variables: &str) -> ScoterBuilder {
        let mut words = self.service.get("Service", key).split_whitespace();
        let program = words.next().expect("a program");
        assert_eq!(Path::new(program), self.path("project/venv/bin/scoter"));
        let folder = self.service.get("Service", "WorkingDirectory");
        let sandbox = self.sandbox(&format!("cd {folder} && {variables} exec \"$@\""));
        let wrapper = outside
            .into_iter()
            .chain(sandbox.into_iter().map(Into::into));
        Scoter::told_nothing()
            .from_package(&self.package)
            .args(words)
            .env("TMPDIR", self.path("tmp"))
            .env("NOTIFY_SOCKET", self.manager.address())
            .under(wrapper)
    }

    fn start(&self, scoter: ScoterBuilder) -> Scoter {
        let scoter = scoter.start();
        let ready = self.manager.wait_for("READY");
        let pid = scoter.pid().to_string();
        assert_eq!(ready.get("MAINPID"), Some(pid.as_str()));
        scoter
    }

    fn reload(&self) -> Finished {
        self.executing("ExecReload", "").run()
    }

    /// `KillMode=mixed`: TERM to the main process, and KILL to what is left when that has ended.
    fn stop(&self, scoter: &mut Scoter) {
        assert_eq!(self.service.get("Service", "KillMode"), "mixed");
        scoter.signal(Signal::SIGTERM);
        self.manager.wait_for("STOPPING");
        let finished = scoter.wait();
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert_eq!(scoter.family(), [], "nothing is left to be killed");
    }
}

/// `WatchdogSec=`, in a second of a test's time.
const WATCHDOG: &str = "WATCHDOG_USEC=2000000 WATCHDOG_PID=$$";

const APPLICATION: &str = "\
import os
from hello import application as hello

def application(environ, start_response):
    if environ['PATH_INFO'] == '/umask':
        start_response('200 OK', [])
        before = os.umask(0)
        os.umask(before)
        return [f'{before:03o} {os.getcwd()}'.encode()]
    return hello(environ, start_response)
";

fn configuration(bind: &str) -> String {
    let apps = apps_folder();
    format!("app = 'project'\nworkers = 2\npythonpath = {apps:?}\n{bind}\n")
}

#[test]
fn service_starts_reloads_and_stops() {
    let Some(machine) = Machine::set_up() else {
        return;
    };
    let socket = machine.runtime_directory().join("scoter.sock");
    let bind = format!("bind = 'unix:{}'", socket.display());
    machine.install(APPLICATION, &configuration(&bind));
    let mut scoter = machine.start(machine.executing("ExecStart", WATCHDOG));
    let text = |path: &str| Peer::connect(&socket).packet(&get(path)).reply().text();
    let project = machine.path("project");
    assert_eq!(text("/umask"), format!("027 {}", project.display()));
    let found = fs::metadata(&socket).expect("it listens");
    assert_eq!(
        (found.uid(), found.gid()),
        (machine.user.uid.as_raw(), machine.user.gid.as_raw())
    );
    machine.manager.wait_for("WATCHDOG");
    for process in scoter.family() {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid()));
        let status = status.expect("it runs");
        for line in [
            "NoNewPrivs:\t1",
            "CapBnd:\t0000000000000000",
            "CapEff:\t0000000000000000",
        ] {
            assert!(status.contains(line), "{line} in {status}");
        }
    }

    let finished = machine.reload();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("generation 2"), "{finished:?}");
    fs::write(machine.path("project/project.py"), "1 / 0\n").expect("the test's own folder");
    let finished = machine.reload();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("ZeroDivisionError"),
        "{finished:?}"
    );
    fs::write(machine.path("project/project.py"), APPLICATION).expect("the test's own folder");
    scoter.signal(Signal::SIGUSR2);
    scoter.wait_for_log("taken over");
    scoter.wait_for_log("reloaded generation=4");
    assert_eq!(text("/"), "Hello, 192.0.2.1!\n");

    machine.stop(&mut scoter);
    let left = fs::read_dir(machine.runtime_directory()).expect("the test's own folder");
    assert_eq!(left.count(), 0);
    let log = scoter.stderr();
    for word in ["ERROR bug", "WARN", "root"] {
        assert!(!log.contains(word), "{word} in {log}");
    }
}

#[test]
fn service_writes_and_rotates_the_log_that_logrotate_is_told_of() {
    let Some(machine) = Machine::set_up() else {
        return;
    };
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/../OPERATING.md");
    let manual = fs::read_to_string(manual).expect("it is there");
    let example = manual.lines().find_map(|line| line.strip_suffix(" {"));
    let name = example.and_then(|path| path.strip_prefix("/var/log/scoter/"));
    let log = machine.logs_directory().join(name.expect("an example"));
    let socket = machine.runtime_directory().join("scoter.sock");
    let options = format!(
        "bind = 'unix:{}'\naccess-log = '{}'",
        socket.display(),
        log.display()
    );
    machine.install(APPLICATION, &configuration(&options));
    let mut scoter = machine.start(machine.executing("ExecStart", ""));
    let ask = || Peer::connect(&socket).packet(&get("/")).reply();
    let lines = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
    assert_eq!(ask().status, 200);
    until("the log has its line", || (lines(&log) == 1).then_some(()));
    fs::rename(&log, log.with_extension("log.1")).expect("it is there");
    scoter.signal(Signal::SIGUSR1);
    until("there is a new log", || log.exists().then_some(()));
    until("it is written to", || {
        ask();
        (lines(&log) > 0).then_some(())
    });
    machine.stop(&mut scoter);
}

#[test]
fn activated_service_starts_reloads_and_stops() {
    let Some(machine) = Machine::set_up() else {
        return;
    };
    let text = shipped("systemd/scoter.toml");
    let control = line_for_activation(&text);
    let control = control.split('"').nth(1).expect("a path in quotes");
    let control = control.replace("/run/", &format!("{}/", machine.path("run").display()));
    machine.install(
        APPLICATION,
        &configuration(&format!("control = '{control}'")),
    );
    let unit = Unit::read("scoter.socket").moved(machine.folder.path());
    let socket = PathBuf::from(unit.get("Socket", "ListenStream"));
    let mut activation = Activation::of_nothing().with_unix("scoter.socket", &socket);
    let mode = u32::from_str_radix(unit.get("Socket", "SocketMode"), 8).expect("a mode");
    fs::set_permissions(&socket, Permissions::from_mode(mode)).expect("just made");
    let owner = User::from_name(unit.get("Socket", "SocketUser")).expect("readable");
    assert_eq!(owner.map(|user| user.uid), Some(machine.user.uid));
    chown(&socket, Some(machine.user.uid), Some(machine.user.gid)).expect("root");

    let passing = activation.socket_unit();
    let scoter = machine.executing_with(passing, "ExecStart", "");
    let mut scoter = machine.start(scoter);
    let text = || Peer::connect(&socket).packet(&get("/")).reply().text();
    assert_eq!(text(), "Hello, 192.0.2.1!\n");
    let finished = machine.reload();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert_eq!(text(), "Hello, 192.0.2.1!\n");
    machine.stop(&mut scoter);
    assert!(socket.exists());
    assert!(!Path::new(&control).exists());
}

#[test]
fn what_starting_again_does_not_mend_is_not_started_again() {
    let Some(machine) = Machine::set_up() else {
        return;
    };
    let service = &machine.service;
    assert_eq!(service.get("Service", "Restart"), "on-failure");
    let prevented = service.get("Service", "RestartPreventExitStatus");
    let prevented: Vec<_> = prevented
        .split_whitespace()
        .map(|code| code.parse::<i32>().expect("a code"))
        .collect();
    let socket = machine.runtime_directory().join("scoter.sock");
    let bind = format!("bind = 'unix:{}'", socket.display());
    for (application, options, word) in [
        ("1 / 0\n", configuration(&bind), "ZeroDivisionError"),
        (APPLICATION, configuration("thread = 2"), "did you mean"),
        (APPLICATION, configuration(""), "--bind"),
    ] {
        machine.install(application, &options);
        let finished = machine.executing("ExecStart", "").run();
        assert!(finished.stderr.contains(word), "{finished:?}");
        let code = finished.code.expect("it ends by itself");
        assert!(prevented.contains(&code), "{finished:?}");
    }
}

#[test]
fn time_for_a_stop_is_what_the_defaults_need() {
    let unit = Unit::read("scoter.service");
    let seconds = |key| unit.get("Service", key).parse::<u64>().expect("seconds");
    let printed = Scoter::told_nothing().args(["--print-config"]).run().stdout;
    let graceful = printed.lines().find_map(|line| {
        let value = line
            .trim_start_matches("# ")
            .strip_prefix("graceful-timeout = ")?;
        value
            .split('"')
            .nth(1)?
            .strip_suffix('s')?
            .parse::<u64>()
            .ok()
    });
    let graceful = graceful.unwrap_or_else(|| panic!("no graceful-timeout in {printed}"));
    assert!(seconds("TimeoutStopSec") > graceful + 5);
}

#[test]
fn systemd_finds_no_fault_with_the_units() {
    let folder = TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
    for name in ["scoter.service", "scoter.socket"] {
        let unit = Unit::read(name).moved(folder.path());
        unit.write(&folder.path().join(name));
    }
    fs::create_dir_all(folder.path().join("project/venv/bin")).expect("the test's own folder");
    Package::installed().write_script(&folder.path().join("project/venv/bin/scoter"));
    let mut command = Command::new("systemd-analyze");
    command
        .args(["verify", "--man=no", "./scoter.service", "./scoter.socket"])
        .current_dir(folder.path());
    let Some(output) = run(&mut command) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // Settings that are unknown to it are only warned of.
    assert!(!said.contains("scoter."), "{said}");
}

/// Runs a tool. None, and a word to whoever runs the tests, where the machine has not got it.
fn run(command: &mut Command) -> Option<Output> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Some(output),
        Err(error) => {
            skip(&format!("{:?}: {error}", command.get_program()));
            None
        }
    }
}

/// The names in a group of system calls, and in the groups in it.
fn system_calls(group: &str, found: &mut BTreeSet<String>) -> Option<()> {
    let mut command = Command::new("systemd-analyze");
    let output = run(command.args(["syscall-filter", group]))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in text.lines().map(str::trim) {
        match line.chars().next() {
            Some('@') if line != group => system_calls(line, found)?,
            Some(letter) if letter.is_ascii_alphabetic() => drop(found.insert(line.to_owned())),
            _ => {}
        }
    }
    Some(())
}

#[test]
fn service_gets_by_with_the_system_calls_that_it_has() {
    let service = Unit::read("scoter.service");
    let mut allowed = BTreeSet::new();
    if system_calls(service.get("Service", "SystemCallFilter"), &mut allowed).is_none() {
        return;
    }
    assert!(allowed.len() > 100, "{allowed:?}");
    let families = service.get("Service", "RestrictAddressFamilies");
    let families: BTreeSet<_> = families.split_whitespace().collect();

    let scoter = Scoter::serving("hello").workers("2");
    let trace = scoter.folder().join("trace");
    let strace = ["strace", "-f", "-qq", "-s", "0", "-o"].map(Into::into);
    let strace = strace.into_iter().chain([trace.clone().into_os_string()]);
    let mut attempt = Command::new("strace");
    let Some(output) = run(attempt.args(["-f", "-qq", "-o", "/dev/null", "true"])) else {
        return;
    };
    if !output.status.success() {
        return skip("strace(1) may not trace here");
    }
    let manager = Manager::at(scoter.folder());
    let mut scoter = scoter
        .env("NOTIFY_SOCKET", manager.address())
        .env("WATCHDOG_USEC", "1000000")
        .args(["--bind", "localhost:0"])
        .args(["--preload", "--max-requests", "3"])
        .args(["--access-log".into(), trace.with_file_name("access.log")])
        .under(strace)
        .start();
    // strace is the process of the test.
    let pid = scoter.status()["pid"].as_i64().expect("a number");
    let pid = Running::new(Pid::from_raw(pid.try_into().expect("a process ID")));
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2] {
        pid.signal(signal);
        if signal == Signal::SIGUSR1 {
            scoter.wait_for_log("reopening");
            continue;
        }
        let generation = if signal == Signal::SIGHUP { 2 } else { 3 };
        scoter.wait_for_log(&format!("reloaded generation={generation}"));
    }
    let stream = std::net::TcpStream::connect(scoter.tcp_address()).expect("it listens");
    assert_eq!(integration_tests::exchange(stream, &get("/")).status, 200);
    pid.signal(Signal::SIGTERM);
    scoter.wait();

    let text = fs::read_to_string(&trace).expect("strace has written it");
    let mut called = BTreeSet::new();
    for line in text.lines() {
        // "PID name(arguments) = result"; signals, ends and resumptions have no name there.
        let Some(call) = line.split_whitespace().nth(1) else {
            continue;
        };
        let Some((name, arguments)) = call.split_once('(') else {
            continue;
        };
        // strace sometimes reads the register of a thread when it holds an error, here -EAGAIN:
        // "syscall_0xfffffffffffffff5" is not a system call.
        let is_error = name.starts_with("syscall_0xffffffff");
        let is_name = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if is_name && !is_error {
            called.insert(name.to_owned());
        }
        if name == "socket" {
            let family = arguments.trim_end_matches(',');
            assert!(families.contains(family), "{line}");
        }
    }
    assert!(
        called.contains("accept4") && called.contains("execve"),
        "{called:?}"
    );
    let beyond: Vec<_> = called.difference(&allowed).collect();
    assert!(beyond.is_empty(), "not in SystemCallFilter=: {beyond:?}");
}

/// A file that operators copy.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The lines of the shipped configuration that are for socket activation.
fn line_for_activation(configuration: &str) -> &str {
    let line = configuration
        .lines()
        .find(|line| line.starts_with("#control = "));
    line.expect("a comment that an operator uncomments")
}

#[test]
fn files_for_operators_name_the_same_paths() {
    let service = Unit::read("scoter.service");
    let configuration = shipped("systemd/scoter.toml");
    let first = configuration.lines().next().unwrap_or_default();
    for key in ["ExecStart", "ExecReload"] {
        let mut words = service.get("Service", key).split_whitespace();
        let path = words
            .find(|word| *word == "--config")
            .and_then(|_| words.next());
        let path = path.unwrap_or_else(|| panic!("{key} names no configuration"));
        assert!(first.contains(path), "{path} in {first}");
    }
    let bind = configuration
        .lines()
        .find_map(|line| line.strip_prefix("bind = "));
    let bind = bind.expect("an address").trim_matches('"');
    let upstream = shipped("nginx-conf/upstream.conf");
    assert!(upstream.contains(&format!("server {bind};")), "{bind}");
    let socket = Unit::read("scoter.socket");
    assert_eq!(
        bind.strip_prefix("unix:"),
        Some(socket.get("Socket", "ListenStream"))
    );
    let folder = format!("/run/{}/", service.get("Service", "RuntimeDirectory"));
    let control = line_for_activation(&configuration);
    for path in [bind, control] {
        assert!(path.contains(&folder), "{path}");
    }
    // Else the end of the service takes the socket of the other unit away.
    assert_eq!(service.get("Service", "RuntimeDirectoryPreserve"), "yes");
    for file in ["systemd/scoter.socket", "OPERATING.md"] {
        assert!(
            shipped(file).contains(control.trim_start_matches('#')),
            "{file}"
        );
    }
}

#[test]
fn shipped_configuration_is_served_where_nginx_looks() {
    let Some(machine) = Machine::set_up() else {
        return;
    };
    let here = |name: &str| format!("{}/", machine.path(name).display());
    let configuration = shipped("systemd/scoter.toml")
        .replace("/run/", &here("run"))
        .replace("/var/log/", &here("log"))
        .replace("myproject.wsgi", "project");
    let upstream = shipped("nginx-conf/upstream.conf").replace("/run/", &here("run"));
    let (_, socket) = upstream.split_once("server unix:").expect("an address");
    let socket = PathBuf::from(socket.split(';').next().expect("at least one part"));
    let apps = format!("pythonpath = {:?}\n", apps_folder());
    machine.install(APPLICATION, &format!("{configuration}{apps}"));
    let mut scoter = machine.start(machine.executing("ExecStart", ""));
    let reply = Peer::connect(&socket).packet(&get("/")).reply();
    assert_eq!(reply.text(), "Hello, 192.0.2.1!\n");
    let finished = machine.reload();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    machine.stop(&mut scoter);
}
