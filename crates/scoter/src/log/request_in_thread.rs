//! Which request runs in a thread, for what the application logs there.

use std::cell::RefCell;
use std::sync::Arc;

use crate::request_head::RequestHead;

/// A request that runs in this thread until this is dropped.
#[derive(Debug)]
pub(crate) struct RequestInThread(());

impl RequestInThread {
    pub(crate) fn begin(head: &Arc<RequestHead>) -> Self {
        CURRENT.set(Some(Arc::clone(head)));
        Self(())
    }
}

impl Drop for RequestInThread {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// The ID of the request that runs in this thread.
pub(super) fn request_id() -> Option<String> {
    // At the end of a thread its thread-locals are gone.
    let id = CURRENT.try_with(|current| {
        let current = current.borrow();
        let head = current.as_ref()?;
        Some(head.request_id.as_str().to_owned())
    });
    id.ok().flatten()
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<RequestHead>>> = const { RefCell::new(None) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_known_in_the_thread_of_the_request_while_it_runs() {
        let head = RequestHead::of([("HTTP_X_REQUEST_ID", "given-1")]);
        assert_eq!(request_id(), None);
        let running = RequestInThread::begin(&head);
        assert_eq!(request_id().as_deref(), Some("given-1"));
        let elsewhere = std::thread::spawn(request_id).join().unwrap();
        assert_eq!(elsewhere, None);
        drop(running);
        assert_eq!(request_id(), None);
    }
}
