//! The language of uWSGI's configuration: files, variables and arguments become [`Directive`]s.
//!
//! What is read is what uWSGI 2.0.31 reads, mistakes included, for a file is moved that works with it: it
//! first takes the `UWSGI_` variables, then the arguments in their order, and a file where it is named;
//! some options act at once ([`Immediate`](immediate::Immediate)), such as `ini` and `if-env`; of the
//! others `$(NAME)`, `@(FILE)` and `%(option)` are replaced when everything has been read.
//! `uWSGI --show-config` prints the same list.
//!
//! Where this differs, it says so: with an error that names file and line, or with a warning.
//!
//! Nothing here takes long, or much memory, whatever it is given: see [`budget`].
//!
//! [`Directive`]: super::Directive

mod arguments;
mod budget;
mod custom;
mod entry;
mod error;
#[cfg(test)]
mod fixture;
mod format;
mod immediate;
mod ini;
mod input;
mod interpreter;
mod json;
mod local;
mod logic;
mod magic;
mod option_names;
mod placeholders;
mod reading;
mod system;
#[cfg(test)]
mod tests;
mod variables;
mod yaml;

pub(crate) use error::LanguageError;
pub(crate) use input::Input;
pub(crate) use local::LocalSystem;
pub(crate) use reading::Reading;
pub(crate) use system::System;

/// Reads what uWSGI would read.
///
/// # Errors
///
/// Where uWSGI would not start, and for what is not read here. The error names the place.
pub(crate) fn read(input: &Input<'_>) -> Result<Reading, LanguageError> {
    interpreter::Interpreter::new(input).read()
}
