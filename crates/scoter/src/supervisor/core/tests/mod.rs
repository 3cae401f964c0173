//! The supervisor in a simulated world: processes that start slowly, never, die and lie;
//! messages that come late, and in any order that their channels allow.

mod histories;
mod properties;
mod transitions;
mod world;
