//! What a worker tells of itself, for `uwsgi.workers()`.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::time::Duration;

use super::RaisedSignals;

/// A worker's row. Its worker writes it, all others read it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct WorkerRow {
    /// The worker's process id; 0 if there is none.
    pid: AtomicU32,
    /// Requests that run now.
    busy: AtomicU32,
    /// How many workers have had this number.
    spawned: AtomicU64,
    /// When this one was started, in seconds since 1970.
    since: AtomicU64,
    /// Requests of all workers that have had this number, and of this one.
    pub(crate) requests: AtomicU64,
    pub(crate) own_requests: AtomicU64,
    /// Requests whose application raised an exception.
    pub(crate) exceptions: AtomicU64,
    /// Signals that it has handled.
    pub(crate) signals: AtomicU64,
    /// Bytes of responses.
    pub(crate) sent: AtomicU64,
    /// How long requests have run, in microseconds.
    pub(crate) running: AtomicU64,
    /// The moving average of that for one request.
    pub(crate) average: AtomicU64,
    /// Signals for this worker.
    pub(crate) raised: RaisedSignals,
}

impl WorkerRow {
    /// Notes that this process is the worker, since `now`.
    pub(crate) fn begin(&self, now: Duration) {
        self.spawned.fetch_add(1, Relaxed);
        self.since.store(now.as_secs(), Relaxed);
        self.own_requests.store(0, Relaxed);
        self.busy.store(0, Relaxed);
        self.pid.store(std::process::id(), Release);
    }

    /// Notes that the worker ends, unless another one has its number by now.
    pub(crate) fn end(&self) {
        let own = std::process::id();
        let _ = self.pid.compare_exchange(own, 0, Relaxed, Relaxed);
    }

    /// The worker's process id, if there is one.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self.pid.load(Acquire) {
            0 => None,
            pid => Some(pid),
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Relaxed) > 0
    }

    pub(crate) fn since(&self) -> u64 {
        self.since.load(Relaxed)
    }

    /// How many times a worker with this number has been started again.
    pub(crate) fn respawned(&self) -> u64 {
        self.spawned.load(Relaxed).saturating_sub(1)
    }

    /// Notes that a request begins.
    pub(crate) fn begin_request(&self) {
        self.busy.fetch_add(1, Relaxed);
    }

    /// Notes that a request has ended, after `time` and with this many bytes of a response.
    pub(crate) fn end_request(&self, time: Duration, sent: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.busy.fetch_sub(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.own_requests.fetch_add(1, Relaxed);
        self.sent.fetch_add(sent, Relaxed);
        self.running.fetch_add(micros, Relaxed);
        // As uWSGI computes it (core/utils.c, uwsgi_close_request).
        let average = self.average.load(Relaxed);
        self.average.store((average + micros) / 2, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::UwsgiMemory;
    use super::*;

    #[test]
    fn row_counts_over_all_workers_of_its_number() {
        let memory = UwsgiMemory::of_test();
        let row = memory.row(3).unwrap();
        for spawn in 0..2 {
            row.begin(Duration::from_millis(1_500));
            assert_eq!(row.pid(), Some(std::process::id()));
            row.begin_request();
            assert!(row.is_busy());
            row.end_request(Duration::from_micros(8), 44);
            assert_eq!(row.own_requests.load(Relaxed), 1);
            assert_eq!(row.requests.load(Relaxed), spawn + 1);
            assert_eq!(row.respawned(), spawn);
        }
        assert_eq!(row.average.load(Relaxed), 6);
        assert!(!row.is_busy());
        row.end();
        assert_eq!(row.pid(), None);
    }
}
