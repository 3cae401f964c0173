//! The text of every option, with its origin.

use std::ffi::OsString;
use std::path::Path;

use super::commentary::Commentary;
use super::error::{Problem, Written};
use super::opt::Opt;
use super::origin::Origin;

/// The texts of every option, each from the source with the highest precedence: the command line,
/// then the environment, then the file, then the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// One for each row of the table, in its order.
    pub(in crate::config) all: Vec<Setting>,
    /// What is said about uWSGI's configuration, if one was read.
    pub(crate) uwsgi: Option<Commentary>,
}

/// The texts of one option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) opt: &'static Opt,
    /// Empty if the option has no value; several only if it is repeatable.
    pub(crate) texts: Vec<OsString>,
    pub(crate) origin: Origin,
}

impl Settings {
    /// The option with this name.
    pub(crate) fn get(&self, name: &str) -> &Setting {
        let setting = self.all.iter().find(|setting| setting.opt.name == name);
        setting.expect("names come from the table, and every row has a setting")
    }

    /// What uWSGI's configuration asks for, if one was read, and does not happen.
    pub(crate) fn uwsgi_remarks(&self) -> impl Iterator<Item = &str> {
        let said = self.uwsgi.iter().flat_map(|uwsgi| &uwsgi.remarks);
        said.map(String::as_str)
    }

    /// The configuration file that sets any of the options, as the operator named it.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.all.iter().find_map(|setting| match &setting.origin {
            Origin::File(place) => Some(&*place.file),
            Origin::Uwsgi(directives) => directives.iter().find_map(|it| it.place.file()),
            Origin::Default | Origin::Environment | Origin::CommandLine => None,
        })
    }

    /// The options whose values differ. Those with [`Change::Restart`](super::Change::Restart) take
    /// effect at a restart.
    pub(crate) fn changed(old: &Self, new: &Self) -> Vec<&'static Opt> {
        let pairs = old.all.iter().zip(&new.all);
        pairs
            .filter(|(old, new)| old.texts != new.texts)
            .map(|(_, new)| new.opt)
            .collect()
    }
}

impl Setting {
    pub(crate) fn is_from_command_line(&self) -> bool {
        matches!(self.origin, Origin::CommandLine)
    }

    /// Reports `reason` as the mistake in its first text.
    pub(in crate::config) fn problem(&self, reason: String) -> Problem {
        let text = self.texts.first().map(|text| text.to_string_lossy());
        let written = Written::new(self.opt, 0, &text.unwrap_or_default(), &self.origin);
        Problem::Value { written, reason }
    }

    pub(in crate::config) fn default_of(opt: &'static Opt) -> Self {
        Self {
            opt,
            texts: opt.default_texts(),
            origin: Origin::Default,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Change::{Reload, Restart};

    #[test]
    fn changed_options_are_named() {
        let settings = |arguments: &[&str]| Settings::of(arguments, &[], Path::new("/")).unwrap();
        let old = settings(&["app", "--threads=4", "--bind=unix:/a", "--allow=::1"]);
        let new = settings(&["app", "--bind=unix:/b", "--preload", "--allow=::1"]);
        let changed: Vec<_> = Settings::changed(&old, &new)
            .into_iter()
            .map(|opt| (opt.name, opt.change))
            .collect();
        assert_eq!(changed, [("bind", Restart), ("preload", Reload)]);
    }
}
