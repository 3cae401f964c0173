use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// What happens on the connection of a client, as far as its end has to know.
#[derive(Clone, Debug)]
pub(super) struct Activity(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Requests whose body is received or whose response is sent.
    under_way: usize,
    has_had_request: bool,
    /// Bytes have come that do not belong to a request.
    has_begun: bool,
    is_reset: bool,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Activity);

impl Activity {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// Notes that bytes have come.
    pub(super) fn received(&self) {
        self.0.send_if_modified(|state| {
            let is_first = state.under_way == 0 && !state.has_begun;
            state.has_begun |= is_first;
            is_first
        });
    }

    /// Notes that the head of a request is complete.
    pub(super) fn begin(&self) -> Arc<UnderWay> {
        self.0.send_modify(|state| {
            state.under_way += 1;
            state.has_had_request = true;
            state.has_begun = false;
        });
        Arc::new(UnderWay(self.clone()))
    }

    /// Returns whether the connection is to be reset.
    pub(super) fn is_reset(&self) -> bool {
        self.0.borrow().is_reset
    }

    /// Waits for the request that may be on its way when a stop begins. Returns whether
    /// none has begun that is not complete.
    pub(super) async fn last_request(&self) -> bool {
        let mut states = self.0.subscribe();
        let limit = match states.borrow().has_had_request {
            true => LAST_KEPT_REQUEST,
            false => LAST_REQUEST,
        };
        let has_come = |state: &State| state.under_way > 0 || state.has_begun;
        // If nothing has, the connection may be closed.
        let _ = timeout(limit, states.wait_for(has_come)).await.is_ok();
        let is_whole = states.wait_for(|state| !state.has_begun);
        timeout(LAST_REQUEST, is_whole).await.is_ok()
    }
}

impl UnderWay {
    /// Notes that the connection is to be reset, as its end would be taken for that of the
    /// response.
    pub(super) fn reset(&self) {
        self.0.0.send_modify(|state| state.is_reset = true);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.send_modify(|state| state.under_way -= 1);
    }
}

/// How long a client may take for a head after the stop: it connects and then writes.
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// How long the request on a kept connection may be on its way. A client has to expect
/// that such a connection is closed (RFC 9112, 9.3.1).
const LAST_KEPT_REQUEST: Duration = Duration::from_millis(100);
