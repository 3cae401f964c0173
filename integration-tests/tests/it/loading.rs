//! Applications that cannot be served: found when they are loaded, by every command that loads them, and said in a way
//! that helps.

use integration_tests::{Finished, Scoter, get};

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
        ("mysite.asgi", "write mysite.wsgi"),
        ("mysite.asgi:application", "write mysite.wsgi"),
        ("mysite/asgi.py", "mysite/wsgi.py"),
    ] {
        let scoter = Scoter::serving(app);
        let folder = scoter.folder().join("mysite");
        std::fs::create_dir(folder).expect("the test's own folder");
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
