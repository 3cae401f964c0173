//! `--pid-file`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A file with the master's process ID, removed when the master ends.
#[derive(Debug)]
pub(crate) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes it, over whatever an earlier master has left.
    ///
    /// # Errors
    ///
    /// [`Failure::PidFile`] names the file.
    pub(crate) fn write(path: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = path {
            write(path).map_err(|error| Failure::PidFile {
                path: path.to_owned(),
                error,
            })?;
        }
        Ok(Self(path.map(Path::to_owned)))
    }
}

/// Whoever reads it finds a whole number or no file.
fn write(path: &Path) -> io::Result<()> {
    let in_the_way = fs::symlink_metadata(path).is_ok_and(|found| !found.is_file());
    if in_the_way {
        return Err(io::Error::other("what is there is no regular file"));
    }
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)?;
    io::Write::write_all(&mut file, format!("{}\n", std::process::id()).as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let Some(path) = &self.0 else {
            return;
        };
        // Another server may have written its own meanwhile.
        let ours = fs::read_to_string(path)
            .is_ok_and(|text| text.trim() == std::process::id().to_string());
        if ours {
            let _ = fs::remove_file(path);
        }
    }
}
