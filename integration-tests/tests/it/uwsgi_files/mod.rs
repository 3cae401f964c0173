//! uWSGI's files move: each folder of `integration-tests/uwsgi` is started by uWSGI itself and by scoter, and what
//! applications and clients see of both is compared.

mod case;
mod differences;
mod server;

use std::collections::BTreeMap;
use std::env;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use integration_tests::{real_uwsgi, skip};

use self::case::{Case, Deployment, Outcome};
use self::differences::Differences;
use self::server::{Observed, observe};

#[test]
fn every_file_serves_as_it_does_under_uwsgi() {
    let Some(uwsgi) = real_uwsgi() else { return };
    let differences = Differences::read();
    let only = env::var("UWSGI_FILES").ok();
    let mut cases = Case::all();
    cases.retain(|case| only.as_ref().is_none_or(|only| case.name.contains(only)));
    let root = rustix::process::getuid().is_root();
    if cases.iter().any(|case| case.root) && !(root && Case::others_can_run()) {
        skip(
            "some of uWSGI's files change the user: that takes root, and a Python that others can run",
        );
        cases.retain(|case| !case.root);
    }
    let failed = in_parallel(&cases, |case| compare(case, &uwsgi, &differences));
    assert!(failed.is_empty(), "{failed:#?}");
    if only.is_none() {
        assert_eq!(differences.unneeded(), [""; 0], "no file shows these");
    }
}

/// Runs `check` with every case, and returns what failed.
fn in_parallel(cases: &[Case], check: impl Fn(&Case) -> Vec<String> + Sync) -> Vec<String> {
    let (left, failed) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(case) = left.lock().expect("not held by a check").next() else {
                        return;
                    };
                    let found = panic::catch_unwind(panic::AssertUnwindSafe(|| check(case)));
                    let found = found.unwrap_or_else(|_| vec!["panicked".into()]);
                    let found = found.iter().map(|it| format!("{}: {it}", case.name));
                    failed.lock().expect("not held by a check").extend(found);
                }
            });
        }
    });
    failed.into_inner().expect("not held by a check")
}

/// Starts both servers, one after the other, and returns what is not as intended.
fn compare(case: &Case, uwsgi: &Path, differences: &Differences) -> Vec<String> {
    let mut faults = Vec::new();
    let under_uwsgi = start(
        case,
        "uwsgi",
        &case.under_uwsgi,
        |_, _| uwsgi.to_owned(),
        &mut faults,
    );
    let under_scoter = start(case, "scoter", &case.under_scoter, program, &mut faults);
    if let (Outcome::Serves, Outcome::Refuses(message)) = (&case.under_uwsgi, &case.under_scoter)
        && !differences.allow(message, Some("serves"), Some("does not start"))
    {
        faults.push(format!("no row tells that this is refused: {message}"));
    }
    let (Some(under_uwsgi), Some(under_scoter)) = (under_uwsgi, under_scoter) else {
        return faults;
    };
    for text in &case.says {
        if !under_scoter.log.contains(text) {
            faults.push(format!("{text:?} is not in {}", under_scoter.log));
        }
    }
    let requests = case
        .requests
        .iter()
        .zip(under_uwsgi.requests.iter().zip(&under_scoter.requests));
    for (asked, (uwsgi, scoter)) in requests {
        let status = |seen: &BTreeMap<String, String>| seen.get("the status").cloned();
        let statuses = (status(uwsgi), status(scoter));
        // Of responses that are meant to be others the rest differs, too.
        if statuses.0 != statuses.1
            && differences.allow("the status", statuses.0.as_deref(), statuses.1.as_deref())
        {
            continue;
        }
        for name in uwsgi
            .keys()
            .chain(scoter.keys().filter(|it| !uwsgi.contains_key(*it)))
        {
            let (left, right) = (uwsgi.get(name), scoter.get(name));
            let (left, right) = (left.map(String::as_str), right.map(String::as_str));
            if left != right && !differences.allow(name, left, right) {
                faults.push(format!(
                    "{asked}: {name} is {right:?}, under uWSGI {left:?}"
                ));
            }
        }
    }
    faults
}

fn start(
    case: &Case,
    name: &'static str,
    expected: &Outcome,
    program: impl Fn(&Case, &Deployment) -> PathBuf,
    faults: &mut Vec<String>,
) -> Option<Observed> {
    if matches!(expected, Outcome::Unasked) {
        return None;
    }
    let deployment = case.deploy();
    let mut command = Command::new(program(case, &deployment));
    command.args(case.command.iter().map(|word| deployment.localize(word)));
    match (observe(case, &deployment, name, command), expected) {
        (Ok(observed), Outcome::Serves) => return Some(observed),
        (Ok(observed), Outcome::Refuses(message)) => {
            faults.push(format!(
                "{name} serves, expected {message:?}: {}",
                observed.log
            ));
        }
        (Err(log), Outcome::Refuses(message)) if log.contains(message) => {}
        (Err(log), expected) => faults.push(format!("{name} has ended, {expected:?}: {log}")),
        (Ok(_), Outcome::Unasked) => {}
    }
    None
}

/// As scoter is called: by its own name where its own option `--ini` does, else by that of uWSGI.
fn program(case: &Case, deployment: &Deployment) -> PathBuf {
    match case.command.len() == 2 && case.command[0] == "--ini" {
        true => deployment.path("bin/scoter"),
        false => deployment.path("bin/uwsgi"),
    }
}

/// Cases that run together. Most of their time they wait.
const AT_ONCE: usize = 4;
