//! The directory of the sockets, which goes with the process.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::private_folder;

/// A directory that only this user may enter. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct PrivateFolder(PathBuf);

/// Why there is none.
#[derive(Debug, Error)]
#[error("cannot make {} for the sockets: {error}\nhint: TMPDIR sets where temporary files are", path.display())]
pub(crate) struct FolderError {
    path: PathBuf,
    error: io::Error,
}

impl PrivateFolder {
    /// Makes it, and removes those that processes which were killed have left.
    ///
    /// # Errors
    ///
    /// [`FolderError`], with the path.
    pub(super) fn make() -> Result<Self, FolderError> {
        let path = private_folder();
        remove_old(&path);
        match make(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => Err(FolderError { path, error }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn make(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        // Of an earlier process with this ID.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_ours(path) => {
            fs::remove_dir_all(path)?;
            DirBuilder::new().mode(0o700).create(path)
        }
        made => made,
    }
}

/// Whether it is a directory, and not a link to one, that only this user may enter.
fn is_ours(path: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(path)
        .is_ok_and(|it| it.is_dir() && it.uid() == user && it.mode() & 0o077 == 0)
}

/// Removes the directories of processes that have ended without doing that themselves.
fn remove_old(ours: &Path) {
    let name = ours.file_name().and_then(|name| name.to_str());
    let parts = name.and_then(|name| name.rsplit_once('-'));
    let (Some((prefix, _)), Some(place)) = (parts, ours.parent()) else {
        return;
    };
    let Ok(entries) = fs::read_dir(place) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str());
        let pid = name.and_then(|name| name.strip_prefix(prefix)?.strip_prefix('-')?.parse().ok());
        let has_ended = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
        if pid.is_some_and(has_ended) && is_ours(&path) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_ended_processes_are_removed_and_no_others() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let names = [
            "scoter-dev-1",
            "scoter-dev-4194305",
            "scoter-dev-x",
            "scoter-4194305",
        ];
        for name in names {
            make(&at(name)).unwrap();
        }
        fs::write(at("scoter-dev-4194305").join("scoter.sock"), "").unwrap();
        make(&at("scoter-dev-4194306")).unwrap();
        fs::set_permissions(
            at("scoter-dev-4194306"),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        remove_old(&at("scoter-dev-2"));
        assert!(!at("scoter-dev-4194305").exists());
        for name in [
            "scoter-dev-1",
            "scoter-dev-x",
            "scoter-4194305",
            "scoter-dev-4194306",
        ] {
            assert!(at(name).exists(), "{name}");
        }
    }

    #[test]
    fn directory_of_somebody_else_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("link");
        std::os::unix::fs::symlink(place.path(), &link).unwrap();
        assert_eq!(make(&link).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let fresh = place.path().join("fresh");
        make(&fresh).unwrap();
        fs::write(fresh.join("old"), "").unwrap();
        make(&fresh).unwrap();
        assert!(!fresh.join("old").exists());
    }
}
