//! What becomes of an option of uWSGI.

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Options of ours take its place.
    Mapped {
        /// Their names, the most important one first.
        to: &'static [&'static str],
        /// How the value is converted.
        conversion: Conversion,
        /// How values differ. Empty if they do not.
        difference: &'static str,
    },
    /// It is evaluated when uWSGI's configuration is read, and nothing of it is left.
    Read(&'static str),
    /// Nothing is to be done, for this reason.
    NothingToDo(&'static str),
    /// Another program does that: where, and what to do there.
    Elsewhere(Where, &'static str),
    /// There is nothing like it: what people use instead.
    Gone(&'static str),
}

/// How an option's value becomes that of one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// As it is.
    Text,
    /// A user or a group.
    Name,
    /// A path, relative to the directory that uWSGI changes to.
    Path,
    /// A number, as `atoi` reads it.
    Number,
    /// A number of seconds; 0 is off.
    Seconds,
    /// A number of bytes; 0 is off.
    Bytes,
    /// A number of megabytes; 0 is off.
    Megabytes,
    /// Permission bits.
    Mode,
    /// It depends on other options, or on what the value is: code of its own does that.
    ByCode,
}

/// The programs that take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    Nginx,
    /// The unit of the service, or the container's description.
    Unit,
    /// A timer, with its service.
    Timer,
    /// A service beside the server.
    Service,
    /// Whatever watches the server.
    Monitoring,
}
