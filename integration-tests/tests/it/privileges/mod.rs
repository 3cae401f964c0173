//! From root to somebody who may do less, for good. Most of it takes root: without, it is skipped and says so.

mod environment;
mod files;
mod identity;
mod sockets;
mod stage;
