//! Standard error, which may be a pipe that nobody reads.

use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::io::{Errno, write};
use tracing::warn;

use crate::log::streams;
use crate::log::write_lock::{PIPE_BUF, WriteLock, is_stream, wait_writable};

/// Writes whole lines in one piece, so that lines of other processes cannot get between them.
///
/// The kernel has them when this returns, so they survive the end of the process. If they cannot be
/// written within [`WRITE_TIMEOUT`] they are dropped, and so are later lines, without a wait, until
/// standard error is read again; then a line reports how many were lost. The same goes for a disk
/// that is full.
pub(super) fn write_lines(lines: &[u8]) {
    if IS_STARTING.load(Ordering::Relaxed) || TO_BOTH.get() {
        if let Some(remembered) = streams::remembered_standard_error() {
            let _ = REMEMBERED.write(remembered, lines, WRITE_TIMEOUT);
        }
    }
    if let Some(lost @ 1..) = WRITER.write(streams::standard_error(), lines, WRITE_TIMEOUT) {
        match WRITER.is_full.swap(false, Ordering::Relaxed) {
            true => warn!(lost, "messages were lost: the disk was full"),
            false => warn!(
                lost,
                "messages were lost: nobody was reading standard error"
            ),
        }
    }
}

/// Writes lines at the end of a thread, where no message can be logged: its thread-locals, which
/// `tracing` needs, may be gone. A loss is reported later.
pub(super) fn write_last_lines(lines: &str) {
    WRITER.write_silently(streams::standard_error(), lines);
}

/// From now on lines also go to the standard error that was replaced.
pub(super) fn begin_start() {
    IS_STARTING.store(true, Ordering::Relaxed);
}

/// From now on they do no more.
pub(super) fn end_start() {
    IS_STARTING.store(false, Ordering::Relaxed);
}

/// Has what `log` writes go to the standard error that was replaced, too.
pub(super) fn write_to_both(log: impl FnOnce()) {
    TO_BOTH.set(true);
    log();
    TO_BOTH.set(false);
}

static IS_STARTING: AtomicBool = AtomicBool::new(false);

thread_local! {
    static TO_BOTH: Cell<bool> = const { Cell::new(false) };
}

/// Writes to the standard error that was replaced.
static REMEMBERED: LazyLock<LossyWriter> = LazyLock::new(LossyWriter::default);

/// The lock that all threads that write to standard error share.
pub(in crate::log) fn threads() -> Arc<Mutex<()>> {
    Arc::clone(&WRITER.threads)
}

static WRITER: LazyLock<LossyWriter> = LazyLock::new(LossyWriter::default);

/// A stream that may be a pipe that nobody reads.
#[derive(Debug, Default)]
pub(super) struct LossyWriter {
    pub(super) threads: Arc<Mutex<()>>,
    /// Writes that were given up since the last successful one.
    lost: AtomicU64,
    /// Whether that was for lack of space.
    is_full: AtomicBool,
    /// Whether the last write ended in the middle of a line.
    is_torn: AtomicBool,
}

impl LossyWriter {
    /// Returns how many writes were lost before this one, or `None` if it failed as well.
    pub(super) fn write(&self, fd: BorrowedFd<'_>, lines: &[u8], timeout: Duration) -> Option<u64> {
        let timeout = match self.lost.load(Ordering::Relaxed) {
            0 => timeout,
            _ => Duration::ZERO,
        };
        match self.try_write(fd, lines, timeout) {
            Ok(()) => Some(self.lost.swap(0, Ordering::Relaxed)),
            Err(error) => {
                let is_full = matches!(
                    error.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                );
                if is_full {
                    self.is_full.store(true, Ordering::Relaxed);
                }
                // Otherwise it is unusable, so the loss cannot be reported.
                if is_full || error.kind() == io::ErrorKind::TimedOut {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
        }
    }

    /// As [`LossyWriter::write`], but leaves the report of what was lost to the next write.
    pub(super) fn write_silently(&self, fd: BorrowedFd<'_>, lines: &str) {
        if let Some(lost) = self.write(fd, lines.as_bytes(), WRITE_TIMEOUT) {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    fn try_write(&self, fd: BorrowedFd<'_>, lines: &[u8], timeout: Duration) -> io::Result<()> {
        // Checked each time, because a child of the application may have replaced it.
        let is_stream = is_stream(fd);
        let _lock = if is_stream {
            let lock = WriteLock::acquire_until(fd, &self.threads, Instant::now() + timeout);
            Some(lock.ok_or(io::ErrorKind::TimedOut)?)
        } else {
            None
        };
        let longest = if is_stream { PIPE_BUF } else { usize::MAX };
        if self.is_torn.load(Ordering::Relaxed) {
            write_pieces(fd, &mut &b"\n"[..], longest, timeout)?;
            self.is_torn.store(false, Ordering::Relaxed);
        }
        let mut rest = lines;
        write_pieces(fd, &mut rest, longest, timeout).inspect_err(|_| {
            let written = &lines[..lines.len() - rest.len()];
            let is_torn = written.last().is_some_and(|byte| *byte != b'\n');
            self.is_torn.store(is_torn, Ordering::Relaxed);
        })
    }
}

/// Writes `rest`, and leaves in it what could not be written.
fn write_pieces(
    fd: BorrowedFd<'_>,
    rest: &mut &[u8],
    longest: usize,
    timeout: Duration,
) -> io::Result<()> {
    while !rest.is_empty() {
        // When poll(2) reports room, a pipe takes PIPE_BUF bytes at once.
        wait_writable(fd, Some(Instant::now() + timeout))?;
        match write(fd, &rest[..rest.len().min(longest)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *rest = &rest[count..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// How long a thread waits to write its lines.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::fs::{OFlags, fcntl_setfl};

    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    /// Fills a pipe to the last byte.
    fn fill(pipe: &OwnedFd) {
        fcntl_setfl(pipe, OFlags::NONBLOCK).unwrap();
        let mut file = std::fs::File::from(pipe.try_clone().unwrap());
        while file.write(&[b'.'; PIPE_BUF]).is_ok() {}
        fcntl_setfl(pipe, OFlags::empty()).unwrap();
    }

    #[test]
    fn unread_lines_are_counted_and_reported() {
        let (mut reader, writer) = io::pipe().unwrap();
        let writer = OwnedFd::from(writer);
        let lossy = LossyWriter::default();
        let write = |line: &[u8]| lossy.write(writer.as_fd(), line, SHORT);
        assert_eq!(write(b"taken\n"), Some(0));
        fill(&writer);
        assert_eq!(write(b"lost\n"), None);
        assert_eq!(write(b"lost too\n"), None);
        let _ = reader.read(&mut vec![0; 1 << 20]).unwrap();
        assert_eq!(write(b"taken again\n"), Some(2));
        assert_eq!(write(b"and again\n"), Some(0));
        let mut rest = vec![0; 1 << 20];
        let count = reader.read(&mut rest).unwrap();
        assert_eq!(&rest[..count], b"taken again\nand again\n");
    }

    #[test]
    fn line_larger_than_a_pipe_is_written_whole_while_it_is_read() {
        let (mut reader, writer) = io::pipe().unwrap();
        let writer = OwnedFd::from(writer);
        let line = [b"x".repeat(300_000), b"\n".to_vec()].concat();
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).unwrap();
            text
        });
        let timeout = Duration::from_secs(60);
        assert_eq!(
            LossyWriter::default().write(writer.as_fd(), &line, timeout),
            Some(0)
        );
        drop(writer);
        assert!(reading.join().unwrap() == line);
    }

    #[test]
    fn lines_that_a_full_disk_loses_are_counted() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        let full = OwnedFd::from(full.unwrap());
        let lossy = LossyWriter::default();
        assert_eq!(lossy.write(full.as_fd(), b"lost\n", SHORT), None);
        let file = tempfile::tempfile().unwrap();
        assert_eq!(lossy.write(file.as_fd(), b"written\n", SHORT), Some(1));
        assert!(lossy.is_full.into_inner());
    }

    #[test]
    fn line_that_was_cut_is_ended_before_the_next_one() {
        let (mut reader, writer) = io::pipe().unwrap();
        let writer = OwnedFd::from(writer);
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        let lossy = LossyWriter::default();
        let long = [b"x".repeat(1 << 20), b"\n".to_vec()].concat();
        assert_eq!(lossy.write(writer.as_fd(), &long, SHORT), None);
        let mut taken = vec![0; 1 << 20];
        let count = reader.read(&mut taken).unwrap();
        assert!(taken[..count].iter().all(|byte| *byte == b'x'));
        assert_eq!(lossy.write(writer.as_fd(), b"whole\n", SHORT), Some(1));
        let count = reader.read(&mut taken).unwrap();
        assert_eq!(&taken[..count], b"\nwhole\n");
    }

    #[test]
    fn end_of_the_reader_is_not_counted() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let lossy = LossyWriter::default();
        let writer = OwnedFd::from(writer);
        assert_eq!(lossy.write(writer.as_fd(), b"x\n", SHORT), None);
        assert_eq!(lossy.lost.into_inner(), 0);
    }
}
