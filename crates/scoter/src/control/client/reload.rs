//! `scoter reload`, after which the server may be another release.

use std::time::Duration;

use hyper::{Method, StatusCode, Uri};
use tokio::time::sleep;

use super::error::ClientError;
use super::http::{Answer, Client};
use super::render::printable;
use crate::control::human::short;
use crate::control::{Phase, Reloaded, Status};

impl Client {
    /// Another release may replace the server, which then cannot respond. In that case its
    /// successor is asked for the outcome.
    pub(super) async fn reload(&self, uri: Uri) -> Result<String, ClientError> {
        let before = self.status().await?;
        match self.order_reload(uri).await {
            Ok(answer) => {
                let reloaded: Reloaded = self.read(&answer.reloaded()?)?;
                Ok(describe(&reloaded))
            }
            Err(ClientError::ConnectionLost) => self.upgraded_from(&before).await,
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
                            return Err(ClientError::refused(NOT_RELOADED, &why)
                                .about(OLD_GENERATION_SERVES));
                        }
                        return Ok(format!(
                            "scoter {} serves with generation {}\n",
                            printable(&now.version),
                            now.generation
                        ));
                    }
                }
                // The server is just being replaced.
                Err(ClientError::ConnectionLost) => {}
                Err(error) => return Err(error),
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    async fn order_reload(&self, uri: Uri) -> Result<Answer, ClientError> {
        let stream = self.connect().await?;
        // No timeout: the server has its own deadlines, such as --start-timeout for each worker.
        self.exchange(stream, Method::POST, uri).await
    }
}

impl Answer {
    fn reloaded(self) -> Result<String, ClientError> {
        let what = match self.status {
            NOT_RELOADED => OLD_GENERATION_SERVES,
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
            "changed, but takes effect only after a restart: {options}\n"
        ));
    }
    text
}

/// The status of the response if the new generation cannot serve.
const NOT_RELOADED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
const OLD_GENERATION_SERVES: &str = "not reloaded, the old generation continues to serve:\n";

/// How often to ask the successor.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::super::fixture::{Fixture, busy_status};
    use super::*;
    use crate::control::{ClientCommand, ControlListener, Order, ReloadError, ReloadStatus, serve};

    const RELOAD: ClientCommand = ClientCommand::Reload { upgrade: false };
    const UPGRADE: ClientCommand = ClientCommand::Reload { upgrade: true };

    #[tokio::test]
    async fn reload_prints_the_generation_and_options_that_need_a_restart() {
        let fixture = Fixture::reloading(Ok(Reloaded {
            generation: 4,
            workers: 2,
            took_ms: 1_250,
            needs_restart: vec!["bind".to_owned(), "user".to_owned()],
        }));
        assert_eq!(
            fixture.perform(RELOAD).await.unwrap(),
            "generation 4 serves with 2 workers, after 1.2s\n\
             changed, but takes effect only after a restart: bind, user\n"
        );
    }

    #[tokio::test]
    async fn failed_reload_shows_the_traceback() {
        let traceback = "Traceback (most recent call last):\nNameError: x\n";
        let expected = "not reloaded, the old generation continues to serve:\n\
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

    /// The status of a master that has tried to replace itself.
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
                Err(
                    "not reloaded, the old generation continues to serve:\ncannot start the new one",
                ),
            ),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("control");
            let listener = Arc::new(ControlListener::bind(&path, None).unwrap());
            let masters = async {
                // The first server does not respond once it has the order.
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

                // Its successor takes a while.
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
    async fn server_that_ends_during_a_reload_is_reported() {
        let fixture = Fixture::new(|order| match order {
            Order::Status(reply) => reply.send(busy_status()).unwrap(),
            other => drop(other),
        });
        let (text, code) = fixture.refusal(RELOAD).await;
        assert_eq!(
            (&*text, code),
            (
                "not reloaded: the server does not answer: it is stopping",
                1
            )
        );
        fixture.token.cancel();
        fixture.master.await.unwrap();
    }
}
