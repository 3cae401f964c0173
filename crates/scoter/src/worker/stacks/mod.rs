//! Where the threads of this worker are: for the master, which asks on behalf of `scoter stacks`.

pub(super) mod answer;
pub(super) mod examination;
