use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::scoter::{apps_folder, python};

/// A copy of scoter's Python package, and a Python that runs it.
#[derive(Clone, Debug)]
pub struct Package {
    python: PathBuf,
    /// What is on `PYTHONPATH`; the package is in it.
    folder: PathBuf,
}

impl Package {
    /// Returns the one under test.
    pub fn installed() -> Self {
        let python = python();
        let mut command = Command::new(&python);
        command.args(["-c", "import scoter; print(scoter.__path__[0])"]);
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("{python:?}: {error}; build it first: make build"));
        let package = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
        let folder = package
            .parent()
            .unwrap_or_else(|| panic!("{python:?} has no scoter"));
        Self {
            folder: folder.to_owned(),
            python,
        }
    }

    /// Returns the one under test with a Python that the user `uid` may run. The usual one may be out of reach, in
    /// the folder of somebody else; the system's does as well if it has the same version.
    pub fn within_reach_of(uid: u32, gid: u32) -> Option<Self> {
        let installed = Self::installed();
        let pythons = [installed.python.clone(), "/usr/bin/python3".into()];
        let candidates = pythons.map(|python| Self {
            python,
            ..installed.clone()
        });
        let is_within_reach = |candidate: &Self| {
            let mut words = candidate.words("-c").into_iter();
            let mut command = Command::new(words.next().expect("a program"));
            command
                .args(words)
                .arg("import scoter._scoter, sys; open(sys.argv[1])")
                .arg(apps_folder().join("hello.py"))
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .current_dir("/")
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .uid(uid)
                .gid(gid);
            command.status().is_ok_and(|status| status.success())
        };
        candidates.into_iter().find(is_within_reach)
    }

    /// Returns the Python that runs it.
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Returns the same, with its Python called by a link that is made at `link`.
    pub fn through_link(&self, link: &Path) -> Self {
        symlink(&self.python, link).expect("the test's own folder");
        Self {
            python: link.to_owned(),
            ..self.clone()
        }
    }

    /// Copies it into `folder`, which must not have it yet.
    pub fn copied_to(&self, folder: &Path) -> Self {
        let package = folder.join(NAME);
        fs::create_dir_all(&package).expect("the test's own folder");
        for entry in fs::read_dir(self.folder.join(NAME)).expect("readable") {
            let entry = entry.expect("readable");
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                fs::copy(entry.path(), package.join(entry.file_name()))
                    .expect("the test's own folder");
            }
        }
        Self {
            folder: folder.to_owned(),
            python: self.python.clone(),
        }
    }

    /// Has it run on a Python that is a link at `path`, which a test may move away.
    pub fn on_linked_python(self, path: &Path) -> Self {
        symlink(&self.python, path).expect("the test's own folder");
        Self {
            python: path.to_owned(),
            ..self
        }
    }

    /// Installs `other` in the place of this one, as an upgrade does: what runs keeps the files that it has.
    pub fn replace_with(&self, other: &Self) {
        let ours = self.folder.join(NAME);
        fs::rename(&ours, self.folder.join("replaced")).expect("replaced only once");
        fs::rename(other.folder.join(NAME), ours).expect("just moved");
    }

    /// Writes over a file of the package, or makes it.
    pub fn put(&self, name: &str, content: &str) {
        let path = self.folder.join(NAME).join(name);
        // Never into the file that a process has open.
        let _ = fs::remove_file(&path);
        fs::write(path, content).expect("the test's own folder");
    }

    /// Makes another release of it, by writing another number over that of the version wherever it is, machine code
    /// included. Returns the new version, or none where that is beyond it: other machines than the usual ones divide
    /// their constants.
    pub fn as_another_release(&self) -> Option<String> {
        let version = env!("CARGO_PKG_VERSION");
        let (before, after) = version.split_once('.')?;
        let (minor, patch) = after.split_once('.')?;
        // The first four letters are one constant where they are compared or copied.
        if before.len() + minor.len() > 2 || !cfg!(target_arch = "x86_64") {
            return None;
        }
        let other = if minor == "9" { "8" } else { "9" };
        let (old, new) = (format!("{before}.{minor}."), format!("{before}.{other}."));
        let entries = fs::read_dir(self.folder.join(NAME)).expect("the test's own folder");
        let library = entries
            .map(|entry| entry.expect("the test's own folder").path())
            .find(|path| path.extension().is_some_and(|extension| extension == "so"))?;
        let mut bytes = fs::read(&library).expect("the test's own folder");
        let mut position = 0;
        while let Some(found) = find(&bytes[position..], old.as_bytes()) {
            position += found;
            bytes[position..position + new.len()].copy_from_slice(new.as_bytes());
        }
        fs::write(library, bytes).expect("the test's own folder");
        Some(format!("{new}{patch}"))
    }

    /// Writes a script that starts it, as the installation has one.
    pub fn write_script(&self, path: &Path) {
        let (folder, python) = (self.folder.display(), self.python.display());
        let script = format!(
            "#!/bin/sh\nexport PYTHONPATH='{folder}'\"${{PYTHONPATH:+:$PYTHONPATH}}\"\n\
             exec '{python}' -m {NAME} \"$@\"\n"
        );
        fs::write(path, script).expect("the test's own folder");
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("just made");
    }

    /// What starts scoter from it, without the arguments.
    pub(crate) fn command(&self) -> Vec<OsString> {
        let mut words = self.words("-m");
        words.push(NAME.into());
        words
    }

    fn words(&self, option: &str) -> Vec<OsString> {
        let mut path = OsString::from("PYTHONPATH=");
        path.push(&self.folder);
        let python = self.python.clone().into_os_string();
        vec!["env".into(), path, python, option.into()]
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

const NAME: &str = "scoter";
