//! The configuration: one table of options, and the four places their values come from.
//!
//! [`TABLE`] is the only place that knows an option. The command line's parser and help, the
//! keys of `scoter.toml`, the `SCOTER_*` variables, `--print-config` and the typed
//! [`Options`] are all made from it. Texts are gathered into [`Settings`] first, each with
//! its [`Origin`], and read as values afterwards, so that whatever is wrong can be named
//! with the place it was written at.

mod arguments;
mod control;
mod directory;
mod environment;
mod error;
mod file;
mod json;
mod master;
mod opt;
mod origin;
mod pipe;
mod print;
mod settings;
mod suggestion;
mod surroundings;
mod table;
mod text;
mod units;
mod values;

pub(crate) use arguments::{Arguments, For, Wish, client_command, server_command};
pub(crate) use control::{Control, control_path};
pub(crate) use directory::working_directory;
pub(crate) use error::ConfigError;
pub(crate) use opt::Change;
pub(crate) use settings::Settings;
pub(crate) use table::Options;
pub(crate) use units::Percent;
pub(crate) use values::{
    AccessLogFormat, AccessLogTo, BufferBody, LogFormat, LogLevel, MaxRss, Workers,
};
