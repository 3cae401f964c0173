//! Processes that die or do not respond, and the watchdog.

use std::time::Duration;

use super::{SECOND, count};
use crate::supervisor::core::Notice;
use crate::supervisor::core::tests::world::{Code, World, plan};

#[test]
pub(crate) fn worker_that_dies_is_replaced_at_once_and_a_loop_is_slowed_down() {
    let mut world = World::serving(plan(2));
    world.kill_any(1);
    world.run(Duration::ZERO);
    assert_eq!(world.serving_generations(), [1, 1]);
    world.code = Code::Crashes;
    world.kill_any(1);
    world.run(10 * SECOND);
    let died = count(&world, |it| matches!(it, Notice::WorkerNotStarted { .. }));
    assert!((5..12).contains(&died), "{died} starts in ten seconds");
    assert_eq!(world.serving_generations(), [1]);
    world.settle().expect("the code is good again");
}

#[test]
pub(crate) fn worker_that_does_not_respond_is_killed_and_replaced() {
    let mut world = World::serving(plan(2));
    world.freeze(1);
    world.run(5 * SECOND);
    assert_eq!(world.serving_generations().len(), 2, "it may come back");
    world.run(10 * SECOND);
    let lost = |it: &Notice| matches!(it, Notice::WorkerUnresponsive { .. });
    assert_eq!(count(&world, lost), 1);
    world.settle().expect("a new worker");
}

#[test]
pub(crate) fn launcher_that_dies_is_replaced_and_its_workers_serve_on() {
    let mut world = World::serving(plan(2));
    world.kill_launchers();
    world.run(2 * SECOND);
    assert_eq!(world.serving_generations(), [1, 1]);
    assert_eq!(world.alive(), 3);
    world.kill_any(1);
    world.run(2 * SECOND);
    world.settle().expect("the new launcher forks");
}

#[test]
pub(crate) fn watchdog_hears_nothing_while_nobody_gets_on() {
    let timeout = 4 * SECOND;
    type Prepare = fn(&mut World);
    let all_busy: Prepare = |world| while world.begin_request(0, 3_600 * SECOND) {};
    let all_stopped: Prepare = |world| (1..3).for_each(|index| world.freeze(index));
    let one_busy: Prepare = |world| world.freeze(1);
    for (name, prepare, expected) in [
        ("all slots are busy", all_busy, false),
        ("all workers are stopped", all_stopped, false),
        ("one worker is", one_busy, true),
    ] {
        let mut world = World::watched(plan(2), Some(timeout)).started();
        prepare(&mut world);
        world.run(8 * SECOND);
        assert_eq!(world.is_watchdog_content(), expected, "{name}");
        world.check().expect(name);
        world.settle().expect(name);
        assert!(world.is_watchdog_content(), "{name}");
    }
}

#[test]
pub(crate) fn launcher_that_is_lost_while_it_loads_is_replaced() {
    let mut world = World::serving(plan(1));
    world.kill_launchers();
    while world.deliver(0) {}
    // The next one has started, but has not reported it.
    world.kill_launchers();
    while world.deliver(0) {}
    world.kill_launchers();
    while world.deliver(0) {}
    world.settle().expect("another one");
}
