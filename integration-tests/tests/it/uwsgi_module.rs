//! `--uwsgi-module`: what `import uwsgi` gives an application, against what uWSGI 2.0.31 answers.

use integration_tests::{Scoter, ScoterBuilder, get, until, with};

fn asking(args: &[&str]) -> ScoterBuilder {
    Scoter::serving("asks_uwsgi")
        .args(["--uwsgi-module"])
        .args(args)
}

/// What an expression gives in a request.
#[track_caller]
fn ask(scoter: &Scoter, expression: &str) -> String {
    let query: String = expression
        .bytes()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    let packet = with(get("/asks"), [("QUERY_STRING", query.as_str())]);
    scoter.connect().packet(&packet).reply().text()
}

#[test]
fn answers_are_those_of_uwsgi() {
    let scoter = asking(&["--threads=2"]).workers("2").start();
    scoter.wait_for_workers(2);
    let master = scoter.pid().to_string();
    for (expression, expected) in [
        // As uWSGI 2.0.31 answered in a request, with a master, two processes and two threads.
        ("uwsgi.numproc", "2"),
        ("uwsgi.cores", "2"),
        ("uwsgi.has_threads", "1"),
        ("uwsgi.masterpid()", &*master),
        ("uwsgi.worker_id() in (1, 2)", "True"),
        ("uwsgi.version", "b'2.0.31'"),
        ("uwsgi.version_info[:4]", "(2, 0, 31, 0)"),
        ("uwsgi.applications", "None"),
        ("uwsgi.loop", "None"),
        ("uwsgi.unbit", "None"),
        ("uwsgi.ready()", "True"),
        ("uwsgi.accepting()", "None"),
        ("uwsgi.mule_id()", "0"),
        ("uwsgi.i_am_the_spooler()", "None"),
        ("uwsgi.log('hello')", "True"),
        (
            "uwsgi.log(b'x')",
            "TypeError: log() argument 1 must be str, not bytes",
        ),
        (
            "uwsgi.log(3)",
            "TypeError: log() argument 1 must be str, not int",
        ),
        (
            "[type(part).__name__ for part in uwsgi.mem()]",
            "['int', 'int']",
        ),
        ("0 < uwsgi.mem()[0] < uwsgi.mem()[1]", "True"),
        ("type(uwsgi.hostname).__name__", "'bytes'"),
        (
            "uwsgi.hostname.decode() == __import__('socket').gethostname()",
            "True",
        ),
        (
            "abs(uwsgi.micros() / 1e6 - __import__('time').time()) < 1",
            "True",
        ),
        (
            "0 <= __import__('time').time() - uwsgi.started_on < 60",
            "True",
        ),
        ("sys.modules['uwsgi'] is uwsgi", "True"),
        // In the process that imports the application, which is a worker without --preload.
        ("AT_IMPORT['masterpid'] == str(uwsgi.masterpid())", "True"),
        ("AT_IMPORT['worker_id'] == str(uwsgi.worker_id())", "True"),
        // Here they differ.
        ("uwsgi.version_info[4]", "b'scoter'"),
        ("uwsgi.buffer_size", "65535"),
    ] {
        assert_eq!(ask(&scoter, expression), expected, "{expression}");
    }
    scoter.wait_for_log("hello");
}

#[test]
fn what_is_lacking_has_no_name() {
    let scoter = asking(&[]).start();
    for name in [
        "spool",
        "cache_get",
        "rpc",
        "mule_msg",
        "websocket_handshake",
        "sharedarea_read",
        "queue_push",
        "async_sleep",
        "env",
        "connection_fd",
    ] {
        let expression = format!("hasattr(uwsgi, {name:?})");
        assert_eq!(ask(&scoter, &expression), "False", "{name}");
    }
}

#[test]
fn options_are_in_uwsgis_words() {
    let scoter = asking(&[
        "--uwsgi-opt=my-option=1",
        "--uwsgi-opt=vacuum",
        "--uwsgi-opt=empty=",
        "--uwsgi-opt=env=A=1",
        "--uwsgi-opt=env=B=2",
        "--uwsgi-opt=threads=9",
        "--uwsgi-opt=enable-threads=false",
        "--uwsgi-opt=need-app=no",
    ])
    .start();
    for (key, expected) in [
        ("my-option", "b'1'"),
        ("vacuum", "True"),
        ("empty", "b''"),
        ("env", "[b'A=1', b'B=2']"),
        ("threads", "b'4'"),
        ("enable-threads", "True"),
        ("master", "True"),
        ("lazy-apps", "True"),
        ("need-app", "b'no'"),
        ("processes", "b'1'"),
        ("module", "b'asks_uwsgi'"),
        ("nothing", "None"),
    ] {
        let expression = format!("uwsgi.opt.get({key:?})");
        assert_eq!(ask(&scoter, &expression), expected, "{key}");
    }
}

#[test]
fn preloaded_application_runs_its_hooks_in_each_worker() {
    let mut scoter = asking(&["--preload"]).workers("2").start();
    let workers = scoter.wait_for_workers(2);
    // uWSGI answered 0, the master's id, None and 0 where the application was imported.
    for (name, expected) in [
        ("worker_id", "'0'".to_owned()),
        ("masterpid", format!("'{}'", scoter.pid())),
        ("ready", "'None'".to_owned()),
        ("mule_id", "'0'".to_owned()),
    ] {
        let expression = format!("AT_IMPORT[{name:?}]");
        assert_eq!(ask(&scoter, &expression), expected, "{name}");
    }
    assert_eq!(ask(&scoter, "'lazy-apps' in uwsgi.opt"), "False");
    scoter.stop();
    let mut expected: Vec<_> = workers
        .iter()
        .flat_map(|worker| {
            let of_worker = |what: &str| format!("{what} {} {}", worker.pid(), worker.id);
            [of_worker("postfork"), of_worker("atexit")]
        })
        .collect();
    expected.push("postfork of the second in 2".to_owned());
    expected.sort();
    let mut events = scoter.events();
    events.sort();
    assert_eq!(events, expected);
}

#[test]
fn application_reloads_and_stops_the_server() {
    let mut scoter = asking(&[]).start();
    let before = scoter.worker().pid();
    assert_eq!(ask(&scoter, "uwsgi.reload()"), "True");
    until("another worker serves", || {
        let workers = scoter.workers();
        let others = workers
            .iter()
            .filter(|worker| worker.is_ready() && worker.pid() != before);
        (others.count() == 1 && workers.len() == 1).then_some(())
    });
    assert_eq!(ask(&scoter, "uwsgi.stop()"), "True");
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn server_without_a_master_has_the_module() {
    let mut scoter = asking(&["--no-master"]).start();
    for (expression, expected) in [
        // uWSGI without a master answers the same.
        ("uwsgi.masterpid()", "0"),
        ("uwsgi.worker_id()", "1"),
        ("'master' in uwsgi.opt", "False"),
        // Nobody could.
        ("uwsgi.reload()", "None"),
        ("uwsgi.stop()", "True"),
    ] {
        assert_eq!(ask(&scoter, expression), expected, "{expression}");
    }
    let finished = scoter.wait();
    assert_eq!(finished.code, Some(0), "{finished:?}");
    scoter.wait_for_event(&format!("atexit {} 1", scoter.pid()));
}

#[test]
fn module_is_absent_unless_it_is_asked_for() {
    let finished = Scoter::serving("asks_uwsgi").run();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    let hint =
        "the module uwsgi exists only inside uWSGI. --uwsgi-module gives the application one";
    assert!(finished.stderr.contains(hint), "{finished:?}");
    let checked = asking(&[]).as_check().run();
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[test]
fn failing_hook_keeps_the_worker_from_serving() {
    let scoter = Scoter::serving("failing")
        .args(["--uwsgi-module"])
        .with_file(
            "failing.py",
            "from uwsgidecorators import postfork\n\
         @postfork\n\
         def forked():\n\
        \x20   raise RuntimeError('no database')\n\
         def application(environ, start_response): pass\n",
        );
    let finished = scoter.run();
    assert_eq!(finished.code, Some(3), "{finished:?}");
    assert!(
        finished.stderr.contains("RuntimeError: no database"),
        "{finished:?}"
    );
}
