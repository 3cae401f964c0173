use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::failure::Failure;

/// Where the reply goes. A file is made when there is something to write, or at the end.
pub(crate) struct Output {
    path: Option<PathBuf>,
    to: Option<Box<dyn AsyncWrite + Unpin>>,
    is_guarded: bool,
}

impl Output {
    pub(crate) fn new(path: Option<&Path>) -> Self {
        let is_dash = path.is_some_and(|path| path.as_os_str() == "-");
        Self {
            path: path.filter(|_| !is_dash).map(Path::to_owned),
            to: None,
            is_guarded: path.is_none() && io::stdout().is_terminal(),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        // As curl does.
        if self.is_guarded && bytes.contains(&0) {
            return Err(Failure::Binary);
        }
        let to = self.opened().await.map_err(Failure::Output)?;
        let written = async {
            to.write_all(bytes).await?;
            // A reply that comes slowly is seen as it comes.
            to.flush().await
        };
        written.await.map_err(Failure::Output)
    }

    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        let to = self.opened().await.map_err(Failure::Output)?;
        to.flush().await.map_err(Failure::Output)
    }

    async fn opened(&mut self) -> io::Result<&mut (dyn AsyncWrite + Unpin)> {
        if self.to.is_none() {
            self.to = Some(match &self.path {
                None => Box::new(tokio::io::stdout()),
                Some(path) => Box::new(File::create(path).await.map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?),
            });
        }
        Ok(self.to.as_deref_mut().expect("opened above"))
    }
}
