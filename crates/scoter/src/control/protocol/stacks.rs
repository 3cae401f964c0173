//! Where the threads of the workers are: what `scoter stacks --json` prints and `GET /stacks`
//! answers.

use serde::{Deserialize, Serialize};

use super::status::{SlotStatus, WorkerPhase};

/// The stacks of the server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stacks {
    pub(crate) workers: Vec<WorkerStacks>,
}

/// A worker, as the master knows it, with what it answered.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WorkerStacks {
    pub(crate) id: u32,
    /// 0 before it is forked.
    pub(crate) pid: i32,
    pub(crate) generation: u32,
    pub(crate) phase: WorkerPhase,
    #[serde(flatten)]
    pub(crate) stacks: ThreadStacks,
}

/// The stacks of a process. A worker's answer to the master is one of these.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ThreadStacks {
    /// Why stacks are missing, or what they lack.
    pub(crate) problem: Option<String>,
    /// The slots' threads first. Without stacks, those that run a request.
    pub(crate) threads: Vec<ThreadStack>,
    /// Threads beyond what is reported.
    pub(crate) threads_left_out: u64,
}

/// Where a thread is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ThreadStack {
    /// `Thread.name`; `None` if it is unknown.
    pub(crate) name: Option<String>,
    /// `threading.get_ident()`; `None` if it is unknown.
    pub(crate) ident: Option<u64>,
    /// The slot that runs in it, with its request.
    pub(crate) slot: Option<SlotStatus>,
    /// The most recent one last. Empty if it executes no Python code but scoter's own.
    pub(crate) calls: Vec<Call>,
    /// Outer calls beyond those that are reported, counted up to a limit.
    pub(crate) calls_left_out: u64,
}

/// A function that is being executed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Call {
    pub(crate) file: String,
    pub(crate) line: Option<u64>,
    pub(crate) function: String,
    /// The line's text, if its file is available.
    pub(crate) source: Option<String>,
}

impl ThreadStacks {
    /// Says why there are no stacks. `busy` are the slots that run a request.
    pub(crate) fn missing(problem: impl Into<String>, busy: Vec<SlotStatus>) -> Self {
        let thread = |slot| ThreadStack {
            slot: Some(slot),
            ..ThreadStack::default()
        };
        Self {
            problem: Some(problem.into()),
            threads: busy.into_iter().map(thread).collect(),
            threads_left_out: 0,
        }
    }

    /// Sorts the threads, and leaves out those that are too many or too long: slots come first,
    /// busy ones before idle ones.
    pub(crate) fn bounded(mut self) -> Self {
        self.threads.sort_by_key(|thread| {
            let slot = thread.slot.as_ref();
            let idle = thread.calls.is_empty() && slot.is_none_or(|slot| !slot.is_busy());
            (slot.is_none(), idle, slot.map(|slot| slot.slot))
        });
        let mut bytes = 0;
        let fits = |thread: &&ThreadStack| {
            bytes += thread.bytes();
            bytes <= MAX_BYTES
        };
        let threads = self.threads.iter().take(MAX_THREADS);
        let kept = threads.take_while(fits).count();
        self.threads_left_out += (self.threads.len() - kept) as u64;
        self.threads.truncate(kept);
        self
    }
}

impl ThreadStack {
    /// Bytes of its text, approximately.
    fn bytes(&self) -> usize {
        let calls = self.calls.iter().map(|call| {
            let source = call.source.as_ref().map_or(0, String::len);
            call.file.len() + call.function.len() + source + BYTES_OF_KEYS
        });
        let name = self.name.as_ref().map_or(0, String::len);
        let slot = self.slot.as_ref().and_then(|slot| slot.uri.as_ref());
        name + slot.map_or(0, String::len) + 2 * BYTES_OF_KEYS + calls.sum::<usize>()
    }
}

/// Threads of a process that are reported; as many as `faulthandler` reports.
const MAX_THREADS: usize = 100;

/// Bytes of a process's stacks.
const MAX_BYTES: usize = 1_024 * 1_024;

/// Bytes of JSON around the texts of an object.
const BYTES_OF_KEYS: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::status::SlotPhase;
    use super::*;

    fn slot(number: u32, phase: SlotPhase) -> Option<SlotStatus> {
        Some(SlotStatus {
            slot: number,
            phase,
            ..SlotStatus::default()
        })
    }

    fn thread(name: &str, slot: Option<SlotStatus>, calls: usize) -> ThreadStack {
        let call = Call {
            file: "/srv/app.py".to_owned(),
            ..Call::default()
        };
        ThreadStack {
            name: Some(name.to_owned()),
            slot,
            calls: vec![call; calls],
            ..ThreadStack::default()
        }
    }

    fn names(stacks: &ThreadStacks) -> Vec<&str> {
        let names = stacks.threads.iter();
        names.filter_map(|thread| thread.name.as_deref()).collect()
    }

    #[test]
    fn json_has_the_documented_keys() {
        let stacks = Stacks {
            workers: vec![WorkerStacks {
                id: 3,
                pid: 42,
                generation: 2,
                phase: WorkerPhase::Ready,
                stacks: ThreadStacks {
                    threads: vec![ThreadStack {
                        ident: Some(7),
                        calls: vec![Call {
                            file: "/srv/app.py".to_owned(),
                            line: Some(12),
                            function: "report".to_owned(),
                            source: Some("time.sleep(60)".to_owned()),
                        }],
                        ..thread("flusher", None, 0)
                    }],
                    ..ThreadStacks::default()
                },
            }],
        };
        let value = serde_json::to_value(&stacks).unwrap();
        assert_eq!(
            value,
            json!({ "workers": [{
                "id": 3,
                "pid": 42,
                "generation": 2,
                "phase": "ready",
                "problem": null,
                "threads": [{
                    "name": "flusher",
                    "ident": 7,
                    "slot": null,
                    "calls": [{
                        "file": "/srv/app.py",
                        "line": 12,
                        "function": "report",
                        "source": "time.sleep(60)",
                    }],
                    "calls_left_out": 0,
                }],
                "threads_left_out": 0,
            }] })
        );
        assert_eq!(serde_json::from_value::<Stacks>(value).unwrap(), stacks);
    }

    #[test]
    fn busy_slots_come_first_and_application_threads_before_nobody() {
        let stacks = ThreadStacks {
            threads: vec![
                thread("flusher", None, 1),
                thread("idle", slot(0, SlotPhase::Idle), 0),
                thread("second", slot(2, SlotPhase::TimedOut), 1),
                thread("first", slot(1, SlotPhase::Running), 1),
                thread("interrupted", slot(3, SlotPhase::Idle), 1),
            ],
            ..ThreadStacks::default()
        };
        assert_eq!(
            names(&stacks.bounded()),
            ["first", "second", "interrupted", "idle", "flusher"]
        );
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let many = |count: usize, calls: usize| ThreadStacks {
            threads: (0..count).map(|_| thread("t", None, calls)).collect(),
            threads_left_out: 1,
            ..ThreadStacks::default()
        };
        for (name, stacks, kept, left_out) in [
            ("few", many(3, 1), 3, 1),
            ("as many as may be", many(100, 1), 100, 1),
            ("too many", many(103, 1), 100, 4),
            ("too long", many(3, 10_000), 1, 3),
            ("none", many(0, 0), 0, 1),
        ] {
            let stacks = stacks.bounded();
            assert_eq!(stacks.threads.len(), kept, "{name}");
            assert_eq!(stacks.threads_left_out, left_out, "{name}");
        }
    }
}
