//! Which responses have a line in the access log.

use integration_tests::{Scoter, ScoterBuilder, get, post, until, with};
use serde_json::Value;

/// Answers with the status that the query names, and ends early for `cut`.
const STATUSES: &str = "\
from probe import event, plain, wait_at
def application(environ, start_response):
    query = environ['QUERY_STRING']
    if query == 'waits':
        event('begun')
        wait_at('waits')
    if query == 'cut':
        start_response('200 OK', [('Content-Length', '1000')])
        return [b'part']
    return plain(start_response, 'text', f'{query} Status' if query.isdigit() else '200 OK')
";

fn serving<const N: usize>(args: [&str; N]) -> ScoterBuilder {
    Scoter::serving("statuses")
        .with_file("statuses.py", STATUSES)
        .env("SCOTER_ACCESS_LOG_FORMAT", "$request_uri")
        .args(args)
}

fn ask(scoter: &Scoter, path: &str, query: &str, agent: &str) {
    let uri = match query {
        "" => path.to_owned(),
        query => format!("{path}?{query}"),
    };
    let vars = [
        ("QUERY_STRING", query),
        ("REQUEST_URI", &uri),
        ("HTTP_USER_AGENT", agent),
    ];
    scoter.connect().packet(&with(get(path), vars)).ending();
}

#[test]
fn what_nobody_reads_is_left_out_and_its_failures_are_not() {
    let mut scoter = serving([
        "--access-log-skip",
        "path:/health",
        "--access-log-skip",
        "path:/static/* status:3xx",
        "--access-log-skip",
        "agent:kube-probe/*",
        "--access-log-skip",
        "path:/noise all",
        "--max-body",
        "10",
    ])
    .start();
    for (path, query, agent) in [
        ("/health", "", "curl/8"),
        ("/health", "deep=1", "curl/8"),
        ("/health", "503", "curl/8"),
        ("/health", "cut", "curl/8"),
        ("/healthz", "", "curl/8"),
        ("/static/a.css", "304", "curl/8"),
        ("/static/a.css", "200", "curl/8"),
        ("/any", "", "kube-probe/1.29"),
        ("/any", "500", "kube-probe/1.29"),
        ("/noise", "500", "curl/8"),
        ("/noise", "cut", "curl/8"),
    ] {
        ask(&scoter, path, query, agent);
    }
    // Refused by the server itself.
    let refused = with(post("/health", 100), [("REQUEST_URI", "/health?large")]);
    assert_eq!(scoter.connect().packet(&refused).reply().status, 413);
    let log = scoter.stop().stdout;
    let lines: Vec<_> = log.lines().collect();
    let expected = [
        "/health?503",
        "/health?cut",
        "/healthz",
        "/static/a.css?200",
        "/any?500",
        "/health?large",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn slow_response_is_kept() {
    let args = ["--access-log-skip", "path:/*", "--slow-request", "50ms"];
    let mut scoter = serving(args).start();
    let gate = scoter.gate("waits");
    let vars = [("QUERY_STRING", "waits"), ("REQUEST_URI", "/slow")];
    let mut slow = scoter.connect();
    slow.packet(&with(get("/slow"), vars));
    scoter.wait_for_event("begun");
    until("the request is slow", || {
        let slots = &scoter.status()["workers"][0]["slots"];
        let mut slots = slots.as_array()?.iter();
        slots.find(|slot| slot["age_ms"].as_u64() > Some(50))?;
        Some(())
    });
    gate.open();
    assert_eq!(slow.reply().status, 200);
    ask(&scoter, "/quick", "", "curl/8");
    assert_eq!(scoter.stop().stdout, "/slow\n");
}

#[test]
fn servers_sample_the_same_successes_and_all_failures() {
    let args = ["--access-log-sample", "25%", "--access-log-format", "json"];
    let mut servers = [1, 2].map(|_| serving(args).start());
    for scoter in &servers {
        for number in 0..40 {
            let status = if number % 10 == 0 { "404" } else { "200" };
            let id = format!("request-{number}");
            let vars = [("QUERY_STRING", status), ("HTTP_X_REQUEST_ID", &id)];
            scoter.connect().packet(&with(get("/"), vars)).reply();
        }
    }
    let [one, other] = [0, 1].map(|index| {
        let log = servers[index].stop().stdout;
        let lines = log.lines().map(|line| {
            let line: Value = serde_json::from_str(line).expect("an object");
            let is_success = line["status"] == 200;
            let rate = is_success.then_some(0.25);
            assert_eq!(line.get("sample_rate").and_then(Value::as_f64), rate);
            (line["request_id"].as_str().map(str::to_owned), is_success)
        });
        lines.collect::<Vec<_>>()
    });
    assert_eq!(one, other);
    let successes = one.iter().filter(|(_, is_success)| *is_success).count();
    assert_eq!(one.len() - successes, 4, "{one:?}");
    assert!((1..36).contains(&successes), "{one:?}");
}

#[test]
fn otel_lines_are_objects_with_the_names_of_the_conventions() {
    let mut scoter = serving(["--access-log-format", "json-otel"]).start();
    let vars = [
        ("QUERY_STRING", "503"),
        ("REQUEST_URI", "/path?503"),
        ("HTTP_HOST", "example.com"),
        (
            "HTTP_TRACEPARENT",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    scoter.connect().packet(&with(get("/path"), vars)).reply();
    ask(&scoter, "/", "cut", "curl/8");
    let log = scoter.stop().stdout;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    for (key, expected) in [
        ("trace_id", Value::from("0af7651916cd43dd8448eb211c80319c")),
        ("http.request.method", "GET".into()),
        ("url.path", "/path".into()),
        ("url.query", "503".into()),
        ("http.response.status_code", 503.into()),
        ("http.response.body.size", "text".len().into()),
        ("error.type", "503".into()),
        ("client.address", "192.0.2.1".into()),
        ("server.address", "example.com".into()),
        ("network.protocol.version", "1.1".into()),
        ("scoter.worker", 1.into()),
    ] {
        assert_eq!(lines[0][key], expected, "{key}: {log}");
    }
    let duration = lines[0]["http.server.request.duration"].as_f64();
    assert!(duration.is_some_and(|seconds| (0.0..10.0).contains(&seconds)));
    assert_eq!(lines[1]["error.type"], "cut", "{log}");
}

#[test]
fn mistake_in_a_rule_is_refused_at_the_start() {
    for (args, expected) in [
        (
            ["--access-log-skip", "/health"],
            "--access-log-skip /health: expected path:, status:, agent: or all, not \"/health\"",
        ),
        (
            ["--access-log-sample", "0.1"],
            "--access-log-sample 0.1: expected a percentage from 0.001% to 100%, such as 10% or \
             0.5%, or off",
        ),
    ] {
        let finished = serving(args).run();
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
}

#[test]
fn rules_follow_a_reload() {
    let scoter = serving(["--config", "scoter.toml"]);
    let mut scoter = scoter.with_file("scoter.toml", "").start();
    ask(&scoter, "/health", "before", "curl/8");
    scoter.put("scoter.toml", "access-log-skip = [\"path:/health\"]\n");
    let reloaded = scoter.command(["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.stderr);
    ask(&scoter, "/health", "after", "curl/8");
    assert_eq!(scoter.stop().stdout, "/health?before\n");
}
