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
use self::server::{Observed, observe, run};

#[test]
fn every_file_serves_as_it_does_under_uwsgi() {
    let Some(uwsgi) = real_uwsgi() else { return };
    let differences = Differences::read();
    let mut cases = chosen_cases();
    let root = rustix::process::getuid().is_root();
    if cases.iter().any(|case| case.root) && !(root && Case::others_can_run()) {
        skip(
            "some of uWSGI's files change the user: that takes root, and a Python that others can run",
        );
        cases.retain(|case| !case.root);
    }
    let failed = in_parallel(&cases, |case| compare(case, &uwsgi, &differences));
    assert!(failed.is_empty(), "{failed:#?}");
    if chosen().is_none() {
        assert_eq!(differences.unneeded(), [""; 0], "no file shows these");
    }
}

#[test]
fn migrated_file_serves_as_the_old_one_does() {
    let mut cases = chosen_cases();
    cases.retain(|case| !case.root);
    let failed = in_parallel(&cases, migrate);
    assert!(failed.is_empty(), "{failed:#?}");
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

/// The part of a name that `UWSGI_FILES` gives, to look at one case only.
fn chosen() -> Option<String> {
    env::var("UWSGI_FILES").ok()
}

fn chosen_cases() -> Vec<Case> {
    let mut cases = Case::all();
    if let Some(part) = chosen() {
        cases.retain(|case| case.name.contains(&part));
    }
    cases
}

/// Migrates, and compares what scoter does with its own file and with uWSGI's.
fn migrate(case: &Case) -> Vec<String> {
    let mut faults = Vec::new();
    let deployment = case.deploy();
    let mut command = Command::new(deployment.path("bin/scoter"));
    command.args(["migrate", "--output", "."]);
    match is_ini(case) {
        true => command.args(
            case.command
                .iter()
                .skip(1)
                .step_by(2)
                .map(|word| deployment.localize(word)),
        ),
        false => command
            .arg("--")
            .args(case.command.iter().map(|word| deployment.localize(word))),
    };
    let finished = run(case, &deployment, "migrate", command);
    let said = deployment.generalize(&(finished.stdout + &finished.stderr));
    if finished.code != Some(case.migrate) {
        faults.push(format!(
            "migrate has ended with {:?}: {said}",
            finished.code
        ));
    }
    for text in &case.says {
        if !said.contains(text) {
            faults.push(format!("{text:?} is not in {said}"));
        }
    }
    if !matches!(case.under_scoter, Outcome::Serves) || !faults.is_empty() {
        return faults;
    }
    let migrated = Command::new(deployment.path("bin/scoter"));
    let migrated = observe(case, &deployment, "migrated", migrated);
    let original = start(case, "scoter", &case.under_scoter, program, &mut faults);
    let (Ok(migrated), Some(original)) = (&migrated, original) else {
        faults.push(format!("{migrated:?}"));
        return faults;
    };
    for (asked, (old, new)) in case
        .requests
        .iter()
        .zip(original.requests.iter().zip(&migrated.requests))
    {
        for (name, old, new) in unlike(old, new) {
            if name != REQUEST_ID {
                faults.push(format!("{asked}: {name} is {new:?}, before it was {old:?}"));
            }
        }
    }
    faults
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
    if let (Outcome::Serves | Outcome::Unasked, Outcome::Refuses(message)) =
        (&case.under_uwsgi, &case.under_scoter)
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
        for (name, left, right) in unlike(uwsgi, scoter) {
            let name = name.replace(STATUS, &format!("{STATUS} of {}", path_of(asked)));
            if !differences.allow(&name, left, right) {
                faults.push(format!(
                    "{asked}: {name} is {right:?}, under uWSGI {left:?}"
                ));
            }
        }
    }
    faults
}

/// What is not the same. If already the status is not, the rest of the response says no more.
fn unlike<'a>(
    uwsgi: &'a BTreeMap<String, String>,
    scoter: &'a BTreeMap<String, String>,
) -> Vec<(&'a str, Option<&'a str>, Option<&'a str>)> {
    let names = uwsgi
        .keys()
        .chain(scoter.keys().filter(|it| !uwsgi.contains_key(*it)));
    let values = names.map(|name| {
        let (left, right) = (uwsgi.get(name), scoter.get(name));
        (
            name.as_str(),
            left.map(String::as_str),
            right.map(String::as_str),
        )
    });
    let mut unlike: Vec<_> = values.filter(|(_, left, right)| left != right).collect();
    if unlike.iter().any(|(name, ..)| *name == STATUS) {
        unlike.retain(|(name, ..)| *name == STATUS);
    }
    unlike
}

fn path_of(asked: &str) -> &str {
    let target = asked.rsplit(' ').next().unwrap_or(asked);
    target.split('?').next().unwrap_or(target)
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
    match is_ini(case) {
        true => deployment.path("bin/scoter"),
        false => deployment.path("bin/uwsgi"),
    }
}

fn is_ini(case: &Case) -> bool {
    case.command.iter().step_by(2).all(|word| word == "--ini")
}

const REQUEST_ID: &str = "environ[\"scoter.request_id\"]";

const STATUS: &str = "the status";

/// Cases that run together. Most of their time they wait.
const AT_ONCE: usize = 4;
