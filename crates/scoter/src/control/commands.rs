//! The commands that talk to a running server: `scoter status`, `reload`, `stop`, `scale`
//! and `top`.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use hyper::{Method, StatusCode, Uri};
use jiff::Timestamp;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::runtime;
use tokio::time::sleep;

use super::client::{Answer, Client};
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

/// How the end of a server is noticed.
#[derive(Debug)]
enum Server {
    /// By the end of its process.
    Process(AsyncFd<OwnedFd>),
    /// Its process cannot be seen from here, so by nobody answering, or another server.
    Since(Timestamp),
}

impl Client {
    async fn perform(&self, command: ClientCommand) -> Result<String, ClientError> {
        match command {
            ClientCommand::Status { ready: true, .. } => self.readiness().await,
            ClientCommand::Status { json: true, .. } => {
                let status = self.ask(Method::GET, Uri::from_static("/status")).await?;
                status.success()
            }
            ClientCommand::Status { .. } => Ok(render(&self.status().await?)),
            ClientCommand::Reload { upgrade: false } => {
                self.reload(Uri::from_static("/reload")).await
            }
            ClientCommand::Reload { upgrade: true } => {
                self.reload(Uri::from_static("/reload?upgrade=1")).await
            }
            ClientCommand::Stop => self.stop().await,
            ClientCommand::Scale(workers) => self.scale(workers).await,
            ClientCommand::Top => top::watch(self).await,
        }
    }

    async fn readiness(&self) -> Result<String, ClientError> {
        let answer = self.ask(Method::GET, Uri::from_static("/ready")).await?;
        let said = answer.success().map_err(|error| error.about("not ready: "));
        // For probes, which want the exit code.
        said.map(|_| String::new())
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

    /// The server may give way to another release, and then cannot answer any more: the one
    /// that came in its place is asked.
    async fn reload(&self, uri: Uri) -> Result<String, ClientError> {
        let before = self.status().await?;
        match self.order_reload(uri).await {
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
}

impl Answer {
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

/// The process that listens at the other end, if it can be seen from here.
fn process_behind(stream: &UnixStream) -> Option<AsyncFd<OwnedFd>> {
    let pid = Pid::from_raw(stream.peer_cred().ok()?.pid()?)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    readable(process).ok()
}

/// What the server answers when the new generation cannot serve.
const NOT_RELOADED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
const STAYS: &str = "not reloaded, the old generation serves on:\n";

/// How often a server is looked at that cannot say when it is done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    use tempfile::TempDir;
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;
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

        /// A server that answers a reload like this.
        fn reloading(answer: Result<Reloaded, ReloadError>) -> Self {
            let mut answer = Some(answer);
            Self::new(move |order| match order {
                Order::Status(reply) => reply.send(busy_status()).unwrap(),
                Order::Reload { reply, .. } => reply.send(answer.take().unwrap()).unwrap(),
                other => panic!("unexpected {other:?}"),
            })
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
        assert_eq!(fixture.perform(READY).await.unwrap(), "");
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
        let fixture = Fixture::reloading(Ok(Reloaded {
            generation: 4,
            workers: 2,
            took_ms: 1_250,
            needs_restart: vec!["bind".to_owned(), "user".to_owned()],
        }));
        assert_eq!(
            fixture.perform(RELOAD).await.unwrap(),
            "generation 4 serves with 2 workers, after 1.2s\n\
             changed, but only a restart applies it: bind, user\n"
        );
    }

    #[tokio::test]
    async fn reload_that_fails_shows_the_traceback() {
        let traceback = "Traceback (most recent call last):\nNameError: x\n";
        let expected = "not reloaded, the old generation serves on:\n\
                        Traceback (most recent call last):\nNameError: x";
        for command in [RELOAD, UPGRADE] {
            let broken = ReloadError::Broken(traceback.to_owned());
            let fixture = Fixture::reloading(Err(broken));
            let refused = fixture.refusal(command).await;
            assert_eq!(refused, (expected.to_owned(), 1), "{command:?}");
        }
    }

    #[tokio::test]
    async fn reload_beside_another_is_refused() {
        let busy = ReloadError::Busy("another reload is running".to_owned());
        let fixture = Fixture::reloading(Err(busy));
        let expected = ("not reloaded: another reload is running".to_owned(), 1);
        assert_eq!(fixture.refusal(RELOAD).await, expected);
    }

    /// What a master tells that has tried to replace itself.
    fn after_upgrade(ok: bool) -> Status {
        Status {
            version: "2.0.0".to_owned(),
            generation: 4,
            last_reload: Some(ReloadStatus {
                at: "2026-11-22T11:04:59Z".parse().unwrap(),
                ok,
                generation: 4,
                error: Some("cannot start the new one".to_owned()).filter(|_| !ok),
            }),
            ..busy_status()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn upgrade_is_watched_to_its_end_by_asking_the_successor() {
        // A reload that finds another release installed becomes an upgrade.
        for (command, ok, expected) in [
            (RELOAD, true, Ok("scoter 2.0.0 serves with generation 4\n")),
            (
                UPGRADE,
                false,
                Err("not reloaded, the old generation serves on:\ncannot start the new one"),
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("control");
            let listener = Arc::new(ControlListener::bind(&path, None).unwrap());
            let masters = async {
                // The first one answers nothing once it has been told.
                let (sender, mut orders) = mpsc::channel(1);
                let token = CancellationToken::new();
                let serving = serve(Arc::clone(&listener), sender, token.clone());
                let ordering = async {
                    let Some(Order::Status(reply)) = orders.recv().await else {
                        panic!("the client looks at how things are");
                    };
                    reply.send(busy_status()).unwrap();
                    let order = orders.recv().await;
                    let asked = command == UPGRADE;
                    assert!(
                        matches!(order, Some(Order::Reload { upgrade, .. }) if upgrade == asked)
                    );
                    token.cancel();
                    order
                };
                let (served, _unanswered) = tokio::join!(serving, ordering);
                served.unwrap();

                // Its successor needs a while.
                let (sender, mut orders) = mpsc::channel(1);
                let token = CancellationToken::new();
                let serving = serve(Arc::clone(&listener), sender, token);
                let reloading = Status {
                    phase: Phase::Reloading,
                    ..busy_status()
                };
                let mut told = vec![after_upgrade(ok), reloading, busy_status()];
                let answering = async {
                    while let Some(Order::Status(reply)) = orders.recv().await {
                        reply.send(told.pop().unwrap()).unwrap();
                    }
                };
                let _ = tokio::join!(serving, answering);
            };
            let client = Client::new(&path);
            let ended = tokio::select! {
                ended = client.perform(command) => ended.map_err(|error| error.to_string()),
                () = masters => panic!("masters go on"),
            };
            assert_eq!(ended.as_deref().map_err(|error| &**error), expected);
        }
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
        fixture.listener.close();
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
        let fixture = Fixture::new(|order| match order {
            Order::Status(reply) => reply.send(busy_status()).unwrap(),
            other => drop(other),
        });
        let (text, code) = fixture.refusal(RELOAD).await;
        assert_eq!(
            (&*text, code),
            ("not reloaded: the server does not answer: it is ending", 1)
        );
        fixture.token.cancel();
        fixture.master.await.unwrap();
    }
}
