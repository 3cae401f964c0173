//! Where the control socket of a running server is.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::config::error::{ConfigError, Problem};
use crate::config::from_text::FromText;
use crate::config::settings::{Setting, Settings};
use crate::config::sources::arguments::Arguments;
use crate::config::sources::process_env::ProcessEnv;
use crate::config::sources::{environment, file};
use crate::control::ControlLocation;
use crate::net::Address;

/// Finds the control socket of the server that was started with the same configuration.
///
/// If the arguments or the environment name it, no file is read: a mistake in the file must not
/// lock an operator out of the running server.
///
/// # Errors
///
/// What is wrong with the file, or [`Problem::NoControl`] if the configuration does not determine a
/// path.
pub(crate) fn control_path(arguments: &Arguments) -> Result<PathBuf, ConfigError> {
    find(arguments, &ProcessEnv::of_process())
}

fn find(arguments: &Arguments, env: &ProcessEnv) -> Result<PathBuf, ConfigError> {
    // Misspelt variables are for the server to report.
    let in_environment = environment::read(env, &mut Vec::new());
    let mut problems = Vec::new();
    let in_file = if arguments
        .given
        .iter()
        .chain(&in_environment)
        .any(names_path)
        || arguments
            .given
            .iter()
            .any(|setting| setting.opt.name == "bind")
    {
        Vec::new()
    } else {
        file::read(arguments, env, &mut problems)
    };
    if !problems.is_empty() {
        problems.push(Problem::NotContacted);
        return Err(ConfigError::Problems(problems));
    }
    let layers = [in_file, in_environment, arguments.given.clone()];
    path_in(&Settings::layered(layers, &env.directory))
}

fn names_path(setting: &Setting) -> bool {
    let is_path = |text: &OsStr| ControlLocation::from_word(text).is_none();
    setting.opt.name == CONTROL && setting.texts.iter().any(|text| is_path(text))
}

fn path_in(settings: &Settings) -> Result<PathBuf, ConfigError> {
    let control = settings.get(CONTROL).texts.first();
    let control = control.map_or(Ok(ControlLocation::Beside), |text| {
        ControlLocation::from_text(text)
    });
    let control = control.map_err(|reason| settings.get(CONTROL).problem(reason))?;
    let bind = &settings.get("bind").texts;
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
    path.ok_or_else(|| Problem::NoControl { reason }.into())
}

const CONTROL: &str = "control";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn find_with(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> String {
        let arguments = ["scoter"].iter().chain(arguments).map(Into::into);
        let arguments = Arguments::parse(&arguments.collect::<Vec<_>>()).unwrap();
        match find(&arguments, &ProcessEnv::of_test(folder, variables)) {
            Ok(path) => path.display().to_string(),
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
            ("", "has no Unix socket"),
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
}
