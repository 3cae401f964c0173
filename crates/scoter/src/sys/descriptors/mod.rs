//! The descriptors that scoter itself needs.
//!
//! Application code closes descriptors that are not its own: by a number that it closes twice,
//! or with `os.closerange(3, 256)` before it starts another program. The kernel gives the
//! lowest free number to whoever comes next, so what scoter writes then may end up anywhere.
//! Hence its own descriptors have [high numbers](high), and are [looked at](watched) again and
//! again.

mod high;
mod watched;

pub(crate) use high::{above_standard, duplicate, fill_standard_streams, move_aside, move_up};
pub(crate) use watched::{Loss, Watch, find_loss, watch, watch_for_ever, watch_opened};
