//! `--uwsgi-module`: what `import uwsgi` gives an application, against what uWSGI 2.0.31 answers.

use std::time::Duration;

use integration_tests::{Scoter, ScoterBuilder, get, until, with};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use uwsgi_codec::PacketBuilder;

fn asking(args: &[&str]) -> ScoterBuilder {
    Scoter::serving("asks_uwsgi")
        .args(["--uwsgi-module"])
        .args(args)
}

/// The request that asks what an expression gives.
fn question(expression: &str) -> PacketBuilder {
    let bytes = expression.bytes();
    let query: String = bytes.map(|byte| format!("%{byte:02X}")).collect();
    with(get("/asks"), [("QUERY_STRING", query.as_str())])
}

/// What an expression gives in a request.
#[track_caller]
fn ask(scoter: &Scoter, expression: &str) -> String {
    let mut peer = scoter.connect();
    peer.packet(&question(expression)).reply().text()
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
        ("uwsgi.is_a_reload", "False"),
        ("uwsgi.get_logvar('x')", "None"),
        (
            "uwsgi.set_logvar('a', 'b'), uwsgi.get_logvar(b'a')",
            "(None, b'b')",
        ),
        (
            "uwsgi.set_logvar('c', b'd'), uwsgi.get_logvar('c')",
            "(None, b'd')",
        ),
        (
            "uwsgi.set_logvar('c', 3)",
            "TypeError: a bytes-like object is required, not 'int'",
        ),
        ("uwsgi.log_this_request()", "None"),
        ("uwsgi.is_locked()", "False"),
        (
            "uwsgi.lock(), uwsgi.is_locked(), uwsgi.unlock()",
            "(None, True, None)",
        ),
        ("uwsgi.is_locked(), uwsgi.unlock()", "(False, None)"),
        ("uwsgi.lock(-1)", "ValueError: Invalid lock number"),
        ("uwsgi.is_locked(256)", "ValueError: Invalid lock number"),
        ("uwsgi.unlock(256)", "ValueError: Invalid lock number"),
        (
            "uwsgi.lock('a')",
            "TypeError: 'str' object cannot be interpreted as an integer",
        ),
        ("uwsgi.signal_registered(3)", "None"),
        (
            "uwsgi.register_signal(3, '', print), uwsgi.signal_registered(3)",
            "(None, True)",
        ),
        ("uwsgi.set_user_harakiri(0)", "None"),
        (
            "uwsgi.set_user_harakiri('x')",
            "TypeError: 'str' object cannot be interpreted as an integer",
        ),
        ("uwsgi.setprocname('abc')", "None"),
        // In the process that imports the application, which is a worker without --preload.
        ("AT_IMPORT['masterpid'] == str(uwsgi.masterpid())", "True"),
        ("AT_IMPORT['worker_id'] == str(uwsgi.worker_id())", "True"),
        // Here they differ. uWSGI takes the first, and has no more locks than it is told.
        (
            "uwsgi.register_signal(1, '', 3)",
            "TypeError: the handler of signal 1 is int, which cannot be called",
        ),
        ("uwsgi.is_locked(255)", "False"),
        (
            "uwsgi.signal(300)",
            "ValueError: there is no signal 300: uWSGI's signals are numbered from 0 to 255",
        ),
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

#[test]
fn requests_are_counted_and_the_hook_runs_after_the_response() {
    let scoter = asking(&[]).start();
    for finished in 0..2 {
        let ids = ask(&scoter, "uwsgi.request_id(), uwsgi.total_requests()");
        assert_eq!(ids, format!("({finished}, {finished})"));
    }
    let gate = scoter.gate("hook");
    // The client has its response while the hook waits.
    let hook = "setattr(uwsgi, 'after_req_hook', lambda: (wait_at('hook'), \
                event(f'after {uwsgi.request_id()} {uwsgi.get_logvar(\"who\")}'))), \
                uwsgi.set_logvar('who', 'ann')";
    assert_eq!(ask(&scoter, hook), "(None, None)");
    gate.open();
    scoter.wait_for_event("after 3 b'ann'");
}

#[test]
fn workers_tell_of_themselves() {
    let scoter = asking(&["--threads=2"]).workers("2").start();
    let workers = scoter.wait_for_workers(2);
    let keys = ask(&scoter, "list(map(sorted, uwsgi.workers()))");
    // uWSGI's keys.
    let expected = [
        "apps",
        "avg_rt",
        "delta_requests",
        "exceptions",
        "id",
        "last_spawn",
        "pid",
        "requests",
        "respawn_count",
        "rss",
        "running_time",
        "signals",
        "status",
        "tx",
        "vsz",
    ];
    let expected = format!("{expected:?}").replace('"', "'");
    assert_eq!(keys, format!("[{expected}, {expected}]"));
    let pids: Vec<_> = workers.iter().map(|worker| worker.pid().as_raw()).collect();
    let told = ask(&scoter, "[worker['pid'] for worker in uwsgi.workers()]");
    assert_eq!(told, format!("{pids:?}"));
    let busy = ask(
        &scoter,
        "[w['status'] for w in uwsgi.workers() if w['id'] == uwsgi.worker_id()]",
    );
    assert_eq!(busy, "[b'busy']");
    let requests = ask(&scoter, "sum(w['requests'] for w in uwsgi.workers())");
    assert_eq!(requests, "3");
}

#[test]
fn variables_are_in_the_line_of_their_request() {
    let format = "$request_uri a=$logvar_a";
    let scoter = asking(&["--access-log-format", format]).start();
    ask(&scoter, "uwsgi.set_logvar('a', 'v\u{e9}\"\\n')");
    ask(&scoter, "1");
    let lines = scoter.wait_for_access_log(2);
    // uWSGI writes the bytes as they are, line feeds too.
    assert!(lines[0].ends_with("a=v\\xC3\\xA9\\x22\\x0A"), "{lines:?}");
    assert!(lines[1].ends_with("a=-"), "{lines:?}");
    let scoter = asking(&["--access-log-format=json", "--access-log-skip=path:/asks"]).start();
    ask(&scoter, "1");
    ask(
        &scoter,
        "uwsgi.set_logvar('user', 'ann'), uwsgi.log_this_request()",
    );
    let lines = scoter.wait_for_access_log(1);
    assert!(
        lines[0].contains("\"logvars\":{\"user\":\"ann\"}"),
        "{lines:?}"
    );
}

#[test]
fn disconnected_client_has_its_response_while_the_application_runs() {
    let scoter = asking(&[]).start();
    let gate = scoter.gate("rest");
    let reply = scoter.connect().packet(&get("/streams")).reply();
    assert_eq!(reply.text(), "early");
    gate.open();
    scoter.wait_for_event("finished");
    assert_eq!(ask(&scoter, "1"), "1");
    assert!(!scoter.stderr().contains("ERROR"), "{}", scoter.stderr());
}

#[test]
fn application_limits_the_time_of_a_request() {
    let scoter = asking(&["--threads=2"]).start();
    let _never = scoter.gate("never");
    let patience = scoter.gate("patience");
    let mut patient = scoter.connect();
    patient.packet(&get("/patient"));
    let reply = scoter.connect().packet(&get("/limited")).reply();
    assert_eq!(reply.status, 504);
    // By now the other one's time would be over, too.
    patience.open();
    assert_eq!(patient.reply().text(), "survived");
}

#[test]
fn lock_is_that_of_all_workers_and_free_once_its_holder_is_killed() {
    let scoter = asking(&["--threads=2"]).workers("2").start();
    scoter.wait_for_workers(2);
    let _hold = scoter.gate("hold");
    let mut holder = scoter.connect();
    let expression = "uwsgi.lock(7), event(f'held {os.getpid()}'), wait_at('hold')";
    holder.packet(&question(expression));
    let held = until("the lock is held", || {
        let events = scoter.events();
        events
            .iter()
            .find_map(|event| event.strip_prefix("held ").map(str::to_owned))
    });
    assert_eq!(
        ask(&scoter, "uwsgi.is_locked(7), uwsgi.is_locked(8)"),
        "(True, False)"
    );
    // Nobody else may free it.
    assert_eq!(
        ask(&scoter, "uwsgi.unlock(7), uwsgi.is_locked(7)"),
        "(None, True)"
    );
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let expression = format!(
                "os.getpid() == {held} or (uwsgi.lock(7), uwsgi.is_locked(7), uwsgi.unlock(7))"
            );
            // Asked until the other worker answers.
            until("the other worker answers", || {
                let mut peer = scoter.connect();
                peer.packet(&question(&expression));
                Some(peer.reply().text()).filter(|text| text != "True")
            })
        });
        let pid = Pid::from_raw(held.parse().expect("a process id"));
        kill(pid, Signal::SIGKILL).expect("it runs");
        waiting.join().expect("no panic")
    });
    assert_eq!(waiting, "(None, True, None)");
}

#[test]
fn parts_that_are_lacking_are_named_when_they_are_used() {
    let scoter = asking(&[]).start();
    for (name, expected) in [
        ("spool", "use a task queue such as Celery"),
        ("mule", "run it as a service of its own"),
        ("rpc", "use HTTP or a message broker"),
    ] {
        let answer = ask(&scoter, &format!("uwsgidecorators.{name}(print)"));
        let begins = format!("Exception: uwsgidecorators.{name} is not there: ");
        assert!(
            answer.starts_with(&begins) && answer.contains(expected),
            "{answer}"
        );
    }
    let answer = ask(&scoter, "uwsgi.register_signal(1, 'nonsense', print)");
    assert!(
        answer.starts_with("ValueError: signal 1 has the target 'nonsense'"),
        "{answer}"
    );
}

fn ticking() -> ScoterBuilder {
    Scoter::serving("ticking")
        .args(["--uwsgi-module"])
        .workers("2")
}

/// The process of each tick, and when it was.
fn ticks(scoter: &Scoter) -> Vec<(i32, u64)> {
    let events = scoter.events();
    let ticks = events.iter().filter_map(|event| {
        let (pid, time) = event.strip_prefix("tick ")?.split_once(' ')?;
        Some((
            pid.parse().expect("a process id"),
            time.parse().expect("a time"),
        ))
    });
    ticks.collect()
}

#[track_caller]
fn wait_for_ticks(scoter: &Scoter, count: usize) -> Vec<(i32, u64)> {
    until(&format!("{count} ticks"), || {
        let ticks = ticks(scoter);
        (ticks.len() >= count).then_some(ticks)
    })
}

#[test]
fn timers_run_in_one_worker_and_go_on_in_another_when_that_is_killed() {
    let scoter = ticking().start();
    scoter.wait_for_workers(2);
    let before = wait_for_ticks(&scoter, 2);
    let elected = before[0].0;
    assert!(before.iter().all(|(pid, _)| *pid == elected), "{before:?}");
    scoter.wait_for_event(&format!("mule {elected}"));
    kill(Pid::from_raw(elected), Signal::SIGKILL).expect("it runs");
    let count = ticks(&scoter).len();
    let after = wait_for_ticks(&scoter, count + 2);
    assert!(
        after[count..].iter().all(|(pid, _)| *pid != elected),
        "{after:?}"
    );
}

#[test]
fn timers_go_on_through_a_reload_without_running_twice() {
    let scoter = ticking().start();
    scoter.wait_for_workers(2);
    let elected = wait_for_ticks(&scoter, 1)[0].0;
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(0), "{reloaded:?}");
    let before = ticks(&scoter).len();
    let all = wait_for_ticks(&scoter, before + 2);
    assert!(
        all[before..].iter().all(|(pid, _)| *pid != elected),
        "{all:?}"
    );
    for pair in all.windows(2) {
        let apart = Duration::from_nanos(pair[1].1 - pair[0].1);
        assert!(apart > Duration::from_millis(300), "twice: {all:?}");
    }
}

#[test]
fn signals_reach_the_workers_that_they_are_for() {
    let scoter = ticking().start();
    scoter.wait_for_workers(2);
    for (signal, expected) in [
        ("100", &["any 100"][..]),
        ("101", &["all 1", "all 2"]),
        ("102", &["second 2"]),
    ] {
        let packet = with(get("/raises"), [("QUERY_STRING", signal)]);
        assert_eq!(scoter.connect().packet(&packet).reply().text(), "raised");
        for event in expected {
            scoter.wait_for_event(event);
        }
    }
    scoter.put("watched", "something new");
    until("the change is noticed", || {
        let events = scoter.events();
        events
            .iter()
            .any(|event| event.starts_with("changed "))
            .then_some(())
    });
    let packet = with(get("/raises"), [("QUERY_STRING", "103")]);
    scoter.connect().packet(&packet).reply();
    scoter.wait_for_log("the handler of signal 103, failing, has failed:");
    scoter.wait_for_log("RuntimeError: not this time");
    for event in ["any 100", "second 2"] {
        let count = scoter.events().iter().filter(|seen| *seen == event).count();
        assert_eq!(count, 1, "{event}");
    }
}

#[test]
fn preloaded_timers_run_in_a_worker_and_end_with_the_server() {
    let mut scoter = ticking().args(["--preload"]).start();
    let workers = scoter.wait_for_workers(2);
    let first = wait_for_ticks(&scoter, 1)[0].0;
    assert!(workers.iter().any(|worker| worker.pid().as_raw() == first));
    scoter.stop();
}
