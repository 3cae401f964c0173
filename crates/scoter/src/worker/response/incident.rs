//! What to log about a pending response.

use std::sync::Arc;
use std::time::Duration;

use tracing::{Level, debug, enabled, error, warn};

use crate::log::{Entry, say, say_soon};
use crate::request_head::RequestHead;
use crate::worker::response::report;
use crate::worker::response::send_progress::SendError;

/// Data, because it may be a task of the reactor that finds out: standard error may be slow, and
/// is for threads that may wait.
#[derive(Debug)]
pub(crate) enum Incident {
    /// The response could not be sent.
    Lost(Loss),
    /// It took `--slow-request` or longer.
    Slow(Entry, Duration),
}

/// A response that could not be sent whole.
#[derive(Debug)]
pub(crate) struct Loss {
    head: Option<Arc<RequestHead>>,
    kind: LossKind,
    error: SendError,
    unsent_bytes: u64,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LossKind {
    /// The peer's, and no error in anyone's log.
    PeerGone,
    /// Application code has closed the connection.
    ConnectionLost,
    /// The peer's, who takes nothing.
    Stalled,
    /// The application's, or ours.
    Broken,
}

/// Who finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finder {
    /// A slot: it may wait for standard error.
    Slot,
    /// A task of the reactor: it must not.
    Task,
}

impl Incident {
    /// `None` if it would not be logged.
    pub(crate) fn lost(
        entry: Option<&Entry>,
        kind: LossKind,
        error: SendError,
        unsent_bytes: u64,
    ) -> Option<Box<Self>> {
        if kind == LossKind::PeerGone && !enabled!(Level::DEBUG) {
            return None;
        }
        let head = entry.map(|entry| Arc::clone(&entry.head));
        Some(Box::new(Self::Lost(Loss {
            head,
            kind,
            error,
            unsent_bytes,
        })))
    }

    fn log(&self) {
        match self {
            Self::Lost(loss) => loss.log(),
            Self::Slow(entry, elapsed) => report::slow(entry, *elapsed),
        }
    }

    /// Has it logged by a thread that may wait, and waits a moment for that.
    pub(crate) async fn say(self: Box<Self>) {
        say(move || self.log()).await;
    }
}

impl Finder {
    /// Logs it, or has it logged.
    pub(crate) fn say(self, incident: Box<Incident>) {
        match self {
            Self::Slot => incident.log(),
            Self::Task => say_soon(move || incident.log()),
        }
    }
}

impl Loss {
    fn log(&self) {
        let head = self.head.as_deref();
        let method = head.map(RequestHead::method_text);
        let uri = head.map(RequestHead::uri_text);
        let request_id = head.map(|head| head.request_id.as_str());
        let (reason, unsent_bytes) = (&self.error, self.unsent_bytes);
        match self.kind {
            LossKind::PeerGone => {
                debug!(request_id, %reason, unsent_bytes, "the peer did not accept the response");
            }
            LossKind::ConnectionLost => report::connection_lost(head),
            LossKind::Stalled => {
                warn!(method, uri, request_id, %reason, unsent_bytes, "response cut");
            }
            LossKind::Broken => {
                error!(method, uri, request_id, %reason, unsent_bytes, "response cut");
            }
        }
    }
}
