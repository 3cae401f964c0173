//! What the guides in docs/ have the reader copy, as far as no other test runs it.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::{
    Connections, Manager, Nginx, Process, Scoter, exchange, executable, real_uwsgi, through_nginx,
    until,
};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::shop::{ask, page, serving};

/// A file of docs/examples.
fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let path = path.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

/// The words of the last instruction `CMD`, without the program.
fn command_of_image(dockerfile: &str) -> Vec<String> {
    let mut commands = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("CMD "));
    let words = commands.next_back().expect("a CMD");
    let words: Vec<String> = serde_json::from_str(words).expect("its exec form");
    words[1..].to_vec()
}

#[test]
fn image_serves_the_network_that_it_names() {
    let command = command_of_image(&example("Dockerfile"));
    let words = command.into_iter().map(|word| match &*word {
        "0.0.0.0:9000" => "0.0.0.0:0".to_owned(),
        _ => word,
    });
    let (app, words): (Vec<_>, Vec<_>) = words.partition(|word| word == "shop.flask_app:app");
    let scoter = serving(&app[0]).unbound().args(words).start();
    let port = scoter.tcp_address().port();
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert_eq!(exchange(stream, &page("/seen")).status, 200);
}

#[test]
fn django_logs_tracebacks_with_the_settings_of_the_guide() {
    let scoter = serving("django_shop.wsgi").start();
    assert_eq!(ask(&scoter, "/broken").status, 500);
    scoter.wait_for_log("ZeroDivisionError: division by zero");
}

#[test]
fn factory_of_the_guide_is_called() {
    let module = "from flask import Flask\n\n\ndef create_app():\n    app = Flask(__name__)\n    \
                  app.get('/')(lambda: 'made')\n    return app\n";
    let scoter = Scoter::serving("made:create_app").with_file("made.py", module);
    let scoter = scoter.args(["--factory"]).start();
    assert_eq!(ask(&scoter, "/").text(), "made");
}

/// The value of a setting of a unit.
fn setting(unit: &str, name: &str) -> String {
    let mut lines = unit.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.expect("it is set").to_owned()
}

/// The shop of docs/from-uwsgi.md, whose folders are in one of the test.
struct Shop {
    folder: TempDir,
}

impl Shop {
    fn new() -> Self {
        let folder =
            TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
        let shop = Self { folder };
        for name in ["srv/shop", "run"] {
            fs::create_dir_all(shop.path(name)).expect("the test's own folder");
        }
        let module = "def application(environ, start_response):\n    \
                      start_response('200 OK', [('Content-Length', '5')])\n    return [b'shop\\n']\n";
        shop.put("srv/shop/wsgi.py", module);
        shop.put("srv/shop.ini", &shop.moved(&example("from-uwsgi/shop.ini")));
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("the test's own folder");
    }

    fn moved(&self, text: &str) -> String {
        let environment = executable()
            .parent()
            .and_then(Path::parent)
            .map(Path::to_owned);
        let environment = environment.expect("scoter is in its bin");
        text.replace("/srv/shop/venv", environment.to_str().expect("UTF-8"))
            .replace("/srv/shop", self.path("srv").to_str().expect("UTF-8"))
            .replace("/run/shop", self.path("run").to_str().expect("UTF-8"))
    }

    fn socket(&self) -> PathBuf {
        self.path("run/shop.sock")
    }

    /// Starts what `ExecStart=` says, by `program` and with `notify` as its manager's socket.
    fn start(&self, unit: &str, program: &Path, manager: &Manager) -> Process {
        let line = setting(unit, "ExecStart");
        let mut command = Command::new(program);
        command
            .args(line.split_whitespace().skip(1))
            .current_dir(self.path("srv"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NOTIFY_SOCKET", manager.address());
        let hint = "build it first: make build";
        let process = Process::spawn("server", &mut command, self.folder.path(), hint);
        until("it listens", || self.socket().exists().then_some(()));
        process
    }
}

/// The words in which two files differ, of lines that have as many.
fn changed_words<'a>(before: &'a str, after: &'a str) -> Vec<(&'a str, &'a str)> {
    let words = |text: &'a str| text.split([' ', '/', '=', '\n']);
    let pairs = words(before).zip(words(after));
    assert_eq!(words(before).count(), words(after).count());
    pairs.filter(|(before, after)| before != after).collect()
}

#[test]
fn unit_of_uwsgi_changes_by_one_word() {
    let before = example("from-uwsgi/uwsgi.service");
    let after = example("from-uwsgi/scoter.service");
    assert_eq!(changed_words(&before, &after), [("uwsgi", "scoter")]);
}

#[through_nginx]
fn tutorial_of_uwsgi_moves_and_back(connections: Connections) {
    let Some(uwsgi) = real_uwsgi() else {
        return;
    };
    let shop = Shop::new();
    let location = example("from-uwsgi/nginx.conf");
    let (_, location) = location.split_once("location").expect("it has one");
    let location = format!("location{}", location.trim_end().trim_end_matches('}'));
    let location = shop.moved(&location);
    let location = location.replace("include uwsgi_params", "include scoter/uwsgi_params");
    let nginx = Nginx::prepare(shop.folder.path(), &shop.socket(), connections)
        .extra(&location)
        .start();
    let page = || {
        until("a page", || {
            let reply = nginx.extra().get("/");
            (reply.status == 200).then(|| reply.text())
        })
    };
    let manager = Manager::at(shop.folder.path());
    let unit = example("from-uwsgi/uwsgi.service");
    for turn in ["before", "on the way back"] {
        let mut server = shop.start(&unit, &uwsgi, &manager);
        assert_eq!(page(), "shop\n", "{turn}");
        // Not a graceful stop: threads of uWSGI may hang as it ends.
        server.kill_family();
        if turn == "before" {
            let unit = example("from-uwsgi/scoter.service");
            let mut server = shop.start(&unit, &executable(), &manager);
            manager.wait_for("READY");
            assert_eq!(page(), "shop\n");
            assert!(setting(&unit, "ExecReload").contains("-HUP"));
            server.signal(Signal::SIGHUP);
            until("a reload", || {
                server
                    .stderr()
                    .contains("reloaded generation=2")
                    .then_some(())
            });
            assert_eq!(page(), "shop\n");
            server.signal(Signal::SIGQUIT);
            let finished = server.wait();
            assert_eq!(finished.code, Some(0), "{}", finished.stderr);
            assert!(!shop.socket().exists());
        }
    }
}

#[test]
fn migrated_tutorial_serves_by_its_unit() {
    let shop = Shop::new();
    let mut migrate = Command::new(executable());
    let migrate = migrate
        .args(["migrate", "shop.ini"])
        .current_dir(shop.path("srv"));
    let migrated = migrate.output().expect("make build");
    let report = String::from_utf8_lossy(&migrated.stderr);
    assert!(migrated.status.success(), "{report}");
    shop.put(
        "srv/scoter.toml",
        &String::from_utf8_lossy(&migrated.stdout),
    );
    let unit = example("from-uwsgi/scoter-toml.service");
    let manager = Manager::at(shop.folder.path());
    let mut server = shop.start(&unit, &executable(), &manager);
    manager.wait_for("READY");
    let line = setting(&unit, "ExecReload");
    let mut reload = Command::new(executable());
    let reload = reload.args(line.split_whitespace().skip(1));
    let reloaded = reload
        .current_dir(shop.path("srv"))
        .output()
        .expect("make build");
    assert!(reloaded.status.success(), "{reloaded:?}");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code, Some(0));
}

#[test]
fn image_of_uwsgi_keeps_its_environment() {
    let (before, after) = (
        example("from-uwsgi/uwsgi.Dockerfile"),
        example("from-uwsgi/scoter.Dockerfile"),
    );
    let settings = |dockerfile: &str| -> Vec<(String, String)> {
        let lines = dockerfile
            .lines()
            .filter_map(|line| line.strip_prefix("ENV "));
        let words = lines.flat_map(str::split_whitespace);
        let pairs = words.filter_map(|word| word.split_once('='));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let kept = settings(&before);
    assert_eq!(settings(&after)[..kept.len()], kept);
    let shop = Shop::new();
    let mut scoter = Scoter::told_nothing().args(command_of_image(&after));
    for (name, value) in settings(&after) {
        let value = value.replace("0.0.0.0:9000", "0.0.0.0:0");
        let value = value.replace("/tmp/", &format!("{}/", shop.path("run").display()));
        scoter = scoter.env(&name, value);
    }
    let scoter = scoter.env("PYTHONPATH", shop.path("srv")).start();
    let port = scoter.tcp_address().port();
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    assert_eq!(exchange(stream, &page("/")).text(), "shop\n");
    scoter.wait_for_log("ready workers=2 threads=4");
    assert!(shop.path("run/scoter.control").exists());
}

#[test]
fn hooks_in_place_of_gunicorns_run() {
    let application = "from hooks import *\nfrom hello import application\n";
    let scoter = Scoter::serving("shop_with_hooks")
        .with_file("hooks.py", &example("from-gunicorn/hooks.py"))
        .with_file("shop_with_hooks.py", application);
    let mut scoter = scoter.start();
    let said = scoter.stop().stdout;
    let said: Vec<_> = said.lines().collect();
    assert_eq!(
        said,
        [
            "worker 1 is forked, the application is loaded",
            "worker 1 is about to take its first request",
            "worker 1 has served its last request",
        ]
    );
}
