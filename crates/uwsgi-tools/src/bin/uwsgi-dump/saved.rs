use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

/// A directory in which connections are saved.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

/// What one side of a connection sends, on its way to a file. After an error nothing more is saved.
#[derive(Debug)]
pub(crate) struct Saved {
    path: PathBuf,
    file: Option<File>,
}

impl Folder {
    /// Creates the directory if it is missing, for its owner only.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            created => created?,
        }
        let path = path.to_owned();
        Ok(Self { path })
    }

    /// Returns where to save the two directions of a connection.
    pub(crate) fn connection(&self, time: Timestamp, number: u64) -> [PathBuf; 2] {
        let time = time.strftime("%Y%m%dT%H%M%S.%6fZ");
        ["request", "reply"].map(|ending| self.path.join(format!("{time}-{number:06}.{ending}")))
    }
}

impl Saved {
    /// Makes a file that only its owner can read: it will hold cookies and passwords.
    pub(crate) async fn create(path: PathBuf) -> Result<Self, String> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .await;
        match file {
            Ok(file) => Ok(Self {
                path,
                file: Some(file),
            }),
            Err(error) => Err(unsaved(&path, &error)),
        }
    }

    /// Appends bytes. The first time that fails, it says so.
    pub(crate) async fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let written = async {
            file.write_all(bytes).await?;
            file.flush().await
        };
        if let Err(error) = written.await {
            self.file = None;
            return Err(unsaved(&self.path, &error));
        }
        Ok(())
    }
}

fn unsaved(path: &Path, error: &io::Error) -> String {
    format!(
        "cannot save to {}: {error}; passed on all the same",
        path.display()
    )
}
