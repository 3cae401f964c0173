//! What the statistics are made of.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::{App, Core, Nothing, Server, Socket, Worker};
use crate::control::protocol::{ListenerStatus, SlotStatus, Status, WorkerPhase};
use crate::sys::durations::micros;

/// The server at one moment.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) status: Status,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The directory that the application runs in.
    pub(crate) cwd: String,
    /// By the numbers of workers: those that have a process, have had one, or may get one.
    pub(crate) places: BTreeMap<u32, Place>,
}

/// What is known of the workers with one number, besides their status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Place {
    /// How many processes it has had.
    pub(crate) spawned: u64,
    /// When the last one was started, in seconds since 1970.
    pub(crate) last_spawn: i64,
    /// What all of them have done.
    pub(crate) work: Work,
    /// What the present one has done.
    pub(crate) present: Work,
    /// How long its requests take at present.
    pub(crate) average: Duration,
    /// Its memory, if it is known.
    pub(crate) memory: Option<Memory>,
}

/// What a process, or several together, have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Work {
    /// Requests that the application has finished.
    pub(crate) requests: u64,
    /// Requests in which it raised an exception.
    pub(crate) exceptions: u64,
    /// Requests that exceeded `--request-timeout`.
    pub(crate) timeouts: u64,
    /// Time that threads spent in the application.
    pub(crate) busy: Duration,
    /// Bytes of response bodies.
    pub(crate) response_bytes: u64,
}

/// The memory of a process in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) virtual_size: u64,
}

impl Figures {
    /// The statistics as JSON.
    pub(crate) fn to_json(&self) -> String {
        // Fails only for maps whose keys are no strings, and here are none (serde_json::to_string).
        let json = serde_json::to_string(&self.server());
        json.unwrap_or_default()
    }

    fn server(&self) -> Server {
        let sockets: Vec<_> = self.status.listeners.iter().map(socket).collect();
        // uWSGI: the longest queue of all sockets is both of them.
        let longest = sockets.iter().map(|socket| socket.queue).max();
        let longest = longest.unwrap_or_default();
        Server {
            version: VERSION,
            listen_queue: longest,
            listen_queue_errors: 0,
            signal_queue: 0,
            load: longest,
            pid: self.status.pid,
            uid: self.uid,
            gid: self.gid,
            cwd: self.cwd.clone(),
            locks: [],
            sockets,
            workers: self.places.iter().map(|it| self.worker(it)).collect(),
        }
    }

    fn worker(&self, (&id, place): (&u32, &Place)) -> Worker {
        let mut workers = self.status.workers.iter();
        let present = workers.find(|worker| worker.id == id);
        let slots = present.map_or(&[][..], |worker| &worker.slots);
        let memory = place.memory;
        Worker {
            id,
            pid: present.map_or(0, |worker| worker.pid),
            accepting: present
                .is_some_and(|worker| worker.phase == WorkerPhase::Ready)
                .into(),
            requests: place.work.requests,
            delta_requests: place.present.requests,
            exceptions: place.work.exceptions,
            harakiri_count: place.work.timeouts,
            signals: 0,
            signal_queue: 0,
            status: match present {
                None => "cheap",
                Some(worker) if worker.slots.iter().any(SlotStatus::is_busy) => "busy",
                Some(_) => "idle",
            },
            rss: memory.map_or(0, |memory| memory.resident),
            vsz: memory.map_or(0, |memory| memory.virtual_size),
            running_time: micros(place.work.busy),
            last_spawn: place.last_spawn,
            respawn_count: place.spawned,
            tx: place.work.response_bytes,
            avg_rt: micros(place.average),
            apps: [App {
                id: 0,
                modifier1: 0,
                mountpoint: "",
                startup_time: 0,
                requests: place.work.requests,
                exceptions: place.work.exceptions,
                chdir: "",
            }],
            cores: slots.iter().map(core).collect(),
        }
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, more: Self) {
        self.requests += more.requests;
        self.exceptions += more.exceptions;
        self.timeouts += more.timeouts;
        self.busy += more.busy;
        self.response_bytes += more.response_bytes;
    }
}

fn socket(listener: &ListenerStatus) -> Socket {
    let address = &listener.address;
    Socket {
        name: address.strip_prefix("unix:").unwrap_or(address).to_owned(),
        proto: "uwsgi",
        queue: listener.waiting.unwrap_or_default(),
        max_queue: listener.capacity.unwrap_or_default(),
        shared: 0,
        can_offload: 0,
    }
}

fn core(slot: &SlotStatus) -> Core {
    Core {
        id: slot.slot,
        requests: slot.finished(),
        static_requests: 0,
        routed_requests: 0,
        offloaded_requests: 0,
        write_errors: 0,
        read_errors: 0,
        in_request: slot.is_busy().into(),
        vars: [],
        req_info: Nothing {},
    }
}

/// Not taken for one of uWSGI's.
const VERSION: &str = concat!("scoter-", env!("CARGO_PKG_VERSION"));
