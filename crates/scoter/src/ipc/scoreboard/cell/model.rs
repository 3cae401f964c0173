//! Every interleaving of a slot that goes from request to request and of those who look at it.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::*;

#[test]
fn label_is_that_of_the_request_which_is_counted_and_runs() {
    let mut model = Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let cell = Arc::new(Cell::unused());
        cell.begin(label(1), None);
        cell.end(200);
        let slot = {
            let cell = Arc::clone(&cell);
            thread::spawn(move || cell.begin(label(2), None))
        };
        let seen = cell.read();
        assert_eq!(seen, labelled(&seen));
        assert!(seen.requests == 2 || seen.phase == Phase::Idle);
        slot.join().unwrap();
        let seen = cell.read();
        assert_eq!((seen.phase, seen.requests), (Phase::Running, 2));
        assert_eq!(seen, labelled(&seen));
    });
}

#[test]
fn of_slots_that_leave_at_the_same_moment_one_sees_all_out() {
    loom::model(|| {
        let cells = Arc::new([Cell::unused(), Cell::unused()]);
        let slots = [0, 1].map(|slot: usize| {
            let cells = Arc::clone(&cells);
            thread::spawn(move || {
                cells[slot].leave();
                Cell::are_all_out(&cells[..])
            })
        });
        let seen = slots.map(|slot| slot.join().unwrap());
        assert!(seen.contains(&true));
    });
}

fn label(request: u64) -> Label<'static> {
    match request {
        0 => Label::default(),
        1 => Label {
            method: b"GET",
            uri: b"/first",
            request_id: b"1",
        },
        _ => Label {
            method: b"POST",
            uri: b"/second",
            request_id: b"22",
        },
    }
}

/// The expected snapshot after that many requests.
fn labelled(seen: &Snapshot) -> Snapshot {
    let label = label(seen.requests);
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    Snapshot {
        method: text(label.method),
        uri: text(label.uri),
        request_id: text(label.request_id),
        ..seen.clone()
    }
}

impl Cell {
    fn unused() -> Self {
        Self {
            phase: AtomicU32::default(),
            lock: SeqLock::default(),
            started: AtomicU64::default(),
            requests: AtomicU64::default(),
            busy: AtomicU64::default(),
            queued: AtomicU64::default(),
            failed: AtomicU64::default(),
            left: AtomicU32::default(),
            lengths: AtomicU64::default(),
            text: std::array::from_fn(|_| AtomicU64::default()),
            counters: Counters::default(),
        }
    }
}
