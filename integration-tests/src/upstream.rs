use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;
use uwsgi_codec::{Limits, PacketRef};

use crate::wait::DEADLINE;

/// A uwsgi server for nginx whose answers a test writes byte by byte, and which keeps connections: the next packet
/// may follow where the last exchange ended.
#[derive(Debug)]
pub struct Upstream {
    folder: TempDir,
    socket: PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request that an [`Upstream`] got.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which connection it came on, counted from 0 in the order in which they were accepted.
    pub connection: usize,
    /// The vars; of repeated ones the last.
    pub vars: BTreeMap<String, String>,
}

/// What an [`Upstream`] does with a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It waits for the next packet.
    Keep,
    /// It closes.
    Close,
}

impl Upstream {
    /// Starts to answer on a Unix socket of its own, each connection in a thread of its own.
    ///
    /// `answer` is called when a packet has come; the body of the request, if any, is still to be read. An error
    /// closes the connection.
    pub fn answering<F>(answer: F) -> Self
    where
        F: Fn(&Asked, &mut UnixStream) -> io::Result<After> + Send + Sync + 'static,
    {
        let folder =
            TempDir::with_prefix("scoter-").expect("there is a folder for temporary files");
        let socket = folder.path().join("upstream.sock");
        let listener = UnixListener::bind(&socket).expect("the test's own folder");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let Ok(stream) = stream else { return };
                // Ends when nginx closes, at the latest when the test ends it.
                thread::spawn(move || serve(connection, stream, &log, &*answer));
            }
        });
        Self {
            folder,
            socket,
            asked,
        }
    }

    /// Returns the folder that everything of the test can be in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the requests that have come so far.
    ///
    /// # Panics
    ///
    /// When a thread that answered has panicked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no answer panics").clone()
    }
}

impl Asked {
    /// Returns the value of a var, empty if it was not sent.
    pub fn var(&self, name: &str) -> &str {
        self.vars.get(name).map_or("", String::as_str)
    }

    /// Reads the body that `CONTENT_LENGTH` announces.
    ///
    /// # Errors
    ///
    /// It does not come.
    pub fn read_body(&self, stream: &mut UnixStream) -> io::Result<Vec<u8>> {
        let mut body = vec![0; self.var("CONTENT_LENGTH").parse().unwrap_or(0)];
        stream.read_exact(&mut body)?;
        Ok(body)
    }
}

fn serve(
    connection: usize,
    mut stream: UnixStream,
    log: &Mutex<Vec<Asked>>,
    answer: &(dyn Fn(&Asked, &mut UnixStream) -> io::Result<After> + Send + Sync),
) {
    stream.set_read_timeout(Some(DEADLINE)).expect("not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("not zero");
    while let Ok(vars) = receive(&mut stream) {
        let asked = Asked { connection, vars };
        log.lock().expect("no answer panics").push(asked.clone());
        if !matches!(answer(&asked, &mut stream), Ok(After::Keep)) {
            return;
        }
        if stream.flush().is_err() {
            return;
        }
    }
}

fn receive(stream: &mut UnixStream) -> io::Result<BTreeMap<String, String>> {
    let mut packet = vec![0; 4];
    stream.read_exact(&mut packet)?;
    let block_len = usize::from(u16::from_le_bytes([packet[1], packet[2]]));
    packet.resize(4 + block_len, 0);
    stream.read_exact(&mut packet[4..])?;
    let packet = PacketRef::decode(&packet, &Limits::default())
        .map_err(io::Error::other)?
        .expect("the whole packet was read");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ok(packet
        .vars
        .into_iter()
        .map(|(key, value)| (text(key), text(value)))
        .collect())
}
