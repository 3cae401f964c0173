//! A machine for tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::error::LanguageError;
use super::input::Input;
use super::reading::Reading;
use super::system::{Entry, Host, Kind, System};

/// A machine with these files, whose working directory is `/srv/shop`.
#[derive(Debug, Default)]
pub(super) struct Machine {
    files: BTreeMap<PathBuf, Vec<u8>>,
    links: BTreeMap<PathBuf, PathBuf>,
}

pub(super) const DIRECTORY: &str = "/srv/shop";

impl Machine {
    /// With this text in `uwsgi.ini`.
    pub(super) fn with_ini(text: impl AsRef<[u8]>) -> Self {
        Self::default().file("uwsgi.ini", text)
    }

    pub(super) fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files
            .insert(absolute(path.as_ref()), content.as_ref().to_vec());
        self
    }

    pub(super) fn read(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Reading, LanguageError> {
        let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        super::read(&Input {
            arguments: &arguments,
            environment: &environment,
            system: self,
        })
    }

    /// What `--ini uwsgi.ini` means, as uWSGI shows it, without that line.
    pub(super) fn shown(&self, environment: &[(&str, &str)]) -> Vec<String> {
        let reading = self.read(&["--ini", "uwsgi.ini"], environment);
        shown(&reading.unwrap_or_else(|error| panic!("{error}"))).split_off(1)
    }

    fn real(&self, path: &Path) -> PathBuf {
        let path = absolute(path);
        self.links.get(&path).cloned().unwrap_or(path)
    }

    fn is_directory(&self, path: &Path) -> bool {
        self.files
            .keys()
            .any(|file| file.starts_with(path) && file != path)
    }
}

/// Options as `--show-config` prints them.
pub(super) fn shown(reading: &Reading) -> Vec<String> {
    let directives = reading.directives.iter();
    directives
        .map(|directive| {
            let value = directive.value.as_deref().unwrap_or("true");
            format!("{} = {value}", directive.key)
        })
        .collect()
}

fn absolute(path: &Path) -> PathBuf {
    Path::new(DIRECTORY).join(path).components().collect()
}

impl System for Machine {
    fn host(&self) -> Host {
        Host {
            directory: DIRECTORY.into(),
            name: "web1".to_owned(),
            processors: 4,
            user_id: 33,
            user: "www-data".to_owned(),
            group_id: 34,
            group: "web".to_owned(),
            program: "/usr/bin/uwsgi".into(),
            started: 1_700_000_000_123_456,
        }
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        let content = self.files.get(&self.real(path));
        let content = content.ok_or(io::ErrorKind::NotFound)?;
        match content.len() > limit {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(content.clone()),
        }
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        let path = self.real(path);
        match self.files.contains_key(&path) {
            true => Some(Kind::File),
            false => self.is_directory(&path).then_some(Kind::Directory),
        }
    }

    fn is_readable(&self, path: &Path) -> bool {
        self.kind(path).is_some()
    }

    fn entry(&self, path: &Path) -> Option<Entry> {
        let is_link = self.links.contains_key(&absolute(path));
        let is_there = is_link || self.kind(path).is_some();
        is_there.then_some(Entry { is_link, inode: 7 })
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        let real = self.real(path);
        self.kind(&real)
            .map(|_| real)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Knows one star, at the end.
    fn glob(&self, pattern: &str, limit: usize) -> Vec<PathBuf> {
        let Some(begin) = pattern.strip_suffix('*') else {
            return Vec::new();
        };
        let paths = self
            .files
            .keys()
            .filter(|path| path.to_string_lossy().starts_with(begin));
        paths.take(limit).cloned().collect()
    }
}
