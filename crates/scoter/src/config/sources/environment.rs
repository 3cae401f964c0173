//! Options from `SCOTER_*` variables.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::config::error::Problem;
use crate::config::opt::{Arity, OFF, Opt};
use crate::config::origin::Origin;
use crate::config::settings::Setting;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::suggestion::suggest;
use crate::config::table::TABLE;

/// Reads every variable that begins with `SCOTER_`.
///
/// An empty one counts as not set, because `docker compose` and unit files pass those on. A
/// repeatable option takes its values from one variable, separated by commas.
pub(in crate::config) fn read(env: &ProcessEnv, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, value) in &env.variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        if value.is_empty() || is_not_an_option(name, value) {
            continue;
        }
        let Some(opt) = TABLE.iter().find(|opt| opt.variable() == name) else {
            let meant = suggest(&name[PREFIX.len()..]);
            problems.push(Problem::UnknownVariable {
                name: name.to_owned(),
                hint: meant.map(|meant| meant.hint(Opt::variable)),
            });
            continue;
        };
        settings.push(Setting {
            opt,
            texts: texts(opt, value),
            origin: Origin::Environment,
        });
    }
    settings
}

const PREFIX: &str = "SCOTER_";

/// The variable that names the configuration file.
pub(super) const CONFIG: &str = "SCOTER_CONFIG";

/// Distinguishes variables that do not set an option from misspelt ones.
///
/// A Kubernetes Service called `scoter` puts its addresses into every pod of its namespace,
/// as `SCOTER_SERVICE_HOST`, `SCOTER_PORT=tcp://10.0.0.11:80`, `SCOTER_PORT_80_TCP_ADDR`, …
/// (Kubernetes, "Service", "Environment variables").
fn is_not_an_option(name: &str, value: &OsStr) -> bool {
    match name {
        CONFIG | "SCOTER_UPGRADE_FD" => true,
        "SCOTER_PORT" => value.to_str().is_some_and(|value| value.contains("://")),
        name => name.starts_with("SCOTER_SERVICE_") || name.starts_with("SCOTER_PORT_"),
    }
}

fn texts(opt: &Opt, value: &OsStr) -> Vec<OsString> {
    if !matches!(opt.arity, Arity::Many | Arity::Pairs) {
        return vec![switch(opt, value).unwrap_or(value).to_owned()];
    }
    let values = value.as_bytes().split(|byte| *byte == b',');
    values
        .map(|value| OsStr::from_bytes(value.trim_ascii()).to_owned())
        .collect()
}

/// The value of a switch, in the words of the other layers. Container platforms and unit files
/// write 1 and yes; options that accept more than on and off would take these for file names.
fn switch(opt: &Opt, value: &OsStr) -> Option<&'static OsStr> {
    let (on, off) = match opt {
        Opt {
            arity: Arity::Flag, ..
        } => ("true", "false"),
        Opt {
            name: "access-log" | "control",
            ..
        } => ("on", OFF),
        _ => return None,
    };
    let is = |words: [&str; 4]| words.iter().any(|word| value.eq_ignore_ascii_case(word));
    if is(["1", "true", "yes", "on"]) {
        Some(on.as_ref())
    } else if is(["0", "false", "no", "off"]) {
        Some(off.as_ref())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Settings;

    #[test]
    fn switches_accept_common_spellings() {
        let flags = TABLE.iter().filter(|opt| opt.arity == Arity::Flag);
        let names = flags.map(|opt| opt.name).chain(["access-log", "control"]);
        for name in names {
            let opt = TABLE.iter().find(|opt| opt.name == name).unwrap();
            let variable = opt.variable();
            let texts = |value| {
                let variables = [(variable.as_str(), value)];
                let settings = Settings::of(&["app"], &variables, Path::new("/")).unwrap();
                let options = settings.options();
                options.unwrap_or_else(|error| panic!("{variable}={value}: {error}"));
                settings.get(name).texts.clone()
            };
            let is_flag = opt.arity == Arity::Flag;
            for value in ["1", "true", "True", "TRUE", "yes", "on", "On"] {
                let on = if is_flag { "true" } else { "on" };
                assert_eq!(texts(value), [on], "{variable}={value}");
            }
            for value in ["0", "false", "False", "no", "off", "OFF"] {
                let off = if is_flag { "false" } else { "off" };
                assert_eq!(texts(value), [off], "{variable}={value}");
            }
        }
    }

    #[test]
    fn only_switches_accept_these_spellings() {
        for (name, value, message) in [
            (
                "SCOTER_FACTORY",
                "2",
                "SCOTER_FACTORY=2: expected true or false",
            ),
            (
                "SCOTER_THREADS",
                "yes",
                "SCOTER_THREADS=yes: expected a whole number from 1 to 1024",
            ),
        ] {
            let settings = Settings::of(&["app"], &[(name, value)], Path::new("/")).unwrap();
            assert_eq!(settings.options().unwrap_err().to_string(), message);
        }
        let variables = [("SCOTER_WORKERS", "1")];
        let settings = Settings::of(&["app"], &variables, Path::new("/")).unwrap();
        assert_eq!(settings.get("workers").texts, ["1"]);
    }

    #[test]
    fn misspelt_variables_are_refused() {
        for (name, hint) in [
            ("SCOTER_THREAD", "hint: did you mean SCOTER_THREADS?"),
            (
                "SCOTER_HARAKIRI",
                "hint: did you mean SCOTER_REQUEST_TIMEOUT?",
            ),
            ("SCOTER_COLOUR", "SCOTER_COLOUR"),
            (
                "SCOTER_PORT",
                "did you mean SCOTER_BIND? its value is host:port",
            ),
            ("SCOTER_threads", "hint: did you mean SCOTER_THREADS?"),
        ] {
            let error = Settings::of(&["app"], &[(name, "1")], Path::new("/")).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(name) && error.ends_with(hint), "{error}");
        }
    }

    #[test]
    fn unrelated_variables_are_ignored() {
        for (name, value) in [
            ("SCOTER", "/usr/bin/scoter"),
            ("MY_SCOTER_THREAD", "1"),
            ("SCOTER_THREADS", ""),
            ("SCOTER_THREAD", ""),
            ("SCOTER_UPGRADE_FD", "5"),
            ("SCOTER_PORT", "tcp://10.0.0.11:80"),
            ("SCOTER_PORT_80_TCP_ADDR", "10.0.0.11"),
            ("SCOTER_SERVICE_HOST", "10.0.0.11"),
        ] {
            let settings = Settings::of(&["app"], &[(name, value)], Path::new("/"));
            let settings = settings.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(settings.options().unwrap().threads, 4, "{name}");
        }
    }

    #[test]
    fn wrong_values_are_named_as_written() {
        let variables = [("SCOTER_THREADS", "0")];
        let settings = Settings::of(&["app"], &variables, Path::new("/")).unwrap();
        assert_eq!(
            settings.options().unwrap_err().to_string(),
            "SCOTER_THREADS=0: expected a whole number from 1 to 1024"
        );
    }
}
