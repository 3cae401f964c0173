//! What a worker of `scoter dev` does besides: it reports what it has imported, and shows why the
//! application does not work.

mod page;
mod stand_in;

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tracing::warn;
use wsgi_environ::{Completed, FailureCause, HeadState, Method, ResponseAuthor};

use page::{Audience, Page};
use stand_in::stand_in;

use crate::failure::Failure;
use crate::ipc::messages::{Development, FromWorker};
use crate::python::application::Loaded;
use crate::python::application::static_files::with_static_files;
use crate::python::exception_report::ExceptionReport;
use crate::python::imported_files::ImportedFiles;
use crate::python::traceback::traceback;
use crate::request_head::RequestHead;
use crate::worker::MasterLink;

/// The state of a worker that serves a developer.
#[derive(Debug)]
pub(crate) struct Dev {
    serves_failure: bool,
    /// `None` until Python has been asked.
    imported: Mutex<Option<ImportedFiles>>,
    /// What is wrong with the code that was to replace this worker's.
    new_code_failed: Mutex<Option<String>>,
}

impl Dev {
    pub(crate) fn new(development: Development) -> Self {
        Self {
            serves_failure: development.serves_failure,
            imported: Mutex::default(),
            new_code_failed: Mutex::default(),
        }
    }

    /// What to serve: the application, with Django's static files, or the reason why there is none
    /// if no other code works.
    ///
    /// # Errors
    ///
    /// That of loading the application, if other code serves, or if it is not the code's fault.
    pub(crate) fn loaded<E: Into<Failure>>(
        &self,
        py: Python<'_>,
        loaded: Result<Loaded, E>,
        master: &MasterLink,
    ) -> Result<Loaded, Failure> {
        let loaded = loaded.map_err(Into::into).and_then(|mut loaded| {
            for application in loaded.applications() {
                let with_files = with_static_files(application.bind(py));
                if let Some(with_files) = with_files.map_err(Failure::python(py))? {
                    *application = with_files.unbind();
                }
            }
            Ok(loaded)
        });
        self.report_imported(py, master);
        let failure = match loaded {
            Err(failure) if self.serves_failure && failure.is_of_the_application() => failure,
            other => return other,
        };
        let problem = failure.report().message;
        master.send(&FromWorker::Broken {
            problem: problem.clone(),
        });
        let page = Page::of_broken_code(problem);
        Ok(Loaded {
            application: stand_in(py, page).map_err(Failure::python(py))?,
            mounts: Vec::new(),
            name: String::new(),
        })
    }

    /// The master says that newer code does not work.
    pub(crate) fn note_new_code(&self, problem: String) {
        *lock(&self.new_code_failed) = Some(problem);
    }

    /// What to call in place of the application: if somebody looks at a page, they want to know that
    /// it is not what they saved last. Everything else that a page needs is served by the code that
    /// works.
    pub(crate) fn in_place_of_application(
        &self,
        py: Python<'_>,
        head: &RequestHead,
    ) -> Option<Py<PyAny>> {
        let failed = lock(&self.new_code_failed);
        let problem = failed.as_ref()?;
        if !Audience::of(head).is_reader_of(problem, head) {
            return None;
        }
        let page = Page::of_new_code(problem.clone());
        drop(failed);
        stand_in(py, page).ok()
    }

    /// Puts the traceback into the response of an application that failed, and reports what it has
    /// imported since.
    pub(crate) fn after_request(
        &self,
        py: Python<'_>,
        head: &RequestHead,
        completed: &mut Completed,
        master: &MasterLink,
    ) {
        let is_ours = completed.author == ResponseAuthor::Server
            && completed.head == HeadState::InTail
            && completed.status == 500;
        if is_ours {
            if let Some(page) = page_of(py, completed, head) {
                let response = page.response(Audience::of(head));
                completed.tail.out.clear();
                completed
                    .tail
                    .out
                    .extend_from_slice(response.head.as_bytes());
                completed.body_bytes = 0;
                if head.kind() != Method::Head {
                    completed
                        .tail
                        .out
                        .extend_from_slice(response.body.as_bytes());
                    completed.body_bytes = response.body.len() as u64;
                }
            }
        }
        self.report_imported(py, master);
    }

    fn report_imported(&self, py: Python<'_>, master: &MasterLink) {
        // Another thread that asks Python at this moment reports for this one, too. To wait for it
        // could mean to wait for each other: it may need the GIL.
        let Ok(mut imported) = self.imported.try_lock() else {
            return;
        };
        let found = match &mut *imported {
            Some(imported) => imported.more(py),
            None => ImportedFiles::new(py).and_then(|new| imported.insert(new).more(py)),
        };
        drop(imported);
        let files = found.unwrap_or_else(|error| {
            let traceback = traceback(py, &error);
            py.detach(|| warn!(%traceback, "imported files are not watched"));
            Vec::new()
        });
        for files in batches(files) {
            master.send(&FromWorker::Imported { files });
        }
    }
}

fn page_of(py: Python<'_>, completed: &Completed, head: &RequestHead) -> Option<Page> {
    if !Audience::of(head).is_at_this_machine() {
        return None;
    }
    let failure = completed.failures.first()?;
    Some(match &failure.cause {
        FailureCause::Exception { error, .. } => {
            Page::of_exception(ExceptionReport::of(py, error), head)
        }
        FailureCause::Violation(violation) => Page::of_violation(violation.to_string(), head),
    })
}

/// Divides what does not fit into one message.
fn batches(files: Vec<String>) -> Vec<Vec<String>> {
    let mut batches = Vec::new();
    let mut room = 0_usize;
    for file in files {
        match room.checked_sub(file.len() + 1) {
            Some(rest) if !batches.is_empty() => room = rest,
            _ => {
                batches.push(Vec::new());
                room = MAX_BATCH.saturating_sub(file.len());
            }
        }
        if let Some(batch) = batches.last_mut() {
            batch.push(file);
        }
    }
    batches
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of names in a message. JSON makes them up to six times as long.
const MAX_BATCH: usize = 14 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::channel::{Channel, Received};

    #[test]
    fn files_of_any_number_arrive() {
        let files: Vec<_> = (0..3_000)
            .map(|n| format!("/srv/\u{1}{}{n}.py", "x".repeat(n % 90)))
            .collect();
        let (master, worker) = Channel::pair().unwrap();
        let mut received = Vec::new();
        for files in batches(files.clone()) {
            worker.send(&FromWorker::Imported { files }, &[]).unwrap();
            match master.receive() {
                Ok(Received::Message(FromWorker::Imported { files }, _)) => received.extend(files),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(received, files);
        assert!(batches(Vec::new()).is_empty());
        assert_eq!(batches(vec!["x".repeat(MAX_BATCH), "y".into()]).len(), 2);
    }
}
