//! What every source says, put together: texts with their origins.

use std::ffi::OsString;
use std::path::Path;

use super::arguments::Arguments;
use super::error::ConfigError;
use super::opt::Opt;
use super::origin::Origin;
use super::table::{Options, TABLE};

/// The texts of every option, each from the source that counts most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings(Vec<Setting>);

/// The texts of one option.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) opt: &'static Opt,
    /// None where the option has no value, several only where it is repeatable.
    pub(crate) texts: Vec<OsString>,
    pub(crate) origin: Origin,
}

impl PartialEq for Setting {
    fn eq(&self, other: &Self) -> bool {
        self.opt.name == other.opt.name && self.texts == other.texts
    }
}

impl Eq for Setting {}

impl Settings {
    /// Reads all sources. With the same arguments it can be called again later.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what is wrong, and in which place. Whether values are what their
    /// options take is asked by [`Settings::options`].
    pub(crate) fn read(arguments: &[OsString]) -> Result<Self, ConfigError> {
        Self::with(&Arguments::parse(arguments)?)
    }

    fn with(arguments: &Arguments) -> Result<Self, ConfigError> {
        // Where it cannot be told, relative paths stay what they are.
        let here = std::env::current_dir().unwrap_or_default();
        let mut settings: Vec<_> = TABLE.iter().map(Setting::default_of).collect();
        for (setting, given) in settings.iter_mut().zip(&arguments.given) {
            if let Some(texts) = given {
                setting.texts.clone_from(texts);
                setting.origin = Origin::CommandLine;
            }
        }
        let mut settings = Self(settings);
        settings.relocate(&here);
        Ok(settings)
    }

    /// One option, by its name.
    pub(crate) fn get(&self, name: &str) -> &Setting {
        let setting = self.0.iter().find(|setting| setting.opt.name == name);
        setting.expect("names come from the table, and every row has a setting")
    }

    /// The values that the texts stand for.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Problems`] names every text that its option does not take, and every
    /// contradiction.
    pub(crate) fn options(&self) -> Result<Options, ConfigError> {
        Options::read(self).map_err(ConfigError::Problems)
    }

    /// Makes every path absolute, so that it means the same to whoever reads it from another
    /// directory. The application is looked for from `--chdir`.
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

impl Setting {
    fn default_of(opt: &'static Opt) -> Self {
        Self {
            opt,
            texts: opt.default_texts(),
            origin: Origin::Default,
        }
    }
}
