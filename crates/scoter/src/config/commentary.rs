//! What is said about settings that come from uWSGI's configuration.

/// What is said about settings that come from uWSGI's configuration. They are not passed on with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Commentary {
    /// What was read, and how much of it is taken over.
    pub(crate) summary: String,
    /// What the configuration asks for and does not happen, for the log.
    pub(crate) remarks: Vec<String>,
    /// What to say if there is no application.
    pub(crate) without_application: String,
    /// Why a server must not be started with them.
    pub(crate) refusals: Vec<String>,
    /// What becomes of everything, grouped by what there is to do.
    pub(crate) report: String,
}
