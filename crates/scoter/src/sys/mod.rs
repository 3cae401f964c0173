//! Parts of the operating system that the standard library does not offer.

pub(crate) mod async_fd;
pub(crate) mod clock;
pub(crate) mod descriptors;
pub(crate) mod disposition;
pub(crate) mod durations;
pub(crate) mod fatal;
pub(crate) mod file_limit;
pub(crate) mod fork;
pub(crate) mod limits;
pub(crate) mod pool;
pub(crate) mod process;
pub(crate) mod process_name;
pub(crate) mod process_stat;
pub(crate) mod random;
pub(crate) mod raw_fd;
pub(crate) mod running_time;
pub(crate) mod scheduling;
pub(crate) mod signals;
pub(crate) mod tcp_info;
pub(crate) mod terminal;
pub(crate) mod working_directory;
