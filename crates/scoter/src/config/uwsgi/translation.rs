//! What uWSGI's configuration means here.

use super::directive::Directive;
use crate::config::settings::Setting;

/// Settings of ours that take the place of uWSGI's directives, and what is to be said about the rest.
///
/// Relative paths are meant from where uWSGI would be started; `app` and `pythonpath` from `chdir`.
#[derive(Debug, Default)]
pub(crate) struct Translation {
    /// At most one for each option.
    pub(crate) settings: Vec<Setting>,
    pub(crate) notes: Vec<Note>,
}

/// What is to be said about directives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// The directives that it is about, in their order. None if it is about what uWSGI does unless told
    /// otherwise.
    pub(crate) directives: Vec<Directive>,
    pub(crate) kind: Kind,
    /// What to know, or to do.
    pub(crate) text: String,
}

/// What becomes of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing is to be done: we do that anyway, or there is no need for it.
    NothingToDo,
    /// An option of ours takes its place, with a difference.
    Mapped,
    /// Something other than the server does that: with these lines, if they are known.
    Elsewhere(Vec<Snippet>),
    /// There is no substitute: behaviour is lost.
    Lost,
    /// uWSGI has no such option and ignores the line; this one was probably meant.
    Misspelt(&'static str),
    /// uWSGI has no such option: a placeholder for other lines, or a mistake.
    Unknown,
}

/// Lines for another program's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snippet {
    pub(crate) program: Program,
    pub(crate) lines: String,
}

/// The programs to which behaviour moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Program {
    /// Locations, in a block `server`.
    Nginx,
    /// Lines of the service's unit, in its section `[Service]`.
    Unit,
    /// A unit of its own, whose file has this name.
    OwnUnit(String),
}
