//! Which files matter, and which directories are watched for them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

use glob::{MatchOptions, Pattern};

/// The files whose changes are followed by a reload.
#[derive(Debug, Default)]
pub(super) struct WatchList {
    /// Files that are imported, or configure the server.
    files: BTreeSet<PathBuf>,
    /// Directories in which any Python file matters while the code does not load: the one that it
    /// needs may be missing, or cannot be imported yet.
    folders: BTreeSet<PathBuf>,
    /// `--watch`.
    asked_for: Vec<AskedFor>,
    is_broken: bool,
    /// The directories to be watched for the above. Kept, because each change of any file asks for
    /// them.
    places: BTreeMap<PathBuf, Depth>,
}

/// A path of `--watch`.
#[derive(Debug)]
enum AskedFor {
    File(PathBuf),
    /// Everything in it.
    Folder(PathBuf),
    /// Files of a pattern, and the directory in front of its first wildcard.
    Pattern(Pattern, PathBuf, Depth),
}

/// Whether directories within a watched one are watched, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    One,
    All,
}

impl WatchList {
    /// Begins with the directory of the application and the configuration.
    pub(super) fn new(here: &Path, configuration: PathBuf) -> Self {
        let mut list = Self::default();
        list.add_place(configuration.parent().unwrap_or(&configuration), Depth::One);
        list.files.insert(configuration);
        list.add_place(here, Depth::One);
        list.folders.insert(here.to_owned());
        list
    }

    /// Adds a file that is imported or read. Returns whether it is new.
    pub(super) fn add(&mut self, file: &Path) -> bool {
        if let Some(folder) = file.parent() {
            if self.folders.insert(folder.to_owned()) {
                self.add_place(folder, Depth::One);
            }
        }
        self.files.insert(file.to_owned())
    }

    /// Adds a path of `--watch`, which must be absolute: a file, a directory or a pattern.
    pub(super) fn add_asked_for(&mut self, path: &Path) {
        let asked_for = AskedFor::of(path);
        match &asked_for {
            AskedFor::File(file) => self.add_place(file.parent().unwrap_or(file), Depth::One),
            AskedFor::Folder(folder) => self.add_place(folder, Depth::All),
            AskedFor::Pattern(_, base, depth) => self.add_place(base, *depth),
        }
        self.asked_for.push(asked_for);
    }

    fn add_place(&mut self, path: &Path, depth: Depth) {
        let place = self.places.entry(path.to_owned()).or_insert(depth);
        *place = depth.max(*place);
    }

    /// The code does not load, or does again.
    pub(super) fn set_broken(&mut self, is_broken: bool) {
        self.is_broken = is_broken;
    }

    /// The directories to be watched.
    pub(super) fn places(&self) -> &BTreeMap<PathBuf, Depth> {
        &self.places
    }

    /// Whether this is a directory to be watched, or one that they are in.
    pub(super) fn leads_to_place(&self, path: &Path) -> bool {
        // Those in a directory come right after it.
        let mut from = self
            .places
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded));
        from.next()
            .is_some_and(|(place, _)| place.starts_with(path))
    }

    /// Whether a change of this file matters.
    pub(super) fn has(&self, path: &Path) -> bool {
        let is_python = || path.extension() == Some(OsStr::new("py"));
        let is_in_folder = || path.parent().is_some_and(|it| self.folders.contains(it));
        self.files.contains(path)
            || self.is_broken && is_python() && is_in_folder()
            || self.asked_for.iter().any(|it| it.has(path))
    }
}

impl AskedFor {
    fn of(path: &Path) -> Self {
        if path.is_dir() {
            return Self::Folder(tidy(path));
        }
        let text = path.to_str().unwrap_or_default();
        let wildcard = text.find(['*', '?', '[']);
        match (wildcard, Pattern::new(text)) {
            (Some(start), Ok(pattern)) => {
                let base = Path::new(&text[..start]);
                let base = match text[..start].ends_with('/') {
                    true => base,
                    false => base.parent().unwrap_or(base),
                };
                let depth = match text[start..].contains('/') || text.contains("**") {
                    true => Depth::All,
                    false => Depth::One,
                };
                Self::Pattern(pattern, tidy(base), depth)
            }
            _ => Self::File(tidy(path)),
        }
    }

    fn has(&self, path: &Path) -> bool {
        match self {
            Self::File(file) => path == file,
            Self::Folder(folder) => path
                .strip_prefix(folder)
                .is_ok_and(|within| !is_by_the_way(within)),
            Self::Pattern(pattern, ..) => pattern.matches_path_with(path, OPTIONS),
        }
    }
}

/// Whether a file in a directory is not one that somebody edits: it is hidden, written by Python, or
/// an editor's own copy.
fn is_by_the_way(within: &Path) -> bool {
    let is_own = |name: &str| {
        name.starts_with('.')
            || name.ends_with('~')
            || name.starts_with('#')
            || name.ends_with(".pyc")
            // PyCharm's copies, and the file with which vim tries whether it may write.
            || name.contains("___jb_")
            || name == "4913"
            || FOLDERS.contains(&name)
    };
    within.components().any(|part| match part {
        Component::Normal(name) => name.to_str().is_some_and(is_own),
        _ => false,
    })
}

/// A directory and those in it, at any depth, that somebody may edit files in: a virtual environment
/// alone would take thousands of watches.
pub(super) fn folders_in(place: &Path) -> Vec<PathBuf> {
    let mut folders = vec![place.to_owned()];
    let mut next = 0;
    while let Some(folder) = folders.get(next) {
        next += 1;
        let Ok(entries) = fs::read_dir(folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let is_by_the_way = is_by_the_way(Path::new(&entry.file_name()));
            // venv in Python's documentation: the file that makes a virtual environment.
            if is_folder && !is_by_the_way && !entry.path().join("pyvenv.cfg").exists() {
                folders.push(entry.path());
            }
        }
    }
    folders
}

/// The path without `.` and doubled slashes, as events name it.
fn tidy(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Directories that hold no templates, but thousands of files.
const FOLDERS: [&str; 2] = ["__pycache__", "node_modules"];

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> WatchList {
        WatchList::new(Path::new("/srv"), "/srv/scoter.toml".into())
    }

    #[test]
    fn imported_files_matter_and_no_others_do() {
        let mut list = list();
        assert!(list.add(Path::new("/srv/shop/views.py")));
        assert!(!list.add(Path::new("/srv/shop/views.py")));
        for (path, expected) in [
            ("/srv/shop/views.py", true),
            ("/srv/scoter.toml", true),
            ("/srv/shop/tests.py", false),
            ("/srv/shop/db.sqlite3", false),
            ("/srv/shop/__pycache__/views.cpython-311.pyc", false),
            ("/srv/shop/.views.py.swp", false),
            ("/srv/other.py", false),
        ] {
            assert_eq!(list.has(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn any_python_file_near_by_matters_while_the_code_does_not_load() {
        let mut list = list();
        list.add(Path::new("/srv/shop/views.py"));
        list.set_broken(true);
        for (path, expected) in [
            ("/srv/app.py", true),
            ("/srv/shop/missing.py", true),
            ("/srv/shop/notes.txt", false),
            ("/srv/elsewhere/a.py", false),
        ] {
            assert_eq!(list.has(Path::new(path)), expected, "{path}");
        }
        list.set_broken(false);
        assert!(!list.has(Path::new("/srv/shop/missing.py")));
    }

    #[test]
    fn what_was_asked_for_is_a_file_a_directory_or_a_pattern() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir(at("templates")).unwrap();
        let mut list = list();
        for path in [
            "templates/.",
            "messages.yaml",
            "static/**/*.css",
            "data/a?.json",
        ] {
            list.add_asked_for(&at(path));
        }
        for (path, expected) in [
            ("templates/index.html", true),
            ("templates/deep/in/it.txt", true),
            ("templates/.git/index", false),
            ("templates/index.html~", false),
            ("templates/index.html___jb_tmp___", false),
            ("templates/node_modules/a/b.js", false),
            ("messages.yaml", true),
            ("other.yaml", false),
            ("static/a.css", true),
            ("static/a/b/c.css", true),
            ("static/a.js", false),
            ("data/ab.json", true),
            ("data/abc.json", false),
            ("data/x/ab.json", false),
        ] {
            assert_eq!(list.has(&at(path)), expected, "{path}");
        }
        let places = list.places();
        for (path, depth) in [
            ("templates", Some(Depth::All)),
            ("", Some(Depth::One)),
            ("static", Some(Depth::All)),
            ("data", Some(Depth::One)),
            ("templates/deep", None),
        ] {
            assert_eq!(places.get(&tidy(&at(path))).copied(), depth, "{path}");
        }
    }

    #[test]
    fn directories_that_nobody_edits_are_not_entered() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in [
            "shop/templates",
            ".git/objects",
            "env/lib",
            "node_modules/a",
            "__pycache__",
        ] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("env/pyvenv.cfg"), "").unwrap();
        let mut found = folders_in(folder.path());
        found.sort();
        assert_eq!(
            found,
            [folder.path().to_owned(), at("shop"), at("shop/templates")]
        );
    }

    #[test]
    fn only_directories_on_the_way_to_watched_ones_lead_there() {
        let mut list = list();
        list.add(Path::new("/srv/shop/api/views.py"));
        list.add(Path::new("/srv/shop-old/views.py"));
        for (path, expected) in [
            ("/srv/shop/api", true),
            ("/srv/shop", true),
            ("/srv/shop-old", true),
            ("/srv/sho", false),
            ("/srv/shop/api/views.py", false),
            ("/srv/shop/debug.log", false),
            ("/srv/zoo", false),
        ] {
            assert_eq!(list.leads_to_place(Path::new(path)), expected, "{path}");
        }
    }
}
