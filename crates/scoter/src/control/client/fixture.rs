//! A server on a control socket with the test as its master, and a client.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::commands::ClientCommand;
use super::error::ClientError;
use super::http::Client;
use crate::control::{
    ControlListener, KeptConnections, ListenerStatus, Order, Percentiles, Phase, ReloadError,
    ReloadStatus, Reloaded, Responses, SlotPhase, SlotStatus, Status, Totals, WorkerPhase,
    WorkerStatus, serve,
};

pub(super) struct Fixture {
    _directory: TempDir,
    pub(super) client: Client,
    pub(super) listener: Arc<ControlListener>,
    pub(super) token: CancellationToken,
    pub(super) master: JoinHandle<()>,
}

impl Fixture {
    /// A server whose master handles every order with `master`.
    pub(super) fn new(mut master: impl FnMut(Order) + Send + 'static) -> Self {
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

    /// A server that responds to a reload with `answer`.
    pub(super) fn reloading(answer: Result<Reloaded, ReloadError>) -> Self {
        let mut answer = Some(answer);
        Self::new(move |order| match order {
            Order::Status(reply) => reply.send(busy_status()).unwrap(),
            Order::Reload { reply, .. } => reply.send(answer.take().unwrap()).unwrap(),
            other => panic!("unexpected {other:?}"),
        })
    }

    pub(super) async fn perform(&self, command: ClientCommand) -> Result<String, ClientError> {
        self.client.perform(command).await
    }

    pub(super) async fn refusal(&self, command: ClientCommand) -> (String, u8) {
        let error = self.perform(command).await.unwrap_err();
        (error.to_string(), error.exit_code())
    }
}

/// Two workers, one of them busy with two requests.
pub(super) fn busy_status() -> Status {
    let running = SlotStatus {
        slot: 1,
        phase: SlotPhase::Running,
        age_ms: Some(1_234),
        method: Some("GET".to_owned()),
        uri: Some("/report?month=11".to_owned()),
        request_id: Some("5f3a".to_owned()),
        requests: 9,
    };
    let timed_out = SlotStatus {
        slot: 12,
        phase: SlotPhase::TimedOut,
        age_ms: Some(192_000),
        method: Some("DELETE".to_owned()),
        uri: Some(format!("/{}", "long/".repeat(60))),
        request_id: Some("0f8fad5b-d9cb-469f-a165-70867728950e".to_owned()),
        requests: 9,
    };
    Status {
        version: "1.0.0".to_owned(),
        name: Some("shop".to_owned()),
        pid: 4_242,
        generation: 3,
        phase: Phase::Running,
        ready: true,
        started_at: "2026-11-22T09:00:00Z".parse().unwrap(),
        uptime_ms: 7_500_000,
        requests_per_second: 101.25,
        latency: Percentiles {
            p50_ms: Some(3.5),
            p99_ms: Some(48.25),
        },
        queue: Percentiles {
            p50_ms: Some(0.05),
            p99_ms: Some(1.5),
        },
        workers_wanted: 2,
        workers_range: Some([2, 8]),
        keep_alive: Some(512),
        last_reload: Some(ReloadStatus {
            at: "2026-11-22T11:00:00Z".parse().unwrap(),
            ok: true,
            generation: 3,
            error: None,
        }),
        listeners: vec![ListenerStatus {
            address: "unix:/run/app.sock".to_owned(),
            waiting: Some(3),
            capacity: Some(1_025),
        }],
        workers: vec![
            WorkerStatus {
                id: 1,
                pid: 4_243,
                generation: 3,
                phase: WorkerPhase::Ready,
                age_ms: 300_000,
                requests: 30_125,
                failed: 2,
                requests_per_second: 101.25,
                busy_ratio: 0.5,
                cpu_ratio: Some(0.25),
                rss_bytes: Some(64 << 20),
                slots: vec![SlotStatus::default(), running, timed_out],
                ..WorkerStatus::default()
            },
            WorkerStatus {
                id: 2,
                pid: 4_250,
                generation: 4,
                ..WorkerStatus::default()
            },
        ],
        totals: Totals {
            requests: 123_456,
            failed: 2,
            responses: Responses::default(),
            refused: 3,
            timeouts: 4,
            peers_gone: 5,
            kept_connections: KeptConnections {
                idle: 12,
                reused: 98_765,
                passed_on: 8,
                out_of_step: 1,
            },
            crashed: 6,
            replaced: 7,
        },
    }
}
