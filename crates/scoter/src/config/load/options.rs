//! The values of all options.

use super::no_master;
use crate::config::error::{ConfigError, Problem};
use crate::config::settings::Settings;
use crate::config::table::Options;

impl Settings {
    /// The typed values of all options.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Problems`] names every text that its option does not accept, and every
    /// contradiction.
    pub(crate) fn options(&self) -> Result<Options, ConfigError> {
        let options = Options::read(self).map_err(ConfigError::Problems)?;
        if options.no_master {
            no_master::refuse_what_needs_it(self)?;
        }
        Ok(options)
    }

    /// Like [`Settings::options`], but does not require an application.
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
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn missing_application_is_an_error_only_where_it_is_needed() {
        let settings = Settings::of(&["--threads=2"], &[], Path::new("/")).unwrap();
        assert!(settings.options().unwrap_err().to_string().contains("APP"));
        assert!(settings.check_all_but_app().is_ok());
        let settings = Settings::of(&["--threads=0"], &[], Path::new("/")).unwrap();
        assert!(settings.check_all_but_app().is_err());
    }
}
