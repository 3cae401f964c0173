//! The working directory: its name at the start, by which a reload enters it again.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The working directory that this process was started in, by the name that whoever started
/// it had for it: links are not resolved. Asked first before privileges are given up, and the
/// same ever after.
pub(crate) fn working_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| name_of_here(env::var_os("PWD").map(PathBuf::from)))
}

/// Goes to the working directory again: a link in its name may lead elsewhere by now.
///
/// # Errors
///
/// Those of the system, when it is not there any more. One that this user may not look at
/// is left as it is.
pub(crate) fn enter_again() -> io::Result<()> {
    let directory = working_directory();
    match is_here(directory) {
        Ok(true) => Ok(()),
        Ok(false) => env::set_current_dir(directory),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// As `pwd -L` names it: by `logical`, what the variable PWD says, if that is true.
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

/// Of a directory that has been deleted (proc(5), `/proc/PID/cwd`).
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
    fn variable_names_the_directory_only_where_it_is_right() {
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
