//! The contents of `sys.path`, from the Python that starts the server to those that it starts.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The entries of `sys.path`, in order. Scripts of zc.buildout, shiv and pex extend it before they
/// call scoter, and zip archives add themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SearchPath {
    pub(crate) entries: Vec<OsString>,
    /// The standard library's directory of the Python that had these entries. Another Python has
    /// another one, with its version in the name.
    pub(crate) library: Option<PathBuf>,
}

impl SearchPath {
    /// Appends the entries that only `later` has. If that is another Python's, the previous
    /// Python's own entries are left out, so that its standard library is not found.
    pub(crate) fn followed_by(self, later: Self) -> Self {
        let Self {
            mut entries,
            library,
        } = self;
        if let Some(before) = library.filter(|_| later.library.is_some()) {
            if later.library.as_ref() != Some(&before) {
                let is_same_version =
                    later.library.as_deref().and_then(Path::file_name) == before.file_name();
                entries.retain(|entry| {
                    let entry = Path::new(entry);
                    !is_of(&before, entry) && (is_same_version || !names_version(&before, entry))
                });
            }
        }
        for entry in later.entries {
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        Self {
            entries,
            library: later.library,
        }
    }
}

/// Whether an entry is part of the standard library, or installed in its directory.
fn is_of(library: &Path, entry: &Path) -> bool {
    let archive = library.file_name().and_then(OsStr::to_str);
    let archive = archive.map(|name| format!("{}.zip", name.replace('.', "")));
    entry.starts_with(library) || archive.is_some_and(|name| entry == library.with_file_name(name))
}

/// Whether an entry is only for that library's version, like the directories of virtual
/// environments and users: `lib/python3.11/site-packages`.
fn names_version(library: &Path, entry: &Path) -> bool {
    let version = library.file_name().unwrap_or_default();
    let archive = version.to_string_lossy().replace('.', "") + ".zip";
    version.as_encoded_bytes().starts_with(b"python")
        && entry
            .components()
            .any(|part| part.as_os_str() == version || part.as_os_str() == archive.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(library: Option<&str>, entries: &[&str]) -> SearchPath {
        SearchPath {
            entries: entries.iter().map(OsString::from).collect(),
            library: library.map(PathBuf::from),
        }
    }

    #[test]
    fn entries_of_another_python_are_left_out() {
        let before = [
            "/eggs/one",
            "/usr/lib/python311.zip",
            "/usr/lib/python3.11",
            "/usr/lib/python3.11/lib-dynload",
            "/venv/lib/python3.11/site-packages",
            "/usr/lib/python3/dist-packages",
            "/srv/python3.11-app",
        ];
        let of_the_script = [
            "/eggs/one",
            "/usr/lib/python3/dist-packages",
            "/srv/python3.11-app",
        ];
        let of_any_patch = [
            "/eggs/one",
            "/venv/lib/python3.11/site-packages",
            "/usr/lib/python3/dist-packages",
            "/srv/python3.11-app",
        ];
        for (library, kept) in [
            (Some("/usr/lib/python3.11"), &before[..]),
            (None, &before),
            (Some("/usr/lib/python3.12"), &of_the_script),
            (Some("/usr/lib/python3.11t"), &of_the_script),
            (Some("/opt/lib/python3.11"), &of_any_patch),
        ] {
            let later = library.unwrap_or("/later");
            let both =
                path(Some("/usr/lib/python3.11"), &before).followed_by(path(library, &[later]));
            let mut expected = kept.to_vec();
            if !expected.contains(&later) {
                expected.push(later);
            }
            assert_eq!(both, path(library, &expected), "{library:?}");
        }
    }

    #[test]
    fn path_of_the_start_comes_first_and_once() {
        let path = |entries: &[&str]| path(None, entries);
        let (given, found) = (
            path(&["/eggs", "/lib", "/site"]),
            path(&["/lib", "/site", "/new"]),
        );
        assert_eq!(
            given.followed_by(found),
            path(&["/eggs", "/lib", "/site", "/new"])
        );
    }
}
