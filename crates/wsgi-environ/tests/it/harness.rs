//! A server without sockets: scripted peers, applications as Python source.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};
use uwsgi_codec::{Packet, PacketBuilder};
use wsgi_environ::{
    Body, Completed, EnvironBuilder, Errors, Exchange, FailureCause, FailureOrigin, ForwardedProto,
    HeadState, Method, ObjectCache, Persistence, RemainingBody, RequestId, ResponseAuthor,
    ResponseEnd, ResponseHead, ScriptName, ServerInfo, Transport, respond,
};

/// A client that takes and gives what its script says.
#[derive(Default)]
pub(crate) struct Peer {
    state: Mutex<PeerState>,
}

#[derive(Default)]
struct PeerState {
    takes: VecDeque<Take>,
    gives: VecDeque<Give>,
    /// How often it is quiet before it speaks out of turn.
    quiet: Option<usize>,
    /// Whether it takes connections back, and what had been sent when it did.
    takes_back: bool,
    taken_back: Vec<usize>,
    /// Whether it takes heads as data, and those it was offered.
    takes_heads: bool,
    heads: Vec<TakenHead>,
    sends: Vec<Vec<u8>>,
    waits: usize,
}

/// The head of a response as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TakenHead {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_length: Option<u64>,
}

/// What becomes of one attempt to send. Without a script all is taken.
pub(crate) enum Take {
    /// This many bytes are taken.
    Bytes(usize),
    /// The attempt fails.
    Error(io::ErrorKind),
    /// Nothing can be taken, and the wait for that to change fails.
    Stall(io::ErrorKind),
}

/// What one attempt to receive brings. Without a script the client has closed.
pub(crate) enum Give {
    Bytes(&'static [u8]),
    Error(io::ErrorKind),
}

impl Peer {
    pub(crate) fn taking(takes: impl IntoIterator<Item = Take>) -> Arc<Self> {
        let peer = Self::default();
        peer.lock().takes.extend(takes);
        Arc::new(peer)
    }

    pub(crate) fn giving(gives: impl IntoIterator<Item = Give>) -> Arc<Self> {
        let peer = Self::default();
        peer.lock().gives.extend(gives);
        Arc::new(peer)
    }

    /// A client that is quiet so many times.
    pub(crate) fn quiet(times: usize) -> Arc<Self> {
        let peer = Self::default();
        peer.lock().quiet = Some(times);
        Arc::new(peer)
    }

    /// A client whose connection is taken back early.
    pub(crate) fn taking_back() -> Arc<Self> {
        let peer = Self::default();
        peer.lock().takes_back = true;
        Arc::new(peer)
    }

    /// A client that takes the head of the response as data.
    pub(crate) fn taking_heads() -> Arc<Self> {
        let peer = Self::default();
        peer.lock().takes_heads = true;
        Arc::new(peer)
    }

    /// Returns the heads it was offered.
    pub(crate) fn heads(&self) -> Vec<TakenHead> {
        self.lock().heads.clone()
    }

    /// Returns how many attempts to send had succeeded each time that the connection was taken back.
    pub(crate) fn taken_back(&self) -> Vec<usize> {
        self.lock().taken_back.clone()
    }

    /// Returns what each successful attempt to send sent.
    pub(crate) fn sends(&self) -> Vec<Vec<u8>> {
        self.lock().sends.clone()
    }

    /// Returns how many times a thread waited until it could send.
    pub(crate) fn waits(&self) -> usize {
        self.lock().waits
    }

    fn lock(&self) -> MutexGuard<'_, PeerState> {
        self.state.lock().unwrap()
    }
}

impl Transport for Peer {
    fn take_head(&self, head: ResponseHead<'_>) -> bool {
        let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect();
        let mut state = self.lock();
        assert!(state.sends.is_empty(), "the head comes first");
        state.heads.push(TakenHead {
            status: head.status(),
            reason: text(head.reason()),
            headers: head
                .headers()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            content_length: head.content_length(),
        });
        state.takes_heads
    }

    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter()).copied().collect();
        let mut state = self.lock();
        match state.takes.pop_front() {
            None => {}
            Some(Take::Bytes(n)) => bytes.truncate(n),
            Some(Take::Error(kind)) => return Err(kind.into()),
            Some(Take::Stall(kind)) => {
                state.takes.push_front(Take::Error(kind));
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        let sent = bytes.len();
        state.sends.push(bytes);
        Ok(sent)
    }

    fn wait_writable(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.waits += 1;
        match state.takes.pop_front() {
            Some(Take::Error(kind)) => Err(kind.into()),
            other => {
                state.takes.extend(other);
                Ok(())
            }
        }
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "an attempt to receive nothing");
        let mut state = self.lock();
        match state.gives.pop_front() {
            None => Ok(0),
            Some(Give::Error(kind)) => Err(kind.into()),
            Some(Give::Bytes(bytes)) => {
                let (now, later) = bytes.split_at(bytes.len().min(buf.len()));
                buf[..now.len()].copy_from_slice(now);
                if !later.is_empty() {
                    state.gives.push_front(Give::Bytes(later));
                }
                Ok(now.len())
            }
        }
    }

    fn is_quiet(&self) -> bool {
        match &mut self.lock().quiet {
            None => true,
            Some(0) => false,
            Some(times) => {
                *times -= 1;
                true
            }
        }
    }

    fn take_back(&self) -> bool {
        let mut state = self.lock();
        let sent = state.sends.len();
        state.taken_back.push(sent);
        state.takes_back
    }

    fn interrupt(&self) {
        panic!("only the server interrupts");
    }
}

/// One request, a GET of `/` over HTTP without a body unless told otherwise.
pub(crate) struct Request {
    vars: Vec<(&'static str, &'static str)>,
    script_name: ScriptName<'static>,
    body: Option<Body>,
    persistence: Persistence,
    peer: Arc<Peer>,
}

impl Request {
    pub(crate) fn new() -> Self {
        Self {
            vars: vec![
                ("REQUEST_METHOD", "GET"),
                ("SCRIPT_NAME", ""),
                ("PATH_INFO", "/"),
                ("QUERY_STRING", ""),
                ("SERVER_NAME", "example.test"),
                ("SERVER_PORT", "80"),
                ("SERVER_PROTOCOL", "HTTP/1.1"),
                ("HTTP_HOST", "example.test"),
            ],
            script_name: ScriptName::AsSent,
            body: None,
            persistence: Persistence::Close,
            peer: Arc::default(),
        }
    }

    pub(crate) fn head() -> Self {
        Self::new().var("REQUEST_METHOD", "HEAD")
    }

    pub(crate) fn var(mut self, key: &'static str, value: &'static str) -> Self {
        self.vars.push((key, value));
        self
    }

    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Has `gives` as its body, of which `length` bytes were announced.
    pub(crate) fn giving(self, length: u64, gives: impl IntoIterator<Item = Give>) -> Self {
        let peer = Peer::giving(gives);
        let body = Body::streamed(Bytes::new(), length, peer.clone());
        self.body(body).peer(&peer)
    }

    pub(crate) fn peer(mut self, peer: &Arc<Peer>) -> Self {
        self.peer = Arc::clone(peer);
        self
    }

    /// Lets the head say that the connection is kept.
    pub(crate) fn keep_alive(mut self) -> Self {
        self.persistence = Persistence::KeepAlive;
        self
    }

    /// Lets the `application` of a Python module answer.
    pub(crate) fn run(self, source: &str) -> Answer {
        Python::attach(|py| {
            let module = module(py, source);
            self.answer(py, &module)
        })
    }

    pub(crate) fn answer<'py>(self, py: Python<'py>, module: &Bound<'py, PyModule>) -> Answer {
        self.answer_with(py, module, &mut ObjectCache::default())
    }

    /// Answers with the objects of an earlier request, if they are fit for that.
    pub(crate) fn answer_with<'py>(
        self,
        py: Python<'py>,
        module: &Bound<'py, PyModule>,
        object_cache: &mut ObjectCache,
    ) -> Answer {
        let application = module.getattr("application").unwrap();
        let log = Log::default();
        let errors = Bound::new(py, log.errors()).unwrap();
        let packet = packet(&self.vars);
        let mut builder = builder(py, &errors);
        let input = object_cache
            .input(py, self.body.unwrap_or_else(Body::empty))
            .unwrap();
        let environ = builder
            .build(
                py,
                packet.vars.as_ref(),
                self.script_name,
                RequestId::Sent,
                &input,
            )
            .unwrap();
        let completed = respond(
            &application,
            Exchange {
                environ,
                input,
                errors,
                transport: self.peer.clone(),
                method: Method::of(packet.vars.as_ref()),
                persistence: self.persistence,
                on_return: |_, _| {},
                out: b"left over from the last request".to_vec(),
                object_cache,
            },
        );
        Answer::new(py, completed, &self.peer, &log, module)
    }
}

/// What a request came to.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) completed: Completed,
    /// What was sent while the application ran, send by send.
    pub(crate) sends: Vec<Vec<u8>>,
    /// Everything the client gets.
    pub(crate) wire: String,
    /// What the application wrote to `wsgi.errors`.
    pub(crate) log: String,
    /// `str()` of the module's `seen`, if it has one.
    pub(crate) seen: String,
    /// The failures, each as `stage origin text`.
    pub(crate) failures: Vec<String>,
}

impl Answer {
    fn new(
        py: Python<'_>,
        completed: Completed,
        peer: &Peer,
        log: &Log,
        module: &Bound<'_, PyModule>,
    ) -> Self {
        let sends = peer.sends();
        let mut wire = sends.concat();
        assert_eq!(
            completed.head == HeadState::Sent,
            !wire.is_empty() || completed.tail.out.is_empty() || peer.lock().takes_heads,
            "the head is in one place: {completed:?}"
        );
        wire.extend_from_slice(&completed.tail.out);
        match &completed.tail.body {
            RemainingBody::Nothing => {}
            RemainingBody::Chunks(chunks) => {
                assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
                wire.extend(chunks.iter().flat_map(|chunk| chunk.iter()));
            }
            RemainingBody::File { file, offset, len } => {
                let file = std::fs::File::from(file.try_clone().unwrap());
                let mut piece = vec![0; usize::try_from(*len).unwrap()];
                file.read_exact_at(&mut piece, *offset).unwrap();
                wire.extend_from_slice(&piece);
            }
        }
        let seen = module
            .getattr_opt("seen")
            .unwrap()
            .map_or_else(String::new, |seen| seen.to_string());
        let failures = completed
            .failures
            .iter()
            .map(|failure| {
                let origin = match failure.origin {
                    FailureOrigin::Application => "application",
                    FailureOrigin::Peer => "peer",
                };
                match &failure.cause {
                    FailureCause::Exception { stage, error } => {
                        format!("{stage:?} {origin} {}", error.value(py).repr().unwrap())
                    }
                    FailureCause::Violation(violation) => format!("Violation {origin} {violation}"),
                }
            })
            .collect();
        Self {
            completed,
            sends,
            wire: wire.iter().copied().map(char::from).collect(),
            log: log.text(),
            seen,
            failures,
        }
    }

    /// Returns the lines of the head.
    pub(crate) fn head(&self) -> Vec<&str> {
        let (head, _) = self.wire.split_once("\r\n\r\n").unwrap();
        head.split("\r\n").collect()
    }

    pub(crate) fn body(&self) -> &str {
        self.wire.split_once("\r\n\r\n").unwrap().1
    }

    /// Asserts that all went well and the client gets exactly these bytes.
    #[track_caller]
    pub(crate) fn assert_wire(&self, expected: &str) {
        assert_eq!(self.failures, [""; 0]);
        assert_eq!(self.completed.end, ResponseEnd::Complete);
        assert_eq!(self.wire, expected);
        assert_eq!(self.completed.body_bytes, self.body().len() as u64);
    }

    /// Asserts that the client gets a plain 500 and that one failure is to be
    /// logged, whose text begins like this.
    #[track_caller]
    pub(crate) fn assert_500(&self, failure: &str) {
        assert_eq!(self.wire, INTERNAL_SERVER_ERROR);
        assert_eq!(self.completed.status, 500);
        assert_eq!(self.completed.author, ResponseAuthor::Server);
        assert_eq!(self.completed.end, ResponseEnd::Complete);
        assert_eq!(self.failures.len(), 1, "{:?}", self.failures);
        assert!(self.failures[0].starts_with(failure), "{:?}", self.failures);
    }
}

pub(crate) const INTERNAL_SERVER_ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\n\
    Content-Type: text/plain\r\nContent-Length: 22\r\n\r\nInternal Server Error\n";

/// The error log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn errors(&self) -> Errors {
        let pieces = Arc::clone(&self.0);
        Errors::new(move |lines| {
            let lines = String::from_utf8(lines.to_vec()).unwrap();
            pieces.lock().unwrap().push(lines);
        })
    }

    /// Returns what was logged, call by call.
    pub(crate) fn pieces(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn text(&self) -> String {
        self.pieces().concat()
    }
}

pub(crate) fn server_info() -> ServerInfo {
    ServerInfo {
        multithread: true,
        multiprocess: false,
        server_name: "default.test".to_owned(),
        server_port: 8080,
        forwarded_proto: ForwardedProto::Ignore,
    }
}

pub(crate) fn builder(py: Python<'_>, errors: &Bound<'_, Errors>) -> EnvironBuilder {
    EnvironBuilder::new(py, &server_info(), errors.clone().unbind()).unwrap()
}

pub(crate) fn packet<K: AsRef<[u8]>, V: AsRef<[u8]>>(vars: &[(K, V)]) -> Packet {
    let mut builder = PacketBuilder::new();
    for (key, value) in vars {
        builder.var(key, value).unwrap();
    }
    builder.build().unwrap()
}

/// Runs Python source as a module of its own.
pub(crate) fn module<'py>(py: Python<'py>, source: &str) -> Bound<'py, PyModule> {
    // A name of its own: another test may import at the same time.
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("app_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let name = CString::new(name).unwrap();
    let source = CString::new(source).unwrap();
    PyModule::from_code(py, &source, c"app.py", &name).unwrap()
}

/// Evaluates a Python expression with names.
pub(crate) fn eval<'py>(py: Python<'py>, expression: &str, names: &Bound<'py, PyDict>) -> String {
    let expression = CString::new(expression).unwrap();
    py.eval(&expression, Some(names), None).unwrap().to_string()
}
