//! `--pid-file`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use tracing::warn;

use super::error::StartError;
use crate::sys::process_stat::ProcessStat;

/// A file with the master's process ID, removed when the master ends.
#[derive(Debug)]
pub(crate) struct PidFile(Option<Written>);

#[derive(Debug)]
struct Written {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl PidFile {
    /// Writes the file, replacing one that an earlier master has left. If that may still be
    /// running, only warns, because another process may have got its number since a reboot.
    ///
    /// # Errors
    ///
    /// [`StartError::PidFile`] names the file.
    pub(crate) fn write(path: Option<&Path>) -> Result<Self, StartError> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        match write(path) {
            Ok(written) => Ok(Self(Some(written))),
            Err(error) => Err(failure(path, error)),
        }
    }

    /// Keeps the file that this process wrote before an upgrade, or writes it. A failure does not
    /// end the running server.
    pub(crate) fn keep(path: Option<&Path>) -> Self {
        let kept = path.and_then(|path| match Written::found(path) {
            Ok(Some(written)) => Some(written),
            _ => write(path)
                .inspect_err(|error| {
                    let path = path.display();
                    warn!(%path, %error, "cannot write --pid-file: the server continues without \
                                          it");
                })
                .ok(),
        });
        Self(kept)
    }

    /// Checks whether [`PidFile::keep`] would succeed.
    ///
    /// # Errors
    ///
    /// [`StartError::PidFile`] names the file.
    pub(crate) fn check(path: Option<&Path>) -> Result<(), StartError> {
        path.map_or(Ok(()), |path| {
            check(path).map_err(|error| failure(path, error))
        })
    }
}

fn failure(path: &Path, error: io::Error) -> StartError {
    StartError::PidFile {
        path: path.to_owned(),
        error,
    }
}

/// Checks whether a master that takes over could write the file. An existing one may be its own,
/// and stay.
fn check(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(in_the_way()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let rights = Access::WRITE_OK | Access::EXEC_OK;
            Ok(accessat(CWD, folder(path), rights, AtFlags::EACCESS)?)
        }
        Err(error) => Err(error),
    }
}

/// Writes it atomically: a reader finds the complete number or no file.
fn write(path: &Path) -> io::Result<Written> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(in_the_way());
    }
    let before = read_number(path);
    let folder = folder(path);
    let mut file = tempfile::Builder::new()
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(ours().as_bytes())?;
    let identity = identity(file.as_file())?;
    file.persist(path).map_err(|error| error.error)?;
    warn_of(before, path);
    Ok(Written {
        path: path.to_owned(),
        identity,
    })
}

/// Warns that the process that the file named until now is alive.
fn warn_of(before: Option<Pid>, path: &Path) {
    let Some(pid) = before.filter(|&pid| pid != Pid::this()) else {
        return;
    };
    if let Some(name) = find_living(pid) {
        let (path, pid) = (path.display(), pid.as_raw());
        warn!(
            %path,
            pid,
            name,
            "--pid-file named another running process: if that is a server, signals meant for it \
             now reach this one (give each server its own file)"
        );
    }
}

/// The number in an existing file.
fn read_number(path: &Path) -> Option<Pid> {
    let text = read(open(path).ok()?).ok()?;
    let number = text.trim_end().parse().ok()?;
    (number > 0).then(|| Pid::from_raw(number))
}

/// Returns the name of a process that has not ended. A zombie has ended.
fn find_living(pid: Pid) -> Option<String> {
    if kill(pid, None) == Err(Errno::ESRCH) {
        return None;
    }
    // Other users' processes may be hidden (proc(5), hidepid).
    let Ok(stat) = ProcessStat::of(pid) else {
        return Some(String::new());
    };
    (!stat.has_ended).then_some(stat.name)
}

fn in_the_way() -> io::Error {
    io::Error::other("it exists and is not a regular file")
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("/"))
}

impl Written {
    /// The file at `path`, if it has the number of this process.
    fn found(path: &Path) -> io::Result<Option<Self>> {
        let found = Self {
            path: path.to_owned(),
            identity: identity(&open(path)?)?,
        };
        Ok(found.is_ours()?.then_some(found))
    }

    /// Whether the file has neither been rewritten nor replaced. Does not follow links or block,
    /// because the directory may belong to another user.
    fn is_ours(&self) -> io::Result<bool> {
        let file = open(&self.path)?;
        if identity(&file)? != self.identity {
            return Ok(false);
        }
        Ok(read(file)? == ours())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(written) = &self.0 {
            if written.is_ours().unwrap_or(false) {
                let _ = fs::remove_file(&written.path);
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits()).open(path)
}

fn read(file: File) -> io::Result<String> {
    let mut text = String::new();
    file.take(MAX_LENGTH).read_to_string(&mut text)?;
    Ok(text)
}

fn ours() -> String {
    format!("{}\n", std::process::id())
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let found = file.metadata()?;
    Ok((found.dev(), found.ino()))
}

/// One byte more than a number and a line feed can have.
const MAX_LENGTH: u64 = 24;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sys::wait::{Id, WaitPidFlag, waitid};

    use super::*;

    #[test]
    fn number_is_read_only_from_a_valid_pid_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        assert_eq!(read_number(&path), None);
        for (text, expected) in [
            ("17\n", Some(17)),
            ("17", Some(17)),
            ("", None),
            ("-17\n", None),
            ("0\n", None),
            ("17 18\n", None),
            ("no number\n", None),
            ("99999999999999999999999999\n", None),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_number(&path), expected.map(Pid::from_raw), "{text:?}");
        }
        fs::write(&path, [0xff, b'1']).unwrap();
        assert_eq!(read_number(&path), None);
    }

    #[test]
    fn process_lives_until_it_is_a_zombie() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert!(find_living(pid).is_some());
        child.kill().unwrap();
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        assert_eq!(find_living(pid), None);
        child.wait().unwrap();
        assert_eq!(find_living(pid), None);
    }

    #[test]
    fn file_put_in_its_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        type Put = fn(&Path);
        let put: [(&str, Put); 4] = [
            ("a link", |path| {
                std::os::unix::fs::symlink("/dev/zero", path).unwrap();
            }),
            ("a link to a copy", |path| {
                let copy = path.with_extension("copy");
                fs::write(&copy, ours()).unwrap();
                std::os::unix::fs::symlink(copy, path).unwrap();
            }),
            ("a FIFO", |path| {
                let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
                nix::unistd::mkfifo(path, mode).unwrap();
            }),
            ("another number", |path| fs::write(path, "1\n").unwrap()),
        ];
        for (what, put) in put {
            let written = PidFile::write(Some(&path)).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), ours());
            fs::remove_file(&path).unwrap();
            put(&path);
            drop(written);
            assert!(fs::symlink_metadata(&path).is_ok(), "{what}");
            fs::remove_file(&path).unwrap();
        }
        drop(PidFile::write(Some(&path)).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn upgrade_keeps_its_own_file_and_continues_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        let first = write(&path).unwrap();
        let kept = PidFile::keep(Some(&path));
        assert_eq!(identity(&open(&path).unwrap()).unwrap(), first.identity);
        drop(kept);
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        assert!(PidFile::check(Some(&path)).is_err());
        drop(PidFile::keep(Some(&path)));
        assert!(path.exists());
        fs::remove_dir(&path).unwrap();
        assert!(PidFile::check(Some(&path)).is_ok());
        let nowhere = folder.path().join("nowhere/pid");
        assert!(PidFile::check(Some(&nowhere)).is_err());
        assert!(PidFile::keep(Some(&nowhere)).0.is_none());
    }
}
