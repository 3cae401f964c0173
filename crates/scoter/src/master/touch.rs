//! `--reload-on-touch`: files whose time stamps are watched.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

/// Files, and when each was last modified.
#[derive(Debug, Default)]
pub(super) struct Touched(Vec<(PathBuf, Option<SystemTime>)>);

impl Touched {
    pub(super) fn watch(paths: &[PathBuf]) -> Self {
        let files = paths.iter();
        Self(files.map(|path| (path.clone(), modified(path))).collect())
    }

    /// The first file that was touched, or made, since it was last asked. A file that goes
    /// away is no reason to reload: a deployment may be replacing it.
    pub(super) fn next(&mut self) -> Option<PathBuf> {
        let mut found = None;
        for (path, before) in &mut self.0 {
            let now = modified(path);
            if now.is_some() && now != *before {
                *before = now;
                found.get_or_insert_with(|| path.clone());
            }
        }
        found
    }
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_touch_is_seen_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("touched");
        let mut watched = Touched::watch(std::slice::from_ref(&path));
        assert_eq!(watched.next(), None);
        fs::write(&path, "").unwrap();
        assert_eq!(watched.next(), Some(path.clone()));
        assert_eq!(watched.next(), None);
        let file = fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60))
            .unwrap();
        assert_eq!(watched.next(), Some(path.clone()));
        fs::remove_file(&path).unwrap();
        assert_eq!(watched.next(), None);
    }
}
