use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::reply::Reply;
use crate::reply_stream::{Bodies, ReplyStream};
use crate::request::Request;
use crate::request_stream::{ErrorKind, RequestEvent, RequestStream, StreamError};

/// A captured stream of requests, and the replies to them if they were saved beside it.
#[derive(Debug)]
pub(crate) struct Capture {
    /// As a user calls it.
    pub(crate) name: String,
    file: File,
    requests: RequestStream,
    has_ended: bool,
    replies: Option<Replies>,
}

/// A request of a capture.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) request: Request,
    /// The body; empty if bodies are counted only.
    pub(crate) body: Vec<u8>,
    /// What is missing of the body.
    pub(crate) error: Option<StreamError>,
}

#[derive(Debug)]
struct Replies {
    name: String,
    file: File,
    stream: ReplyStream,
    has_ended: bool,
}

impl Captured {
    /// Returns how many bytes of the body there are, if not all.
    pub(crate) fn body_cut_short(&self) -> Option<u64> {
        match self.error.as_ref()?.kind {
            ErrorKind::IncompleteBody { have, .. } => Some(have),
            _ => None,
        }
    }
}

impl Capture {
    /// Opens a capture: a file, or `-` for standard input.
    pub(crate) fn open(path: &Path, bodies: Bodies) -> Result<Self, OpenError> {
        let opened = match path.as_os_str() == "-" {
            true => Self::standard_input(),
            false => Self::file(path, bodies),
        };
        opened.map_err(|error| OpenError {
            path: path.to_owned(),
            error,
        })
    }

    fn file(path: &Path, bodies: Bodies) -> io::Result<Self> {
        let replies = match path.extension() {
            Some(extension) if extension == "request" => {
                Replies::open(&path.with_extension("reply"), bodies)?
            }
            _ => None,
        };
        Ok(Self {
            name: path.display().to_string(),
            file: File::open(path)?,
            requests: RequestStream::default(),
            has_ended: false,
            replies,
        })
    }

    /// Copies standard input to a temporary file: a body is sent from there.
    fn standard_input() -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self {
            name: "standard input".to_owned(),
            file,
            requests: RequestStream::default(),
            has_ended: false,
            replies: None,
        })
    }

    /// Returns the next request, or what is there instead.
    pub(crate) fn next(&mut self, bodies: Bodies) -> Option<Result<Captured, CaptureError>> {
        let mut captured: Option<Captured> = None;
        loop {
            match self.requests.next() {
                Some(RequestEvent::Packet(request)) => {
                    if let Some(replies) = &mut self.replies {
                        replies.stream.expect(&request);
                    }
                    captured = Some(Captured {
                        request,
                        body: Vec::new(),
                        error: None,
                    });
                }
                Some(RequestEvent::Body(piece)) => {
                    if let (Some(captured), Bodies::Keep) = (&mut captured, bodies) {
                        captured.body.extend_from_slice(&piece);
                    }
                }
                Some(RequestEvent::End) => return captured.map(Ok),
                Some(RequestEvent::Error(error)) => return Some(Err(error.into())),
                None if self.has_ended => {
                    let error = self.requests.finish()?;
                    return Some(match captured {
                        Some(captured) => Ok(Captured {
                            error: Some(error),
                            ..captured
                        }),
                        None => Err(error.into()),
                    });
                }
                None => match read(&mut self.file) {
                    Ok(bytes) if bytes.is_empty() => self.has_ended = true,
                    Ok(bytes) => self.requests.feed(&bytes),
                    Err(error) => {
                        self.has_ended = true;
                        self.requests.ignore();
                        return Some(Err(error.into()));
                    }
                },
            }
        }
    }

    /// Returns the next saved reply, and the name of its file.
    pub(crate) fn next_reply(&mut self) -> io::Result<Option<(String, Reply)>> {
        let Some(replies) = &mut self.replies else {
            return Ok(None);
        };
        let reply = replies.next()?;
        if replies.stream.is_tunnel() || reply.as_ref().is_some_and(Reply::is_tunnel) {
            self.requests.ignore();
        }
        Ok(reply.map(|reply| (replies.name.clone(), reply)))
    }

    /// Expects one more reply, of a server that refuses what is no request.
    pub(crate) fn expect_refusal(&mut self) {
        if let Some(replies) = &mut self.replies {
            replies.stream.expect_refusal();
        }
    }

    /// Returns a file at the first byte of the body of a request.
    pub(crate) fn body(&self, request: &Request) -> io::Result<impl Read + use<>> {
        Ok(BodyReader {
            file: self.file.try_clone()?,
            at: request.offset + request.packet.len() as u64,
            left: request.body_len,
        })
    }
}

impl Replies {
    fn open(path: &Path, bodies: Bodies) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Self {
            name: path.display().to_string(),
            file,
            stream: ReplyStream::new(bodies),
            has_ended: false,
        }))
    }

    fn next(&mut self) -> io::Result<Option<Reply>> {
        loop {
            if let Some(reply) = self.stream.next() {
                return Ok(Some(reply));
            }
            if self.has_ended {
                return Ok(self.stream.finish());
            }
            let bytes = read(&mut self.file)?;
            self.has_ended = bytes.is_empty();
            self.stream.feed(&bytes);
        }
    }
}

/// The body of a request. It has a position of its own: the file's is that of the next request.
#[derive(Debug)]
struct BodyReader {
    file: File,
    at: u64,
    left: u64,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = std::os::unix::fs::FileExt::read_at(&self.file, &mut buffer[..len], self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// What is in place of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl CaptureError {
    /// Returns where, in bytes from the start of the capture.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Stream(error) => error.offset,
            Self::Io(_) => 0,
        }
    }
}

/// A capture that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub(crate) struct OpenError {
    path: PathBuf,
    error: io::Error,
}

/// Returns the captures that these arguments name: those of a directory in the order of their names.
pub(crate) fn paths(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, OpenError> {
    let mut paths = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            paths.extend(in_directory(argument).map_err(|error| OpenError {
                path: argument.clone(),
                error,
            })?);
        } else {
            paths.push(argument.clone());
        }
    }
    Ok(paths)
}

fn in_directory(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "request") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no file *.request in this directory",
        ));
    }
    paths.sort();
    Ok(paths)
}

fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(CHUNK);
    file.take(CHUNK as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

const CHUNK: usize = 64 * 1024;
