//! Finds changes by looking at the files, where the system reports none. notify's own way to do that
//! compares whole seconds, and an editor that formats what it has saved writes twice in one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::watch_list::{Depth, WatchList, folders_in};

/// What the files were like at the last look.
#[derive(Debug, Default)]
pub(super) struct Poll(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Poll {
    /// Looks at all files that matter. Returns one that has changed, appeared or gone since the last
    /// look.
    pub(super) fn look(&mut self, list: &WatchList) -> Option<PathBuf> {
        let mut now = Self::default();
        for (place, depth) in list.places() {
            match depth {
                Depth::One => now.collect(place, list),
                Depth::All => folders_in(place)
                    .iter()
                    .for_each(|folder| now.collect(folder, list)),
            }
        }
        let differs = |(path, state): &(&PathBuf, _)| self.0.get(*path) != Some(*state);
        let changed = now.0.iter().find(differs).map(|(path, _)| path.clone());
        let gone = || {
            self.0
                .keys()
                .find(|path| !now.0.contains_key(*path) && list.has(path))
        };
        let found = changed.or_else(|| gone().cloned());
        *self = now;
        found
    }

    fn collect(&mut self, folder: &Path, list: &WatchList) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let files = entries.flatten().map(|entry| entry.path());
        for path in files.filter(|path| list.has(path)) {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    let state = (metadata.modified().ok(), metadata.len());
                    self.0.insert(path, state);
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_between_two_looks_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("templates/deep")).unwrap();
        fs::write(at("app.py"), "1").unwrap();
        let mut list = WatchList::new(folder.path(), at("scoter.toml"));
        list.add(&at("app.py"));
        list.add_asked_for(&at("templates"));
        let mut poll = Poll::default();
        poll.look(&list);
        assert_eq!(poll.look(&list), None);
        for (name, text) in [
            ("app.py", "longer"),
            ("templates/deep/a.html", ""),
            ("scoter.toml", ""),
        ] {
            fs::write(at(name), text).unwrap();
            assert_eq!(poll.look(&list), Some(at(name)));
        }
        fs::write(at("other.py"), "").unwrap();
        assert_eq!(poll.look(&list), None);
        fs::remove_file(at("app.py")).unwrap();
        assert_eq!(poll.look(&list), Some(at("app.py")));
        assert_eq!(poll.look(&list), None);
    }
}
