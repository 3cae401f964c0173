//! The configuration: one table of options, and the four sources of their values.
//!
//! [`TABLE`] is the only definition of an option. The command line's parser and help, the
//! keys of `scoter.toml`, the `SCOTER_*` variables, `--print-config` and the typed
//! [`Options`] are all derived from it. Texts are first collected into [`Settings`], each with
//! its [`Origin`], and then parsed, so that errors can name the place where a value was
//! written.

mod commentary;
mod demand;
mod dev;
mod directive;
mod env_var;
mod environment;
mod error;
mod from_text;
mod load;
mod mount;
mod opt;
mod origin;
mod os_text;
mod other_servers;
mod print;
mod read;
mod readers;
mod settings;
mod sources;
mod suggestion;
mod table;
mod target;
mod units;
mod uwsgi;
mod values;

pub(crate) use dev::{DevArguments, HttpAddress, SOCKET, private_folder};
pub(crate) use environment::Environment;
pub(crate) use error::ConfigError;
pub(crate) use load::server_selector::server_selector;
pub(crate) use opt::Change;
pub(crate) use other_servers::UWSGI_CONFIGURATION;
#[cfg(test)]
pub(crate) use other_servers::notes;
pub(crate) use settings::Settings;
pub(crate) use sources::arguments::{Action, Arguments, UWSGI};
pub(crate) use sources::command::{HelpLevel, client_command, dev_command, server_command};
pub(crate) use sources::uwsgi_call::UwsgiCall;
pub(crate) use table::Options;
pub(crate) use target::{Code, Deployment, Source, Target};
pub(crate) use units::Percent;
pub(crate) use uwsgi::{Migration, NewFile};
pub(crate) use values::{BufferBody, LogApplication, MaxRss, Workers};
