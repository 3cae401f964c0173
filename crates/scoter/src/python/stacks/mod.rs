//! The stacks of Python threads.

mod gil_timeout;
mod last_resort;
mod place;
mod stack;
mod text;

pub(crate) use gil_timeout::answer_of;
pub(crate) use last_resort::LastResort;
pub(crate) use place::Place;
pub(crate) use text::of_all_threads;
