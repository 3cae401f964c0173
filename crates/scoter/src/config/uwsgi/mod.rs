//! uWSGI's configuration as a source of settings.
//!
//! Its files, its environment variables and its command line become a list of [`Directive`]s, and these
//! become a [`Translation`]: settings of ours, and notes about what has no counterpart here. What becomes
//! of each option is in one table, [`options`].

mod language;
mod options;
mod translate;
mod translation;

use super::directive;
pub(crate) use super::directive::{Directive, Place};

pub(crate) use language::{Input, LanguageError, LocalSystem, Reading, System, Warning, read};
pub(crate) use translate::{Context, Starter, translate};
pub(crate) use translation::{Note, Translation};
