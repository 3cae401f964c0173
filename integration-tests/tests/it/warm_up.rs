//! `--warm-up`: a request of the server's own, which has to be answered before it is ready.

use integration_tests::{Scoter, ScoterBuilder};

fn warming(app: &str) -> ScoterBuilder {
    Scoter::serving(format!("warm:{app}")).args(["--no-master", "--warm-up", "/w%C3%A4rm?up=1"])
}

#[test]
fn application_is_warm_when_the_server_is_ready() {
    let scoter = warming("good").start();
    let vars =
        "GET /w%C3%A4rm?up=1 /w\u{c3}\u{a4}rm up=1 localhost 127.0.0.1 scoter warm-up warm-up";
    assert_eq!(scoter.events(), [vars, "closed"]);
    // It is nobody's request.
    assert!(scoter.stdout().is_empty());
}

#[test]
fn application_that_does_not_get_warm_does_not_start() {
    for (app, words) in [
        ("unavailable", "503 Service Unavailable"),
        ("broken", "LookupError: no cache"),
        ("broken_at_its_end", "LookupError: no cache"),
    ] {
        let finished = warming(app).run();
        let log = finished.stderr;
        assert_eq!(finished.code, Some(3), "{app}: {log}");
        assert!(log.contains(words), "{app}: {log}");
        assert!(
            log.contains("--warm-up") && log.contains("/w%C3%A4rm?up=1"),
            "{app}: {log}"
        );
        assert!(!integration_tests::says_ready(&log), "{app}: {log}");
    }
}
