//! Starts a server with a deployment, and notes all that can be seen of it.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use integration_tests::{Ending, Finished, Process, Reply, ending_of, post, request, until, with};
use nix::sys::signal::{Signal, killpg};
use serde_json::Value;

use super::case::{Case, Deployment, Outcome};

/// What one server showed: for each request what was seen, by name.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) log: String,
    pub(super) requests: Vec<BTreeMap<String, String>>,
}

/// Starts `command` with the files of `deployment`, and asks it what the case asks.
///
/// # Errors
///
/// It has ended: its log.
pub(super) fn observe(
    case: &Case,
    deployment: &Deployment,
    name: &'static str,
    command: Command,
) -> Result<Observed, String> {
    let mut process = spawn(case, deployment, name, command);
    let log = || {
        let files = ["app/uwsgi.log", "run/uwsgi.log"].map(|it| deployment.path(it));
        files
            .iter()
            .map(|it| fs::read_to_string(it).unwrap_or_default())
            .collect::<String>()
    };
    let ended = until(&format!("{} is ready under {name}", case.name), || {
        let log = process.stderr() + &process.stdout() + &log();
        if process.exit_status().is_some() {
            return Some(true);
        }
        let ready = log.contains("spawned uWSGI worker") || integration_tests::says_ready(&log);
        ready.then_some(false)
    });
    let log = process.stderr() + &process.stdout() + &log();
    let log = deployment.generalize(&log);
    if ended {
        return Err(log);
    }
    let runs_alone = matches!(
        (&case.under_uwsgi, &case.under_scoter),
        (Outcome::Serves, Outcome::Serves)
    );
    let mut requests = Vec::new();
    if runs_alone {
        for asked in &case.requests {
            requests.push(ask(case, deployment, &log, asked));
        }
    }
    // uWSGI's processes do not always end when they are told to while they start, and under a name of their own they
    // are not found.
    killpg(process.pid(), Signal::SIGKILL).expect("the process leads its group");
    Ok(Observed { log, requests })
}

/// Runs a command with the same environment, to its end.
pub(super) fn run(
    case: &Case,
    deployment: &Deployment,
    name: &'static str,
    command: Command,
) -> Finished {
    spawn(case, deployment, name, command).wait()
}

fn spawn(
    case: &Case,
    deployment: &Deployment,
    name: &'static str,
    mut command: Command,
) -> Process {
    command
        .process_group(0)
        .current_dir(deployment.path("app").join(&case.directory))
        // Python makes this of the locale C, in the environment of whatever it starts.
        .env("LC_CTYPE", "C.UTF-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", deployment.path("lib"))
        .env("APP_FOLDER", deployment.path("app"));
    if let Some(home) = deployment.python_home() {
        command.env("PYTHONHOME", home);
    }
    for (key, value) in &case.environment {
        command.env(key, deployment.localize(value));
    }
    Process::spawn(
        name,
        &mut command,
        deployment.folder(),
        "build it first: make build uwsgi",
    )
}

fn ask(case: &Case, deployment: &Deployment, log: &str, asked: &str) -> BTreeMap<String, String> {
    let (method, target) = asked.rsplit_once(' ').unwrap_or(("GET", asked));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut bytes = Vec::new();
    let packet = match method {
        "POST" => post(path, BODY.len()),
        _ => request(method, path),
    };
    let packet = with(
        packet,
        [
            ("QUERY_STRING", query),
            ("REQUEST_URI", target),
            ("CONTENT_TYPE", "application/x-www-form-urlencoded"),
            ("HTTP_HOST", "example.com"),
            ("HTTP_COOKIE", "session=caf\u{e9}"),
            ("HTTP_X_FORWARDED_FOR", "203.0.113.7"),
        ],
    );
    bytes.extend(packet.to_vec().expect("a test's packet fits"));
    if method == "POST" {
        bytes.extend(BODY);
    }
    let mut seen = BTreeMap::new();
    let ending = match &case.socket {
        Some(path) => {
            let path = deployment.path("app").join(path);
            see_socket(&path, &mut seen);
            let stream = UnixStream::connect(&path)
                .unwrap_or_else(|error| panic!("{}: {}: {error}", case.name, path.display()));
            ending_of(stream, &bytes)
        }
        None => {
            let address = tcp_address(log).unwrap_or_else(|| panic!("no address in {log}"));
            let stream = TcpStream::connect(address).expect("it is ready");
            ending_of(stream, &bytes)
        }
    };
    match ending {
        Ending::Closed(bytes) if !bytes.is_empty() => {
            let reply = Reply::parse(&bytes).unwrap_or_else(|error| panic!("{error}"));
            see_reply(&reply, deployment, &mut seen);
        }
        Ending::Closed(_) => _ = seen.insert("the reply".into(), "nothing".into()),
        Ending::Reset(_) => _ = seen.insert("the reply".into(), "a reset".into()),
    }
    seen
}

fn see_socket(path: &Path, seen: &mut BTreeMap<String, String>) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    if metadata.file_type().is_socket() {
        seen.insert(
            "mode of the socket".into(),
            format!("{:o}", metadata.mode() & 0o777),
        );
        let owner = format!("{}:{}", metadata.uid(), metadata.gid());
        seen.insert("owner of the socket".into(), owner);
    }
}

fn see_reply(reply: &Reply, deployment: &Deployment, seen: &mut BTreeMap<String, String>) {
    seen.insert(
        "the status".into(),
        format!("{} {}", reply.status, reply.reason),
    );
    let mut headers = reply.headers.clone();
    headers.retain(|(name, _)| name != "Content-Length");
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    seen.insert("the headers".into(), headers.join(", "));
    let text = deployment.generalize(&reply.text());
    match serde_json::from_str(&text) {
        Ok(Value::Object(parts)) if parts.contains_key("environ") => {
            see_part("environ", &parts["environ"], seen);
            seen.insert("the request's body".into(), text_of(&parts["body"]));
            for (key, value) in parts["process"].as_object().expect("of seen.py") {
                see_part(key, value, seen);
            }
        }
        _ => _ = seen.insert("the body".into(), text),
    }
}

/// Notes a value: a table's entries each by its own name, a list's joined.
fn see_part(name: &str, value: &Value, seen: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                // What the harness itself sets.
                if !OF_THE_TEST.contains(&key.as_str()) {
                    seen.insert(format!("{name}[\"{key}\"]"), text_of(value));
                }
            }
        }
        value => _ = seen.insert(name.into(), text_of(value)),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<_> = values.iter().map(text_of).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}

/// The address that a log names: both servers say what they listen on.
fn tcp_address(log: &str) -> Option<SocketAddr> {
    log.split(|c: char| c.is_whitespace() || ",\"=".contains(c))
        // uWSGI leaves out the host if it is any.
        .filter_map(|word| match word.strip_prefix(':') {
            Some(port) => Some(([127, 0, 0, 1], port.parse().ok()?).into()),
            None => word.parse::<SocketAddr>().ok(),
        })
        .find(|address| address.port() != 0)
}

/// Variables that the test itself sets, or a shell that starts the server.
const OF_THE_TEST: [&str; 6] = [
    "TEST_FOLDER",
    "TMPDIR",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "PWD",
];

const BODY: &[u8] = b"name=value&other=caf%C3%A9";
