//! What somebody should look at, out of everything that a status says.

use super::text::count;
use crate::control::protocol::{Phase, SlotPhase, Status, WorkerPhase};

/// Sentences about what is wrong now, the worst first. They are text, not HTML.
pub(super) fn attention(status: &Status) -> Vec<String> {
    let mut found = Vec::new();
    let serves = matches!(status.phase, Phase::Running | Phase::Reloading);
    if serves && !status.ready {
        found.push("No worker is ready: new requests wait.".to_owned());
    }
    for worker in &status.workers {
        let what = match worker.phase {
            WorkerPhase::Stuck => "is stuck: a request in it cannot be ended",
            WorkerPhase::Unresponsive => "does not respond",
            WorkerPhase::Starting | WorkerPhase::Ready | WorkerPhase::Retiring => continue,
        };
        found.push(format!("Worker {} (pid {}) {what}.", worker.id, worker.pid));
    }
    for listener in &status.listeners {
        if let Some((waiting, capacity)) = listener.waiting.zip(listener.capacity) {
            if waiting >= capacity {
                found.push(format!(
                    "The queue of {} is full: {capacity} connections wait, and no more can.",
                    listener.address
                ));
            }
        }
    }
    let ready = status.workers.iter();
    let ready = ready.filter(|worker| worker.phase == WorkerPhase::Ready);
    let mut slots = ready.flat_map(|worker| &worker.slots).peekable();
    let are_busy = slots.peek().is_some() && slots.all(|slot| slot.is_busy());
    let waiting = status.listeners.iter().map(|listener| listener.waiting);
    match waiting.sum::<Option<u32>>() {
        _ if !are_busy => {}
        // A small server is often as busy as it can be, and nobody suffers.
        Some(0) => {}
        Some(1) => found.push("All threads are busy, and 1 connection waits.".to_owned()),
        Some(waiting) => found.push(format!(
            "All threads are busy, and {} wait.",
            count(waiting as usize, "connection")
        )),
        None => found.push("All threads are busy: new requests wait.".to_owned()),
    }
    let slots = status.workers.iter().flat_map(|worker| &worker.slots);
    let timed_out = slots.filter(|slot| slot.phase == SlotPhase::TimedOut);
    match timed_out.count() {
        0 => {}
        1 => found.push("1 request has timed out and still occupies its thread.".to_owned()),
        number => found.push(format!(
            "{} have timed out and still occupy their threads.",
            count(number, "request")
        )),
    }
    if status.last_reload.as_ref().is_some_and(|reload| !reload.ok) {
        found.push("The last reload failed: the code from before it still serves.".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{busy, idle, server, worker};
    use super::*;
    use crate::control::protocol::ReloadStatus;

    #[test]
    fn calm_server_needs_no_attention() {
        for phase in [Phase::Running, Phase::Reloading] {
            let mut status = server([worker(1, [busy("/")])]);
            status.phase = phase;
            assert_eq!(attention(&status), Vec::<String>::new());
        }
        // A start or a stop is in the headline.
        for phase in [Phase::Starting, Phase::Draining, Phase::Stopping] {
            let mut status = server([]);
            status.phase = phase;
            status.ready = false;
            assert_eq!(attention(&status), Vec::<String>::new());
        }
    }

    #[test]
    fn each_trouble_has_its_sentence() {
        let starting = |mut status: Status| {
            status.workers[0].phase = WorkerPhase::Starting;
            status.ready = false;
            status
        };
        let in_phase = |phase| {
            let mut status = server([worker(1, [idle()]), worker(2, [busy("/")])]);
            status.workers[1].phase = phase;
            status
        };
        let all_busy = |waiting| {
            let mut status = server([worker(1, [busy("/a"), busy("/b")])]);
            status.listeners[0].waiting = waiting;
            status
        };
        let full = {
            let mut status = server([worker(1, [idle()])]);
            status.listeners[0].waiting = Some(17);
            status.listeners[0].capacity = Some(17);
            status
        };
        let timed_out = |count| {
            let mut slots = [idle(), busy("/a"), busy("/b")];
            for slot in &mut slots[1..=count] {
                slot.phase = SlotPhase::TimedOut;
            }
            server([worker(1, slots)])
        };
        let failed = {
            let mut status = server([worker(1, [idle()])]);
            status.last_reload = Some(ReloadStatus::default());
            status
        };
        for (status, expected) in [
            (
                starting(server([worker(1, [])])),
                "No worker is ready: new requests wait.",
            ),
            (
                in_phase(WorkerPhase::Stuck),
                "Worker 2 (pid 4202) is stuck: a request in it cannot be ended.",
            ),
            (
                in_phase(WorkerPhase::Unresponsive),
                "Worker 2 (pid 4202) does not respond.",
            ),
            (all_busy(None), "All threads are busy: new requests wait."),
            (
                all_busy(Some(1)),
                "All threads are busy, and 1 connection waits.",
            ),
            (
                all_busy(Some(12)),
                "All threads are busy, and 12 connections wait.",
            ),
            (
                full,
                "The queue of unix:/run/app.sock is full: 17 connections wait, and no more can.",
            ),
            (
                timed_out(1),
                "1 request has timed out and still occupies its thread.",
            ),
            (
                timed_out(2),
                "2 requests have timed out and still occupy their threads.",
            ),
            (
                failed,
                "The last reload failed: the code from before it still serves.",
            ),
        ] {
            assert_eq!(attention(&status), [expected]);
        }
    }

    #[test]
    fn threads_of_workers_that_take_no_requests_are_not_counted_as_free() {
        let mut status = server([worker(1, [busy("/")]), worker(2, [idle()])]);
        status.workers[1].phase = WorkerPhase::Retiring;
        status.listeners[0].waiting = Some(1);
        assert_eq!(
            attention(&status),
            ["All threads are busy, and 1 connection waits."]
        );
    }
}
