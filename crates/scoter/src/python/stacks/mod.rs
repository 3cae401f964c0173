//! The stacks of Python threads.

mod dump;
mod gil_timeout;
mod last_resort;
mod place;
mod stack;
mod text;

pub(crate) use dump::read_dump;
pub(crate) use gil_timeout::{GilTimeout, STEP, answer_of};
pub(crate) use last_resort::LastResort;
pub(crate) use place::Place;
pub(crate) use stack::{Stack, stacks_of};
pub(crate) use text::{AllThreads, of_thread};
