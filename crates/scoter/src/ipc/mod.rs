//! How the processes of a server tell each other what happens.

pub(crate) mod channel;
pub(crate) mod scoreboard;
