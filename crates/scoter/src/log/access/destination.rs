//! The destination of the access log, which several processes share.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};

use rustix::io::{Errno, write};

use crate::log::error::{standard_error, standard_output};
use crate::log::streams;
use crate::log::write_lock::{PIPE_BUF, WriteLock, is_same, is_stream, wait_writable};
use crate::sys::descriptors::{Watch, move_up, watch};
use crate::sys::fork::Mark;

/// A file, pipe or terminal that takes whole lines.
#[derive(Debug)]
pub(super) struct Destination {
    // First, because it must not outlive the file.
    _mark: Mark,
    _watch: Watch,
    file: File,
    /// Shared by the threads that write there; `None` if no lock is needed.
    threads: Option<Arc<Mutex<()>>>,
    /// Whether the last write failed in the middle of a line.
    torn: bool,
}

impl Destination {
    pub(super) fn new(file: File) -> Self {
        let file: File = move_up(file);
        let threads = is_stream(&file).then(|| {
            if is_same(&file, streams::standard_error()) {
                standard_error::threads()
            } else if is_same(&file, streams::standard_output()) {
                standard_output::threads()
            } else {
                Arc::default()
            }
        });
        Self {
            _mark: Mark::on(&file),
            _watch: watch(NAME, &file),
            file,
            threads,
            torn: false,
        }
    }

    /// Writes whole lines, in pieces that other processes cannot split, and waits as long as that
    /// takes.
    ///
    /// # Errors
    ///
    /// Those of write(2). What was not written is lost.
    pub(super) fn write(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let (piece, rest) = match self.threads {
                // On a local disk no other process can write to the file during a write(2).
                None => (lines, &[][..]),
                Some(_) => split_piece(lines),
            };
            let _lock = self
                .threads
                .as_ref()
                .map(|threads| WriteLock::acquire(self.file.as_fd(), threads));
            if self.torn {
                write_all(&self.file, b"\n").map_err(|(error, _)| error)?;
                self.torn = false;
            }
            if let Err((error, written)) = write_all(&self.file, piece) {
                self.torn = written > 0 && piece[written - 1] != b'\n';
                return Err(error);
            }
            lines = rest;
        }
        Ok(())
    }
}

/// Splits off as many whole lines as a pipe takes in one write, at least one.
fn split_piece(lines: &[u8]) -> (&[u8], &[u8]) {
    let is_end = |byte: &u8| *byte == b'\n';
    let longest = lines.len().min(PIPE_BUF);
    let end = lines[..longest]
        .iter()
        .rposition(is_end)
        .or_else(|| lines.iter().position(is_end));
    lines.split_at(end.map_or(lines.len(), |end| end + 1))
}

/// Writes everything. The error includes how much was written.
fn write_all(file: &File, bytes: &[u8]) -> Result<(), (io::Error, usize)> {
    let mut written = 0;
    while written < bytes.len() {
        match write(file, &bytes[written..]) {
            Ok(0) => return Err((io::ErrorKind::WriteZero.into(), written)),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            // Another process that shares standard output may have made it non-blocking.
            Err(Errno::AGAIN) => wait_writable(file, None).map_err(|error| (error, written))?,
            Err(errno) => return Err((errno.into(), written)),
        }
    }
    Ok(())
}

/// Its name in messages about a lost descriptor.
pub(super) const NAME: &str = "access log";

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::thread;

    use super::*;

    #[test]
    fn pieces_end_where_lines_end() {
        let long = [&b"x".repeat(PIPE_BUF)[..], b"\n"].concat();
        let short = b"short\n".repeat(1_000);
        let lines = [&b"first\n"[..], &long, &short].concat();
        let mut rest = &lines[..];
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            let (piece, behind) = split_piece(rest);
            assert!(piece.ends_with(b"\n"));
            sizes.push(piece.len());
            rest = behind;
        }
        assert_eq!(sizes, [6, PIPE_BUF + 1, 4_092, 1_908]);
    }

    #[test]
    fn long_lines_of_two_writers_stay_whole_on_a_pipe() {
        let (mut reader, writer) = io::pipe().unwrap();
        let threads = Arc::<Mutex<()>>::default();
        let writers = [b'a', b'b'].map(|letter| {
            let file = File::from(std::os::fd::OwnedFd::from(writer.try_clone().unwrap()));
            let mut destination = Destination::new(file);
            assert!(destination.threads.is_some());
            destination.threads = Some(Arc::clone(&threads));
            thread::spawn(move || {
                let mut line = [letter].repeat(3 * PIPE_BUF);
                line.push(b'\n');
                for _ in 0..50 {
                    destination.write(&line).unwrap();
                }
            })
        });
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(text.lines().count(), 100);
        for line in text.lines() {
            let first = &line[..1];
            assert_eq!(line, first.repeat(3 * PIPE_BUF));
        }
    }

    #[test]
    fn line_that_a_failure_cut_is_ended_first() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let mut destination = Destination::new(path.reopen().unwrap());
        destination.write(b"half").unwrap();
        destination.torn = true;
        destination.write(b"whole\n").unwrap();
        assert_eq!(std::fs::read(path.path()).unwrap(), b"half\nwhole\n");
    }
}
