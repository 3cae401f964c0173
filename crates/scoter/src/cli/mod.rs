//! The command line: parses the arguments and runs the command.

mod banner;
mod check;
mod command;
mod commands;
mod generated;
mod help;
mod migrate;
mod mistyped;
mod parse;
mod run;
mod serve;
mod similar_command;

pub(crate) use run::run;
