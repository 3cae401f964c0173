//! The command line: parses the arguments and runs the command.

mod banner;
mod check;
mod command;
mod mistyped;
mod serve;

pub(crate) use command::run;
