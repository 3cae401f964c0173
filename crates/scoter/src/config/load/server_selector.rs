//! Which running server a command is for.

use std::ffi::OsStr;

use super::gather::InFiles;
use crate::config::error::{ConfigError, Problem};
use crate::config::from_text::FromText;
use crate::config::origin::Origin;
use crate::config::settings::{Setting, Settings};
use crate::config::sources::arguments::Arguments;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::sources::{environment, file};
use crate::config::values::ServerName;
use crate::control::{ControlLocation, ServerSelector};
use crate::net::Address;

/// Finds out which server is meant: the one that was started with the same configuration, or that
/// has the given name.
///
/// If the arguments or the environment name its socket, no file is read: a mistake in the file must
/// not lock an operator out of the running server.
///
/// # Errors
///
/// What is wrong with the file or the name, or [`Problem::NoControl`] if a server with this
/// configuration has no control socket.
pub(crate) fn server_selector(arguments: &Arguments) -> Result<ServerSelector, ConfigError> {
    find(arguments, &ProcessEnv::of_process())
}

fn find(arguments: &Arguments, env: &ProcessEnv) -> Result<ServerSelector, ConfigError> {
    let name = arguments.given.iter().find(|given| given.opt.name == NAME);
    if let Some(selector) = name.map(named).transpose()?.flatten() {
        return Ok(selector);
    }
    // Misspelt variables are for the server to report.
    let in_environment = environment::read(env, &mut Vec::new());
    let mut problems = Vec::new();
    let in_files = if arguments
        .given
        .iter()
        .chain(&in_environment)
        .any(names_path)
        || arguments
            .given
            .iter()
            .any(|setting| setting.opt.name == BIND)
    {
        InFiles::default()
    } else {
        InFiles::read(arguments, env, &mut problems)
    };
    if !problems.is_empty() {
        problems.push(Problem::NotContacted);
        return Err(ConfigError::Problems(problems));
    }
    let layers = [
        in_files.translated,
        in_files.in_file,
        in_environment,
        arguments.given.clone(),
    ];
    let settings = Settings::layered(layers, &env.directory);
    if is_silent(&settings) {
        if let Some(selector) = named(settings.get(NAME))? {
            return Ok(selector);
        }
        if arguments.uwsgi.is_none() && !file::is_named(arguments, env) {
            return Ok(ServerSelector::Any);
        }
    }
    path_in(&settings)
}

/// The server with the name or process ID that a setting has.
fn named(setting: &Setting) -> Result<Option<ServerSelector>, ConfigError> {
    let Some(text) = setting.texts.first() else {
        return Ok(None);
    };
    if let Some(selector) = text.to_str().and_then(ServerSelector::pid) {
        return Ok(Some(selector));
    }
    let name = ServerName::from_text(text).map_err(|reason| setting.problem(reason))?;
    Ok(Some(ServerSelector::Name(name.0)))
}

/// Whether the settings say nothing of a server's sockets.
fn is_silent(settings: &Settings) -> bool {
    let is_default = |name| settings.get(name).origin == Origin::Default;
    is_default(CONTROL) && is_default(BIND)
}

fn names_path(setting: &Setting) -> bool {
    let is_path = |text: &OsStr| ControlLocation::from_word(text).is_none();
    setting.opt.name == CONTROL && setting.texts.iter().any(|text| is_path(text))
}

fn path_in(settings: &Settings) -> Result<ServerSelector, ConfigError> {
    let control = settings.get(CONTROL).texts.first();
    let control = control.map_or(Ok(ControlLocation::Beside), |text| {
        ControlLocation::from_text(text)
    });
    let control = control.map_err(|reason| settings.get(CONTROL).problem(reason))?;
    let bind = &settings.get(BIND).texts;
    let sockets: Vec<_> = bind
        .iter()
        // Parsing other addresses would look up host names needlessly.
        .filter(|text| text.as_encoded_bytes().starts_with(b"unix:"))
        .filter_map(|text| Address::from_text(text).ok())
        .collect();
    let reason = match control {
        ControlLocation::Off => "control is off",
        _ => "the configuration has no Unix socket to put it next to",
    };
    let path = control.path(&sockets);
    let path = path.ok_or(Problem::NoControl { reason })?;
    Ok(ServerSelector::Path(path))
}

const BIND: &str = "bind";
const CONTROL: &str = "control";
const NAME: &str = "name";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn find_with(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> String {
        let arguments = ["scoter"].iter().chain(arguments).map(Into::into);
        let arguments = Arguments::parse(&arguments.collect::<Vec<_>>()).unwrap();
        match find(&arguments, &ProcessEnv::of_test(folder, variables)) {
            Ok(ServerSelector::Path(path)) => path.display().to_string(),
            Ok(selector) => format!("{selector:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn control_socket_is_found_from_the_servers_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let here = folder.to_str().unwrap();
        let bind = "bind = ['127.0.0.1:0', 'unix:a.sock', 'unix:b.sock']\n";
        for (file, variables, arguments, expected) in [
            (bind, &[][..], &[][..], format!("{here}/a.sock.control")),
            (
                bind,
                &[("SCOTER_BIND", "unix:/e")],
                &[],
                "/e.control".into(),
            ),
            (bind, &[("SCOTER_CONTROL", "/e")], &[], "/e".into()),
            (
                bind,
                &[("SCOTER_CONTROL", "/e")],
                &["--control=c"],
                format!("{here}/c"),
            ),
            ("control = 'c'", &[], &[], format!("{here}/c")),
            ("not toml", &[], &["--control=/c"], "/c".into()),
            ("not toml", &[("SCOTER_CONTROL", "/e")], &[], "/e".into()),
        ] {
            fs::write(folder.join("scoter.toml"), file).unwrap();
            assert_eq!(find_with(arguments, variables, folder), expected, "{file}");
        }
    }

    #[test]
    fn server_without_a_control_socket_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        for (file, reason) in [
            ("bind = '127.0.0.1:0'", "has no Unix socket"),
            ("bind = 'unix:/a'\ncontrol = 'off'", "control is off"),
            ("controll = '/c'", "did you mean control?"),
            ("controll = '/c'", "was not contacted"),
        ] {
            fs::write(folder.path().join("scoter.toml"), file).unwrap();
            let error = find_with(&[], &[], folder.path());
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn name_stands_for_a_socket_that_nothing_else_names() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let here = folder.to_str().unwrap();
        let path = format!("{here}/a.sock.control");
        let any_file = folder.join("any.toml");
        fs::write(&any_file, "threads = 2").unwrap();
        let config = format!("--config={}", any_file.display());
        for (file, variables, arguments, expected) in [
            ("", &[][..], &[][..], "Any"),
            ("threads = 2", &[], &[], "Any"),
            ("", &[], &["--name=shop"], "Name(\"shop\")"),
            ("", &[], &["--name=4242"], "Pid(4242)"),
            (
                "",
                &[],
                &["--name=99999999999"],
                "expected up to 32 letters",
            ),
            ("", &[], &["--name=a/b"], "expected up to 32 letters"),
            ("name = 'shop'", &[], &[], "Name(\"shop\")"),
            ("", &[("SCOTER_NAME", "shop")], &[], "Name(\"shop\")"),
            ("name = 'shop'\nbind = 'unix:a.sock'", &[], &[], &path),
            (
                "bind = 'unix:a.sock'",
                &[],
                &["--name=shop"],
                "Name(\"shop\")",
            ),
            ("not toml", &[], &["--name=shop"], "Name(\"shop\")"),
            (
                "",
                &[("SCOTER_CONTROL", "/c")],
                &["--name=shop"],
                "Name(\"shop\")",
            ),
            ("name = 'shop'\ncontrol = 'off'", &[], &[], "control is off"),
            ("", &[], &[&config], "has no Unix socket"),
        ] {
            fs::write(folder.join("scoter.toml"), file).unwrap();
            let found = find_with(arguments, variables, folder);
            assert!(found.contains(expected), "{file} {arguments:?}: {found}");
        }
    }
}
