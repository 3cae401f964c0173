//! The objects of PEP 3333 as real Python applications see them, and what is
//! left to the server.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions but not what they call"
)]

mod endings;
mod environ;
mod errors;
mod file_wrapper;
mod forms;
mod harness;
mod heads;
mod input;
mod lengths;
mod object_cache;
mod persistence;
mod properties;
mod request;
mod responses;
mod start_response;
mod threads;
mod validator;
mod write;
