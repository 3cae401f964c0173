//! Reading a configuration from a pipe, such as `--config <(…)`.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Reads until the writer closes the pipe.
///
/// # Errors
///
/// `TimedOut` if that takes too long, for instance because the pipe has been read before and its
/// writer is gone.
pub(in crate::config) fn read(path: &Path) -> io::Result<String> {
    // Otherwise open(2) would wait indefinitely for a writer.
    let flags = OFlag::O_NONBLOCK.bits();
    let mut pipe = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let deadline = Instant::now() + WRITER_TIMEOUT;
    let mut bytes = Vec::new();
    loop {
        // Before the first writer opens the pipe, read(2) would report its end; poll(2) waits.
        wait(&pipe, deadline)?;
        match pipe.read_to_end(&mut bytes) {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

fn wait(pipe: &File, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(pipe, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => {
                let text = format!("nothing was written to the pipe for {WRITER_TIMEOUT:?}");
                return Err(io::Error::new(ErrorKind::TimedOut, text));
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// How long a writer may take to open the pipe, write and close it.
const WRITER_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn late_writer_is_read_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let written = "threads = 2 # ".to_owned() + &"x".repeat(200_000);
        let text = written.clone();
        let to = path.clone();
        let writer = thread::spawn(move || fs::write(to, text));
        assert_eq!(read(&path).unwrap(), written);
        writer.join().unwrap().unwrap();
    }

    #[test]
    fn pipe_without_a_writer_times_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let error = read(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    }
}
