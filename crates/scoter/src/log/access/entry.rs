//! The facts about a request that the access log needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::request_head::RequestHead;

/// The contents of a line.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) head: Arc<RequestHead>,
    pub(crate) status: u16,
    /// Bytes after the head.
    pub(crate) body_bytes: u64,
    pub(crate) accepted: Instant,
    /// How long it waited for the application to start, or until that took too long, if known.
    pub(crate) queued: Option<Duration>,
    /// The slot that served it, from 0; `None` for a request that was refused.
    pub(crate) slot: Option<usize>,
    /// What the application has said of it, with the module `uwsgi`.
    pub(crate) said: Option<Box<LogVars>>,
}

/// What an application says of a request for its line, with the module `uwsgi`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogVars {
    /// Names and values, in the order of their first use.
    vars: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the request has a line whatever the filter says.
    pub(crate) is_wanted: bool,
}

impl LogVars {
    /// Sets a variable.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        match self.vars.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.vars.push((name.to_vec(), value.to_vec())),
        }
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let found = self.vars.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| &**value)
    }

    /// All variables.
    pub(crate) fn all(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.vars
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        self.vars.is_empty() && !self.is_wanted
    }
}
