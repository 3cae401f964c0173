//! The command line: what `scoter` is asked to do, and who does it.

mod banner;
mod check;
mod command;
mod serve;

pub(crate) use command::run;
