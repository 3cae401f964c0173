//! A server on a control socket with the test as its master.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::respond::SERVER_NAME;
use super::{ControlListener, serve};
use crate::control::{Order, Phase, Status, WorkerPhase, WorkerStatus};

pub(super) struct Fixture {
    _directory: TempDir,
    pub(super) path: PathBuf,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) token: CancellationToken,
    pub(super) serving: JoinHandle<io::Result<()>>,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let listener = Arc::new(ControlListener::bind(&path, None).unwrap());
        let (sender, orders) = mpsc::channel(8);
        let token = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, sender, token.clone()));
        Self {
            _directory: directory,
            path,
            orders,
            token,
            serving,
        }
    }

    pub(super) async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.path).await.unwrap()
    }

    /// Sends a request, whose response is read later.
    pub(super) async fn send(&self, line: &str) -> UnixStream {
        let mut stream = self.connect().await;
        let head = format!("{line} HTTP/1.1\r\nHost: scoter\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    pub(super) async fn order(&mut self) -> Order {
        self.orders.recv().await.unwrap()
    }
}

/// The status code and body of a connection's only response.
pub(super) async fn receive(mut stream: UnixStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(SERVER_NAME), "{head}");
    (head[9..12].parse().unwrap(), body.to_owned())
}

pub(super) fn some_status() -> Status {
    Status {
        phase: Phase::Draining,
        workers: vec![WorkerStatus {
            phase: WorkerPhase::Ready,
            ..WorkerStatus::default()
        }],
        ..Status::default()
    }
}
