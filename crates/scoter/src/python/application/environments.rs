//! Advice for when a package is installed into a different Python.

use std::fs;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;

/// The advice if this Python has no module `name`, on lines of its own.
pub(super) fn advice(py: Python<'_>, name: &str) -> PyResult<String> {
    let sys = py.import("sys")?;
    let executable: String = sys.getattr("executable")?.str()?.to_string();
    let prefix: PathBuf = sys.getattr("prefix")?.extract()?;
    let version = py.version_info();
    let (major, minor, patch) = (version.major, version.minor, version.patch);
    let package = name.split('.').next().unwrap_or(name);
    let active = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    let here = std::env::current_dir().unwrap_or_default();
    let others = candidates(active.as_deref(), &here);
    let other = others
        .iter()
        .filter(|folder| !is_same(folder, &prefix))
        .find_map(|folder| Some((folder, version_with(folder, package)?)));
    let hint = match (other, &active) {
        (Some((folder, version)), _) => {
            let folder = folder.display();
            format!(
                "{folder} has {package}, for Python {version}: install scoter there \
                 ({folder}/bin/python -m pip install …) and start {folder}/bin/scoter"
            )
        }
        (None, Some(active)) if !is_same(active, &prefix) => format!(
            "VIRTUAL_ENV is {}, which is a different one: start the scoter installed there",
            active.display()
        ),
        _ => "install what the application needs into this environment, or start the scoter of \
              the environment that has it"
            .to_owned(),
    };
    Ok(format!(
        "\nthis is Python {major}.{minor}.{patch}, {executable}, with the packages of {}\nhint: {hint}",
        prefix.display()
    ))
}

/// The directories of environments: the active one, and those beside the application.
fn candidates(active: Option<&Path>, here: &Path) -> Vec<PathBuf> {
    let folders = here.ancestors().take(ANCESTORS);
    let beside = folders.flat_map(|folder| NAMES.iter().map(|name| folder.join(name)));
    active
        .map(Path::to_owned)
        .into_iter()
        .chain(beside)
        .collect()
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The version of Python that an environment has a package for.
fn version_with(environment: &Path, package: &str) -> Option<String> {
    environment.join("pyvenv.cfg").is_file().then_some(())?;
    let versions = fs::read_dir(environment.join("lib")).ok()?.flatten();
    versions
        .filter(|entry| has(&entry.path().join("site-packages"), package))
        .find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_prefix("python")?.to_owned())
        })
}

/// Whether a directory contains a package or a module, including extension modules.
fn has(folder: &Path, package: &str) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| {
            let rest = name.strip_prefix(package);
            rest.is_some_and(|rest| {
                rest.is_empty() || rest == ".py" || rest.starts_with('.') && rest.ends_with(".so")
            })
        })
}

/// The usual names of environments.
const NAMES: [&str; 3] = [".venv", "venv", "env"];

/// Directories to search: the application's and its parent, because `--chdir` may name a
/// subdirectory of the project.
const ANCESTORS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_of_an_environment_is_found_in_each_form() {
        let folder = tempfile::tempdir().unwrap();
        let environment = folder.path();
        let packages = environment.join("lib/python3.12/site-packages");
        fs::create_dir_all(packages.join("flask")).unwrap();
        fs::write(packages.join("six.py"), "").unwrap();
        fs::write(packages.join("_cffi_backend.cpython-312.so"), "").unwrap();
        fs::create_dir(packages.join("flask_cors")).unwrap();
        assert_eq!(version_with(environment, "flask"), None, "no pyvenv.cfg");
        fs::write(environment.join("pyvenv.cfg"), "").unwrap();
        for (package, expected) in [
            ("flask", Some("3.12")),
            ("six", Some("3.12")),
            ("_cffi_backend", Some("3.12")),
            ("flas", None),
            ("django", None),
        ] {
            assert_eq!(
                version_with(environment, package).as_deref(),
                expected,
                "{package}"
            );
        }
    }
}
