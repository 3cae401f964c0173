//! The machine that this process runs on.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use glob::{MatchOptions, Pattern, glob_with};
use nix::unistd::{AccessFlags, Group, User, access, getgid, gethostname, getuid};

use super::system::{Entry, Host, Kind, System};
use crate::sys::scheduling::cpus;

/// The machine that this process runs on.
#[derive(Debug, Clone)]
pub(crate) struct LocalSystem {
    /// What relative paths are relative to.
    pub(crate) directory: PathBuf,
}

impl LocalSystem {
    fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}

impl System for LocalSystem {
    fn host(&self) -> Host {
        let (user, group) = (getuid(), getgid());
        let name = |name: Option<String>, number: u32| name.unwrap_or_else(|| number.to_string());
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Host {
            directory: self.directory.clone(),
            name: gethostname()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            processors: usize::try_from(cpus()).unwrap_or(1),
            user_id: user.as_raw(),
            user: name(
                User::from_uid(user).ok().flatten().map(|user| user.name),
                user.as_raw(),
            ),
            group_id: group.as_raw(),
            group: name(
                Group::from_gid(group)
                    .ok()
                    .flatten()
                    .map(|group| group.name),
                group.as_raw(),
            ),
            program: std::env::current_exe().unwrap_or_default(),
            started: since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0)),
        }
    }

    fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        // To open(2) an empty name is none; to us it would be the directory.
        if path.as_os_str().is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let file = File::open(self.path(path))?;
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        let mut content = Vec::new();
        file.take(most.saturating_add(1))
            .read_to_end(&mut content)?;
        match content.len() > limit {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(content),
        }
    }

    fn kind(&self, path: &Path) -> Option<Kind> {
        if path.as_os_str().is_empty() {
            return None;
        }
        let kind = fs::metadata(self.path(path)).ok()?.file_type();
        Some(match kind {
            kind if kind.is_file() => Kind::File,
            kind if kind.is_dir() => Kind::Directory,
            _ => Kind::Other,
        })
    }

    fn is_readable(&self, path: &Path) -> bool {
        !path.as_os_str().is_empty() && access(&self.path(path), AccessFlags::R_OK).is_ok()
    }

    fn entry(&self, path: &Path) -> Option<Entry> {
        let entry = fs::symlink_metadata(self.path(path)).ok()?;
        Some(Entry {
            is_link: entry.is_symlink(),
            inode: entry.ino(),
        })
    }

    fn real_path(&self, path: &Path) -> io::Result<PathBuf> {
        if path.as_os_str().is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        fs::canonicalize(self.path(path))
    }

    fn glob(&self, pattern: &str, limit: usize) -> Vec<PathBuf> {
        // What is before the first wildcard remains as it is written, as with glob(3).
        let wildcard = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
        let (base, rest) = pattern.split_at(pattern[..wildcard].rfind('/').map_or(0, |at| at + 1));
        let directory = self.path(Path::new(base));
        let Some(text) = directory.to_str() else {
            return Vec::new();
        };
        // glob(3) knows no `**`, and finds no file that begins with a dot.
        let wanted = format!(
            "{}/{}",
            Pattern::escape(text.trim_end_matches('/')),
            rest.replace("**", "*")
        );
        let options = MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let Ok(paths) = glob_with(&wanted, options) else {
            return Vec::new();
        };
        let paths = paths.filter_map(Result::ok).take(limit);
        let paths = paths.map(|path| {
            let is_directory = path.is_dir();
            let found = path.strip_prefix(&directory).unwrap_or(&path);
            let found = Path::new(base).join(found);
            match is_directory {
                true => found.join(""),
                false => found,
            }
        });
        paths.collect()
    }
}
