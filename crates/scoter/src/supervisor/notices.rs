//! The text of notices.

use nix::unistd::Pid;
use tracing::field::display;
use tracing::{debug, error, info, warn};

use super::core::Notice;
use crate::request_head::warn_of_missing_clock;

/// Writes a message to the error log.
#[expect(clippy::too_many_lines, reason = "a table of messages")]
pub(super) fn write(notice: Notice) {
    match notice {
        Notice::ApplicationLoaded { name, import_ms } => {
            info!(name, import_ms, "application loaded");
        }
        Notice::WorkerReady {
            worker,
            pid,
            generation,
            ready,
            is_first,
        } => {
            let ready_ms = ready.as_millis();
            if is_first {
                debug!(worker, pid, ready_ms, "worker ready");
            } else {
                info!(worker, pid, generation, ready_ms, "worker ready");
            }
        }
        Notice::Ready { workers, threads } => info!(workers, threads, "ready"),
        Notice::StartFailed(message) => error!("{message}"),
        Notice::VarsMissing(missing) => missing.warn(),
        Notice::ClockMissing => warn_of_missing_clock(),
        Notice::LogsReopened(origin) => info!(origin = origin.as_str(), "reopening logs"),

        Notice::WorkerNotStarted {
            generation,
            problem,
        } => error!(generation, "a worker could not start: {problem}"),
        Notice::WorkerStuck { worker, reason } => {
            warn!(worker, reason, "worker is stuck: replacing it");
        }
        Notice::WorkerUnresponsive {
            worker,
            pid,
            reason,
        } => {
            let pid = pid.map(Pid::as_raw);
            error!(
                worker,
                pid, reason, "worker does not respond: killed, starting a new one"
            );
        }
        Notice::WorkerDied {
            worker,
            pid,
            reason,
            stack,
        } => {
            let pid = pid.map(Pid::as_raw);
            let stack = stack.as_ref().map(display);
            error!(
                worker,
                pid, reason, stack, "worker died: starting a new one"
            );
        }
        Notice::WorkerCrashedAtItsEnd { worker, pid, stack } => {
            let pid = pid.map(Pid::as_raw);
            error!(worker, pid, %stack, "a worker crashed while it was ending");
        }
        Notice::WorkerLate(worker) => warn!(
            worker,
            "worker does not end within --graceful-timeout: killed"
        ),
        Notice::WorkerGivenUp(worker) => {
            error!(
                worker,
                "the end of a killed worker was not reported: no longer waiting for it"
            )
        }
        Notice::WorkerRetires { worker, generation } => {
            debug!(worker, generation, "worker retires");
        }
        Notice::WorkerEnded { worker, pid } => {
            let pid = pid.map(Pid::as_raw);
            debug!(worker, pid, "worker ended");
        }
        Notice::PlaceStaysEmpty { worker, pause } => {
            let pause_ms = pause.as_millis();
            warn!(
                worker,
                pause_ms, "worker keeps dying: pausing before it is started again"
            );
        }
        Notice::WorkerReplaced {
            worker,
            reason,
            requests,
        } => info!(worker, reason, requests, "replacing worker"),
        Notice::MaxRssTooSmall { worker, rss, limit } => {
            let (rss_mib, limit_mib) = (rss >> 20, limit >> 20);
            warn!(
                worker,
                rss_mib,
                limit_mib,
                "--max-rss is less than a worker takes before its first request: every worker \
                 will be replaced at once, so raise it"
            );
        }

        Notice::LauncherDied {
            generation,
            pid,
            reason,
            pause,
            stack,
        } => {
            let pid = pid.map(Pid::as_raw);
            let pause_ms = pause.as_millis();
            let stack = stack.as_ref().map(display);
            error!(
                generation,
                pid,
                reason,
                pause_ms,
                stack,
                "launcher died: its workers continue to serve, starting a new one"
            );
        }
        Notice::LauncherSignalled { generation } => debug!(
            generation,
            "a signal ended a launcher before it could handle it"
        ),
        Notice::LauncherSilent { worker, generation } => {
            warn!(worker, generation, "launcher does not answer: killed");
        }
        Notice::LauncherUnresponsive { generation, pid } => {
            let pid = pid.map(Pid::as_raw);
            error!(
                generation,
                pid, "launcher does not respond: killed, starting a new one"
            );
        }
        Notice::LauncherLate(pid) => {
            warn!(pid = pid.as_raw(), "a launcher does not end: killed");
        }

        Notice::Touched(path) => info!(path = %path.display(), "touched"),
        Notice::Reloading { origin, generation } => {
            info!(origin = origin.as_str(), generation, "reloading")
        }
        Notice::NeedsRestart(options) => {
            let options = options.join(", ");
            warn!(options, "changed, but takes effect only after a restart");
        }
        Notice::NewCodeReady {
            generation,
            name,
            import_ms,
        } => info!(generation, name, import_ms, "new code is ready"),
        Notice::Reloaded { generation, took } => {
            let took_ms = took.as_millis();
            info!(generation, took_ms, "reloaded");
        }
        Notice::ReloadRefused { origin, problem } => {
            error!(
                origin = origin.as_str(),
                "reload refused, nothing has changed: {problem}"
            );
        }
        Notice::ReloadFailed {
            generation,
            problem,
        } => error!(
            generation,
            "reload failed, the old code continues to serve: {problem}"
        ),
        Notice::ReloadFailedHalfWay {
            generation,
            problem,
        } => error!(
            generation,
            "reload failed half-way, going back to the old generation: {problem}"
        ),
        Notice::ReloadFollows(origin) => {
            info!(origin = origin.as_str(), "another reload follows this one")
        }
        Notice::Deferred { origin, busy } => info!(origin = origin.as_str(), "deferred: {busy}"),
        Notice::ReloadIgnored { origin, busy } => {
            warn!(origin = origin.as_str(), "no reload: {busy}")
        }

        Notice::Upgrading(origin) => {
            info!(
                origin = origin.as_str(),
                "upgrading: checking the installed release"
            );
        }
        Notice::UpgradeRefused { origin, problem } => {
            error!(
                origin = origin.as_str(),
                "no upgrade, nothing has changed: {problem}"
            );
        }
        Notice::OtherRelease(version) => info!(version, "another release is installed now"),
        Notice::TakenOver => info!(
            version = env!("CARGO_PKG_VERSION"),
            "taken over from the previous release"
        ),

        Notice::Scaled {
            origin,
            before,
            workers,
        } => info!(origin = origin.as_str(), before, workers, "scaled"),
        Notice::SignalIgnored { origin, reason } => {
            warn!(origin = origin.as_str(), reason, "signal ignored");
        }
        Notice::WorkerAdded(workers) => info!(workers, "requests are waiting: adding a worker"),
        Notice::WorkerRemoved(workers) => info!(workers, "low load: removing a worker"),

        Notice::Draining {
            origin,
            running,
            delay,
        } => {
            let delay_ms = delay.as_millis();
            info!(
                origin = origin.as_str(),
                running, delay_ms, "draining: not ready, but still serving"
            );
        }
        Notice::Drained => info!("stopping: finishing running requests"),
        Notice::Stopping { origin, running } => {
            info!(
                origin = origin.as_str(),
                running, "stopping: finishing running requests"
            );
        }
        Notice::StopRepeated(origin) => {
            let origin = origin.as_str();
            debug!(
                origin,
                "already stopping: the same signal again within a second"
            );
        }
        Notice::StoppingAtOnce(origin) => {
            warn!(
                origin = origin.as_str(),
                "stopping at once: it was stopping already"
            );
        }
        Notice::NobodyLeft => warn!("no worker is left to answer established connections"),
        Notice::LeftBehind(left) => {
            error!(left, "killed processes have not ended: leaving them behind")
        }
    }
}
