//! The commands that talk to a running server: `scoter status`, `reload`, `stop`, `scale`
//! and `top`.

use std::future::poll_fn;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, SERVER};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::runtime;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::errors::ClientError;
use super::render::{printable, short};
use super::wait::readable;
use super::{Phase, Reloaded, Scaled, Status, render, top};

/// A command for a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientCommand {
    /// Print how things stand: for people, as JSON, or just whether it is ready.
    Status { json: bool, ready: bool },
    /// Put a new generation of the code in place, and with `upgrade` of the server too.
    Reload { upgrade: bool },
    /// Stop, and wait for the end.
    Stop,
    /// Keep this many workers.
    Scale(u32),
    /// Show how things stand until told to end.
    Top,
}

/// Carries out a command at the control socket `path`, and returns the exit code.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done |
/// | 1 | refused, or tried and not succeeded: standard error says why |
/// | 2 | nobody answers at `path` |
/// | 130 | interrupted |
pub(crate) fn run(command: ClientCommand, path: &Path) -> u8 {
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    match perform(command, path) {
        // A reader that has gone has seen what it wanted.
        Ok(text) => {
            let _ = stdout.write_all(text.as_bytes());
            let _ = stdout.flush();
            0
        }
        Err(error) => {
            let _ = writeln!(stderr, "scoter: {error}");
            error.exit_code()
        }
    }
}

fn perform(command: ClientCommand, path: &Path) -> Result<String, ClientError> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::System {
            path: path.to_owned(),
            error,
        })?;
    let client = Client::new(path);
    runtime.block_on(async {
        tokio::select! {
            // The first one, because Ctrl-C is how `top` ends as well.
            biased;
            done = client.perform(command) => done,
            // Python has a handler of its own, which would only take note.
            Ok(()) = tokio::signal::ctrl_c() => Err(ClientError::Interrupted {
                is_ordered: command.is_order(),
            }),
        }
    })
}

impl ClientCommand {
    /// Whether the server goes on with it when nobody waits any more.
    fn is_order(self) -> bool {
        match self {
            Self::Reload { .. } | Self::Stop | Self::Scale(_) => true,
            Self::Status { .. } | Self::Top => false,
        }
    }
}

/// A control socket of somebody else's.
#[derive(Debug)]
pub(super) struct Client {
    path: PathBuf,
}

/// A complete response.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    text: String,
}

/// How the end of a server is noticed.
#[derive(Debug)]
enum Server {
    /// By the end of its process.
    Process(AsyncFd<OwnedFd>),
    /// Its process cannot be seen from here, so by nobody answering, or another server.
    Since(Timestamp),
}

impl Client {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    async fn perform(&self, command: ClientCommand) -> Result<String, ClientError> {
        match command {
            ClientCommand::Status { ready: true, .. } => self.readiness().await,
            ClientCommand::Status { json: true, .. } => {
                let status = self.ask(Method::GET, Uri::from_static("/status")).await?;
                status.success()
            }
            ClientCommand::Status { .. } => Ok(render(&self.status().await?)),
            ClientCommand::Reload { upgrade: false } => self.reload().await,
            ClientCommand::Reload { upgrade: true } => self.upgrade().await,
            ClientCommand::Stop => self.stop().await,
            ClientCommand::Scale(workers) => self.scale(workers).await,
            ClientCommand::Top => top::watch(self).await,
        }
    }

    pub(super) async fn status(&self) -> Result<Status, ClientError> {
        let answer = self.ask(Method::GET, Uri::from_static("/status")).await?;
        self.read(&answer.success()?)
    }

    async fn readiness(&self) -> Result<String, ClientError> {
        let answer = self.ask(Method::GET, Uri::from_static("/ready")).await?;
        answer.success().map_err(|error| error.about("not ready: "))
    }

    async fn scale(&self, workers: u32) -> Result<String, ClientError> {
        let uri = Uri::try_from(format!("/scale/{workers}"));
        let uri = uri.expect("a path of letters and digits");
        let answer = self.ask(Method::PUT, uri).await?;
        let scaled: Scaled = self.read(&answer.success()?)?;
        Ok(format!(
            "workers: {} -> {}\n",
            scaled.before, scaled.workers
        ))
    }

    async fn reload(&self) -> Result<String, ClientError> {
        let answer = self.order_reload(Uri::from_static("/reload")).await?;
        let reloaded: Reloaded = self.read(&answer.reloaded()?)?;
        Ok(describe(&reloaded))
    }

    /// The server that carries it out may be gone before it can answer: then the one that
    /// came in its place is asked.
    async fn upgrade(&self) -> Result<String, ClientError> {
        let before = self.status().await?;
        match self
            .order_reload(Uri::from_static("/reload?upgrade=1"))
            .await
        {
            Ok(answer) => {
                let reloaded: Reloaded = self.read(&answer.reloaded()?)?;
                Ok(describe(&reloaded))
            }
            Err(ClientError::Cut) => self.upgraded_from(&before).await,
            Err(error) => Err(error),
        }
    }

    async fn upgraded_from(&self, before: &Status) -> Result<String, ClientError> {
        loop {
            match self.status().await {
                Ok(now) => {
                    let has_ended = now.last_reload != before.last_reload
                        && !matches!(now.phase, Phase::Starting | Phase::Reloading);
                    if let (true, Some(reload)) = (has_ended, now.last_reload) {
                        if !reload.ok {
                            let why = reload.error.unwrap_or_default();
                            return Err(ClientError::refused(NOT_RELOADED, &why).about(STAYS));
                        }
                        return Ok(format!(
                            "scoter {} serves with generation {}\n",
                            printable(&now.version),
                            now.generation
                        ));
                    }
                }
                // It is being replaced just now.
                Err(ClientError::Cut) => {}
                Err(error) => return Err(error),
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn order_reload(&self, uri: Uri) -> Result<Answer, ClientError> {
        let stream = self.connect().await?;
        // The server's own deadlines apply: --start-timeout for each worker, for instance.
        self.exchange(stream, Method::POST, uri).await
    }

    async fn stop(&self) -> Result<String, ClientError> {
        let stream = self.connect().await?;
        let server = match process_behind(&stream) {
            Some(process) => Server::Process(process),
            None => Server::Since(self.status().await?.started_at),
        };
        let asked = self.exchange(stream, Method::POST, Uri::from_static("/stop"));
        match self.within_patience(asked).await {
            Ok(answer) => drop(answer.success()?),
            // That quick.
            Err(ClientError::Cut) => {}
            Err(error) => return Err(error),
        }
        self.until_gone(&server).await?;
        Ok("stopped\n".to_owned())
    }

    /// Waits for the end of a server, however long its own deadlines let it take.
    async fn until_gone(&self, server: &Server) -> Result<(), ClientError> {
        match server {
            Server::Process(process) => {
                let ended = process.readable().await;
                ended.map(drop).map_err(|error| self.system(error))
            }
            Server::Since(started_at) => loop {
                match self.status().await {
                    Ok(status) if status.started_at != *started_at => return Ok(()),
                    Err(error) if error.is_absence() => return Ok(()),
                    // It is ending, and may be too busy with that.
                    Ok(_) | Err(_) => sleep(LOOK_AGAIN).await,
                }
            },
        }
    }

    async fn ask(&self, method: Method, uri: Uri) -> Result<Answer, ClientError> {
        let asked = async {
            let stream = self.connect().await?;
            self.exchange(stream, method, uri).await
        };
        self.within_patience(asked).await
    }

    async fn within_patience<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let silent = |_| ClientError::Silent {
            path: self.path.clone(),
        };
        timeout(PATIENCE, asked).await.map_err(silent)?
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        UnixStream::connect(&self.path)
            .await
            .map_err(|error| ClientError::from_connect(&self.path, error))
    }

    async fn exchange(
        &self,
        stream: UnixStream,
        method: Method,
        uri: Uri,
    ) -> Result<Answer, ClientError> {
        let broken = |error: hyper::Error| match error.is_parse() {
            true => self.stranger(""),
            false => ClientError::Cut,
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let mut request = Request::new(String::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let host = HeaderValue::from_static("scoter");
        request.headers_mut().insert(HOST, host);
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let bytes = read_body(body).await.map_err(broken)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if !is_scoter(&head.headers) || bytes.len() > LONGEST_ANSWER {
            return Err(self.stranger(&text));
        }
        Ok(Answer {
            status: head.status,
            text,
        })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, json: &str) -> Result<T, ClientError> {
        serde_json::from_str(json).map_err(|error| self.system(error.into()))
    }

    fn stranger(&self, answer: &str) -> ClientError {
        ClientError::Stranger {
            path: self.path.clone(),
            answer: answer.to_owned(),
        }
    }

    pub(super) fn system(&self, error: io::Error) -> ClientError {
        ClientError::System {
            path: self.path.clone(),
            error,
        }
    }
}

impl Answer {
    /// The body of an answer that says yes.
    fn success(self) -> Result<String, ClientError> {
        match self.status.is_success() {
            true => Ok(self.text),
            false => Err(ClientError::refused(self.status, &self.text)),
        }
    }

    fn reloaded(self) -> Result<String, ClientError> {
        let what = match self.status {
            NOT_RELOADED => STAYS,
            _ => "not reloaded: ",
        };
        self.success().map_err(|error| error.about(what))
    }
}

fn describe(reloaded: &Reloaded) -> String {
    let mut text = format!(
        "generation {} serves with {} workers, after {}\n",
        reloaded.generation,
        reloaded.workers,
        short(reloaded.took_ms)
    );
    if !reloaded.needs_restart.is_empty() {
        let options = printable(&reloaded.needs_restart.join(", "));
        text.push_str(&format!(
            "changed, but only a restart applies it: {options}\n"
        ));
    }
    text
}

fn is_scoter(headers: &HeaderMap) -> bool {
    let name = headers.get(SERVER).map(HeaderValue::as_bytes);
    name.is_some_and(|name| name.starts_with(b"scoter/"))
}

async fn read_body(mut body: Incoming) -> Result<Vec<u8>, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > LONGEST_ANSWER {
            break;
        }
    }
    Ok(bytes)
}

/// The process that listens at the other end, if it can be seen from here.
fn process_behind(stream: &UnixStream) -> Option<AsyncFd<OwnedFd>> {
    let pid = Pid::from_raw(stream.peer_cred().ok()?.pid()?)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    readable(process).ok()
}

/// What the server answers when the new generation cannot serve.
const NOT_RELOADED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
const STAYS: &str = "not reloaded, the old generation serves on:\n";

/// How long the server may take for what it answers at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a server is looked at that cannot say when it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Bytes: some hundred thousand slots.
const LONGEST_ANSWER: usize = 64 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::control::render::tests::busy_status;
    use crate::control::{ControlListener, Order, ReloadError, ReloadStatus, serve};

    struct Fixture {
        _directory: TempDir,
        client: Client,
        listener: Arc<ControlListener>,
        token: CancellationToken,
        master: JoinHandle<()>,
    }

    impl Fixture {
        /// A server whose master does with every order what `master` says.
        fn new(mut master: impl FnMut(Order) + Send + 'static) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("control");
            let listener = Arc::new(ControlListener::bind(&path, None).unwrap());
            let (sender, mut orders) = mpsc::channel(8);
            let token = CancellationToken::new();
            let serving = serve(Arc::clone(&listener), sender, token.clone());
            let master = tokio::spawn(async move {
                let answering = async {
                    while let Some(order) = orders.recv().await {
                        master(order);
                    }
                };
                let (served, ()) = tokio::join!(serving, answering);
                served.unwrap();
            });
            Self {
                _directory: directory,
                client: Client::new(&path),
                listener,
                token,
                master,
            }
        }

        async fn perform(&self, command: ClientCommand) -> Result<String, ClientError> {
            self.client.perform(command).await
        }

        async fn refusal(&self, command: ClientCommand) -> (String, u8) {
            let error = self.perform(command).await.unwrap_err();
            (error.to_string(), error.exit_code())
        }
    }

    const STATUS: ClientCommand = ClientCommand::Status {
        json: false,
        ready: false,
    };
    const READY: ClientCommand = ClientCommand::Status {
        json: false,
        ready: true,
    };
    const JSON: ClientCommand = ClientCommand::Status {
        json: true,
        ready: false,
    };
    const RELOAD: ClientCommand = ClientCommand::Reload { upgrade: false };
    const UPGRADE: ClientCommand = ClientCommand::Reload { upgrade: true };

    #[tokio::test]
    async fn status_is_for_people_for_machines_or_for_probes() {
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                reply.send(busy_status()).unwrap();
            }
        });
        let text = fixture.perform(STATUS).await.unwrap();
        assert_eq!(text, render(&busy_status()));
        let json = fixture.perform(JSON).await.unwrap();
        let status: Status = serde_json::from_str(&json).unwrap();
        assert_eq!(status, busy_status());
        assert!(json.ends_with("}\n"));
        assert_eq!(fixture.perform(READY).await.unwrap(), "ready\n");
    }

    #[tokio::test]
    async fn server_that_drains_is_not_ready() {
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                let status = Status {
                    phase: Phase::Draining,
                    ..Status::default()
                };
                reply.send(status).unwrap();
            }
        });
        let expected = ("not ready: draining".to_owned(), 1);
        assert_eq!(fixture.refusal(READY).await, expected);
    }

    #[tokio::test]
    async fn reload_tells_the_generation_and_what_waits_for_a_restart() {
        let fixture = Fixture::new(|order| {
            if let Order::Reload { reply, .. } = order {
                let reloaded = Reloaded {
                    generation: 4,
                    workers: 2,
                    took_ms: 1_250,
                    needs_restart: vec!["bind".to_owned(), "user".to_owned()],
                };
                reply.send(Ok(reloaded)).unwrap();
            }
        });
        assert_eq!(
            fixture.perform(RELOAD).await.unwrap(),
            "generation 4 serves with 2 workers, after 1.2s\n\
             changed, but only a restart applies it: bind, user\n"
        );
    }

    #[tokio::test]
    async fn reload_that_fails_shows_the_traceback() {
        let fixture = Fixture::new(|order| {
            if let Order::Reload { reply, .. } = order {
                let traceback = "Traceback (most recent call last):\nNameError: x\n";
                let _ = reply.send(Err(ReloadError::Broken(traceback.to_owned())));
            }
        });
        let expected = "not reloaded, the old generation serves on:\n\
                        Traceback (most recent call last):\nNameError: x";
        assert_eq!(fixture.refusal(RELOAD).await, (expected.to_owned(), 1));
    }

    #[tokio::test]
    async fn reload_beside_another_is_refused() {
        let fixture = Fixture::new(|order| {
            if let Order::Reload { reply, .. } = order {
                let busy = ReloadError::Busy("another reload is running".to_owned());
                let _ = reply.send(Err(busy));
            }
        });
        let expected = ("not reloaded: another reload is running".to_owned(), 1);
        assert_eq!(fixture.refusal(RELOAD).await, expected);
    }

    /// A master that cannot answer the upgrade itself; its successor ends it as `ok` says.
    fn upgrading(ok: bool) -> impl FnMut(Order) + Send {
        let mut asked_since = None;
        move |order| match order {
            // Dropping the reply is not enough to cut the connection, so the test does that.
            Order::Reload { upgrade: true, .. } => asked_since = Some(0),
            Order::Status(reply) => {
                let mut status = busy_status();
                if let Some(times) = &mut asked_since {
                    *times += 1;
                    status.phase = Phase::Reloading;
                    if *times > 1 {
                        status.version = "2.0.0".to_owned();
                        status.generation = 4;
                        status.phase = Phase::Running;
                        status.last_reload = Some(ReloadStatus {
                            at: "2026-11-22T11:04:59Z".parse().unwrap(),
                            ok,
                            generation: 4,
                            error: Some("cannot start the new one".to_owned()).filter(|_| !ok),
                        });
                    }
                }
                reply.send(status).unwrap();
            }
            other => panic!("unexpected {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn upgrade_is_watched_to_its_end_by_asking_the_successor() {
        for (ok, expected) in [
            (true, Ok("scoter 2.0.0 serves with generation 4\n")),
            (
                false,
                Err("not reloaded, the old generation serves on:\ncannot start the new one"),
            ),
        ] {
            let mut master = upgrading(ok);
            let (sender, _) = tokio::sync::oneshot::channel();
            master(Order::Reload {
                upgrade: true,
                reply: sender,
            });
            let fixture = Fixture::new(master);
            let ended = fixture.client.upgraded_from(&busy_status()).await;
            let ended = ended.map_err(|error| error.to_string());
            assert_eq!(ended.as_deref().map_err(|error| &**error), expected);
        }
    }

    #[tokio::test]
    async fn upgrade_that_is_answered_needs_no_watching() {
        let fixture = Fixture::new(|order| match order {
            Order::Status(reply) => reply.send(busy_status()).unwrap(),
            Order::Reload {
                upgrade: true,
                reply,
            } => {
                let broken = ReloadError::Broken("no such program".to_owned());
                let _ = reply.send(Err(broken));
            }
            other => panic!("unexpected {other:?}"),
        });
        let expected = "not reloaded, the old generation serves on:\nno such program";
        assert_eq!(fixture.refusal(UPGRADE).await, (expected.to_owned(), 1));
    }

    #[tokio::test]
    async fn scale_tells_both_numbers_or_the_reason() {
        let fixture = Fixture::new(|order| {
            if let Order::Scale { workers, reply } = order {
                let _ = reply.send(match workers {
                    0..100 => Ok(Scaled { workers, before: 2 }),
                    _ => Err("at most 99 workers".to_owned()),
                });
            }
        });
        let done = fixture.perform(ClientCommand::Scale(5)).await;
        assert_eq!(done.unwrap(), "workers: 2 -> 5\n");
        let refused = fixture.refusal(ClientCommand::Scale(100)).await;
        assert_eq!(refused, ("at most 99 workers".to_owned(), 1));
    }

    #[tokio::test]
    async fn end_of_a_process_is_waited_for() {
        // `cat` ends when its standard input does.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let server = Server::Process(readable(process).unwrap());
        let client = Client::new(Path::new("/nowhere"));
        let early = timeout(Duration::ZERO, client.until_gone(&server)).await;
        assert!(early.is_err());
        drop(child.stdin.take());
        client.until_gone(&server).await.unwrap();
        child.wait().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn end_of_an_invisible_server_is_noticed_at_its_socket() {
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                reply.send(busy_status()).unwrap();
            }
        });
        let server = Server::Since(busy_status().started_at);
        let ended = fixture.client.until_gone(&server);
        tokio::pin!(ended);
        assert!(timeout(Duration::from_secs(60), &mut ended).await.is_err());
        fixture.listener.close().unwrap();
        ended.await.unwrap();

        let successor = Server::Since(Timestamp::UNIX_EPOCH);
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                reply.send(busy_status()).unwrap();
            }
        });
        fixture.client.until_gone(&successor).await.unwrap();
    }

    #[tokio::test]
    async fn server_that_ends_in_the_middle_is_reported() {
        let fixture = Fixture::new(drop);
        let (text, code) = fixture.refusal(RELOAD).await;
        assert_eq!(
            (&*text, code),
            ("not reloaded: the server does not answer: it is ending", 1)
        );
        fixture.token.cancel();
        fixture.master.await.unwrap();
    }

    #[tokio::test]
    async fn absent_servers_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let client = Client::new(&path);
        let missing = client.perform(STATUS).await.unwrap_err();
        assert!(matches!(missing, ClientError::Missing { .. }), "{missing}");
        drop(ControlListener::bind(&path, None).unwrap());
        let ended = client.perform(ClientCommand::Stop).await.unwrap_err();
        assert!(matches!(ended, ClientError::Ended { .. }), "{ended}");
        if !nix::unistd::geteuid().is_root() {
            let closed = std::fs::Permissions::from_mode(0o000);
            std::fs::set_permissions(&path, closed).unwrap();
            let denied = client.perform(STATUS).await.unwrap_err();
            assert!(matches!(denied, ClientError::Denied { .. }), "{denied}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn server_that_does_not_answer_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let _listener = ControlListener::bind(&path, None).unwrap();
        let error = Client::new(&path).perform(STATUS).await.unwrap_err();
        assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    }

    #[tokio::test]
    async fn other_servers_are_not_taken_for_scoter() {
        for (answer, says) in [
            (
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 27\r\n\r\nthis socket speaks uwsgi\x1b.\n\n",
                "is not scoter's control socket; it says: this socket speaks uwsgi?.\n",
            ),
            ("+OK ready\r\n\r\n", "is not scoter's control socket\n"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("other");
            let listener = UnixListener::bind(&path).unwrap();
            let serving = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 4];
                stream.read_exact(&mut head).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream
            });
            let error = Client::new(&path).perform(READY).await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(error.exit_code(), 2);
            serving.await.unwrap();
        }
    }
}
