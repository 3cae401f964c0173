//! The descriptors that scoter itself needs.
//!
//! Application code closes descriptors that are not its own: it closes a number twice, or
//! calls `os.closerange(3, 256)` before it starts another program. The kernel gives the lowest
//! free number to the next file that is opened, so scoter's writes could then go anywhere.
//! Hence its own descriptors have [high numbers](high), and are [checked](watched) regularly.

mod high;
mod replaced;
mod watched;

pub(crate) use high::{above_standard, duplicate, fill_standard_streams, move_aside, move_up};
pub(crate) use replaced::replace;
pub(crate) use watched::{Loss, Watch, find_loss, watch, watch_for_ever, watch_opened};
