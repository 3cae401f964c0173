//! The server's status. Serialised, it is what `scoter status --json` prints and `GET /status`
//! answers.
//!
//! Durations are in milliseconds, sizes in bytes, points in time in RFC 3339. Later versions
//! may add fields; a missing one reads as its default, so that a client understands a server
//! of another version.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::ipc::scoreboard::{self, Counts, Distribution, Snapshot, StatusClass};
use crate::sys::durations::millis;

/// The server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// The server's version; a client may have another one.
    pub(crate) version: String,
    /// Set by `--name`.
    pub(crate) name: Option<String>,
    /// The master's process ID.
    pub(crate) pid: i32,
    /// 1 at the start, and one more with each reload.
    pub(crate) generation: u32,
    pub(crate) phase: Phase,
    /// Whether to send new requests here, for readiness probes.
    pub(crate) ready: bool,
    #[serde(serialize_with = "to_the_millisecond")]
    pub(crate) started_at: Timestamp,
    pub(crate) uptime_ms: u64,
    /// Requests started, over the last second.
    pub(crate) requests_per_second: f64,
    /// How long requests took that have finished in about the last ten seconds.
    pub(crate) latency: Percentiles,
    /// How long they had waited for a slot.
    pub(crate) queue: Percentiles,
    pub(crate) workers_wanted: u32,
    /// The minimum and maximum, if the number follows the load.
    pub(crate) workers_range: Option<[u32; 2]>,
    /// The connections that a worker may keep; 0 if that is off, `None` if the server does not say.
    pub(crate) keep_alive: Option<u32>,
    /// `None` until the first one has ended, successfully or not.
    pub(crate) last_reload: Option<ReloadStatus>,
    pub(crate) listeners: Vec<ListenerStatus>,
    pub(crate) workers: Vec<WorkerStatus>,
    pub(crate) totals: Totals,
}

/// The median of some times, and what all but one in a hundred do not exceed; `None` without any.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p99_ms: Option<f64>,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ListenerStatus {
    /// In the syntax of `--bind`.
    pub(crate) address: String,
    /// Connections that wait in the kernel to be accepted; `None` if it does not say.
    pub(crate) waiting: Option<u32>,
    /// How many may wait there. The kernel refuses more.
    pub(crate) capacity: Option<u32>,
}

/// A reload that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ReloadStatus {
    #[serde(serialize_with = "to_the_millisecond")]
    pub(crate) at: Timestamp,
    /// Whether the new generation serves. If not, the old one does.
    pub(crate) ok: bool,
    /// The generation that was started.
    pub(crate) generation: u32,
    /// Why it does not serve, possibly a traceback.
    pub(crate) error: Option<String>,
}

/// A running worker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WorkerStatus {
    /// Its number, which a successor takes over.
    pub(crate) id: u32,
    pub(crate) pid: i32,
    /// The generation of the code that it runs.
    pub(crate) generation: u32,
    pub(crate) phase: WorkerPhase,
    pub(crate) age_ms: u64,
    /// Requests started.
    pub(crate) requests: u64,
    /// Requests answered with a status of 500 or more.
    pub(crate) failed: u64,
    /// Over the last second.
    pub(crate) requests_per_second: f64,
    /// The share of its slots' time that requests took over the last second, from 0 to 1.
    pub(crate) busy_ratio: f64,
    /// The CPU time that it took over the last second, per second; `None` if unknown. Several
    /// threads may take more than 1 together.
    pub(crate) cpu_ratio: Option<f64>,
    /// Resident memory; `None` if it cannot be determined.
    pub(crate) rss_bytes: Option<u64>,
    /// Requests that exceeded `--request-timeout`, including those whose response was complete.
    pub(crate) timeouts: u64,
    /// Peers that disconnected before their response was complete.
    pub(crate) peers_gone: u64,
    /// Connections that the server refused with a response of its own.
    pub(crate) refused: u64,
    pub(crate) kept_connections: KeptConnections,
    pub(crate) slots: Vec<SlotStatus>,
}

/// A slot of a worker, with its request while one runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SlotStatus {
    /// Its number within the worker, from 0.
    pub(crate) slot: u32,
    pub(crate) phase: SlotPhase,
    /// How long the request has been running.
    pub(crate) age_ms: Option<u64>,
    pub(crate) method: Option<String>,
    /// A long one is truncated.
    pub(crate) uri: Option<String>,
    pub(crate) request_id: Option<String>,
    /// Requests started.
    pub(crate) requests: u64,
}

/// Sums over all workers since the start, including those that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Totals {
    /// Requests started.
    pub(crate) requests: u64,
    /// Requests answered with a status of 500 or more.
    pub(crate) failed: u64,
    pub(crate) responses: Responses,
    /// Connections that the server refused with a response of its own.
    pub(crate) refused: u64,
    /// Requests that exceeded `--request-timeout`.
    pub(crate) timeouts: u64,
    /// Peers that disconnected before their response was complete.
    pub(crate) peers_gone: u64,
    pub(crate) kept_connections: KeptConnections,
    /// Workers that ended unexpectedly.
    pub(crate) crashed: u64,
    /// Workers that were replaced because of a limit: age, requests, memory, a stuck request.
    pub(crate) replaced: u64,
}

/// Finished requests by the first digit of their status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Responses {
    #[serde(rename = "1xx")]
    pub(crate) informational: u64,
    #[serde(rename = "2xx")]
    pub(crate) successful: u64,
    #[serde(rename = "3xx")]
    pub(crate) redirection: u64,
    #[serde(rename = "4xx")]
    pub(crate) client_error: u64,
    #[serde(rename = "5xx")]
    pub(crate) server_error: u64,
}

/// Connections that serve more than one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptConnections {
    /// Those that wait for their next request now.
    pub(crate) idle: u64,
    /// Requests on connections that had served one before.
    pub(crate) reused: u64,
    /// Connections that were left to whichever worker is free first, perhaps the same.
    pub(crate) passed_on: u64,
    /// Connections on which something else came than the front end had announced.
    pub(crate) out_of_step: u64,
}

/// The state of the server as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// No worker has been ready yet.
    #[default]
    Starting,
    Running,
    /// A new generation is starting; the old one serves.
    Reloading,
    /// During `--drain-delay` it serves, but reports that it is not ready.
    Draining,
    /// It finishes the accepted requests.
    Stopping,
}

/// The state of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WorkerPhase {
    /// It loads the application.
    #[default]
    Starting,
    Ready,
    /// It finishes its requests, and ends.
    Retiring,
    /// It cannot serve because of a request that cannot be ended.
    Stuck,
    /// Its heartbeat is missing.
    Unresponsive,
}

/// The state of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SlotPhase {
    /// It waits for a request.
    #[default]
    Idle,
    Running,
    /// The application still runs after its client received a timeout response.
    TimedOut,
}

impl Status {
    /// Whether any worker serves requests, for liveness probes.
    pub(crate) fn is_serving(&self) -> bool {
        let serves = |worker: &WorkerStatus| {
            matches!(worker.phase, WorkerPhase::Ready | WorkerPhase::Retiring)
        };
        self.workers.iter().any(serves)
    }

    /// How many slots run a request, and how many there are.
    pub(in crate::control) fn busy_slots(&self) -> (usize, usize) {
        let slots = || self.workers.iter().flat_map(|worker| &worker.slots);
        (
            slots().filter(|slot| slot.is_busy()).count(),
            slots().count(),
        )
    }
}

impl Percentiles {
    /// Those of a distribution, to the microsecond.
    pub(crate) fn of(distribution: &Distribution) -> Self {
        let quantile = |rank| {
            let time = distribution.quantile(rank)?;
            Some((time.as_secs_f64() * 1e6).round() / 1e3)
        };
        Self {
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
        }
    }
}

impl Responses {
    pub(crate) fn of(counts: &Counts) -> Self {
        let of = |class| counts.responses(class);
        Self {
            informational: of(StatusClass::Informational),
            successful: of(StatusClass::Successful),
            redirection: of(StatusClass::Redirection),
            client_error: of(StatusClass::ClientError),
            server_error: of(StatusClass::ServerError),
        }
    }
}

impl SlotStatus {
    /// Describes a slot from its cell of the scoreboard.
    pub(crate) fn new(slot: u32, cell: Snapshot) -> Self {
        let phase = SlotPhase::from(cell.phase);
        let is_busy = phase != SlotPhase::Idle;
        Self {
            slot,
            phase,
            age_ms: is_busy.then(|| millis(cell.age)),
            method: is_busy.then_some(cell.method),
            uri: is_busy.then_some(cell.uri),
            request_id: is_busy.then_some(cell.request_id),
            requests: cell.requests,
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.phase != SlotPhase::Idle
    }

    /// Requests that the application has finished.
    pub(crate) fn finished(&self) -> u64 {
        self.requests.saturating_sub(self.is_busy().into())
    }
}

impl From<scoreboard::Phase> for SlotPhase {
    fn from(phase: scoreboard::Phase) -> Self {
        match phase {
            scoreboard::Phase::Idle => Self::Idle,
            scoreboard::Phase::Running => Self::Running,
            scoreboard::Phase::TimedOut => Self::TimedOut,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Reloading => "reloading",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        })
    }
}

impl WorkerPhase {
    pub(crate) const ALL: [Self; 5] = [
        Self::Starting,
        Self::Ready,
        Self::Retiring,
        Self::Stuck,
        Self::Unresponsive,
    ];
}

impl SlotPhase {
    pub(crate) const ALL: [Self; 3] = [Self::Idle, Self::Running, Self::TimedOut];
}

impl fmt::Display for WorkerPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Retiring => "retiring",
            Self::Stuck => "stuck",
            Self::Unresponsive => "unresponsive",
        })
    }
}

impl fmt::Display for SlotPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::TimedOut => "timed-out",
        })
    }
}

fn to_the_millisecond<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::ipc::scoreboard::{Label, Scoreboard};

    #[test]
    fn json_has_the_documented_keys_and_units() {
        let board = Scoreboard::create(2).unwrap();
        let label = Label {
            method: b"GET",
            uri: b"/slow",
            request_id: b"r1",
        };
        board.cells()[1].begin(label, None);
        board.cells()[1].time_out();
        let mut slot = SlotStatus::new(1, board.cells()[1].read());
        assert!(slot.age_ms.is_some());
        slot.age_ms = Some(1_500);
        let kept_connections = KeptConnections {
            idle: 4,
            reused: 6,
            passed_on: 7,
            out_of_step: 8,
        };
        let status = Status {
            version: "1.2.3".to_owned(),
            name: Some("shop".to_owned()),
            pid: 42,
            generation: 2,
            phase: Phase::Running,
            ready: true,
            started_at: "2026-11-22T09:00:00.1234567Z".parse().unwrap(),
            uptime_ms: 61_000,
            requests_per_second: 12.5,
            latency: Percentiles::of(&Distribution::of(&[Duration::from_millis(7); 2])),
            queue: Percentiles::default(),
            workers_wanted: 1,
            workers_range: Some([1, 4]),
            keep_alive: Some(512),
            last_reload: Some(ReloadStatus {
                at: "2026-11-22T09:01:00Z".parse().unwrap(),
                ok: false,
                generation: 3,
                error: Some("SyntaxError: invalid syntax".to_owned()),
            }),
            listeners: vec![ListenerStatus {
                address: "unix:/run/app.sock".to_owned(),
                waiting: Some(3),
                capacity: Some(1_025),
            }],
            workers: vec![WorkerStatus {
                id: 1,
                pid: 43,
                generation: 2,
                phase: WorkerPhase::Ready,
                age_ms: 60_000,
                requests: 5,
                failed: 1,
                requests_per_second: 0.5,
                busy_ratio: 0.25,
                cpu_ratio: Some(0.125),
                rss_bytes: Some(1 << 20),
                timeouts: 1,
                peers_gone: 2,
                refused: 3,
                kept_connections,
                slots: vec![SlotStatus::new(0, board.cells()[0].read()), slot],
            }],
            totals: Totals {
                requests: 7,
                failed: 1,
                responses: Responses {
                    successful: 4,
                    redirection: 1,
                    server_error: 2,
                    ..Responses::default()
                },
                refused: 3,
                timeouts: 1,
                peers_gone: 2,
                kept_connections,
                crashed: 4,
                replaced: 5,
            },
        };
        let value = serde_json::to_value(&status).unwrap();
        // Each on its own, because the macro is recursive.
        let totals = json!({
            "requests": 7,
            "failed": 1,
            "responses": { "1xx": 0, "2xx": 4, "3xx": 1, "4xx": 0, "5xx": 2 },
            "refused": 3,
            "timeouts": 1,
            "peers_gone": 2,
            "kept_connections": { "idle": 4, "reused": 6, "passed_on": 7, "out_of_step": 8 },
            "crashed": 4,
            "replaced": 5,
        });
        let workers = json!([{
            "id": 1,
            "pid": 43,
            "generation": 2,
            "phase": "ready",
            "age_ms": 60_000,
            "requests": 5,
            "failed": 1,
            "requests_per_second": 0.5,
            "busy_ratio": 0.25,
            "cpu_ratio": 0.125,
            "rss_bytes": 1_048_576,
            "timeouts": 1,
            "peers_gone": 2,
            "refused": 3,
            "kept_connections": { "idle": 4, "reused": 6, "passed_on": 7, "out_of_step": 8 },
            "slots": [
                {
                    "slot": 0,
                    "phase": "idle",
                    "age_ms": null,
                    "method": null,
                    "uri": null,
                    "request_id": null,
                    "requests": 0,
                },
                {
                    "slot": 1,
                    "phase": "timed-out",
                    "age_ms": 1_500,
                    "method": "GET",
                    "uri": "/slow",
                    "request_id": "r1",
                    "requests": 1,
                },
            ],
        }]);
        assert_eq!(
            value,
            json!({
                "version": "1.2.3",
                "name": "shop",
                "pid": 42,
                "generation": 2,
                "phase": "running",
                "ready": true,
                "started_at": "2026-11-22T09:00:00.123Z",
                "uptime_ms": 61_000,
                "requests_per_second": 12.5,
                "latency": { "p50_ms": 6.25, "p99_ms": 7.475 },
                "queue": { "p50_ms": null, "p99_ms": null },
                "workers_wanted": 1,
                "workers_range": [1, 4],
                "keep_alive": 512,
                "last_reload": {
                    "at": "2026-11-22T09:01:00.000Z",
                    "ok": false,
                    "generation": 3,
                    "error": "SyntaxError: invalid syntax",
                },
                "listeners": [
                    { "address": "unix:/run/app.sock", "waiting": 3, "capacity": 1_025 },
                ],
                "workers": workers,
                "totals": totals,
            })
        );
    }

    #[test]
    fn status_of_another_version_is_understood() {
        let text = r#"{"version": "9.0.0", "phase": "draining", "tomorrow": {"x": 1}}"#;
        let status: Status = serde_json::from_str(text).unwrap();
        assert_eq!(status.version, "9.0.0");
        assert_eq!(status.phase, Phase::Draining);
        assert_eq!(status.workers, []);
    }

    #[test]
    fn only_responsive_workers_count_as_serving() {
        for (phase, expected) in [
            (WorkerPhase::Starting, false),
            (WorkerPhase::Ready, true),
            (WorkerPhase::Retiring, true),
            (WorkerPhase::Stuck, false),
            (WorkerPhase::Unresponsive, false),
        ] {
            let status = Status {
                workers: vec![WorkerStatus {
                    phase,
                    ..WorkerStatus::default()
                }],
                ..Status::default()
            };
            assert_eq!(status.is_serving(), expected, "{phase}");
        }
        assert!(!Status::default().is_serving());
    }
}
