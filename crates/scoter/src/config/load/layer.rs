//! Layers of settings: the command line overrides the environment, which overrides the file,
//! which overrides the table's defaults.

use std::path::Path;

use crate::config::settings::{Setting, Settings};
use crate::config::table::TABLE;

impl Settings {
    /// Applies layers to the defaults, those with the lowest precedence first. Relative paths are
    /// resolved against `here`.
    pub(in crate::config) fn layered(
        layers: impl IntoIterator<Item = Vec<Setting>>,
        here: &Path,
    ) -> Self {
        let mut settings = Self {
            all: TABLE.iter().map(Setting::default_of).collect(),
            uwsgi: None,
        };
        for layer in layers {
            settings.overlay(layer);
        }
        settings.relocate(here);
        settings
    }

    fn overlay(&mut self, layer: Vec<Setting>) {
        for given in layer {
            let ours = self
                .all
                .iter_mut()
                .find(|ours| ours.opt.name == given.opt.name);
            if let Some(ours) = ours {
                *ours = given;
            }
        }
    }

    /// Makes every path absolute, so that it stays valid after a change of directory. Those from
    /// the file already are. The application is looked up in `--chdir`.
    fn relocate(&mut self, here: &Path) {
        let chdir = self.get("chdir").texts.first();
        let there = chdir.map_or_else(|| here.to_owned(), |chdir| here.join(chdir));
        for setting in &mut self.all {
            let folder = match setting.opt.name {
                "app" | "mount" | "pythonpath" => &there,
                _ => here,
            };
            for text in &mut setting.texts {
                *text = (setting.opt.relocate)(text, folder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn command_line_overrides_environment_overrides_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let in_file = "threads = 2";
        for (name, file, variable, argument, expected, origin) in [
            ("nothing", "", "", None, "4", "Default"),
            ("file", in_file, "", None, "2", "File"),
            ("environment", "", "3", None, "3", "Environment"),
            ("argument", "", "", Some("5"), "5", "CommandLine"),
            ("file, environment", in_file, "3", None, "3", "Environment"),
            ("file, argument", in_file, "", Some("5"), "5", "CommandLine"),
            ("all", in_file, "3", Some("5"), "5", "CommandLine"),
        ] {
            fs::write(folder.join("scoter.toml"), file).unwrap();
            let arguments: Vec<_> = argument
                .iter()
                .flat_map(|text| ["--threads", text])
                .collect();
            let settings = Settings::of(&arguments, &[("SCOTER_THREADS", variable)], folder);
            let settings = settings.unwrap();
            let threads = settings.get("threads");
            assert_eq!(threads.texts, [expected], "{name}");
            let found = format!("{:?}", threads.origin);
            assert!(found.starts_with(origin), "{name}: {found}");
        }
    }

    #[test]
    fn relative_paths_are_resolved_by_their_source() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let there = folder.join("there");
        fs::create_dir(&there).unwrap();
        let file = "app = 'wsgi.py:make'\nbind = 'unix:a.sock'\nchdir = 'src'\n\
                    pythonpath = 'lib'\naccess-log = 'access.log'\npid-file = '/run/pid'\n\
                    reload-on-touch = ['x', 'y']\ncontrol = 'c.sock'\n";
        fs::write(there.join("scoter.toml"), file).unwrap();
        let in_file = Settings::of(&["--config", "there/scoter.toml"], &[], &folder).unwrap();
        let given = Settings::of(
            &[
                "wsgi.py:make",
                "--bind=unix:a.sock",
                "--chdir=src",
                "--pythonpath=lib",
                "--access-log=access.log",
                "--pid-file=/run/pid",
                "--reload-on-touch=x",
                "--reload-on-touch=y",
            ],
            &[("SCOTER_CONTROL", "c.sock")],
            &folder,
        );
        let given = given.unwrap();
        for (name, from_file, from_elsewhere) in [
            ("app", "{}/there/wsgi.py:make", "{}/src/wsgi.py:make"),
            ("bind", "unix:{}/there/a.sock", "unix:{}/a.sock"),
            ("chdir", "{}/there/src", "{}/src"),
            ("pythonpath", "{}/there/lib", "{}/src/lib"),
            ("access-log", "{}/there/access.log", "{}/access.log"),
            ("pid-file", "/run/pid", "/run/pid"),
            ("reload-on-touch", "{}/there/x", "{}/x"),
            ("control", "{}/there/c.sock", "{}/c.sock"),
        ] {
            for (settings, expected) in [(&in_file, from_file), (&given, from_elsewhere)] {
                let expected = expected.replace("{}", folder.to_str().unwrap());
                assert_eq!(settings.get(name).texts[0], *expected, "{name}");
            }
        }
    }

    #[test]
    fn words_that_are_not_paths_stay() {
        let words = [
            "app",
            "--access-log=off",
            "--control=off",
            "--bind=unix:@name",
        ];
        let settings = Settings::of(&words, &[], Path::new("/srv")).unwrap();
        for (name, text) in [
            ("app", "app"),
            ("access-log", "off"),
            ("control", "off"),
            ("bind", "unix:@name"),
        ] {
            assert_eq!(settings.get(name).texts, [text], "{name}");
        }
    }
}
