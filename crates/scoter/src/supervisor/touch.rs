//! `--reload-on-touch`: watches the modification times of files, in its own thread, so that an
//! unresponsive file system does not block the master.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tracing::{error, warn};

use super::core::{Event, TICK};
use crate::sys::limits::hint_for;
use crate::sys::signals::kept_from;

/// A watch, which ends when it is dropped.
#[derive(Debug)]
pub(super) struct Watch {
    paths: Vec<PathBuf>,
    _end: Sender<()>,
}

impl Watch {
    /// Begins to report files that are touched.
    pub(super) fn begin(paths: &[PathBuf], events: &mpsc::Sender<Event>) -> Self {
        let (end, ended) = channel();
        let watched = paths.to_owned();
        if !paths.is_empty() {
            let (paths, events) = (paths.to_owned(), events.clone());
            let thread = thread::Builder::new().name("scoter-touch".to_owned());
            if let Err(error) = kept_from(|| thread.spawn(move || keep(&paths, &events, &ended))) {
                let hint = hint_for(&error);
                error!("cannot watch the --reload-on-touch files: {error}{hint}");
            }
        }
        Self {
            paths: watched,
            _end: end,
        }
    }

    /// Whether it watches exactly these files. Replacing it with a new watch would miss files
    /// touched between the two watches' checks.
    pub(super) fn is_of(&self, paths: &[PathBuf]) -> bool {
        self.paths == paths
    }
}

fn keep(paths: &[PathBuf], events: &mpsc::Sender<Event>, ended: &Receiver<()>) {
    let mut touched = Touched::watch(paths);
    touched.warn_of_missing();
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
        if let Some(path) = touched.next() {
            if events.blocking_send(Event::Touched(path)).is_err() {
                return;
            }
        }
    }
}

/// Files, and when each was last modified.
#[derive(Debug)]
struct Touched(Vec<(PathBuf, Option<SystemTime>)>);

impl Touched {
    fn watch(paths: &[PathBuf]) -> Self {
        let files = paths.iter();
        Self(files.map(|path| (path.clone(), modified(path))).collect())
    }

    /// Warns about missing files: a wrong path would be watched forever.
    fn warn_of_missing(&self) {
        for (path, _) in &self.0 {
            if let Err(error) = fs::metadata(path) {
                let path = path.display();
                warn!(%path, %error, "a --reload-on-touch file does not exist: creating it will \
                                      cause a reload");
            }
        }
    }

    /// The first file that was touched or created since the last call. The removal of a file does
    /// not count, because a deployment may be replacing it.
    fn next(&mut self) -> Option<PathBuf> {
        let mut found = None;
        for (path, before) in &mut self.0 {
            let now = modified(path);
            if now.is_some() && now != *before {
                *before = now;
                found.get_or_insert_with(|| path.clone());
            }
        }
        found
    }
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_touch_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("touched");
        let mut watched = Touched::watch(std::slice::from_ref(&path));
        assert_eq!(watched.next(), None);
        fs::write(&path, "").unwrap();
        assert_eq!(watched.next(), Some(path.clone()));
        assert_eq!(watched.next(), None);
        let file = fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60))
            .unwrap();
        assert_eq!(watched.next(), Some(path.clone()));
        fs::remove_file(&path).unwrap();
        assert_eq!(watched.next(), None);
    }
}
