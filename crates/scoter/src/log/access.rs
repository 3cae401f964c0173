//! The access log: a line per response, written off the slots.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use rustix::io::Errno;
use thiserror::Error;
use tracing::{debug, error, warn};

use super::clock::Clock;
use super::destination::Destination;
use super::format::{AccessLogFormat, Process, Record, write_line};
use super::identity::{self, Identity};
use super::streams;
use crate::request_head::RequestHead;

/// What a line tells about one request.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) head: Arc<RequestHead>,
    pub(crate) status: u16,
    /// Bytes behind the head.
    pub(crate) body_bytes: u64,
    pub(crate) accepted: Instant,
    /// How long it waited for the application to begin, if that is known.
    pub(crate) queued: Option<Duration>,
    /// The slot that served it, from 0.
    pub(crate) slot: usize,
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere; no line is made.
    Off,
    /// The end of a file.
    File(PathBuf),
}

impl AccessLogTo {
    /// What a word means that is not the name of a file.
    pub(crate) fn from_word(text: &OsStr) -> Option<Self> {
        match text.to_str()? {
            "on" | "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Takes lines from any thread; a thread of its own writes them in batches.
///
/// A line appears within [`BATCH_DELAY`]. Lines are lost, and that is reported, only where
/// the disk is full or the reader of a pipe stands still for a megabyte.
#[derive(Debug)]
pub(crate) struct AccessLog(Option<Arc<Queue>>);

/// An access log that is open, and has nobody yet who writes it: it survives a fork, which
/// a thread does not.
#[derive(Debug)]
pub(crate) struct OpenLog(Option<Opened>);

#[derive(Debug)]
struct Opened {
    destination: Destination,
    /// Of a file, to open it again.
    path: Option<PathBuf>,
    format: AccessLogFormat,
}

/// Why the access log cannot be had.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    /// The file cannot be opened.
    #[error("cannot open the access log {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// Nor can standard output or error.
    #[error("cannot write an access log: {0}")]
    Stream(io::Error),
}

impl AccessLog {
    /// What it is called where it is lost.
    pub(crate) const NAME: &str = "access log";

    /// Opens the log.
    ///
    /// A file is appended to, and made with mode 640 where it does not exist.
    ///
    /// # Errors
    ///
    /// That of opening the file.
    pub(crate) fn open(to: &AccessLogTo, format: &AccessLogFormat) -> Result<OpenLog, OpenError> {
        let (file, path) = match to {
            AccessLogTo::Off => return Ok(OpenLog(None)),
            AccessLogTo::Stdout => (duplicate(streams::standard_output())?, None),
            AccessLogTo::Stderr => (duplicate(streams::standard_error())?, None),
            AccessLogTo::File(path) => match append_to(path) {
                Ok(file) => (file, Some(path.clone())),
                Err(error) => {
                    let path = path.clone();
                    return Err(OpenError::File { path, error });
                }
            },
        };
        Ok(OpenLog(Some(Opened {
            destination: Destination::new(file),
            path,
            format: format.clone(),
        })))
    }

    /// Whether nobody is interested in any line.
    pub(crate) fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Writes the line of a response, of which `unsent` bytes never left, and which took
    /// `elapsed` from the accept on.
    pub(crate) fn write(&self, entry: &Entry, unsent: u64, elapsed: Duration) {
        let Some(queue) = &self.0 else {
            return;
        };
        let mut lines = queue.lock();
        if lines.bytes.len() >= MOST_PENDING {
            lines.lost += 1;
            return;
        }
        let before = lines.bytes.len();
        let Lines { bytes, clock, .. } = &mut *lines;
        let record = Record {
            entry,
            body_bytes: entry.body_bytes.saturating_sub(unsent),
            elapsed,
            now: clock.now(),
            process: queue.process,
        };
        write_line(bytes, &queue.format, &record);
        let after = bytes.len();
        drop(lines);
        // The writer waits for the first line of a batch, and then for a full one.
        if before == 0 || (before < BATCH_BYTES && after >= BATCH_BYTES) {
            queue.changed.notify_one();
        }
    }

    /// Opens the file anew, soon: it has been renamed, and further lines belong into one
    /// with its old name. Where that fails the old one stays in use.
    pub(crate) fn reopen(&self) {
        if let Some(queue) = &self.0 {
            queue.lock().reopening = true;
            queue.changed.notify_all();
        }
    }

    /// Writes what is pending, unless that takes longer than [`CLOSE_PATIENCE`]. Lines that
    /// come later are lost.
    pub(crate) fn close(&self) {
        let Some(queue) = &self.0 else {
            return;
        };
        let mut lines = queue.lock();
        lines.closing = true;
        queue.changed.notify_all();
        let _ = queue
            .changed
            .wait_timeout_while(lines, CLOSE_PATIENCE, |lines| !lines.closed);
    }

    /// Whether nobody writes it any more, though nobody has closed it.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_some_and(|queue| {
            let lines = queue.lock();
            lines.closed && !lines.closing
        })
    }
}

impl OpenLog {
    /// Starts the writer, in the process that serves, which knows its identity by now.
    ///
    /// # Errors
    ///
    /// That of starting a thread.
    pub(crate) fn start(self) -> io::Result<AccessLog> {
        let Some(Opened {
            destination,
            path,
            format,
        }) = self.0
        else {
            return Ok(AccessLog(None));
        };
        let queue = Arc::new(Queue {
            lines: Mutex::default(),
            changed: Condvar::new(),
            format,
            process: Process {
                pid: std::process::id(),
                worker: match identity::current() {
                    Identity::Worker { id } => Some(id),
                    Identity::Master => None,
                },
            },
        });
        std::thread::Builder::new()
            .name("scoter-access".to_owned())
            .spawn({
                let queue = Arc::clone(&queue);
                move || queue.write_batches(destination, path.as_deref())
            })?;
        Ok(AccessLog(Some(queue)))
    }
}

/// Lines on their way to the writer.
#[derive(Debug)]
struct Queue {
    lines: Mutex<Lines>,
    changed: Condvar,
    format: AccessLogFormat,
    process: Process,
}

#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    lost: u64,
    clock: Clock,
    /// The writer is to open its file anew.
    reopening: bool,
    /// The writer is to write what there is, and end.
    closing: bool,
    /// It has.
    closed: bool,
}

/// What the writer is to do next.
enum Task {
    Reopen,
    /// Write a batch. So many lines were lost before it.
    Write {
        lost: u64,
    },
    End,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, then a moment for more of them.
    fn next_task(&self, batch: &mut Vec<u8>) -> Task {
        let mut lines = self
            .changed
            .wait_while(self.lock(), |lines| {
                lines.bytes.is_empty() && !lines.closing && !lines.reopening
            })
            .unwrap_or_else(PoisonError::into_inner);
        (lines, _) = self
            .changed
            .wait_timeout_while(lines, BATCH_DELAY, |lines| {
                lines.bytes.len() < BATCH_BYTES && !lines.closing && !lines.reopening
            })
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut lines.reopening) {
            return Task::Reopen;
        }
        if lines.bytes.is_empty() {
            return Task::End;
        }
        std::mem::swap(&mut lines.bytes, batch);
        let lost = std::mem::take(&mut lines.lost);
        Task::Write { lost }
    }

    fn write_batches(&self, mut destination: Destination, path: Option<&Path>) {
        let mut batch = Vec::with_capacity(2 * BATCH_BYTES);
        let mut failing = false;
        let _end = End(self);
        loop {
            let lost = match self.next_task(&mut batch) {
                Task::Reopen => {
                    if let Some(path) = path {
                        reopen(&mut destination, path);
                    }
                    continue;
                }
                Task::Write { lost } => lost,
                Task::End => break,
            };
            if lost > 0 {
                warn!(
                    lost,
                    "access log lines were lost: the log is not taken fast enough"
                );
            }
            match destination.write(&batch) {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    error!(%error, "the access log cannot be written: its lines are lost");
                    failing = true;
                }
                Err(_) => {}
            }
            batch.clear();
        }
    }
}

/// Says that the writer has ended, whatever it has ended for.
struct End<'a>(&'a Queue);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

fn reopen(destination: &mut Destination, path: &Path) {
    match append_to(path) {
        Ok(file) => {
            *destination = Destination::new(file);
            debug!(path = %path.display(), "access log reopened");
        }
        Err(error) => {
            error!(
                path = %path.display(),
                %error,
                "the access log cannot be reopened: the old file stays in use"
            );
        }
    }
}

/// As root, a link that another user has made is not followed: it leads to whatever file that
/// user would like to have written to.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640);
    if !rustix::process::geteuid().is_root() {
        return options.open(path);
    }
    let flags = OFlag::O_NOFOLLOW.bits();
    match options.clone().custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            if std::fs::symlink_metadata(path)?.uid() != 0 {
                return Err(io::Error::other(
                    "it is a link that belongs to another user, which is not followed as root",
                ));
            }
            options.open(path)
        }
        opened => opened,
    }
}

fn duplicate(stream: impl AsFd) -> Result<File, OpenError> {
    let fd = stream.as_fd().try_clone_to_owned();
    fd.map(File::from).map_err(OpenError::Stream)
}

/// How long lines are gathered before they are written.
const BATCH_DELAY: Duration = Duration::from_millis(50);

/// How long the end of the process waits for the last lines to be taken.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that are written without further delay.
const BATCH_BYTES: usize = 32 * 1_024;

/// Bytes kept for a log that is not taken.
const MOST_PENDING: usize = 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn entry(uri: &str) -> Entry {
        let head = RequestHead::of([("REQUEST_URI", uri)]);
        Entry {
            head: Arc::new(head),
            status: 200,
            body_bytes: 0,
            accepted: Instant::now(),
            queued: None,
            slot: 0,
        }
    }

    fn start(path: &Path) -> AccessLog {
        let to = AccessLogTo::File(path.to_owned());
        let template = "$request_uri".parse().unwrap();
        AccessLog::open(&to, &template).unwrap().start().unwrap()
    }

    fn write(log: &AccessLog, uri: &str) {
        log.write(&entry(uri), 0, Duration::ZERO);
    }

    #[track_caller]
    fn wait_for(condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < deadline, "it does not happen");
            std::thread::yield_now();
        }
    }

    #[test]
    fn every_line_is_in_the_file_after_close() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = start(&path);
        for index in 0..1_000 {
            write(&log, &format!("/{index}"));
        }
        log.close();
        let text = fs::read_to_string(path).unwrap();
        assert!(text.lines().eq((0..1_000).map(|index| format!("/{index}"))));
    }

    #[test]
    fn file_is_closed_to_strangers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        start(&path).close();
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
    }

    #[test]
    fn link_of_another_user_is_not_followed_as_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        append_to(&link).unwrap();
        assert!(target.exists());
        std::os::unix::fs::lchown(&link, Some(65_534), None).unwrap();
        let error = append_to(&link).unwrap_err().to_string();
        assert!(error.contains("another user"), "{error}");
        // What it leads to may be opened by its own name.
        append_to(&target).unwrap();
    }

    #[test]
    fn rotation_by_renaming_loses_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = start(&path);
        let mut all = String::new();
        let mut next = 0;
        for rotation in 0..20 {
            for _ in 0..100 {
                write(&log, &format!("/{next}"));
                next += 1;
            }
            let rotated = directory.path().join(format!("access.log.{rotation}"));
            fs::rename(&path, &rotated).unwrap();
            log.reopen();
            wait_for(|| path.exists());
            all += &fs::read_to_string(rotated).unwrap();
        }
        log.close();
        all += &fs::read_to_string(path).unwrap();
        assert!(all.lines().eq((0..next).map(|index| format!("/{index}"))));
    }

    #[test]
    fn file_that_cannot_be_reopened_stays_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let log = start(&logs.join("access.log"));
        write(&log, "/before");
        let renamed = directory.path().join("renamed");
        fs::rename(&logs, &renamed).unwrap();
        log.reopen();
        write(&log, "/after");
        log.close();
        let text = fs::read_to_string(renamed.join("access.log")).unwrap();
        assert_eq!(text, "/before\n/after\n");
    }

    #[test]
    fn what_cannot_be_had_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("no/access.log");
        let to = AccessLogTo::File(path.clone());
        let error = AccessLog::open(&to, &AccessLogFormat::Json).unwrap_err();
        let expected = format!(
            "cannot open the access log {}: No such file",
            path.display()
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
    }

    #[test]
    fn log_that_is_off_takes_everything() {
        let log = AccessLog::open(&AccessLogTo::Off, &AccessLogFormat::Combined);
        let log = log.unwrap().start().unwrap();
        write(&log, "/");
        log.reopen();
        log.close();
    }
}
