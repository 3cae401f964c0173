//! The number of workers, and their places.

use std::time::Duration;

use super::{SECOND, count, is_reloaded};
use crate::config::Workers;
use crate::supervisor::core::tests::world::{Code, World, plan};
use crate::supervisor::core::{Answer, Notice, Order};
use crate::sys::signals::Signal;

#[test]
pub(crate) fn number_of_workers_follows_orders_and_signals_in_every_state() {
    let mut world = World::serving(plan(2));
    let scaled = world.order(Order::Scale(4));
    assert!(matches!(world.answers(scaled), [Answer::Scale(Ok(_))]));
    world.run(SECOND);
    assert_eq!(world.serving_generations().len(), 4);
    world.signal(Signal::Ttou);
    world.run(SECOND);
    assert_eq!(world.serving_generations().len(), 3);
    let reload = world.order(Order::Reload);
    world.finish_reading();
    world.signal(Signal::Ttin);
    world.run(5 * SECOND);
    assert!(is_reloaded(world.answers(reload)));
    assert_eq!(world.serving_generations(), [2, 2, 2, 2]);
    for refused in [0, 1_025] {
        let order = world.order(Order::Scale(refused));
        assert!(matches!(world.answers(order), [Answer::Scale(Err(_))]));
    }
    world.signal(Signal::Term);
    let late = world.order(Order::Scale(1));
    assert!(matches!(world.answers(late), [Answer::Scale(Err(_))]));
}

#[test]
pub(crate) fn place_of_a_worker_that_served_is_filled_although_others_keep_failing() {
    let mut world = World::serving(plan(4));
    world.code = Code::Crashes;
    for index in [3, 4] {
        world.kill_any(index);
    }
    world.run(5 * SECOND);
    world.order(Order::Scale(2));
    world.run(11 * SECOND);
    world.code = Code::Good;
    world.kill_any(1);
    world.run(Duration::ZERO);
    assert_eq!(world.serving_generations(), [1, 1]);
}

#[test]
pub(crate) fn place_stays_empty_however_the_number_of_workers_changes() {
    let mut world = World::serving(plan(3));
    world.code = Code::Crashes;
    world.kill_any(3);
    world.run(15 * SECOND);
    let forks = |world: &World| count(world, |it| matches!(it, Notice::WorkerNotStarted { .. }));
    let before = forks(&world);
    for _ in 0..9 {
        world.order(Order::Scale(2));
        world.run(SECOND / 10);
        world.order(Order::Scale(3));
        world.run(SECOND / 10);
    }
    assert_eq!(forks(&world), before, "it would be tried again in seconds");
    world.settle().expect("the code is good again");
}

#[test]
pub(crate) fn forks_that_cannot_be_ordered_are_one_failure() {
    let mut world = World::serving(plan(2));
    world.refuses_forks = true;
    world.order(Order::Scale(9));
    world.run(Duration::ZERO);
    let failed = count(&world, |it| matches!(it, Notice::WorkerNotStarted { .. }));
    assert!(failed <= 2, "{failed} failures");
    world.refuses_forks = false;
    world.run(SECOND);
    assert_eq!(world.serving_generations().len(), 9);
}

#[test]
pub(crate) fn number_of_workers_follows_the_load() {
    let mut ranged = plan(1);
    ranged.workers = Workers::Range { min: 1, max: 3 };
    let mut world = World::serving(ranged);
    let refused = world.order(Order::Scale(2));
    assert!(matches!(world.answers(refused), [Answer::Scale(Err(_))]));
    let wanted = |world: &World| world.supervisor.view(world.now).wanted;
    world.is_anybody_waiting = true;
    world.run(3 * SECOND);
    assert_eq!(wanted(&world), 1, "there are free slots");
    for expected in [2, 3, 3] {
        while world.begin_request(0, 60 * SECOND) {}
        world.run(SECOND);
        assert_eq!(wanted(&world), expected);
        assert_eq!(world.serving_generations().len(), expected as usize);
    }
    // New code begins with the current number.
    let reload = world.order(Order::Reload);
    world.run(5 * SECOND);
    assert!(is_reloaded(world.answers(reload)));
    assert_eq!(wanted(&world), 3);
    while world.begin_request(0, 60 * SECOND) {}
    world.run(SECOND);
    world.is_anybody_waiting = false;
    world.end_requests();
    for (time, expected) in [(9, 3), (3, 2), (11, 1), (30, 1)] {
        world.run(time * SECOND);
        assert_eq!(wanted(&world), expected);
        assert_eq!(world.serving_generations().len(), expected as usize);
    }
    world.check().expect("never fewer than wanted");
}
