//! The working directory: its name at the start, by which a reload enters it again.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The working directory that this process was started in, by the name used then: links are not
/// resolved. It must first be called before privileges are dropped, and always returns the same
/// path.
pub(crate) fn working_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| name_of_here(env::var_os("PWD").map(PathBuf::from)))
}

/// Re-enters the working directory by its name, because a link in it may lead elsewhere by now.
///
/// # Errors
///
/// System errors, if it no longer exists. If this user may not access it, the working directory is
/// left as it is.
pub(crate) fn enter_again() -> io::Result<()> {
    let directory = working_directory();
    match is_here(directory) {
        Ok(true) => Ok(()),
        Ok(false) => env::set_current_dir(directory),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// The name that `pwd -L` prints: `logical`, the variable PWD, if it is correct.
fn name_of_here(logical: Option<PathBuf>) -> PathBuf {
    logical
        .filter(|path| path.is_absolute() && is_here(path).is_ok_and(|same| same))
        .or_else(|| env::current_dir().ok())
        .unwrap_or_else(former_name_of_here)
}

fn is_here(path: &Path) -> io::Result<bool> {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    Ok(identity(path)? == identity(Path::new("."))?)
}

/// The name of a deleted directory (proc(5), `/proc/PID/cwd`).
fn former_name_of_here() -> PathBuf {
    let link = fs::read_link("/proc/self/cwd").unwrap_or_default();
    let name = link.as_os_str().as_bytes();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn variable_is_used_only_if_it_names_the_directory() {
        let here = env::current_dir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(&here, &link).unwrap();
        for (logical, expected) in [
            (Some(link.clone()), &link),
            (Some(here.clone()), &here),
            (Some(folder.path().to_owned()), &here),
            (Some("/nonexistent".into()), &here),
            (Some(".".into()), &here),
            (None, &here),
        ] {
            assert_eq!(name_of_here(logical.clone()), *expected, "{logical:?}");
        }
    }
}
