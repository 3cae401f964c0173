//! What every source says, put together: texts with their origins.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::arguments::Arguments;
use super::directory::working_directory;
use super::error::{ConfigError, Problem, Written};
use super::opt::Opt;
use super::origin::Origin;
use super::surroundings::Surroundings;
use super::table::{Options, TABLE};
use super::{directory, environment, file, master};

/// The texts of every option, each from the source that counts most: the command line, then
/// the environment, then the file, then the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings(pub(super) Vec<Setting>);

/// The texts of one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) opt: &'static Opt,
    /// None where the option has no value, several only where it is repeatable.
    pub(crate) texts: Vec<OsString>,
    pub(crate) origin: Origin,
}

impl Settings {
    /// Reads all sources again, and goes to where the working directory's name leads now.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong. That the working directory has gone is wrong only
    /// where something is to be found in it.
    pub(crate) fn read_again(arguments: &[OsString]) -> Result<(Self, Options), ConfigError> {
        let entered = enter_directory();
        let arguments = Arguments::parse(arguments)?;
        let surroundings = Surroundings::of_process();
        let is_named = file::is_named_absolutely(&arguments, &surroundings);
        let entered = if is_named { entered } else { Ok(entered?) };
        let settings = Self::gather(&arguments, &surroundings)?;
        let options = settings.options()?;
        if options.chdir.is_none() {
            entered?;
        }
        Ok((settings, options))
    }

    /// Goes to where the working directory's name leads now, for another process that reads
    /// all sources.
    ///
    /// # Errors
    ///
    /// As for [`Settings::read_again`], as far as `options` were those that will be read.
    pub(crate) fn enter_directory(
        arguments: &[OsString],
        options: &Options,
    ) -> Result<(), ConfigError> {
        let entered = enter_directory();
        let arguments = Arguments::parse(arguments)?;
        let surroundings = Surroundings::of_process();
        let is_named = file::is_named_absolutely(&arguments, &surroundings);
        if is_named && options.chdir.is_some() {
            return Ok(());
        }
        entered
    }

    /// The file that these arguments lead to, whether it is there or not.
    pub(crate) fn source(arguments: &[OsString]) -> PathBuf {
        match Arguments::parse(arguments) {
            Ok(arguments) => file::path(&arguments, &Surroundings::of_process()),
            Err(_) => PathBuf::new(),
        }
    }

    /// Reads all sources.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong, and in which place. Whether values are what their
    /// options take is asked by [`Settings::options`].
    pub(crate) fn with(arguments: &Arguments) -> Result<Self, ConfigError> {
        Self::gather(arguments, &Surroundings::of_process())
    }

    pub(super) fn gather(
        arguments: &Arguments,
        surroundings: &Surroundings,
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let in_file = file::read(arguments, surroundings, &mut problems);
        let in_environment = environment::read(surroundings, &mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems));
        }
        let layers = [in_file, in_environment, arguments.given.clone()];
        Ok(Self::layered(layers, &surroundings.directory))
    }

    /// Puts layers onto the defaults, those that count least first. Relative paths start in
    /// `here`.
    pub(super) fn layered(layers: impl IntoIterator<Item = Vec<Setting>>, here: &Path) -> Self {
        let mut settings = Self(TABLE.iter().map(Setting::default_of).collect());
        for layer in layers {
            settings.overlay(layer);
        }
        settings.relocate(here);
        settings
    }

    /// One option, by its name.
    pub(crate) fn get(&self, name: &str) -> &Setting {
        let setting = self.0.iter().find(|setting| setting.opt.name == name);
        setting.expect("names come from the table, and every row has a setting")
    }

    /// The file that some of it is from, as the operator named it.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.iter().find_map(|setting| match &setting.origin {
            Origin::File(place) => Some(&*place.file),
            Origin::Default | Origin::Environment | Origin::CommandLine => None,
        })
    }

    /// The values that the texts stand for.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Problems`] names every text that its option does not take, and every
    /// contradiction.
    pub(crate) fn options(&self) -> Result<Options, ConfigError> {
        let options = Options::read(self).map_err(ConfigError::Problems)?;
        if options.no_master {
            master::refuse_what_needs_it(self)?;
        }
        Ok(options)
    }

    /// [`Settings::options`], where no application need be named.
    pub(crate) fn check_all_but_app(&self) -> Result<(), ConfigError> {
        match self.options() {
            Err(ConfigError::Problems(mut problems)) => {
                problems.retain(|problem| !matches!(problem, Problem::NoApplication));
                if problems.is_empty() {
                    return Ok(());
                }
                Err(ConfigError::Problems(problems))
            }
            checked => checked.map(drop),
        }
    }

    /// The options whose values differ. Those of [`Change::Restart`](super::Change::Restart)
    /// wait for one.
    pub(crate) fn changed(old: &Self, new: &Self) -> Vec<&'static Opt> {
        let pairs = old.0.iter().zip(&new.0);
        pairs
            .filter(|(old, new)| old.texts != new.texts)
            .map(|(_, new)| new.opt)
            .collect()
    }

    fn overlay(&mut self, layer: Vec<Setting>) {
        for given in layer {
            let ours = self
                .0
                .iter_mut()
                .find(|ours| ours.opt.name == given.opt.name);
            if let Some(ours) = ours {
                *ours = given;
            }
        }
    }

    /// Makes every path absolute, so that it means the same to whoever reads it from another
    /// directory. Those of the file are already. The application is looked for from
    /// `--chdir`.
    fn relocate(&mut self, here: &Path) {
        let chdir = self.get("chdir").texts.first();
        let there = chdir.map_or_else(|| here.to_owned(), |chdir| here.join(chdir));
        for setting in &mut self.0 {
            let folder = match setting.opt.name {
                "app" | "pythonpath" => &there,
                _ => here,
            };
            for text in &mut setting.texts {
                *text = (setting.opt.relocate)(text, folder);
            }
        }
    }
}

fn enter_directory() -> Result<(), ConfigError> {
    directory::enter_again().map_err(|error| {
        let path = working_directory().to_owned();
        Problem::Directory { path, error }.into()
    })
}

impl Setting {
    /// What is wrong with its first text.
    pub(super) fn problem(&self, reason: String) -> Problem {
        let text = self.texts.first().map(|text| text.to_string_lossy());
        let written = Written::new(self.opt, &text.unwrap_or_default(), &self.origin);
        Problem::Value { written, reason }
    }

    fn default_of(opt: &'static Opt) -> Self {
        Self {
            opt,
            texts: opt.default_texts(),
            origin: Origin::Default,
        }
    }
}

#[cfg(test)]
impl Settings {
    /// What these arguments, without the program's name, and these variables make.
    pub(super) fn of(
        arguments: &[&str],
        variables: &[(&str, &str)],
        directory: &Path,
    ) -> Result<Self, ConfigError> {
        let arguments = ["scoter"].iter().chain(arguments);
        let arguments: Vec<_> = arguments.map(OsString::from).collect();
        let surroundings = Surroundings::of_test(directory, variables);
        Self::gather(&Arguments::parse(&arguments)?, &surroundings)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn command_line_counts_most_then_environment_then_file() {
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
    fn a_source_replaces_all_values_of_a_repeatable_option() {
        let folder = tempfile::tempdir().unwrap();
        let file = "allow = [\"10.0.0.0/8\", \"10.1.0.0/16\"]\n";
        fs::write(folder.path().join("scoter.toml"), file).unwrap();
        for (variables, arguments, expected) in [
            (&[][..], &[][..], &["10.0.0.0/8", "10.1.0.0/16"][..]),
            (&[("SCOTER_ALLOW", "::1, ::2")], &[], &["::1", "::2"]),
            (
                &[("SCOTER_ALLOW", "::1,::2")],
                &["--allow", "::3", "--allow", "::4"],
                &["::3", "::4"],
            ),
        ] {
            let settings = Settings::of(arguments, variables, folder.path()).unwrap();
            assert_eq!(settings.get("allow").texts, expected);
        }
    }

    #[test]
    fn flags_can_be_undone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("scoter.toml"), "preload = true\n").unwrap();
        for (variables, arguments, expected) in [
            (&[][..], &["app"][..], true),
            (&[("SCOTER_PRELOAD", "false")], &["app"], false),
            (&[], &["app", "--preload=false"], false),
            (&[("SCOTER_PRELOAD", "false")], &["--preload", "app"], true),
        ] {
            let settings = Settings::of(arguments, variables, folder.path()).unwrap();
            let options = settings.options().unwrap();
            assert_eq!(options.preload, expected, "{variables:?} {arguments:?}");
        }
    }

    #[test]
    fn paths_start_where_they_are_written() {
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
    fn words_that_are_no_paths_stay() {
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

    #[test]
    fn changes_are_named() {
        let settings = |arguments: &[&str]| Settings::of(arguments, &[], Path::new("/")).unwrap();
        let old = settings(&["app", "--threads=4", "--bind=unix:/a", "--allow=::1"]);
        let new = settings(&["app", "--bind=unix:/b", "--preload", "--allow=::1"]);
        let changed: Vec<_> = Settings::changed(&old, &new)
            .into_iter()
            .map(|opt| (opt.name, opt.change))
            .collect();
        use super::super::Change::{Reload, Restart};
        assert_eq!(changed, [("bind", Restart), ("preload", Reload)]);
    }

    #[test]
    fn missing_application_is_missed_only_where_it_is_needed() {
        let settings = Settings::of(&["--threads=2"], &[], Path::new("/")).unwrap();
        assert!(settings.options().unwrap_err().to_string().contains("APP"));
        assert!(settings.check_all_but_app().is_ok());
        let settings = Settings::of(&["--threads=0"], &[], Path::new("/")).unwrap();
        assert!(settings.check_all_but_app().is_err());
    }
}
