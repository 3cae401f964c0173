//! How the processes of a server tell each other what happens.

pub(crate) mod channel;
pub(crate) mod crash_report;
pub(crate) mod scoreboard;
