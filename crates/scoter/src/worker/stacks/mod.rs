//! Where the threads of this worker are: for the master, which asks on behalf of `scoter stacks`,
//! and for the log, when a request becomes slow.

pub(super) mod answer;
pub(super) mod examination;
pub(super) mod slow;
