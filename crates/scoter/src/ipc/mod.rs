//! Communication between the processes of a server.

pub(crate) mod channel;
pub(crate) mod connection_queue;
pub(crate) mod crash_report;
pub(crate) mod messages;
pub(crate) mod scoreboard;
pub(crate) mod uwsgi_memory;
