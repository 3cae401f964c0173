//! Workers that are replaced.

use super::{SECOND, count};
use crate::ipc::messages::FromWorker;
use crate::supervisor::core::tests::world::{World, plan};
use crate::supervisor::core::{Notice, Order};

#[test]
pub(crate) fn worker_is_replaced_before_it_goes_and_one_at_a_time() {
    let mut world = World::serving(plan(3));
    for index in 0..3 {
        let reason = "max-requests".to_owned();
        world.say(index, FromWorker::Replace { reason });
    }
    while world.deliver(0) {}
    let replaced = |it: &Notice| matches!(it, Notice::WorkerReplaced { .. });
    assert_eq!(count(&world, replaced), 1);
    assert_eq!(world.serving_generations().len(), 3);
    world.run(3 * SECOND);
    assert_eq!(count(&world, replaced), 3);
    world.settle().expect("three new workers");
}

#[test]
pub(crate) fn requests_of_a_worker_that_is_replaced_are_finished() {
    let reason = || "max-requests".to_owned();
    let mut world = World::serving(plan(1));
    world.begin_request(0, 2 * SECOND);
    world.say(0, FromWorker::Replace { reason: reason() });
    world.run(SECOND);
    assert_eq!(world.serving_generations(), [1]);
    assert_eq!(world.alive_workers(), 2, "it has a request to finish");
    world.run(2 * SECOND);
    assert_eq!(world.alive_workers(), 1);
    // A request that does not end is cut after --graceful-timeout.
    world.begin_request(0, 3_600 * SECOND);
    world.say(0, FromWorker::Replace { reason: reason() });
    world.run(2 * SECOND);
    assert_eq!(world.alive_workers(), 2);
    world.run(2 * SECOND);
    assert_eq!(world.alive_workers(), 1);
    let late = count(&world, |it| matches!(it, Notice::WorkerLate(_)));
    assert_eq!(late, 0, "it ends by itself");
    world
        .settle()
        .expect("two new workers, one after the other");
}

#[test]
pub(crate) fn worker_that_is_idle_goes_before_one_that_is_busy() {
    let mut world = World::serving(plan(2));
    world.begin_request(1, 2 * SECOND);
    world.order(Order::Scale(1));
    world.run(SECOND);
    let ends = count(&world, |it| {
        matches!(it, Notice::WorkerEnded { worker: 1, .. })
    });
    assert_eq!(ends, 1);
}

#[test]
pub(crate) fn worker_that_retires_may_get_stuck() {
    let mut world = World::serving(plan(2));
    world.begin_request(1, 3_600 * SECOND);
    world.begin_request(0, SECOND);
    let reason = "a request cannot be ended".to_owned();
    world.say(1, FromWorker::Stuck { reason });
    // The message has not arrived yet.
    world.order(Order::Scale(1));
    while world.deliver(0) {}
    world.run(5 * SECOND);
    let stuck = count(&world, |it| matches!(it, Notice::WorkerStuck { .. }));
    assert_eq!(stuck, 1);
    world.settle().expect("one worker is left");
}

#[test]
fn worker_that_several_requests_have_stuck_is_replaced_once() {
    let mut world = World::serving(plan(2));
    let stuck = |path| FromWorker::Stuck {
        reason: format!("request-timeout: GET {path} has run for 2 s"),
    };
    world.say_all(1, [stuck("/one"), stuck("/other")]);
    while world.deliver(0) {}
    let stuck = count(&world, |it| matches!(it, Notice::WorkerStuck { .. }));
    assert_eq!(stuck, 1);
    assert_eq!(world.supervisor.view(world.now).replaced, 1);
}
