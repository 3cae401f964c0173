//! The commands that talk to a running server: `scoter status`, `stacks`, `reload`, `stop`, `scale`
//! and `top`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hyper::{Method, Uri};
use tokio::runtime;

use super::error::ClientError;
use super::http::Client;
use super::server_list::{Choice, WithoutName, choose};
use super::{discovery, render, stacks, top};
use crate::control::{Scaled, ServerSelector};

/// A command for a running server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientCommand {
    /// Print the status: as text, as JSON, or just whether the server is ready.
    Status { json: bool, ready: bool },
    /// Print where the threads of all workers are, or of those with this number: as text or as JSON.
    Stacks { worker: Option<u32>, json: bool },
    /// Start a new generation of the code, with `upgrade` also a new release of the server.
    Reload { upgrade: bool },
    /// Stop the server, and wait until it has ended.
    Stop,
    /// Keep this many workers.
    Scale(u32),
    /// Show the status continuously until the user quits.
    Top,
}

/// Sends a command to a running server, and returns the exit code.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done |
/// | 1 | refused, or tried and not succeeded: standard error says why |
/// | 2 | no server responds, or it is not clear which is meant |
/// | 130 | interrupted |
pub(crate) fn run(command: ClientCommand, server: ServerSelector) -> u8 {
    let (mut stdout, mut stderr) = (io::stdout(), io::stderr());
    match find_and_perform(command, server) {
        // A closed pipe is not an error: its reader has seen enough.
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

fn find_and_perform(command: ClientCommand, server: ServerSelector) -> Result<String, ClientError> {
    let selector = match server {
        ServerSelector::Path(path) => return perform(command, &path),
        selector => selector,
    };
    let found = discovery::find().map_err(|error| ClientError::System {
        path: PathBuf::from("/proc/net/unix"),
        error,
    })?;
    match choose(&selector, command.without_name(), &found)? {
        Choice::One(path) => perform(command, &path),
        Choice::List(text) => Ok(text),
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
            // Biased towards the command, because `top` also ends with Ctrl-C.
            biased;
            done = client.perform(command) => done,
            // Python's own handler would only set a flag.
            Ok(()) = tokio::signal::ctrl_c() => Err(ClientError::Interrupted {
                is_ordered: command.is_order(),
            }),
        }
    })
}

impl ClientCommand {
    fn without_name(self) -> WithoutName {
        match self {
            Self::Status {
                json: false,
                ready: false,
            } => WithoutName::List,
            _ if self.is_order() => WithoutName::Refuse,
            _ => WithoutName::Only,
        }
    }

    /// Whether the server continues it when the client disconnects.
    fn is_order(self) -> bool {
        match self {
            Self::Reload { .. } | Self::Stop | Self::Scale(_) => true,
            Self::Status { .. } | Self::Stacks { .. } | Self::Top => false,
        }
    }
}

impl Client {
    pub(super) async fn perform(&self, command: ClientCommand) -> Result<String, ClientError> {
        match command {
            ClientCommand::Status { ready: true, .. } => self.readiness().await,
            ClientCommand::Status { json: true, .. } => {
                let status = self.ask(Method::GET, Uri::from_static("/status")).await?;
                status.success()
            }
            ClientCommand::Status { .. } => Ok(render(&self.status().await?)),
            ClientCommand::Stacks { worker, json } => self.stacks(worker, json).await,
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
        // Probes only need the exit code.
        said.map(|_| String::new())
    }

    async fn stacks(&self, worker: Option<u32>, json: bool) -> Result<String, ClientError> {
        let path = worker.map_or_else(|| "/stacks".to_owned(), |id| format!("/stacks/{id}"));
        let uri = Uri::try_from(path).expect("a path of letters and digits");
        let answer = self.ask(Method::GET, uri).await?.success()?;
        match json {
            true => Ok(answer),
            false => Ok(stacks::render(&self.read(&answer)?)),
        }
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
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, busy_status};
    use super::*;
    use crate::control::{Order, Phase, Stacks, Status, WorkerStacks};

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

    #[tokio::test]
    async fn status_is_printed_as_text_as_json_or_as_an_exit_code() {
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
    async fn stacks_are_printed_as_text_or_as_json() {
        let fixture = Fixture::new(|order| {
            if let Order::Stacks { worker, reply } = order {
                let id = worker.unwrap_or(1);
                let worker = WorkerStacks {
                    id,
                    ..WorkerStacks::default()
                };
                let _ = reply.send(match id {
                    7 => Err("there is no worker 7".to_owned()),
                    _ => Ok(Stacks {
                        workers: vec![worker],
                    }),
                });
            }
        });
        let command = |worker, json| ClientCommand::Stacks { worker, json };
        let text = fixture.perform(command(None, false)).await.unwrap();
        assert!(text.starts_with("worker 1, "), "{text}");
        let json = fixture.perform(command(Some(3), true)).await.unwrap();
        let stacks: Stacks = serde_json::from_str(&json).unwrap();
        assert_eq!(stacks.workers[0].id, 3);
        let refused = fixture.refusal(command(Some(7), false)).await;
        assert_eq!(refused, ("there is no worker 7".to_owned(), 1));
    }

    #[tokio::test]
    async fn draining_server_is_not_ready() {
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
    async fn scale_prints_both_numbers_or_the_reason() {
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
}
