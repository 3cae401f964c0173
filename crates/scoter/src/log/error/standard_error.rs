//! Standard error, which may be a pipe that nobody reads.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
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
/// standard error is read again; then a line reports how many were lost.
pub(super) fn write_lines(lines: &[u8]) {
    if let Some(lost @ 1..) = WRITER.write(streams::standard_error(), lines, WRITE_TIMEOUT) {
        warn!(
            lost,
            "messages were lost: nobody was reading standard error"
        );
    }
}

/// The lock that all threads that write to standard error share.
pub(in crate::log) fn threads() -> Arc<Mutex<()>> {
    Arc::clone(&WRITER.threads)
}

static WRITER: LazyLock<LossyWriter> = LazyLock::new(LossyWriter::default);

#[derive(Debug, Default)]
struct LossyWriter {
    threads: Arc<Mutex<()>>,
    /// Writes that were given up since the last successful one.
    lost: AtomicU64,
}

impl LossyWriter {
    /// Returns how many writes were lost before this one, or `None` if it failed as well.
    fn write(&self, fd: BorrowedFd<'_>, lines: &[u8], timeout: Duration) -> Option<u64> {
        let timeout = match self.lost.load(Ordering::Relaxed) {
            0 => timeout,
            _ => Duration::ZERO,
        };
        match self.try_write(fd, lines, timeout) {
            Ok(()) => Some(self.lost.swap(0, Ordering::Relaxed)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                None
            }
            // Standard error is unusable, so the loss cannot be reported.
            Err(_) => None,
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
        let mut rest = lines;
        while !rest.is_empty() {
            // When poll(2) reports room, a pipe takes PIPE_BUF bytes at once.
            wait_writable(fd, Some(Instant::now() + timeout))?;
            match write(fd, &rest[..rest.len().min(longest)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }
}

/// How long a thread waits to write its lines.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

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
    fn end_of_the_reader_is_not_counted() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let lossy = LossyWriter::default();
        let writer = OwnedFd::from(writer);
        assert_eq!(lossy.write(writer.as_fd(), b"x\n", SHORT), None);
        assert_eq!(lossy.lost.into_inner(), 0);
    }
}
