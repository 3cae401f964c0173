//! Servers for the tests of the page.

use crate::control::protocol::{
    ListenerStatus, Phase, SlotPhase, SlotStatus, Status, WorkerPhase, WorkerStatus,
};

/// A running server.
pub(super) fn server(workers: impl IntoIterator<Item = WorkerStatus>) -> Status {
    let workers: Vec<_> = workers.into_iter().collect();
    Status {
        version: "1.0.0".to_owned(),
        pid: 4_200,
        generation: 3,
        phase: Phase::Running,
        ready: true,
        started_at: "2026-11-22T09:00:00Z".parse().unwrap(),
        uptime_ms: 7_500_000,
        workers_wanted: workers.len().try_into().unwrap(),
        listeners: vec![ListenerStatus {
            address: "unix:/run/app.sock".to_owned(),
            waiting: Some(0),
            capacity: Some(1_025),
        }],
        workers,
        ..Status::default()
    }
}

/// A worker that is ready; its slots have their numbers from their order.
pub(super) fn worker(id: u32, slots: impl IntoIterator<Item = SlotStatus>) -> WorkerStatus {
    let slots = slots.into_iter().zip(0..);
    WorkerStatus {
        id,
        pid: 4_200 + i32::try_from(id).unwrap(),
        generation: 3,
        phase: WorkerPhase::Ready,
        age_ms: 300_000,
        requests: 30_125,
        failed: 2,
        requests_per_second: 101.25,
        busy_ratio: 0.5,
        rss_bytes: Some(64 << 20),
        slots: slots
            .map(|(status, slot)| SlotStatus { slot, ..status })
            .collect(),
        ..WorkerStatus::default()
    }
}

pub(super) fn idle() -> SlotStatus {
    SlotStatus::default()
}

/// A slot that has been running a request for 1.2 seconds.
pub(super) fn busy(uri: &str) -> SlotStatus {
    SlotStatus {
        phase: SlotPhase::Running,
        age_ms: Some(1_234),
        method: Some("GET".to_owned()),
        uri: Some(uri.to_owned()),
        request_id: Some("5f3a".to_owned()),
        requests: 9,
        ..SlotStatus::default()
    }
}
