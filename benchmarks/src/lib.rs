//! What the load generator `load` and the server `floor` are made of.
//!
//! `load` is a closed loop: a fixed number of clients, each of which sends its
//! next request when the reply to the last one is complete and has been
//! compared with what is expected. It is one thread, and takes five system
//! calls for a request and a sixth for all that are ready: a generator that
//! costs more than the server it measures measures itself.
//!
//! `floor` accepts, reads, writes and closes, and does nothing else: what is
//! left of a server when everything is taken away that is its own. It costs
//! less than `load`, because the kernel does most for the side that connects;
//! so what another server is compared with is its CPU time, not its rate.

mod address;
mod chunks;
mod client;
mod expectation;
mod fault;
mod head;
mod options;
mod reply;
mod report;
mod request;
mod rounds;
mod tally;
mod vars;

pub use crate::address::{Address, AddressError};
pub use crate::fault::{Failure, Fault};
pub use crate::options::Options;
pub use crate::report::{Latency, Report};
pub use crate::rounds::run;
