//! The command line: what `scoter` is asked to do, and who does it.

pub(crate) mod banner;
mod command;
mod serve;

pub(crate) use command::run;
