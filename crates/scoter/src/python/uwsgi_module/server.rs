//! What the module `uwsgi` asks of the server while it runs.

use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::current_request::current;
use super::{ENDING, Server, number};
use crate::ipc::uwsgi_memory::{LOCKS, RaisedSignals, RobustMutex, UwsgiMemory, WorkerRow};

/// The server, for the module `uwsgi`.
#[pyclass(frozen, module = "scoter")]
#[derive(Debug)]
pub(crate) struct UwsgiServer {
    memory: &'static UwsgiMemory,
}

impl UwsgiServer {
    pub(super) fn new(server: &'static Server) -> Self {
        Self {
            memory: &server.memory,
        }
    }

    fn mutex(&self, number: usize) -> PyResult<&RobustMutex> {
        let mutex = self.memory.lock(number);
        // uWSGI's own words.
        mutex.ok_or_else(|| PyValueError::new_err("Invalid lock number"))
    }

    fn live_rows(&self) -> impl Iterator<Item = (u32, &WorkerRow)> {
        let rows = (1..).zip(self.memory.rows());
        rows.filter(|(_, row)| row.pid().is_some())
    }
}

#[pymethods]
impl UwsgiServer {
    /// How many locks there are.
    #[classattr]
    const LOCKS: usize = LOCKS;

    /// Takes a lock, and waits for that for so many seconds. Returns whether this thread holds it.
    fn lock(&self, py: Python<'_>, number: usize, seconds: f64) -> PyResult<bool> {
        let mutex = self.mutex(number)?;
        let timeout = span(seconds)?;
        // Most often nobody holds it, and giving up the GIL would cost more.
        Ok(mutex.try_lock() || py.detach(|| mutex.lock(timeout)))
    }

    /// Frees a lock that this thread holds.
    fn unlock(&self, number: usize) -> PyResult<()> {
        self.mutex(number)?.unlock();
        Ok(())
    }

    /// Whether a thread of any worker holds a lock.
    fn is_locked(&self, number: usize) -> PyResult<bool> {
        Ok(self.mutex(number)?.is_locked())
    }

    /// Has this thread run the timers of all workers, unless another one does. Returns whether it does.
    fn elect(&self) -> bool {
        self.memory.election().try_lock()
    }

    /// Leaves the timers to another worker.
    fn resign(&self) {
        self.memory.election().unlock();
        self.memory.ring();
    }

    /// Raises a signal for the elected worker.
    fn raise_elected(&self, signal: u8) {
        raise(self.memory.raised(), signal);
        self.memory.ring();
    }

    /// Raises a signal in a worker.
    fn raise_in(&self, worker: u32, signal: u8) {
        if let Some(row) = self.memory.row(worker) {
            raise(&row.raised, signal);
            self.memory.ring();
        }
    }

    /// Raises a signal in every worker that serves.
    fn raise_in_all(&self, signal: u8) {
        for (_, row) in self.live_rows() {
            raise(&row.raised, signal);
        }
        self.memory.ring();
    }

    /// Takes the signals that have been raised for the elected worker.
    fn take_elected(&self) -> Vec<(u8, u32)> {
        take(self.memory.raised())
    }

    /// Takes the signals that have been raised in this worker.
    fn take_own(&self) -> Vec<(u8, u32)> {
        let row = self.memory.row(number());
        row.map_or_else(Vec::new, |row| take(&row.raised))
    }

    /// Counts a signal that this worker has handled.
    fn count_signal(&self) {
        if let Some(row) = self.memory.row(number()) {
            row.signals.fetch_add(1, Relaxed);
        }
    }

    /// When the timer of a signal was last due, in nanoseconds of the monotonic clock.
    fn timer(&self, signal: u8) -> u64 {
        self.memory.timer(signal).load(Relaxed)
    }

    fn set_timer(&self, signal: u8, time: u64) {
        self.memory.timer(signal).store(time, Relaxed);
    }

    /// In which minute the cron of a signal was last due.
    fn cron(&self, signal: u8) -> u64 {
        self.memory.cron(signal).load(Relaxed)
    }

    fn set_cron(&self, signal: u8, minute: u64) {
        self.memory.cron(signal).store(minute, Relaxed);
    }

    /// What to give to `wait`, read before one looks for something to do.
    fn bell(&self) -> u32 {
        self.memory.bell()
    }

    /// Waits until a signal is raised, another worker resigns or this one ends, for so many seconds.
    fn wait(&self, py: Python<'_>, bell: u32, seconds: f64) -> PyResult<()> {
        let timeout = span(seconds)?;
        py.detach(|| self.memory.wait(bell, timeout));
        Ok(())
    }

    /// Whether this worker ends.
    #[staticmethod]
    fn is_ending() -> bool {
        ENDING.load(Relaxed)
    }

    /// How many requests all workers have finished.
    fn total_requests(&self) -> u64 {
        self.memory.requests().load(Relaxed)
    }

    /// How many requests this worker has finished.
    fn requests(&self) -> u64 {
        let row = self.memory.row(number());
        row.map_or(0, |row| row.own_requests.load(Relaxed))
    }

    /// Sets a variable of the request's line in the access log. Without an effect outside a request.
    #[staticmethod]
    fn set_logvar(name: &[u8], value: &[u8]) {
        if let Some(request) = current() {
            request.said().set(name, value);
        }
    }

    /// A variable of the request's line in the access log.
    #[staticmethod]
    fn get_logvar<'py>(py: Python<'py>, name: &[u8]) -> Option<Bound<'py, PyBytes>> {
        let request = current()?;
        let said = request.said();
        said.get(name).map(|value| PyBytes::new(py, value))
    }

    /// Has the request have a line, whatever `--access-log-skip` and `--access-log-sample` say.
    #[staticmethod]
    fn log_this_request() {
        if let Some(request) = current() {
            request.said().is_wanted = true;
        }
    }

    /// Tells the client of the request that the response is complete.
    #[staticmethod]
    fn disconnect() {
        if let Some(request) = current() {
            request.disconnect();
        }
    }

    /// Has the request time out so many seconds from now; 0 cancels that.
    #[staticmethod]
    fn limit_request(seconds: u32) {
        if let Some(request) = current() {
            let time = Duration::from_secs(seconds.into());
            request.limit((seconds > 0).then_some(time));
        }
    }

    /// What each worker that serves tells of itself.
    fn workers<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let row = |(id, row): (u32, &WorkerRow)| {
            let told = PyDict::new(py);
            let own = row.own_requests.load(Relaxed);
            told.set_item("id", id)?;
            told.set_item("pid", row.pid())?;
            told.set_item("requests", row.requests.load(Relaxed))?;
            told.set_item("delta_requests", own)?;
            told.set_item("signals", row.signals.load(Relaxed))?;
            told.set_item("exceptions", row.exceptions.load(Relaxed))?;
            told.set_item("is_busy", row.is_busy())?;
            told.set_item("running_time", row.running.load(Relaxed))?;
            told.set_item("last_spawn", row.since())?;
            told.set_item("respawn_count", row.respawned())?;
            told.set_item("tx", row.sent.load(Relaxed))?;
            told.set_item("avg_rt", row.average.load(Relaxed))?;
            Ok(told)
        };
        self.live_rows().map(row).collect()
    }
}

fn raise(signals: &RaisedSignals, signal: u8) {
    signals[usize::from(signal)].fetch_add(1, AcqRel);
}

fn take(signals: &RaisedSignals) -> Vec<(u8, u32)> {
    let raised = (0..=u8::MAX).zip(signals);
    raised
        .filter(|(_, count)| count.load(Relaxed) > 0)
        .map(|(signal, count)| (signal, count.swap(0, AcqRel)))
        .collect()
}

/// # Errors
///
/// `ValueError` for what is no span of time.
fn span(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))
}
