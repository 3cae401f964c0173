//! The values of options for development.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::application;
use super::private_folder::{SOCKET, private_folder};
use crate::config::error::{APP, Problem};
use crate::config::opt::Opt;
use crate::config::settings::Setting;
use crate::config::table::TABLE;

/// The layers of the settings, those with the lowest precedence first: values for development in
/// place of the table's, then what the configuration says about the application, then the command
/// line, and then the sockets of `scoter dev`.
///
/// # Errors
///
/// [`Problem::NoApplicationHere`] if no application is named, and none is found.
pub(in crate::config) fn layers(
    configured: [Vec<Setting>; 3],
    given: Vec<Setting>,
    here: &Path,
) -> Result<Vec<Vec<Setting>>, Problem> {
    let defaults = DEFAULTS.map(|(name, text)| of_development(name, text.into()));
    let configured = configured.map(|layer| {
        let kept = layer.into_iter().filter(|it| is_of_application(it.opt));
        kept.collect::<Vec<_>>()
    });
    let mut socket = OsString::from("unix:");
    socket.push(private_folder().join(SOCKET));
    let mut layers = vec![Vec::from(defaults)];
    layers.extend(configured);
    layers.push(given);
    let is_application = |it: &Setting| matches!(it.opt.name, APP | MOUNT);
    if !layers.iter().flatten().any(is_application) {
        let folder = directory(&layers, here);
        let Some(found) = application::find(&folder) else {
            return Err(Problem::NoApplicationHere { folder });
        };
        layers.push(vec![of_development(APP, found.into())]);
    }
    layers.push(vec![
        of_development("bind", socket),
        of_development("socket-mode", "600".into()),
    ]);
    Ok(layers)
}

/// Whether the command line of `scoter dev` takes an option.
pub(in crate::config) fn is_offered(opt: &Opt) -> bool {
    !FOR_PRODUCTION.contains(&opt.name)
}

/// Whether an option says what the application is and what it takes, and not how much of a machine
/// it has, who runs it or where its logs go.
fn is_of_application(opt: &Opt) -> bool {
    is_offered(opt) && matches!(opt.section, "Application" | "Requests")
}

/// The directory that the application will be looked up in.
fn directory(layers: &[Vec<Setting>], here: &Path) -> PathBuf {
    let settings = layers.iter().flatten().rev();
    let mut chdir = settings.filter(|it| it.opt.name == "chdir");
    let text = chdir.next().and_then(|chdir| chdir.texts.first());
    text.map_or_else(|| here.to_owned(), |chdir| here.join(chdir))
}

fn of_development(name: &str, text: OsString) -> Setting {
    let opt = TABLE.iter().find(|opt| opt.name == name);
    let mut setting = Setting::default_of(opt.expect("names come from the table"));
    setting.texts = vec![text];
    setting
}

/// Applications of certain paths.
const MOUNT: &str = "mount";

/// What is another value by default.
const DEFAULTS: [(&str, &str); 3] = [
    ("workers", "1"),
    // Neither a request that is held in a debugger nor an endless stream keeps Ctrl-C waiting for
    // long, and a reload cuts no request that is only slow.
    ("graceful-timeout", "5s"),
    ("access-log-format", "terminal"),
];

/// What `scoter dev` does not offer: its sockets are its own, and whoever starts it is its user.
const FOR_PRODUCTION: [&str; 14] = [
    "bind",
    "socket-mode",
    "socket-owner",
    "socket-group",
    "backlog",
    "allow",
    "preload",
    "warm-up",
    "no-master",
    "user",
    "group",
    "pid-file",
    "reload-on-touch",
    "drain-delay",
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::settings::Settings;

    fn settings(file: &str, arguments: &[&str]) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scoter.toml"), file).unwrap();
        let arguments = [&["dev"], arguments].concat();
        let variables = [("SCOTER_LOG_LEVEL", "error"), ("SCOTER_FACTORY", "true")];
        Settings::of(&arguments, &variables, folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_name_is_an_option() {
        let defaults = DEFAULTS.iter().map(|(name, _)| name);
        for name in FOR_PRODUCTION.iter().chain(defaults) {
            assert!(TABLE.iter().any(|opt| opt.name == *name), "{name}");
        }
        for section in ["Application", "Requests"] {
            assert!(TABLE.iter().any(|opt| opt.section == section), "{section}");
        }
    }

    #[test]
    fn configuration_of_production_says_only_what_the_application_is() {
        let file = "app = 'shop:wsgi'\nmax-body = '2M'\nbind = 'unix:/run/shop.sock'\n\
                    user = 'www-data'\nworkers = 8\nrequest-timeout = '30s'\npreload = true\n\
                    access-log = '/var/log/shop'\ncontrol = '/run/shop.control'\n";
        let settings = settings(file, &["--threads=2"]).unwrap();
        for (name, text) in [
            ("app", Some("shop:wsgi")),
            ("factory", Some("true")),
            ("max-body", Some("2M")),
            ("threads", Some("2")),
            ("user", None),
            ("workers", Some("1")),
            ("request-timeout", Some("off")),
            ("preload", Some("false")),
            ("access-log", Some("on")),
            ("log-level", Some("info")),
            ("control", Some("auto")),
            ("socket-mode", Some("600")),
        ] {
            let found = settings.get(name).texts.first();
            assert_eq!(found.map(|text| text.to_str().unwrap()), text, "{name}");
        }
        let bind = settings.get("bind").texts[0].to_str().unwrap().to_owned();
        assert!(
            bind.starts_with("unix:/") && bind.ends_with("/scoter.sock"),
            "{bind}"
        );
        assert!(settings.options().is_ok());
    }

    #[test]
    fn command_line_overrides_the_values_of_development() {
        let arguments = [
            "app",
            "--workers=2",
            "--control=/c",
            "--access-log-format=json",
        ];
        let settings = settings("", &arguments).unwrap();
        for (name, text) in [
            ("workers", "2"),
            ("control", "/c"),
            ("access-log-format", "json"),
        ] {
            assert_eq!(settings.get(name).texts, [text]);
        }
    }

    #[test]
    fn options_of_production_are_answered_with_what_there_is_instead() {
        for (argument, tip) in [
            (
                "--bind=unix:/a",
                "tip: scoter dev listens for HTTP: --http 127.0.0.1:8000",
            ),
            (
                "--reload-on-touch=x",
                "tip: scoter dev reloads and shows tracebacks by itself; --watch PATH",
            ),
            ("--reload", "tip: scoter dev reloads and shows"),
            ("--debug", "tip: scoter dev reloads and shows"),
            ("--port=5000", "tip: scoter dev listens for HTTP: --http"),
            ("--host=0.0.0.0", "tip: scoter dev listens for HTTP: --http"),
            ("-p", "tip: scoter dev listens for HTTP: --http"),
            ("-b", "tip: scoter dev listens for HTTP: --http"),
            ("--user=www-data", "tip: --user is for production"),
            ("--http=0.0.0.0:80", "listens on loopback addresses only"),
            ("--htpp=1", "'--http'"),
        ] {
            let error = settings("", &["app", argument]).unwrap_err();
            assert!(error.contains(tip), "{error}");
            assert!(error.contains("scoter dev"), "{error}");
            assert!(
                !error.contains("a similar argument") || argument == "--htpp=1",
                "{error}"
            );
        }
    }

    #[test]
    fn application_that_is_not_there_is_explained() {
        let error = settings("", &[]).unwrap_err();
        assert!(error.contains("no APP to serve"), "{error}");
        assert!(error.contains("manage.py, wsgi.py or app.py"), "{error}");
    }
}
