use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::fs::File;
use tokio::io::{AsyncRead, ReadBuf};

use crate::command::Command;

/// The body of the request.
#[derive(Debug)]
pub(crate) enum Data {
    None,
    Bytes(Bytes),
    /// A file, sent as it is read; its length was taken at the start.
    File {
        file: fs::File,
        len: u64,
    },
}

impl Data {
    /// Reads what the options name.
    pub(crate) fn of(command: &Command) -> io::Result<Self> {
        if let Some(path) = &command.upload_file {
            return upload(path);
        }
        if !command.json.is_empty() {
            let parts = command.json.iter().map(|data| read(data, Line::AsIs));
            let parts: Vec<_> = parts.collect::<io::Result<_>>()?;
            return Ok(Self::Bytes(parts.concat().into()));
        }
        // In the order of the command line only within each kind.
        let text = command.data.iter().map(|data| (data, Line::Joined));
        let binary = command.data_binary.iter().map(|data| (data, Line::AsIs));
        let mut bytes: Option<Vec<u8>> = None;
        for (data, line) in text.chain(binary) {
            let part = read(data, line)?;
            match &mut bytes {
                None => bytes = Some(part),
                Some(bytes) => {
                    bytes.push(b'&');
                    bytes.extend(part);
                }
            }
        }
        Ok(bytes.map_or(Self::None, |bytes| Self::Bytes(bytes.into())))
    }

    /// Returns its length; `None` if there is no body.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Self::None => None,
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File { len, .. } => Some(*len),
        }
    }

    /// Returns the body to be sent, and a count of what has been.
    pub(crate) fn into_body(self) -> (Upload, Arc<AtomicU64>) {
        let sent = Arc::new(AtomicU64::new(0));
        let upload = Upload {
            left: self.len().unwrap_or(0),
            source: match self {
                Self::None => Source::Bytes(Bytes::new()),
                Self::Bytes(bytes) => Source::Bytes(bytes),
                Self::File { file, .. } => Source::File {
                    file: File::from_std(file),
                    buffer: vec![0; CHUNK],
                },
            },
            sent: Arc::clone(&sent),
        };
        (upload, sent)
    }
}

#[derive(Clone, Copy)]
enum Line {
    /// Line ends and NULs are left out, as curl does.
    Joined,
    AsIs,
}

fn read(data: &str, line: Line) -> io::Result<Vec<u8>> {
    let Some(path) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_vec());
    };
    let mut bytes = match path {
        "-" => standard_input()?,
        path => fs::read(path).map_err(|error| naming(Path::new(path), &error))?,
    };
    if let Line::Joined = line {
        bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    }
    Ok(bytes)
}

fn upload(path: &PathBuf) -> io::Result<Data> {
    if path.as_os_str() == "-" {
        return Ok(Data::Bytes(standard_input()?.into()));
    }
    let open = || {
        let file = fs::File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            // A length has to be sent first.
            let mut bytes = Vec::new();
            (&file).read_to_end(&mut bytes)?;
            return Ok(Data::Bytes(bytes.into()));
        }
        let len = metadata.len();
        Ok(Data::File { file, len })
    };
    open().map_err(|error| naming(path, &error))
}

fn standard_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn naming(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A body that counts what has been taken of it.
#[derive(Debug)]
pub(crate) struct Upload {
    source: Source,
    left: u64,
    sent: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Source {
    Bytes(Bytes),
    File { file: File, buffer: Vec<u8> },
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        let piece = match &mut this.source {
            Source::Bytes(bytes) => bytes.split_to(bytes.len().min(CHUNK)),
            Source::File { file, buffer } => {
                let room = usize::try_from(this.left).map_or(CHUNK, |left| left.min(CHUNK));
                let mut buffer = ReadBuf::new(&mut buffer[..room]);
                ready!(Pin::new(file).poll_read(context, &mut buffer))?;
                if buffer.filled().is_empty() {
                    let what = format!("it is {} bytes shorter than at the start", this.left);
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, what);
                    return Poll::Ready(Some(Err(error)));
                }
                Bytes::copy_from_slice(buffer.filled())
            }
        };
        this.left -= piece.len() as u64;
        this.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }
}

const CHUNK: usize = 64 * 1024;
