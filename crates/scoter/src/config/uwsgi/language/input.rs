//! How uWSGI was called.

use std::ffi::OsString;

use super::system::System;

/// How uWSGI was called.
pub(crate) struct Input<'a> {
    /// The arguments after the program's name, as uWSGI takes them.
    pub(crate) arguments: &'a [OsString],
    /// All variables, in their order: those that begin with `UWSGI_` are options, the others are what
    /// `$(NAME)` and `if-env` look for.
    pub(crate) environment: &'a [(OsString, OsString)],
    pub(crate) system: &'a dyn System,
}
