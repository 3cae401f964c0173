//! uWSGI's configuration as a source of settings.
//!
//! Its files, its environment variables and its command line become a list of [`Directive`]s, and these
//! become a [`Translation`]: settings of ours, and notes about what has no counterpart here. What becomes
//! of each option is in one table, [`options`].

mod configuration;
mod language;
mod migration;
mod module_settings;
mod options;
mod refusal;
mod remarks;
mod report;
mod tally;
mod translate;
mod translation;
mod words;

use super::directive;

pub(in crate::config) use configuration::{UwsgiConfiguration, take};
pub(crate) use migration::{Migration, NewFile};
pub(in crate::config) use refusal::{Sockets, speaks_other};
