//! Where the files go.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::config::NewFile;

/// What happens to files that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, Error)]
pub(super) enum OutputError {
    #[error("cannot write to stdout: {0}")]
    Stdout(#[from] io::Error),
    #[error("cannot write {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{} exists, nothing is written\nhint: --force replaces it", path.display())]
    Exists { path: PathBuf },
}

/// Prints the first file, and the others as comments, so that the whole is still the first.
pub(super) fn print(files: &[NewFile]) -> Result<(), OutputError> {
    let mut text = String::new();
    for (index, file) in files.iter().enumerate() {
        if index == 0 {
            text += &file.text;
            continue;
        }
        text += &format!("\n# --- {} ---\n", file.name);
        for line in file.text.lines() {
            text += if line.is_empty() { "#" } else { "# " };
            text += line;
            text.push('\n');
        }
    }
    let mut stdout = io::stdout();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Writes the files into the directory, which is created if it is missing. Each is there as a whole or
/// not at all; if one of them exists, none is written.
pub(super) fn write(
    files: &[NewFile],
    directory: &Path,
    existing: Existing,
) -> Result<(), OutputError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| OutputError::File { path, error }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let mut prepared = Vec::new();
    for file in files {
        let path = directory.join(&file.name);
        if existing == Existing::Keep && path.symlink_metadata().is_ok() {
            return Err(OutputError::Exists { path });
        }
        prepared.push((prepare(file, directory).map_err(failed(&path))?, path));
    }
    for (file, path) in prepared {
        let persisted = match existing {
            // Another process may have made it meanwhile.
            Existing::Keep => file.persist_noclobber(&path),
            Existing::Replace => file.persist(&path),
        };
        if let Err(error) = persisted {
            return Err(match error.error.kind() {
                io::ErrorKind::AlreadyExists => OutputError::Exists { path },
                _ => OutputError::File {
                    path,
                    error: error.error,
                },
            });
        }
    }
    Ok(())
}

/// Writes a file under a temporary name. The server's user has to read it.
fn prepare(file: &NewFile, directory: &Path) -> io::Result<NamedTempFile> {
    let mut temporary = tempfile::Builder::new()
        .prefix(".scoter-migrate-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .tempfile_in(directory)?;
    temporary.write_all(file.text.as_bytes())?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(text: &str) -> Vec<NewFile> {
        ["scoter.toml", "nginx.conf"]
            .map(|name| NewFile {
                name: name.to_owned(),
                text: text.to_owned(),
            })
            .into()
    }

    #[test]
    fn nothing_is_written_if_one_file_exists() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new");
        write(&files("one"), &folder, Existing::Keep).unwrap();
        fs::remove_file(folder.join("scoter.toml")).unwrap();
        let error = write(&files("two"), &folder, Existing::Keep).unwrap_err();
        assert!(error.to_string().contains("nginx.conf exists"), "{error}");
        let names = || {
            let entries = fs::read_dir(&folder).unwrap();
            let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["nginx.conf"]);
        assert_eq!(
            fs::read_to_string(folder.join("nginx.conf")).unwrap(),
            "one"
        );
        write(&files("two"), &folder, Existing::Replace).unwrap();
        assert_eq!(names(), ["nginx.conf", "scoter.toml"]);
        assert_eq!(
            fs::read_to_string(folder.join("nginx.conf")).unwrap(),
            "two"
        );
    }
}
