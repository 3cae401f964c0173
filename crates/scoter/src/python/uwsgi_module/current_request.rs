//! The request that a thread serves, for the functions of the module `uwsgi` that are about it.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::log::LogVars;

/// What the server does with a request when its application asks for it.
pub(crate) trait RequestControl: Send + Sync {
    /// Tells the client that the response is complete.
    fn disconnect(&self);

    /// Has the request time out so much later, or not for that any more.
    fn limit(&self, time: Option<Duration>);
}

/// A request that is being served.
pub(crate) struct CurrentRequest {
    said: Mutex<LogVars>,
    is_disconnected: AtomicBool,
    control: Box<dyn RequestControl>,
}

impl CurrentRequest {
    pub(crate) fn new(control: Box<dyn RequestControl>) -> Self {
        Self {
            said: Mutex::default(),
            is_disconnected: AtomicBool::new(false),
            control,
        }
    }

    /// What the application says of it for the access log.
    pub(super) fn said(&self) -> MutexGuard<'_, LogVars> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, for its line; `None` if that is nothing.
    pub(crate) fn said_so_far(&self) -> Option<Box<LogVars>> {
        let said = self.said();
        (!said.is_empty()).then(|| Box::new(said.clone()))
    }

    /// Whether its client has been told that the response is complete.
    pub(crate) fn is_disconnected(&self) -> bool {
        self.is_disconnected.load(Relaxed)
    }

    pub(super) fn disconnect(&self) {
        if !self.is_disconnected.swap(true, Relaxed) {
            self.control.disconnect();
        }
    }

    pub(super) fn limit(&self, time: Option<Duration>) {
        self.control.limit(time);
    }
}

impl fmt::Debug for CurrentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentRequest")
            .field("said", &self.said)
            .field("is_disconnected", &self.is_disconnected)
            .finish_non_exhaustive()
    }
}

/// Sets the request that this thread serves.
pub(crate) fn set_current(request: Option<Arc<CurrentRequest>>) {
    CURRENT.set(request);
}

/// The request that this thread serves.
pub(super) fn current() -> Option<Arc<CurrentRequest>> {
    CURRENT.with_borrow(Option::clone)
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<CurrentRequest>>> = const { RefCell::new(None) };
}
