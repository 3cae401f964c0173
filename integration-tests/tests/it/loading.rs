//! Applications that cannot be served: found when they are loaded, by every command that loads them, and said in a way
//! that helps.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use integration_tests::{
    Finished, Gate, Scoter, ScoterBuilder, apps_folder, get, python, says_ready, until,
};

const ASGI: &str = "class Asgi:\n    \
                        async def __call__(self, scope, receive, send):\n        \
                            pass\n\
                    application = Asgi()\n";

#[track_caller]
fn assert_refused(name: &str, finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(3), "{name}: {}", finished.stderr);
    for word in words {
        let stderr = &finished.stderr;
        assert!(stderr.contains(word), "{name}: {word:?} in {stderr}");
    }
    for word in ["panicked", "never awaited", "Traceback"] {
        let stderr = &finished.stderr;
        assert!(!stderr.contains(word), "{name}: {word:?} in {stderr}");
    }
}

#[test]
fn callable_of_another_interface_is_refused_with_what_to_use() {
    let cases: [(&str, &str, &[&str], &[&str]); 13] = [
        (
            "an ASGI function",
            "async def application(scope, receive, send): pass\n",
            &[],
            &["broken:application", "ASGI", "uvicorn"],
        ),
        ("an ASGI object", ASGI, &[], &["ASGI"]),
        (
            "ASGI 2",
            "def application(scope): pass\n",
            &[],
            &["ASGI", "(scope)"],
        ),
        (
            "a coroutine function",
            "async def application(environ, start_response): pass\n",
            &[],
            &["async def", "asyncio.run"],
        ),
        (
            "a generator that is asynchronous",
            "async def application(environ, start_response): yield b''\n",
            &[],
            &["async def"],
        ),
        (
            "a factory",
            "def application(): pass\n",
            &[],
            &["no arguments", "--factory"],
        ),
        (
            "a factory with an option",
            "def application(config=None): pass\n",
            &[],
            &["(config)", "--factory"],
        ),
        (
            "a class",
            "class application:\n    def __call__(self, environ, start_response): pass\n",
            &[],
            &["class", "--factory"],
        ),
        (
            "a view",
            "def application(request, pk, slug): pass\n",
            &[],
            &["(request, pk, slug)", "environ", "start_response"],
        ),
        (
            "an application for --factory",
            "def application(environ, start_response): pass\n",
            &["--factory"],
            &["(environ, start_response)", "--factory"],
        ),
        (
            "a factory with an argument",
            "def application(config): pass\n",
            &["--factory"],
            &["(config)", "without arguments"],
        ),
        (
            "a factory of nothing",
            "def application(): pass\n",
            &["--factory"],
            &["broken:application returned", "None"],
        ),
        (
            "a factory that is a coroutine function",
            "async def application(): pass\n",
            &["--factory"],
            &["async def"],
        ),
    ];
    for (name, source, arguments, words) in cases {
        let scoter = Scoter::serving("broken").args(arguments);
        let finished = scoter.with_file("broken.py", source).run();
        assert_refused(name, &finished, words);
    }
}

#[test]
fn wrong_callable_leads_to_what_can_be_served() {
    const FRAMEWORK: &str = "class Framework:\n    \
                                 def __call__(self, environ, start_response): pass\n\
                             class Other:\n    \
                                 def __call__(self, one, two, three): pass\n";
    const VIEWS: &str = "from framework import *\n\
                         app = Framework()\n\
                         other = Other()\n\
                         def index(): pass\n\
                         def show(user, page): pass\n";
    let two = VIEWS.replace("other = Other()", "admin = Framework()");
    let function = "def wsgi(environ, start_response): pass\ndef helper(): pass\n";
    let none = "def make(): pass\ndef show(one, two, three): pass\n";
    for (app, source, hint) in [
        ("shop:ap", VIEWS, "hint: did you mean shop:app?\n"),
        ("shop:application", VIEWS, "hint: did you mean shop:app?\n"),
        ("shop.py:application", VIEWS, "/shop.py:app?\n"),
        ("shop:aap", &two, "hint: did you mean shop:app?\n"),
        (
            "shop:application",
            &two,
            "hint: it has app, admin, show: name one after a colon, as in shop:app\n",
        ),
        ("shop", function, "hint: did you mean shop:wsgi?\n"),
        ("shop:shop", VIEWS, "hint: did you mean shop:show?\n"),
        (
            "shop",
            none,
            "hint: it has make, show: name one after a colon, as in shop:make (with --factory, if it makes the \
             application)\n",
        ),
        (
            "shop",
            "a = 1\n",
            "hint: the module defines nothing that can be called\n",
        ),
    ] {
        let scoter = Scoter::serving(app);
        let scoter = scoter.with_file("framework.py", FRAMEWORK);
        let finished = scoter.with_file("shop.py", source).run();
        assert_refused(app, &finished, &["no callable", hint]);
    }
}

#[test]
fn every_way_to_load_refuses_an_asgi_application() {
    for arguments in [
        &["check"][..],
        &["--no-master"],
        &["--preload"],
        &["--workers", "2"],
    ] {
        let scoter =
            Scoter::told_nothing()
                .args(arguments)
                .args(["--bind", "unix:scoter.sock", "broken"]);
        let finished = scoter.with_file("broken.py", ASGI).run();
        assert_refused(
            arguments[0],
            &finished,
            &["broken:application", "ASGI", "uvicorn"],
        );
    }
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .start();
    scoter.put("changing.py", ASGI);
    let finished = scoter.command(["reload"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("ASGI"), "{finished:?}");
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn asgi_module_beside_a_wsgi_module_leads_there() {
    for (app, word) in [
        ("mysite.asgi", "use mysite.wsgi"),
        ("mysite.asgi:application", "use mysite.wsgi"),
        ("mysite/asgi.py", "mysite/wsgi.py"),
    ] {
        let scoter = Scoter::serving(app);
        let folder = scoter.folder().join("mysite");
        fs::create_dir(folder).expect("the test's own folder");
        let scoter = scoter
            .with_file(
                "mysite/asgi.py",
                "from django.conf import settings\n\
                 settings.configure()\n\
                 from django.core.asgi import get_asgi_application\n\
                 application = get_asgi_application()\n",
            )
            .with_file("mysite/wsgi.py", "from hello import application\n");
        assert_refused(app, &scoter.run(), &["ASGI", word]);
    }
}

#[test]
fn class_of_two_arguments_whose_instances_are_iterable_is_served() {
    // PEP 3333, "The Application/Framework Side", its second example.
    let source = "class application:\n    \
                      def __init__(self, environ, start_response):\n        \
                          self.start = start_response\n    \
                      def __iter__(self):\n        \
                          self.start('200 OK', [('Content-Type', 'text/plain')])\n        \
                          yield b'of a class'\n";
    let scoter = Scoter::serving("of_class").with_file("of_class.py", source);
    let scoter = scoter.start();
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!((reply.status, &*reply.text()), (200, "of a class"));
}

/// Puts a package `shop` into `folder`, with an application that says so in `shop.views`.
fn put_shop(folder: &Path) {
    let shop = folder.join("shop");
    fs::create_dir(&shop).expect("the test's own folder");
    fs::write(shop.join("__init__.py"), "").expect("just made");
    let views = answering("the package");
    fs::write(shop.join("views.py"), views).expect("just made");
}

fn answering(text: &str) -> String {
    format!(
        "def application(environ, start_response):\n    \
             start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
             return [b'{text}']\n"
    )
}

#[track_caller]
fn assert_answers(scoter: &Scoter, expected: &str) {
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!((reply.status, &*reply.text()), (200, expected));
}

#[test]
fn file_named_like_the_package_it_imports_is_served() {
    for (name, app) in [
        ("shop.wsgi", "./shop.wsgi"),
        ("shop.wsgi", "shop.wsgi"),
        ("shop.wsgi", "shop.wsgi:application"),
        ("shop.fcgi", "shop.fcgi"),
        ("shop.wsgi.py", "shop.wsgi.py"),
        ("shop.views", "./shop.views"),
    ] {
        let scoter = Scoter::serving(app);
        put_shop(scoter.folder());
        let source = "import shop.views\nfrom shop.views import application\n";
        assert_answers(&scoter.with_file(name, source).start(), "the package");
    }
}

#[test]
fn file_named_like_the_module_beside_it_keeps_its_own_bytecode() {
    // Python keeps that of both in __pycache__/shop.*.pyc, and tells them apart by size and time stamp.
    let module = format!("name = 'of the module'\n{}", answering("the module"));
    let file = "from shop import name\nassert name == 'of the module'\n";
    let file = format!("{file}{}", answering("the file"));
    let length = module.len().max(file.len());
    let moment = SystemTime::now();
    let scoter = Scoter::serving("shop.wsgi").env("PYTHONDONTWRITEBYTECODE", "");
    for (name, source) in [("shop.py", module), ("shop.wsgi", file)] {
        let path = scoter.folder().join(name);
        fs::write(&path, format!("{source:\n<length$}")).expect("the test's own folder");
        let file = File::options().append(true).open(path).expect("just made");
        file.set_modified(moment).expect("just made");
    }
    let arguments = ["check", "--bind", "unix:scoter.sock", "shop.wsgi"];
    let in_folder = ["sh", "-c", "cd \"$0\" && exec \"$@\""].map(Into::into);
    let in_folder = in_folder
        .into_iter()
        .chain([scoter.folder().as_os_str().to_owned()]);
    let in_folder: Vec<OsString> = in_folder.collect();
    for _ in 0..2 {
        let check = Scoter::told_nothing()
            .env("PYTHONDONTWRITEBYTECODE", "")
            .under(in_folder.clone())
            .args(arguments);
        let finished = check.run();
        assert_eq!(finished.code, Some(0), "{finished:?}");
    }
    assert_answers(&scoter.start(), "the file");
}

#[test]
fn file_of_that_name_is_served_where_there_is_no_such_module() {
    for (app, expected) in [
        ("hgweb.wsgi", "the file"),
        ("hgweb.wsgi:application", "the file"),
        ("hgweb", "the file without an ending"),
        // What can be imported is meant, as with any other WSGI server.
        ("shop.views", "the package"),
        ("./shop.views", "the file that looks like a module"),
    ] {
        let scoter = Scoter::serving(app);
        put_shop(scoter.folder());
        let scoter = scoter
            .with_file("hgweb.wsgi", &answering("the file"))
            .with_file("hgweb", &answering("the file without an ending"))
            .with_file(
                "shop.views",
                &answering("the file that looks like a module"),
            );
        assert_answers(&scoter.start(), expected);
    }
}

#[test]
fn name_of_nothing_is_reported_as_module_and_as_file() {
    let scoter = Scoter::serving("hgweb.wsgi");
    let folder = fs::canonicalize(scoter.folder()).expect("the test's own folder");
    let folder = folder.to_str().expect("UTF-8");
    let words = [
        "there is no module \"hgweb.wsgi\"",
        "no file of that name",
        folder,
    ];
    assert_refused("hgweb.wsgi", &scoter.run(), &words);
}

#[test]
fn module_that_hides_what_it_imports_is_told_to_be_renamed() {
    for (app, source) in [
        ("flask.py", "from flask import Flask\n"),
        ("flask", "from flask import Flask\n"),
        ("flask.py", "import flask.views\n"),
        (
            "flask.py",
            "import flask\napplication = flask.Flask(__name__)\n",
        ),
    ] {
        let scoter = Scoter::serving(app).with_file("flask.py", source);
        let finished = scoter.run();
        assert_eq!(finished.code, Some(3), "{finished:?}");
        for word in ["hint", "same name as", "flask", "rename"] {
            assert!(finished.stderr.contains(word), "{word} in {finished:?}");
        }
    }
}

/// Puts an application that never ends its import, and tells in which line.
fn hanging(scoter: ScoterBuilder, source: &str) -> ScoterBuilder {
    scoter
        .with_file(
            "hanging.py",
            &format!("import helper\nhelper.hang()\n{}", answering("after all")),
        )
        .with_file("helper.py", source)
        .args(["--start-timeout", "3s"])
}

const WAITS: &str = "from probe import wait_at\ndef hang():\n    wait_at('import')\n";

/// Of a library that is called so, no other thread of Python runs until it returns.
const KEEPS_THE_GIL: &str = "import ctypes\ndef hang():\n    ctypes.PyDLL(None).sleep(1000)\n";

#[test]
fn import_that_hangs_is_said_with_its_place_and_at_last_its_stack() {
    for source in [WAITS, KEEPS_THE_GIL] {
        for arguments in [&["--workers", "1"][..], &["--preload"], &["check"]] {
            let scoter = Scoter::told_nothing()
                .args(arguments)
                .args(["--pythonpath".into(), apps_folder().as_os_str().to_owned()])
                .args(["--bind", "unix:scoter.sock"]);
            let scoter = hanging(scoter, source).args(["hanging"]);
            let _gate = Gate::at(scoter.folder(), "import");
            let finished = scoter.run();
            let log = &finished.stderr;
            assert_eq!(finished.code, Some(3), "{arguments:?}: {log}");
            let line = log.lines().find(|line| line.contains("still importing"));
            let line = line.unwrap_or_else(|| panic!("{arguments:?}: {log}"));
            assert!(line.contains("hanging.py:2"), "{arguments:?}: {log}");
            let last = log.split("not ready within --start-timeout").nth(1);
            let last = last.unwrap_or_else(|| panic!("{arguments:?}: {log}"));
            for word in ["hanging.py:2", "helper.py\", line 3", "in hang"] {
                assert!(last.contains(word), "{arguments:?}: {word} in {log}");
            }
        }
    }
}

/// The loader of this code says its source only when the gate opens.
const SOURCELESS: &str = "\
from probe import event, wait_at
class Loader:
    def get_source(self, name):
        event('source wanted')
        wait_at('source')
def hang():
    space = {'__name__': 'late', '__loader__': Loader(), 'wait_at': wait_at}
    exec(compile('def late():\\n    wait_at(\"import\")\\n', '/nowhere/late.py', 'exec'), space)
    space['late']()
";

#[test]
fn start_does_not_wait_for_the_source_of_what_it_hangs_in() {
    let scoter = hanging(Scoter::serving("hanging"), SOURCELESS);
    let _gates = ["import", "source"].map(|name| Gate::at(scoter.folder(), name));
    let finished = scoter.run();
    let last = finished.stderr.split("not ready within").nth(1);
    let last = last.unwrap_or_else(|| panic!("{finished:?}"));
    // Without the interpreter it would be the other way round, and C code would hold the GIL.
    assert!(
        last.contains("the start's (most recent call last)"),
        "{last}"
    );
    assert!(last.contains("late.py\", line 2, in late"), "{last}");

    let start = format!("import helper\nhelper.hang()\n{}", answering("at last"));
    let scoter = Scoter::serving("hanging")
        .with_file("hanging.py", &start)
        .with_file("helper.py", SOURCELESS)
        .args(["--start-timeout", "16s"]);
    let gate = Gate::at(scoter.folder(), "import");
    let _source = Gate::at(scoter.folder(), "source");
    let process = scoter.spawn();
    until("the hanging import is said", || {
        process.stderr().contains("still importing").then_some(())
    });
    gate.open();
    until("the server is ready", || {
        process.stderr().contains(" ready workers=1").then_some(())
    });
}

#[test]
fn import_that_hangs_without_a_master_is_said_after_ten_seconds() {
    let scoter = Scoter::serving("hanging")
        .with_file(
            "hanging.py",
            &format!("import helper\nhelper.hang()\n{}", answering("at last")),
        )
        .with_file("helper.py", WAITS)
        .args(["--no-master"]);
    let gate = Gate::at(scoter.folder(), "import");
    let process = scoter.spawn();
    until("it is said", || {
        let log = process.stderr();
        let line = log.lines().find(|line| line.contains("still importing"))?;
        assert!(
            line.contains("seconds=1") && line.contains("hanging.py:2"),
            "{log}"
        );
        Some(())
    });
    gate.open();
    until("it serves", || says_ready(&process.stderr()).then_some(()));
}

#[test]
fn reload_whose_import_hangs_is_answered_with_the_stack() {
    let scoter = Scoter::serving("changing")
        .with_file("changing.py", "from hello import application\n")
        .args(["--start-timeout", "3s"])
        .start();
    let _gate = scoter.gate("import");
    scoter.put("helper.py", WAITS);
    scoter.put("changing.py", "import helper\nhelper.hang()\n");
    let finished = scoter.command(["reload"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    for word in ["--start-timeout", "changing.py:2", "in hang"] {
        assert!(finished.stderr.contains(word), "{word} in {finished:?}");
    }
    assert_eq!(scoter.connect().packet(&get("/")).reply().status, 200);
}

#[test]
fn start_that_hangs_behind_the_import_is_named() {
    for (source, arguments, word) in [
        (
            "from scoter import hooks\n\
             from helper import hang\n\
             hooks.on_worker_start(hang)\n",
            &[][..],
            "hooks",
        ),
        (
            "import helper\n\
             def application(environ, start_response):\n    \
                 helper.hang()\n",
            &["--warm-up", "/"],
            "--warm-up",
        ),
    ] {
        let scoter = Scoter::serving("late")
            .with_file("helper.py", WAITS)
            .with_file("late.py", &format!("{}{source}", answering("late")))
            .args(["--start-timeout", "2s"])
            .args(arguments);
        let _gate = Gate::at(scoter.folder(), "import");
        let finished = scoter.run();
        assert_eq!(finished.code, Some(3), "{finished:?}");
        let log = &finished.stderr;
        let line = log
            .lines()
            .find(|line| line.contains("WARN") && line.contains("still"));
        assert!(line.is_some_and(|line| line.contains(word)), "{log}");
        assert!(log.contains("helper.py\", line 3"), "{log}");
    }
}

#[test]
fn missing_package_is_said_with_the_python_that_misses_it() {
    let python = fs::canonicalize(python().parent().expect("a file")).expect("it is there");
    let python = python.to_str().expect("UTF-8");
    let source = "import scoter_missing.parts\n";
    let scoter = Scoter::serving("broken").with_file("broken.py", source);
    let finished = scoter.run();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    for word in [
        "No module named 'scoter_missing'",
        python,
        "Python 3.",
        "hint",
    ] {
        assert!(finished.stderr.contains(word), "{word} in {finished:?}");
    }
    // What this Python has nothing to do with is not said.
    let scoter = Scoter::serving("broken").with_file("broken.py", "1 / 0\n");
    let finished = scoter.run();
    assert!(!finished.stderr.contains("hint"), "{finished:?}");
}

#[test]
fn module_of_uwsgi_is_said_to_be_of_uwsgi() {
    for (source, module) in [
        ("import uwsgi\n", "uwsgi"),
        ("from uwsgidecorators import postfork\n", "uwsgidecorators"),
    ] {
        let scoter = Scoter::serving("broken").with_file("broken.py", source);
        let finished = scoter.run();
        assert_eq!(finished.code, Some(3), "{finished:?}");
        for word in [
            &*format!("the module {module} exists only inside uWSGI"),
            "scoter.worker_id() for uwsgi.worker_id()",
            "@scoter.hooks.post_fork for uwsgidecorators.postfork",
        ] {
            assert!(finished.stderr.contains(word), "{word} in {finished:?}");
        }
    }
}

#[test]
fn environment_that_has_the_missing_package_is_named() {
    for (name, is_active) in [(".venv", false), ("venv", false), ("elsewhere/env", true)] {
        let scoter =
            Scoter::serving("broken").with_file("broken.py", "import scoter_missing.parts\n");
        let environment = scoter.folder().join(name);
        let package = environment.join("lib/python3.99/site-packages/scoter_missing");
        fs::create_dir_all(package).expect("the test's own folder");
        fs::write(environment.join("pyvenv.cfg"), "home = /usr/bin\n").expect("just made");
        let scoter = if is_active {
            scoter.env("VIRTUAL_ENV", environment.clone())
        } else {
            scoter
        };
        let finished = scoter.run();
        let environment = environment.to_str().expect("UTF-8");
        for word in [
            environment,
            "has scoter_missing",
            "Python 3.99",
            "bin/scoter",
        ] {
            assert!(finished.stderr.contains(word), "{word} in {finished:?}");
        }
    }
}

#[test]
fn file_that_a_signal_handler_writes_to_stays_open_where_the_handler_stays() {
    let scoter = Scoter::serving("keeping")
        .with_file(
            "keeping.py",
            "import faulthandler, os, signal\n\
             from probe import plain\n\
             def unregister(signum):\n\
            \x20   raise RuntimeError('not now')\n\
             faulthandler.unregister = unregister\n\
             def application(environ, start_response):\n\
            \x20   signal.raise_signal(signal.SIGRTMAX)\n\
            \x20   files = ['/proc/self/fd/' + fd for fd in os.listdir('/proc/self/fd')]\n\
            \x20   names = [os.readlink(file) for file in files if os.path.exists(file)]\n\
            \x20   return plain(start_response, str(sum('scoter-stacks' in name for name in names)))\n",
        )
        .start();
    let reply = scoter.connect().packet(&get("/")).reply();
    assert_eq!(reply.text(), "1");
}
