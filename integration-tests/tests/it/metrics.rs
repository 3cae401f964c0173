//! What the server counts, and who may read it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use integration_tests::{
    Client, Process, Reply, Scoter, empty, get, post, request, skip, until, with,
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Waits until a value is as expected: a request is counted when its response has left.
#[track_caller]
fn wait_for<T: PartialEq + Debug>(expected: &T, read: impl Fn() -> T) {
    until(&format!("{expected:?}"), || {
        (read() == *expected).then_some(())
    });
}

/// The metrics in Prometheus' format.
fn metrics(scoter: &Scoter) -> String {
    scoter.control().get("/metrics").text()
}

/// The value of each series, by its name with the labels.
fn series(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name, value.parse().expect("a number"))
        })
        .collect()
}

/// The series that may only grow.
fn counters(text: &str) -> BTreeMap<&str, f64> {
    let types = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let growing: BTreeSet<_> = types
        .filter(|(_, kind)| ["counter", "histogram"].contains(kind))
        .map(|(name, _)| name)
        .collect();
    let mut series = series(text);
    series.retain(|name, _| {
        let name = name.split('{').next().unwrap_or_default();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        growing.contains(family) || growing.contains(name)
    });
    series
}

/// Fails if a counter is less than it was, or missing.
#[track_caller]
fn assert_none_falls(before: &str, after: &str) {
    let now = counters(after);
    for (name, value) in counters(before) {
        assert!(now.get(name) >= Some(&value), "{name} was {value}: {after}");
    }
}

/// The finished requests by status class.
fn responses(scoter: &Scoter) -> [u64; 5] {
    let status = scoter.status();
    ["1xx", "2xx", "3xx", "4xx", "5xx"].map(|class| {
        let number = &status["totals"]["responses"][class];
        number.as_u64().expect("a number")
    })
}

#[test]
fn finished_requests_are_counted_and_stay_so_whatever_becomes_of_their_worker() {
    let scoter = Scoter::serving("failures")
        .args(["--max-body", "10"])
        .start();
    let ask = |path: &str| {
        let packet = request("GET", path);
        scoter.connect().packet(&packet).reply().status
    };
    assert_eq!(ask("/fine"), 200);
    assert_eq!(ask("/before_start"), 500);
    assert_eq!(
        scoter.connect().packet(&post("/fine", 11)).reply().status,
        413
    );
    wait_for(&[0, 1, 0, 1, 1], || responses(&scoter));

    let mut before = metrics(&scoter);
    let mut expect = |expected: [u64; 5]| {
        assert_eq!(responses(&scoter), expected);
        let now = metrics(&scoter);
        assert_none_falls(&before, &now);
        assert_eq!(ask("/fine"), 200);
        wait_for(&(expected[1] + 1), || responses(&scoter)[1]);
        before = metrics(&scoter);
    };

    let worker = scoter.worker();
    worker.signal(Signal::SIGKILL);
    let successors = scoter.wait_for_workers_that("a successor", |workers| {
        workers.len() == 1 && workers[0].pid() != worker.pid()
    });
    expect([0, 1, 0, 1, 1]);

    assert_eq!(scoter.command(["reload"]).code, Some(0));
    successors[0].wait_until_gone();
    expect([0, 2, 0, 1, 1]);

    assert_eq!(scoter.command(["reload", "--upgrade"]).code, Some(0));
    expect([0, 3, 0, 1, 1]);
    let series = series(&before);
    for (name, expected) in [
        ("scoter_requests_total{method=\"GET\",status=\"2xx\"}", 4.0),
        ("scoter_requests_total{method=\"POST\",status=\"4xx\"}", 1.0),
        ("scoter_request_duration_seconds_count", 6.0),
        ("scoter_refusals_total{reason=\"max-body\"}", 1.0),
        ("scoter_worker_restarts_total{reason=\"crash\"}", 1.0),
        ("scoter_reloads_total{outcome=\"succeeded\"}", 2.0),
        ("scoter_last_reload_successful", 1.0),
    ] {
        assert_eq!(series.get(name), Some(&expected), "{name} in {before}");
    }
}

#[test]
fn status_says_how_long_requests_took_and_waited() {
    let scoter = Scoter::serving("streaming").start();
    assert!(scoter.status()["latency"]["p50_ms"].is_null());
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let start = now.expect("after 1970").as_secs_f64() - 2.0;
    let packet = with(
        get("/quick"),
        [("HTTP_X_REQUEST_START", format!("t={start:.3}"))],
    );
    assert_eq!(scoter.connect().packet(&packet).reply().text(), "quick");
    let status = until("a finished request", || {
        let status = scoter.status();
        status["latency"]["p99_ms"].is_f64().then_some(status)
    });
    for (times, least) in [("latency", 0.0), ("queue", 1_500.0)] {
        let [p50, p99] = ["p50_ms", "p99_ms"].map(|name| status[times][name].as_f64());
        assert!(p50 > Some(least) && p50 <= p99, "{times} of {status}");
    }
    assert!(status["requests_per_second"].is_f64(), "{status}");
    until("a measured worker", || {
        let status = scoter.status();
        status["workers"][0]["cpu_ratio"].is_f64().then_some(())
    });
}

#[test]
fn promtool_accepts_the_metrics() {
    let scoter = Scoter::serving("hello").start();
    assert_eq!(
        scoter.connect().packet(&request("GET", "/")).reply().status,
        200
    );
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    let text = until("the CPU time of a worker", || {
        let text = metrics(&scoter);
        text.contains("scoter_worker_cpu_seconds_total{")
            .then_some(text)
    });
    let checking = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut checking) = checking else {
        return skip("no promtool: `make prometheus` installs it");
    };
    let mut input = checking.stdin.take().expect("piped");
    input.write_all(text.as_bytes()).expect("promtool reads");
    drop(input);
    let checked = checking.wait_with_output().expect("promtool ends");
    let said = [checked.stdout, checked.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        checked.status.success() && said.is_empty(),
        "{said}\n{text}"
    );
}

#[test]
fn open_metrics_are_for_who_prefers_them() {
    let scoter = Scoter::serving("hello").start();
    for (accept, kind, ends) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", false),
        (
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            true,
        ),
    ] {
        let request = hyper::Request::get("/metrics").header("Accept", accept);
        let reply = scoter
            .control()
            .send(request.body(empty()).expect("well-formed"));
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("Content-Type"), Some(kind));
        assert_eq!(reply.text().ends_with("\n# EOF\n"), ends);
    }
}

#[test]
fn no_label_has_a_value_that_a_client_chooses() {
    let scoter = Scoter::serving("hello").start();
    let names = |text: &str| {
        series(text)
            .into_keys()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let hostile = "CLIENT\"} 1\nx";
    // What is known of a worker after a second has been there before.
    let before = until("the CPU time of a worker", || {
        let text = metrics(&scoter);
        text.contains("scoter_worker_cpu_seconds_total{")
            .then(|| names(&text))
    });
    let packet = with(
        request(hostile, &format!("/{hostile}")),
        [
            ("HTTP_HOST", hostile),
            ("HTTP_USER_AGENT", hostile),
            ("HTTP_X_REQUEST_ID", hostile),
            ("REMOTE_USER", hostile),
        ],
    );
    let mut peer = scoter.connect();
    assert_eq!(peer.packet(&packet).reply().status, 200);
    let other = "scoter_requests_total{method=\"other\",status=\"2xx\"}";
    wait_for(&Some(1.0), || series(&metrics(&scoter)).get(other).copied());
    let text = metrics(&scoter);
    assert_eq!(names(&text), before);
    assert!(!text.contains("CLIENT"), "{text}");
}

/// Sends a request to a TCP address and returns the reply.
#[track_caller]
fn ask(address: SocketAddr, method: &str, path: &str) -> Reply {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    let head = format!("{method} {path} HTTP/1.1\r\nHost: scoter\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it is read");
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).expect("a reply");
    Reply::parse(&reply).expect("HTTP")
}

#[test]
fn who_reads_the_metrics_can_change_nothing() {
    let scoter = Scoter::serving("hello")
        .args(["--metrics", "127.0.0.1:0"])
        .start();
    let address = scoter.tcp_address();
    assert!(
        scoter
            .wait_for_log("serving metrics")
            .contains(&address.to_string())
    );
    for (method, path, expected) in [
        ("GET", "/", 200),
        ("GET", "/metrics", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/status", 200),
        ("GET", "/ready", 200),
        ("GET", "/health", 200),
        ("GET", "/nothing", 404),
        ("GET", "/stacks", 404),
        ("POST", "/metrics", 405),
        ("POST", "/stop", 404),
        ("POST", "/reload", 404),
        ("PUT", "/scale/7", 404),
    ] {
        let reply = ask(address, method, path);
        assert_eq!(reply.status, expected, "{method} {path}");
        assert_eq!(
            reply.header("Allow"),
            (expected == 405).then_some("GET"),
            "{path}"
        );
        if expected != 200 {
            let text = reply.text();
            assert!(
                text.contains("GET  /metrics") && !text.contains("/stop  "),
                "{text}"
            );
        }
    }
    let status = ask(address, "GET", "/status").json();
    assert_eq!(
        (&status["generation"], &status["workers_wanted"]),
        (&1.into(), &1.into())
    );
    assert!(ask(address, "GET", "/").text().contains("<html"));
}

#[test]
fn metrics_stay_where_they_are_through_reload_and_upgrade_and_while_the_server_drains() {
    let mut scoter = Scoter::serving("hello")
        .args(["--metrics", "127.0.0.1:0", "--drain-delay", "1m"])
        .start();
    let address = scoter.tcp_address();
    for (generation, command) in [(2, &["reload"][..]), (3, &["reload", "--upgrade"])] {
        let finished = scoter.command(command.iter().copied());
        assert_eq!(finished.code, Some(0), "{finished:?}");
        let status = ask(address, "GET", "/status").json();
        assert_eq!(status["generation"], generation);
    }
    scoter.signal(Signal::SIGTERM);
    until("a server that drains", || {
        (ask(address, "GET", "/ready").status == 503).then_some(())
    });
    let text = ask(address, "GET", "/metrics").text();
    assert!(text.contains("\nscoter_ready 0\n"), "{text}");
    // Another signal, because a second TERM may be the same one.
    scoter.signal(Signal::SIGINT);
    until("an end", || scoter.exit_status());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn metrics_socket_has_the_permissions_of_the_others_and_goes_with_the_server() {
    let scoter = Scoter::serving("hello");
    let path = scoter.folder().join("metrics.sock");
    let address = format!("unix:{}", path.display());
    let mut scoter = scoter
        .args(["--metrics", &address, "--socket-mode", "640"])
        .start();
    let mode = fs::metadata(&path).expect("bound").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let client = Client::new(&path);
    assert_eq!(client.get("/ready").text(), "ready\n");
    scoter.stop();
    assert!(!path.exists());
}

#[test]
fn metrics_socket_of_a_master_that_is_killed_is_removed() {
    let scoter = Scoter::serving("hello");
    let path = scoter.folder().join("metrics.sock");
    let address = format!("unix:{}", path.display());
    let scoter = scoter.args(["--metrics", &address]).start();
    assert!(path.exists());
    scoter.signal(Signal::SIGKILL);
    until("nobody's socket is removed", || {
        (!path.exists()).then_some(())
    });
    scoter.wait_until_all_are_gone();
}

#[test]
fn address_that_metrics_cannot_have_is_named_at_the_start() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = other.local_addr().expect("it is bound").to_string();
    for (args, is_found_by_check, text) in [
        // A running server may be the one that is to be reloaded.
        (
            &["--metrics", &taken][..],
            false,
            "another process already does",
        ),
        (&["--metrics", "0.0.0.0:0"], true, "--metrics-allow CIDR"),
        // No machine has an address of TEST-NET-1 (RFC 5737).
        (
            &["--metrics", "192.0.2.1:0", "--metrics-allow", "::1"],
            true,
            "cannot listen on 192.0.2.1:0",
        ),
        (&["--metrics", "unix:/nowhere/m.sock"], true, "/nowhere"),
        (
            &["--metrics", "fd://3"],
            true,
            "expected host:port, unix:/path or unix:@name",
        ),
    ] {
        let finished = Scoter::serving("hello").args(args).run();
        assert_eq!(finished.code, Some(2), "{args:?}: {finished:?}");
        for text in ["--metrics", text] {
            assert!(finished.stderr.contains(text), "{text}: {finished:?}");
        }
        let checked = Scoter::serving("hello").args(args).as_check().run();
        assert_eq!(checked.code == Some(2), is_found_by_check, "{checked:?}");
    }
}

#[test]
fn metrics_need_an_address_of_their_own() {
    let scoter = Scoter::serving("hello");
    let socket = format!("unix:{}/scoter.sock", scoter.folder().display());
    let finished = scoter.args(["--metrics", &socket]).run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    let scoter = Scoter::serving("hello");
    let control = format!("unix:{}/scoter.sock.control", scoter.folder().display());
    let finished = scoter.args(["--metrics", &control]).run();
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stderr.contains("twice"), "{finished:?}");
}

#[test]
fn silent_readers_keep_nobody_out() {
    let scoter = Scoter::serving("hello")
        .args(["--metrics", "127.0.0.1:0"])
        .start();
    let address = scoter.tcp_address();
    let silent: Vec<_> = (0..80)
        .map(|_| TcpStream::connect(address).expect("somebody listens"))
        .collect();
    assert_eq!(ask(address, "GET", "/ready").status, 200);
    drop(silent);
}

/// The files for Prometheus and Grafana.
fn monitoring(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring");
    fs::read_to_string(folder.join(file)).expect("it is in the repository")
}

/// The queries of the dashboard, as Grafana would send them.
fn dashboard_queries() -> Vec<String> {
    let dashboard: Value =
        serde_json::from_str(&monitoring("grafana-dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("a list");
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("a list"));
    let queries = targets.map(|target| target["expr"].as_str().expect("a query"));
    let queries = queries.map(|query| query.replace("$__rate_interval", "1m"));
    queries
        .map(|query| query.replace("$instance", ".*"))
        .collect()
}

#[test]
fn rules_and_dashboard_name_only_what_there_is() {
    let scoter = Scoter::serving("hello").start();
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    let named = format!(
        "{}{}",
        monitoring("alerts.yml"),
        dashboard_queries().join("\n")
    );
    let named: BTreeSet<_> = named
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("scoter_"))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    // What a worker uses is known after a second.
    until(&format!("{named:?}"), || {
        let text = metrics(&scoter);
        let series = series(&text);
        let existing: BTreeSet<_> = series
            .keys()
            .map(|name| name.split('{').next().unwrap_or_default())
            .collect();
        named.is_subset(&existing).then_some(())
    });
}

/// A Prometheus that scrapes one scoter.
struct Prometheus {
    process: Process,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts it in `folder` with the files of the repository, but for the address.
    fn of(target: SocketAddr, folder: &Path) -> Self {
        let configuration = monitoring("prometheus.yml");
        assert!(configuration.contains("127.0.0.1:9180"));
        let configuration = configuration.replace("127.0.0.1:9180", &target.to_string());
        let global = "global: { scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }\n";
        fs::write(
            folder.join("prometheus.yml"),
            format!("{global}{configuration}"),
        )
        .expect("ours");
        fs::write(folder.join("alerts.yml"), monitoring("alerts.yml")).expect("ours");
        // It does not say which port it has if it is to choose one.
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let mut command = Command::new("prometheus");
        command
            .arg(format!(
                "--config.file={}",
                folder.join("prometheus.yml").display()
            ))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::spawn("prometheus", &mut command, folder, "`make prometheus`");
        Self { process, address }
    }

    /// Asks its API, and returns the data of the answer if there is any.
    fn ask(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let head = format!("GET /api/v1/{path} HTTP/1.0\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (_, body) = reply.split_once("\r\n\r\n")?;
        let answer: Value = serde_json::from_str(body).ok()?;
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        Some(answer["data"].clone())
    }

    /// The samples that a query finds.
    fn query(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = self.ask(&format!("query?query={encoded}"));
        let samples = found.and_then(|data| data["result"].as_array().cloned());
        samples.unwrap_or_default()
    }

    /// Waits until a query has exactly one sample, of this value.
    #[track_caller]
    fn wait_for(&self, query: &str, value: &str) {
        until(&format!("{query} to be {value}"), || {
            let samples = self.query(query);
            (samples.len() == 1 && samples[0]["value"][1] == value).then_some(())
        });
    }
}

#[test]
fn prometheus_scrapes_a_server_and_evaluates_rules_and_dashboard() {
    if Command::new("prometheus")
        .arg("--version")
        .output()
        .is_err()
    {
        return skip("no prometheus: `make prometheus` installs it");
    }
    let scoter = Scoter::serving("failures")
        .args(["--metrics", "127.0.0.1:0"])
        .start();
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let mut prometheus = Prometheus::of(scoter.tcp_address(), folder.path());
    prometheus.wait_for("up{job=\"scoter\"}", "1");
    for (path, status) in [("/fine", 200), ("/fine", 200), ("/before_start", 500)] {
        assert_eq!(scoter.connect().packet(&get(path)).reply().status, status);
    }
    prometheus.wait_for(
        "sum(scoter_requests_total{status=\"2xx\",method=\"GET\"})",
        "2",
    );
    prometheus.wait_for("sum(scoter_requests_total{status=\"5xx\"})", "1");
    prometheus.wait_for("scoter_request_duration_seconds_count", "3");
    assert_eq!(scoter.command(["reload"]).code, Some(0));
    prometheus.wait_for("scoter_reloads_total{outcome=\"succeeded\"}", "1");
    for query in dashboard_queries() {
        // What increases is known after two scrapes.
        until(&query, || {
            let is_rare = query.ends_with("> 0");
            (is_rare || !prometheus.query(&query).is_empty()).then_some(())
        });
    }
    let rules = until("all rules to be evaluated", || {
        let rules = prometheus.ask("rules")?["groups"][0]["rules"].clone();
        let rules = rules.as_array()?.clone();
        let is_known = |rule: &Value| rule["health"] != "unknown";
        rules.iter().all(is_known).then_some(rules)
    });
    assert!(rules.len() > 10, "{rules:?}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    prometheus.process.kill_family();
}

#[test]
fn promtool_accepts_rules_and_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring");
    for (kind, file) in [("rules", "alerts.yml"), ("config", "prometheus.yml")] {
        let checked = Command::new("promtool")
            .args(["check", kind])
            .arg(folder.join(file))
            .output();
        let Ok(checked) = checked else {
            return skip("no promtool: `make prometheus` installs it");
        };
        assert!(checked.status.success(), "{checked:?}");
    }
}
