//! Where a running server can be asked.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::error::{ConfigError, Problem};
use super::settings::{Setting, Settings};
use super::surroundings::Surroundings;
use super::text::FromText;
use super::{environment, file};
use crate::listen::Address;

/// Where the control socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Control {
    /// Beside the first Unix socket that is served.
    Beside,
    /// There is none.
    Off,
    /// At this path.
    At(PathBuf),
}

impl Control {
    /// What a word means that is not a path.
    pub(super) fn from_word(text: &OsStr) -> Option<Self> {
        match text.to_str()? {
            "auto" | "on" => Some(Self::Beside),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    /// The path of the socket, where there is one, of a server of these addresses.
    pub(crate) fn path(&self, bind: &[Address]) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::At(path) => Some(path.clone()),
            Self::Beside => bind.iter().find_map(|address| match address {
                Address::Unix(path) => Some(beside(path)),
                Address::Abstract(_) | Address::Tcp(_) | Address::Inherited(_) => None,
            }),
        }
    }
}

fn beside(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".control");
    PathBuf::from(path)
}

/// Finds the control socket of the server that was started with the same configuration.
///
/// Where arguments or the environment name it, no file is read: a mistake there must not
/// keep an operator from the server that runs.
///
/// # Errors
///
/// What is wrong with the file, or [`Problem::NoControl`] where the configuration leads to no
/// path.
pub(crate) fn control_path(arguments: &Arguments) -> Result<PathBuf, ConfigError> {
    find(arguments, &Surroundings::of_process())
}

fn find(arguments: &Arguments, surroundings: &Surroundings) -> Result<PathBuf, ConfigError> {
    // A variable that is misspelt is the server's business.
    let in_environment = environment::read(surroundings, &mut Vec::new());
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
        file::read(arguments, surroundings, &mut problems)
    };
    if !problems.is_empty() {
        return Err(ConfigError::Problems(problems));
    }
    let layers = [in_file, in_environment, arguments.given.clone()];
    path_in(&Settings::layered(layers, &surroundings.directory))
}

fn names_path(setting: &Setting) -> bool {
    let is_path = |text: &OsStr| Control::from_word(text).is_none();
    setting.opt.name == CONTROL && setting.texts.iter().any(|text| is_path(text))
}

fn path_in(settings: &Settings) -> Result<PathBuf, ConfigError> {
    let control = settings.get(CONTROL).texts.first();
    let control = control.map_or(Ok(Control::Beside), |text| Control::from_text(text));
    let control = control.map_err(|reason| settings.get(CONTROL).problem(reason))?;
    let bind = &settings.get("bind").texts;
    let sockets: Vec<_> = bind
        .iter()
        // The host of another would be looked up, for nothing.
        .filter(|text| text.as_encoded_bytes().starts_with(b"unix:"))
        .filter_map(|text| Address::from_text(text).ok())
        .collect();
    let reason = match control {
        Control::Off => "control is off",
        _ => "the configuration binds no Unix socket that it would be beside",
    };
    let path = control.path(&sockets);
    path.ok_or_else(|| Problem::NoControl { reason }.into())
}

const CONTROL: &str = "control";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn find_with(arguments: &[&str], variables: &[(&str, &str)], folder: &Path) -> String {
        let arguments = ["scoter"].iter().chain(arguments).map(Into::into);
        let arguments = Arguments::parse(&arguments.collect::<Vec<_>>()).unwrap();
        match find(&arguments, &Surroundings::of_test(folder, variables)) {
            Ok(path) => path.display().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn control_socket_is_found_as_the_server_was_configured() {
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
            ("", "binds no Unix socket"),
            ("bind = '127.0.0.1:0'", "binds no Unix socket"),
            ("bind = 'unix:/a'\ncontrol = 'off'", "control is off"),
            ("controll = '/c'", "did you mean control?"),
        ] {
            fs::write(folder.path().join("scoter.toml"), file).unwrap();
            let error = find_with(&[], &[], folder.path());
            assert!(error.contains(reason), "{error}");
        }
    }
}
