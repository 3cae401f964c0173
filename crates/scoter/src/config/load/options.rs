//! The values of all options.

use super::no_master;
use crate::config::error::{ConfigError, Problem, Written};
use crate::config::mount::Mount;
use crate::config::settings::Settings;
use crate::config::table::Options;
use crate::config::target::Target;

impl Settings {
    /// The typed values of all options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Problems`] names every text that its option does not accept, and every
    /// contradiction.
    pub(crate) fn options(&self) -> Result<Options, ConfigError> {
        let refusals = self.uwsgi.iter().flat_map(|uwsgi| &uwsgi.refusals);
        let mut problems: Vec<_> = refusals
            .map(|reason| Problem::NotServed {
                reason: reason.clone(),
            })
            .collect();
        let read = Options::read(self).map_err(ConfigError::Problems);
        let read = read.and_then(|mut options| {
            self.arrange_mounts(&mut options)?;
            Ok(options)
        });
        let options = match read {
            Ok(options) if problems.is_empty() => options,
            Ok(_) => return Err(ConfigError::Problems(problems)),
            Err(ConfigError::Problems(others)) => {
                problems.extend(others);
                return Err(ConfigError::Problems(problems));
            }
            Err(error) => return Err(error),
        };
        if options.no_master {
            no_master::refuse_what_needs_it(self)?;
        }
        Ok(options)
    }

    /// Makes what is mounted at `/` the application for all other paths, which it is.
    fn arrange_mounts(&self, options: &mut Options) -> Result<(), ConfigError> {
        let mut mounts: Vec<Mount> = Vec::new();
        let setting = self.get("mount");
        let mut problems = Vec::new();
        for (index, mount) in options.mount.drain(..).enumerate() {
            let text = &setting.texts[index];
            let reason = if mounts.iter().any(|known| known.prefix == mount.prefix) {
                "another application is mounted there"
            } else if mount.prefix.is_root() && options.app.is_some() {
                "APP is what is served there: leave out one of them"
            } else {
                mounts.push(mount);
                continue;
            };
            problems.push(Problem::Value {
                written: Written::new(setting.opt, index, &text.to_string_lossy(), &setting.origin),
                reason: reason.to_owned(),
            });
        }
        if let Some(root) = mounts.iter().position(|mount| mount.prefix.is_root()) {
            options.app = Some(mounts.remove(root).app);
        }
        if options.app.is_none() && mounts.is_empty() && problems.is_empty() {
            problems.push(self.no_application());
        }
        options.mount = mounts;
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ConfigError::Problems(problems)),
        }
    }

    /// Says that there is nothing to serve, in the words of the configuration that ought to name it.
    fn no_application(&self) -> Problem {
        match &self.uwsgi {
            None => Problem::NoApplication,
            Some(uwsgi) => Problem::NotServed {
                reason: uwsgi.without_application.clone(),
            },
        }
    }

    /// Like [`Settings::options`], but does not require an application.
    pub(crate) fn check_all_but_app(&self) -> Result<(), ConfigError> {
        match self.options() {
            Err(ConfigError::Problems(mut problems)) => {
                problems.retain(|problem| {
                    !matches!(problem, Problem::NoApplication | Problem::NotServed { .. })
                });
                if problems.is_empty() {
                    return Ok(());
                }
                Err(ConfigError::Problems(problems))
            }
            checked => checked.map(drop),
        }
    }
}

impl Options {
    /// What is served, each with its path, which is empty for the application of all other paths.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (&str, &Target)> {
        let app = self.app.iter().map(|app| ("", app));
        let mounts = self.mount.iter();
        app.chain(mounts.map(|mount| (mount.prefix.as_str(), &mount.app)))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn targets(arguments: &[&str]) -> Result<Vec<String>, String> {
        let settings = Settings::of(arguments, &[], Path::new("/")).unwrap();
        let options = settings.options().map_err(|error| error.to_string())?;
        let texts = options.targets();
        Ok(texts.map(|(path, app)| format!("{path}={app}")).collect())
    }

    #[test]
    fn application_is_what_is_mounted_at_the_root() {
        for (arguments, expected) in [
            (
                &["site", "--mount=/a=one", "--mount=/b/=two"][..],
                &["=site", "/a=one", "/b=two"][..],
            ),
            (&["--mount=/a=one", "--mount=/=site"], &["=site", "/a=one"]),
            (&["--mount=/a=one"], &["/a=one"]),
        ] {
            assert_eq!(targets(arguments).unwrap(), expected, "{arguments:?}");
        }
    }

    #[test]
    fn path_belongs_to_one_application() {
        for (arguments, message) in [
            (
                &["--mount=/a=one", "--mount=/a/=two"][..],
                "--mount /a/=two: another application is mounted there",
            ),
            (
                &["site", "--mount=/=one"],
                "--mount /=one: APP is what is served there: leave out one of them",
            ),
            (
                &["--mount=/=one", "--mount=/=two"],
                "--mount /=two: another application is mounted there",
            ),
        ] {
            assert_eq!(targets(arguments).unwrap_err(), message);
        }
    }

    #[test]
    fn missing_application_is_an_error_only_where_it_is_needed() {
        let settings = Settings::of(&["--threads=2"], &[], Path::new("/")).unwrap();
        assert!(settings.options().unwrap_err().to_string().contains("APP"));
        assert!(settings.check_all_but_app().is_ok());
        let settings = Settings::of(&["--threads=0"], &[], Path::new("/")).unwrap();
        assert!(settings.check_all_but_app().is_err());
    }
}
