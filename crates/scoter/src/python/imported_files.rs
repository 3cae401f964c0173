//! The files of imported modules that somebody may be editing.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// The files of `sys.modules` that are neither Python's nor those of installed packages. A package
/// that is installed for editing counts: its files are elsewhere.
#[derive(Debug)]
pub(crate) struct ImportedFiles {
    /// Directories of Python and of the virtual environment.
    libraries: Vec<PathBuf>,
    /// The working directory, for modules that were found in it.
    here: PathBuf,
    /// How many modules there were at the last look.
    modules: usize,
    known: HashSet<PathBuf>,
}

impl ImportedFiles {
    /// Finds out where installed modules are.
    ///
    /// # Errors
    ///
    /// Those of Python.
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let paths = py.import("sysconfig")?.call_method0("get_paths")?;
        let sys = py.import("sys")?;
        let mut libraries = Vec::new();
        for name in ["stdlib", "platstdlib"] {
            libraries.push(paths.get_item(name)?.extract()?);
        }
        let prefix: PathBuf = sys.getattr("prefix")?.extract()?;
        // A project may contain its virtual environment, but Python's own prefix may contain a
        // project.
        if sys.getattr("base_prefix")?.extract::<PathBuf>()? != prefix {
            libraries.push(prefix);
        }
        Ok(Self {
            libraries,
            here: std::env::current_dir().unwrap_or_default(),
            modules: 0,
            known: HashSet::new(),
        })
    }

    /// The files that have been imported since the last look.
    ///
    /// # Errors
    ///
    /// Those of Python.
    pub(crate) fn more(&mut self, py: Python<'_>) -> PyResult<Vec<String>> {
        let modules = py.import("sys")?.getattr("modules")?;
        // An application may put a mapping of its own there.
        let Ok(modules) = modules.cast::<PyDict>() else {
            return Ok(Vec::new());
        };
        if std::mem::replace(&mut self.modules, modules.len()) == modules.len() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for module in modules.values() {
            // Attributes of other objects may be made by code, which may import more.
            if let Ok(module) = module.cast::<PyModule>() {
                self.note(module, &mut files);
            }
        }
        Ok(files)
    }

    fn note(&mut self, module: &Bound<'_, PyModule>, files: &mut Vec<String>) {
        let dict = module.dict();
        let entry = |name| {
            dict.get_item(name)
                .ok()
                .flatten()
                .filter(|it| !it.is_none())
        };
        let file = entry("__file__").and_then(|file| file.extract::<PathBuf>().ok());
        let found = match file {
            Some(file) => vec![file],
            // A namespace package becomes another with this file.
            None => match entry("__path__").and_then(|path| path.cast_into::<PyList>().ok()) {
                Some(folders) => folders
                    .iter()
                    .filter_map(|folder| folder.extract::<PathBuf>().ok())
                    .map(|folder| folder.join("__init__.py"))
                    .collect(),
                None => Vec::new(),
            },
        };
        for file in found {
            let file = self.here.join(file);
            if is_edited(&file, &self.libraries) && self.known.insert(file.clone()) {
                // Messages are JSON.
                files.extend(file.to_str().map(str::to_owned));
            }
        }
    }
}

/// Whether a file is not one of a library's.
fn is_edited(file: &Path, libraries: &[PathBuf]) -> bool {
    let is_installed = |part: Component<'_>| {
        let name = part.as_os_str();
        name == "site-packages" || name == "dist-packages"
    };
    !libraries.iter().any(|library| file.starts_with(library))
        && !file.components().any(is_installed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_libraries_are_left_out() {
        let libraries = [
            PathBuf::from("/usr/lib/python3.11"),
            PathBuf::from("/srv/.venv"),
        ];
        for (file, expected) in [
            ("/srv/shop/views.py", true),
            ("/usr/lib/python3.11/json/__init__.py", false),
            ("/usr/lib/python3/dist-packages/django/__init__.py", false),
            (
                "/srv/.venv/lib/python3.11/site-packages/flask/__init__.py",
                false,
            ),
            ("/srv/.venv/src/editable/__init__.py", false),
            ("/home/a/.local/lib/python3.11/site-packages/a.py", false),
            ("/home/a/library/a.py", true),
        ] {
            assert_eq!(is_edited(Path::new(file), &libraries), expected, "{file}");
        }
    }

    #[test]
    fn modules_are_found_once_each() {
        Python::initialize();
        Python::attach(|py| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("edited_module.py"), "").unwrap();
            std::fs::create_dir(folder.path().join("edited_namespace")).unwrap();
            std::fs::write(folder.path().join("edited_namespace/part.py"), "").unwrap();
            let path = py.import("sys").unwrap().getattr("path").unwrap();
            path.call_method1("insert", (0, folder.path().as_os_str()))
                .unwrap();
            let mut imported = ImportedFiles::new(py).unwrap();
            imported.more(py).unwrap();
            assert!(imported.more(py).unwrap().is_empty());
            py.import("edited_module").unwrap();
            py.import("edited_namespace.part").unwrap();
            let mut found = imported.more(py).unwrap();
            found.retain(|file| file.starts_with(folder.path().to_str().unwrap()));
            found.sort();
            let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
            assert_eq!(found[..1], [at("edited_module.py")]);
            assert!(found.contains(&at("edited_namespace/part.py")), "{found:?}");
            assert!(imported.more(py).unwrap().is_empty());
            path.call_method1("remove", (folder.path().as_os_str(),))
                .unwrap();
        });
    }
}
