//! Every interleaving of the reactor, which completes requests, and the slots that serve them.

use loom::model::Builder;
use loom::sync::{Arc, Condvar};
use loom::thread::{self, JoinHandle};

use super::*;

const SLOTS: usize = 2;

#[test]
fn request_is_served_once_and_all_slots_see_the_end() {
    check(|queue| {
        let slots = [0, 1].map(|slot| serve(queue, slot));
        queue.push(1).unwrap();
        queue.push(2).unwrap();
        queue.close();
        let mut served = slots.map(|slot| slot.join().unwrap()).concat();
        served.sort_unstable();
        assert_eq!(served, [1, 2]);
        assert_eq!(queue.length.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn request_wakes_a_slot_that_sleeps_and_leaves_no_wake_up_over() {
    check(|queue| {
        // The other one is busy all the time.
        let slot = serve_one(queue, 1);
        queue.push(1).unwrap();
        assert_eq!(slot.join().unwrap(), 1);
        assert_eq!(queue.wakeups.state.lock().unwrap().count, 0);
    });
}

#[test]
fn nudge_is_left_to_a_sleeping_slot_however_busy_ones_compete_for_a_request() {
    check(|queue| {
        queue.push(1).unwrap();
        queue.nudge();
        let other = {
            let queue = Arc::clone(queue);
            thread::spawn(move || queue.try_pop())
        };
        let mine = queue.try_pop();
        let others = other.join().unwrap();
        assert_eq!(mine.or(others).as_deref(), Some(&1));
        assert!(matches!(queue.pop(), Popped::Nudged));
        assert_eq!(queue.wakeups.state.lock().unwrap().count, 0);
    });
}

fn check(model: fn(&Arc<ReadyQueue<u32, Epoll>>)) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || model(&Arc::new(ReadyQueue::with(Epoll::default()))));
}

/// A slot that serves until there will be no more requests. Returns those it had.
fn serve(queue: &Arc<ReadyQueue<u32, Epoll>>, slot: usize) -> JoinHandle<Vec<u32>> {
    let queue = Arc::clone(queue);
    thread::spawn(move || {
        let mut served = Vec::new();
        while let Some(request) = next(&queue, slot) {
            served.push(request);
        }
        served
    })
}

fn serve_one(queue: &Arc<ReadyQueue<u32, Epoll>>, slot: usize) -> JoinHandle<u32> {
    let queue = Arc::clone(queue);
    thread::spawn(move || next(&queue, slot).expect("the queue is not closed"))
}

/// What `Slot::next` does about the queue.
fn next(queue: &ReadyQueue<u32, Epoll>, slot: usize) -> Option<u32> {
    loop {
        if let Some(request) = queue.try_pop() {
            return Some(*request);
        }
        queue.wakeups.wait(slot);
        match queue.pop() {
            Popped::Request(request) => return Some(*request),
            Popped::Empty | Popped::Nudged => {}
            Popped::Closed => return None,
        }
    }
}

/// An eventfd and the slots' epoll instances, each of which watches it with EPOLLEXCLUSIVE, as
/// in fs/eventpoll.c: a change goes from one instance to the next until one is waited on. Those
/// it went to look at the count before their next sleep, the others do not.
#[derive(Default)]
struct Epoll {
    state: Mutex<State>,
    woken: [Condvar; SLOTS],
}

#[derive(Default)]
struct State {
    count: u64,
    /// Whether the eventfd is on the instance's ready list.
    listed: [bool; SLOTS],
    asleep: [bool; SLOTS],
}

impl Semaphore for Epoll {
    fn add(&self) {
        let mut state = self.state.lock().unwrap();
        state.count += 1;
        for slot in 0..SLOTS {
            state.listed[slot] = true;
            if std::mem::take(&mut state.asleep[slot]) {
                self.woken[slot].notify_one();
                break;
            }
        }
    }

    fn take(&self) {
        let mut state = self.state.lock().unwrap();
        let left = state.count.checked_sub(1);
        state.count = left.expect("as many wake-ups as requests");
    }
}

impl Epoll {
    /// epoll_wait(2). What it returns stays on the list: it is level-triggered.
    fn wait(&self, slot: usize) {
        let mut state = self.state.lock().unwrap();
        loop {
            if state.listed[slot] && state.count > 0 {
                return;
            }
            state.listed[slot] = false;
            state.asleep[slot] = true;
            while state.asleep[slot] {
                state = self.woken[slot].wait(state).unwrap();
            }
        }
    }
}
