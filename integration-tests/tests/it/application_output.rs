//! What the application logs and prints, as JSON lines.

use integration_tests::{Scoter, ScoterBuilder, get, until, with};
use serde_json::Value;

fn serving(code: &str) -> ScoterBuilder {
    Scoter::serving("talking")
        .with_file("talking.py", code)
        .args(["--log-format", "json", "--access-log", "off"])
}

fn ask(scoter: &Scoter, path: &str) {
    let packet = with(get(path), [("HTTP_X_REQUEST_ID", "given-1")]);
    scoter.connect().packet(&packet).ending();
}

/// The objects in a log, each line of which must be one.
#[track_caller]
fn objects(log: &str) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
    log.lines().map(object).collect()
}

#[track_caller]
fn find<'a>(objects: &'a [Value], key: &str, text: &str) -> &'a Value {
    let has = |object: &&Value| object[key].as_str().is_some_and(|it| it.contains(text));
    let mut found = objects.iter().filter(has);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("{text}: {objects:#?}"));
    assert_eq!(found.next(), None, "{text}");
    first
}

const LOGGING: &str = "\
import logging, sys
from probe import plain
logging.basicConfig(level=logging.INFO, format='DECORATED %(message)s')
log = logging.getLogger('shop.cart')
log.info('imported')
def application(environ, start_response):
    log.debug('hidden')
    log.warning('%d items\\nand a line', 3)
    log.log(35, 'between the levels')
    try:
        {}['missing']
    except KeyError:
        log.exception('not found')
    log.critical('lone \\udcff, control \\x1b[31m')
    log.error('%d', 'no number')
    logging.getLogger('other').info('from %s', environ['PATH_INFO'])
    return plain(start_response, 'x')
";

#[test]
fn records_of_logging_keep_logger_level_and_traceback() {
    for master in [&[][..], &["--preload"], &["--no-master"]] {
        let mut scoter = serving(LOGGING)
            .args(["--log-application", "stderr"])
            .args(master)
            .start();
        ask(&scoter, "/path");
        let log = scoter.stop().stderr;
        assert!(
            !log.contains("DECORATED") && !log.contains("hidden"),
            "{log}"
        );
        let objects = objects(&log);
        for (message, logger, level) in [
            ("3 items\nand a line", "shop.cart", "warn"),
            ("between the levels", "shop.cart", "warn"),
            ("not found", "shop.cart", "error"),
            ("lone \\udcff, control \u{1b}[31m", "shop.cart", "critical"),
            ("from /path", "other", "info"),
        ] {
            let object = find(&objects, "message", message);
            assert_eq!(object["message"], message);
            assert_eq!(object["logger"], logger, "{object}");
            assert_eq!(object["level"], level, "{object}");
            assert_eq!(object["source"], "logging", "{object}");
            assert_eq!(object["request_id"], "given-1", "{object}");
            assert!(object["time"].is_string(), "{object}");
            assert_eq!(
                object["pid"].is_u64(),
                master != ["--no-master"],
                "{object}"
            );
        }
        let failed = find(&objects, "message", "not found");
        let exception = failed["exception"].as_str().expect("text");
        assert!(exception.starts_with("Traceback (most recent call last):\n  File"));
        assert!(exception.ends_with("\nKeyError: 'missing'"), "{exception}");
        // Python says on standard error what is wrong with a record.
        let wrong = find(&objects, "message", "%d format: a real number is required");
        assert_eq!(wrong["source"], "stderr");
        let imported = find(&objects, "message", "imported");
        assert_eq!(imported.get("request_id"), None, "{imported}");
    }
}

const PRINTING: &str = "\
import atexit, os, sys, threading, traceback
from probe import plain
def say(*words, **how):
    print(*words, file=sys.stderr, **how)
def fails():
    raise LookupError('in a thread')
def application(environ, start_response):
    say('in', 'pieces')
    say('no end yet', end=' ')
    say('and the end')
    say('one\\ntwo')
    say('{\"level\": \"error\"}\\t\\x00 caf\\xe9 \\udc80')
    try:
        fails()
    except LookupError:
        traceback.print_exc()
    thread = threading.Thread(target=fails, name='failing')
    thread.start()
    thread.join()
    sys.stderr.buffer.write(b'bytes \\xff\\n')
    sys.stderr.writelines(['a list', ' of words\\n'])
    say(sys.stderr.encoding, sys.stderr.isatty(), sys.stderr.fileno(), sys.stderr.name)
    print('on standard output')
    say('flushed', end='', flush=True)
    say(' separately')
    say('at the very end', end='')
    return plain(start_response, 'x')
atexit.register(lambda: say('exit handler'))
@atexit.register
def last_words():
    raise RuntimeError('at exit')
";

#[test]
fn printed_lines_are_records_and_tracebacks_stay_whole() {
    for (what, out) in [("stderr", false), ("all", true)] {
        let mut scoter = serving(PRINTING).args(["--log-application", what]).start();
        ask(&scoter, "/");
        let finished = scoter.stop();
        let printed = objects(&finished.stderr);
        let messages = [
            "in pieces",
            "no end yet and the end",
            "one",
            "two",
            "{\"level\": \"error\"}\t\0 caf\u{e9} \\udc80",
            "bytes \u{fffd}",
            "a list of words",
            "utf-8 False 2 <stderr>",
            "flushed",
            " separately",
        ];
        for message in messages {
            let found = printed.iter().filter(|object| object["message"] == message);
            let found: Vec<_> = found.collect();
            assert_eq!(found.len(), 1, "{message}: {printed:#?}");
            assert_eq!(found[0]["source"], "stderr");
            assert_eq!(found[0].get("level"), None);
            assert_eq!(found[0]["request_id"], "given-1");
        }
        let is_traceback = |object: &&Value| {
            let message = object["message"].as_str().unwrap_or_default();
            message.contains("Traceback (most recent call last):")
                && message.ends_with("LookupError: in a thread")
        };
        assert_eq!(
            printed.iter().filter(is_traceback).count(),
            2,
            "{printed:#?}"
        );
        find(&printed, "message", "Exception in thread failing");
        // Nothing is lost at the end.
        find(&printed, "message", "at the very end");
        find(&printed, "message", "exit handler");
        assert!(finished.stderr.contains("RuntimeError: at exit"));
        match out {
            false => assert_eq!(finished.stdout, "on standard output\n"),
            true => {
                let [line] = &objects(&finished.stdout)[..] else {
                    panic!("{}", finished.stdout);
                };
                assert_eq!(line["message"], "on standard output");
                assert_eq!(line["source"], "stdout");
            }
        }
    }
}

#[test]
fn without_the_option_output_stays_as_it_is() {
    for args in [
        &["--log-application", "off"][..],
        &["--log-format", "text", "--log-application", "all"],
    ] {
        let mut scoter = Scoter::serving("talking")
            .with_file("talking.py", LOGGING)
            .args(["--access-log", "off"])
            .args(args)
            .start();
        ask(&scoter, "/path");
        let log = scoter.stop().stderr;
        assert!(log.contains("\nDECORATED from /path\n"), "{log}");
        let warned = log.contains("--log-application all: has no effect: --log-format is not json");
        assert_eq!(warned, args.len() == 4, "{log}");
    }
}

const FORKING: &str = "\
import multiprocessing, os, subprocess, sys
from probe import plain
def child():
    print('from a child', file=sys.stderr)
def application(environ, start_response):
    print('begun ', end='', file=sys.stderr)
    process = multiprocessing.get_context('fork').Process(target=child)
    process.start()
    process.join()
    if os.fork() == 0:
        print('from a fork', file=sys.stderr)
        sys.stderr.flush()
        os._exit(0)
    os.wait()
    print('and ended', file=sys.stderr)
    subprocess.run(['sh', '-c', 'echo raw >&2'], stderr=sys.stderr)
    return plain(start_response, 'x')
";

#[test]
fn children_of_the_application_write_records_of_their_own() {
    let mut scoter = serving(FORKING)
        .args(["--log-application", "stderr"])
        .start();
    ask(&scoter, "/");
    let log = scoter.stop().stderr;
    // What other programs print does not pass through Python.
    let rest = log.replacen("raw\n", "", 1);
    assert_ne!(rest, log, "{log}");
    let objects = objects(&rest);
    let pid = |message| find(&objects, "message", message)["pid"].clone();
    let (child, fork) = (pid("from a child"), pid("from a fork"));
    let parent = find(&objects, "message", "and ended");
    // multiprocessing flushes the streams before it forks.
    assert!(log.contains("begun "), "{log}");
    assert!(child.is_u64() && child != parent["pid"] && child != fork);
    assert_eq!(log.matches("begun ").count(), 1, "{log}");
}

#[test]
fn flask_logs_records_with_their_logger() {
    let code = "\
from flask import Flask
application = Flask('shop')
@application.route('/')
def index():
    application.logger.error('from flask')
    raise ValueError('unhandled')
";
    let mut scoter = serving(code).args(["--log-application", "stderr"]).start();
    ask(&scoter, "/");
    let log = scoter.stop().stderr;
    let objects = objects(&log);
    let record = find(&objects, "message", "from flask");
    assert_eq!(record["logger"], "shop", "{record}");
    assert_eq!(record["level"], "error", "{record}");
    let failed = find(&objects, "message", "Exception on / [GET]");
    let exception = failed["exception"].as_str().expect("a traceback");
    assert!(exception.ends_with("ValueError: unhandled"), "{exception}");
}

#[test]
fn nothing_printed_before_a_crash_is_lost() {
    let code = "\
import ctypes, sys
def application(environ, start_response):
    print('last words', file=sys.stderr)
    ctypes.string_at(0)
";
    let mut scoter = serving(code).args(["--log-application", "all"]).start();
    ask(&scoter, "/");
    scoter.wait_for_log("last words");
    until("the crash is logged", || {
        scoter.stderr().contains("talking.py").then_some(())
    });
    objects(&scoter.stop().stderr);
}

const UNENDED: &str = "\
import sys, threading
from probe import plain
def application(environ, start_response):
    talker = threading.Thread(target=print, args=('without an end',), kwargs={'end': '', 'file': sys.stderr})
    talker.start()
    talker.join()
    return plain(start_response, 'x')
";

#[test]
fn line_without_an_end_is_logged_when_its_thread_ends() {
    let scoter = serving(UNENDED)
        .args(["--log-application", "stderr"])
        .start();
    ask(&scoter, "/");
    scoter.wait_for_log("without an end");
}
