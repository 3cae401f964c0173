//! From uWSGI's directives to settings of ours.
//!
//! What depends on several options, or on what a value is, has code of its own in the modules below. All
//! other directives end as the table of [`options`](super::options) says.

mod application;
mod by_table;
mod calendar;
mod draft;
mod environment;
mod log_format;
mod logging;
mod misspelt;
mod other_programs;
mod processes;
mod read;
mod recycling;
mod requests;
mod sockets;
mod statistics;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use draft::Draft;

use super::directive::Directive;
use super::translation::Translation;

/// What a translation depends on, beside the directives.
pub(crate) struct Context<'a> {
    /// Names that are placeholders in other values, so that they are no mistakes.
    pub(crate) placeholders: &'a BTreeSet<String>,
    /// The environment that scoter runs in (`sys.prefix`), if the server will run in it.
    pub(crate) prefix: Option<&'a Path>,
    /// Who starts the server.
    pub(crate) starter: Starter,
    /// The paths that a pattern matches, relative to where the server starts.
    pub(crate) glob: &'a dyn Fn(&str) -> Vec<PathBuf>,
}

/// Who starts the server. uWSGI ignores `uid` and `gid` unless root does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Starter {
    /// Root, or somebody whom we do not know.
    Root,
    /// Another user.
    User,
}

/// Translates directives, which come in the order in which uWSGI applies them.
pub(crate) fn translate(directives: &[Directive], context: &Context<'_>) -> Translation {
    let mut draft = Draft::new(directives);
    misspelt::translate(&mut draft, context);
    // First: it looks at the user and the directory, which others take.
    other_programs::translate(&mut draft);
    sockets::translate(&mut draft, context);
    application::translate(&mut draft, context);
    environment::translate(&mut draft, context);
    processes::translate(&mut draft, context);
    recycling::translate(&mut draft);
    requests::translate(&mut draft);
    statistics::translate(&mut draft);
    logging::translate(&mut draft);
    by_table::translate(&mut draft);
    draft.finish()
}

#[cfg(test)]
mod tests;
