//! Commands to run, and servers that answer what a test wrote.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use uwsgi_codec::{Limits, PacketBuilder, content_length, read_packet};

/// A folder of a test, for sockets and captures.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::with_prefix("uwsgi-tools-").unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the path of a file with these bytes.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// Runs a command to its end.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Output {
    run_with_input(program, arguments, b"")
}

pub(crate) fn run_with_input(program: &str, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command need not read it.
    thread::spawn(move || drop(stdin.write_all(&input)));
    child.wait_with_output().unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A command that runs beside the test; killed if it still runs at the end.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Waits for a line of its output that contains `text`.
    #[track_caller]
    pub(crate) fn output_line(&self, text: &str) -> String {
        line_with(&self.stdout, text)
    }

    #[track_caller]
    pub(crate) fn error_line(&self, text: &str) -> String {
        line_with(&self.stderr, text)
    }

    /// Waits for its end; returns its exit code.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let status = until("the command ends", || self.child.try_wait().unwrap());
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (to, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines() {
            let Ok(line) = line else { break };
            if to.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[track_caller]
fn line_with(lines: &Receiver<String>, text: &str) -> String {
    let mut others = Vec::new();
    loop {
        match lines.recv_timeout(DEADLINE) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => others.push(line),
            Err(error) => panic!("no line with {text:?}: {error}; there were {others:#?}"),
        }
    }
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Starts a server on a Unix socket that answers each connection by `answer`; returns what it was sent.
pub(crate) fn serve(
    socket: &Path,
    answer: impl Fn(UnixStream, &Received) + Send + 'static,
) -> Receiver<Received> {
    let listener = UnixListener::bind(socket).unwrap();
    let (to, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = Received::read(&mut stream) else {
                continue;
            };
            answer(stream, &request);
            if to.send(request).is_err() {
                break;
            }
        }
    });
    received
}

/// Starts a server that answers every request with these bytes.
pub(crate) fn serve_bytes(socket: &Path, bytes: &'static [u8]) -> Receiver<Received> {
    serve(socket, move |mut stream, _| {
        // A client may have what it wants before the end.
        let _ = stream.write_all(bytes);
    })
}

/// A request that a server was sent.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) modifiers: (u8, u8),
    pub(crate) vars: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn read(stream: &mut impl Read) -> Option<Self> {
        let packet = read_packet(stream, &Limits::default()).ok()??;
        let vars = packet.vars.as_ref();
        let len = content_length(vars).unwrap().unwrap_or(0);
        let mut body = Vec::new();
        stream.take(len).read_to_end(&mut body).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(Self {
            modifiers: (packet.header.modifier1, packet.header.modifier2),
            vars: vars.iter().map(|(k, v)| (text(k), text(v))).collect(),
            body,
        })
    }

    pub(crate) fn var(&self, key: &str) -> Option<&str> {
        let mut vars = self.vars.iter().rev();
        vars.find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }
}

/// Makes a request: its packet and its body.
pub(crate) fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut packet = PacketBuilder::new();
    packet
        .vars([("REQUEST_METHOD", method), ("REQUEST_URI", path)])
        .unwrap();
    if !body.is_empty() {
        let len = body.len().to_string();
        packet.var("CONTENT_LENGTH", len).unwrap();
    }
    let mut bytes = packet.to_vec().unwrap();
    bytes.extend_from_slice(body);
    bytes
}

/// Connects with a deadline for whatever happens then.
pub(crate) fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// Sends bytes, says that nothing more will come, and returns what is answered.
pub(crate) fn ask(socket: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(socket);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
