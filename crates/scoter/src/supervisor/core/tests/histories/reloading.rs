//! Reloads.

use super::{SECOND, count, is_broken, is_busy, is_reloaded};
use crate::control::Phase;
use crate::ipc::messages::FromWorker;
use crate::supervisor::core::tests::world::{Code, World, plan};
use crate::supervisor::core::{Notice, Order};
use crate::sys::signals::Signal;

#[test]
pub(crate) fn reload_puts_new_workers_in_place_and_then_answers() {
    let mut world = World::serving(plan(2));
    let order = world.order(Order::Reload);
    assert!(world.answers(order).is_empty());
    world.run(2 * SECOND);
    assert!(is_reloaded(world.answers(order)));
    assert_eq!(world.serving_generations(), [2, 2]);
    assert_eq!(world.alive(), 3, "two workers and their launcher");
}

#[test]
pub(crate) fn reload_of_code_that_is_no_good_changes_nothing() {
    for (name, code) in [
        ("import fails", Code::Broken),
        ("import crashes", Code::Crashes),
        ("import never ends", Code::Hangs),
    ] {
        let mut world = World::serving(plan(2));
        world.code = code;
        let order = world.order(Order::Reload);
        world.run(15 * SECOND);
        assert!(is_broken(world.answers(order)), "{name}");
        assert_eq!(world.serving_generations(), [1, 1], "{name}");
        assert_eq!(world.phase(), Phase::Running, "{name}");
        let in_force = count(&world, |it| matches!(it, Notice::NewCodeReady { .. }));
        assert_eq!(in_force, 0, "{name}");
        world.settle().expect(name);
    }
}

#[test]
pub(crate) fn reload_whose_configuration_is_wrong_or_never_read_is_refused() {
    let mut world = World::serving(plan(1));
    world.is_readable = false;
    let wrong = world.order(Order::Reload);
    world.finish_reading();
    assert!(is_broken(world.answers(wrong)));
    let never = world.order(Order::Reload);
    world.advance(11 * SECOND);
    assert!(is_broken(world.answers(never)));
    // The hanging reader has read before the next order, so another one follows it.
    let next = world.order(Order::Reload);
    world.is_readable = true;
    world.finish_reading();
    assert!(world.answers(next).is_empty());
    world.run(2 * SECOND);
    assert!(is_reloaded(world.answers(next)));
}

#[test]
pub(crate) fn limits_of_a_reload_hold_for_its_own_workers_only() {
    let limited = |lifetime| {
        let mut plan = plan(1);
        plan.max_lifetime = lifetime;
        plan
    };
    let mut world = World::serving(plan(1));
    world.configured.max_lifetime = Some(SECOND);
    world.code = Code::Hangs;
    let refused = world.order(Order::Reload);
    world.run(15 * SECOND);
    assert!(is_broken(world.answers(refused)));
    let is_replaced = |it: &Notice| matches!(it, Notice::WorkerReplaced { .. });
    world.run(5 * SECOND);
    assert_eq!(
        count(&world, is_replaced),
        0,
        "limits of code that was refused"
    );

    let mut world = World::serving(limited(Some(3 * SECOND)));
    world.configured.max_lifetime = None;
    let reload = world.order(Order::Reload);
    world.run(SECOND);
    assert!(is_reloaded(world.answers(reload)));
    world.run(10 * SECOND);
    assert_eq!(count(&world, is_replaced), 0, "limits of code that is gone");
}

#[test]
pub(crate) fn orders_during_a_reload_are_told_so_and_signals_follow_it() {
    let mut world = World::serving(plan(1));
    let first = world.order(Order::Reload);
    let second = world.order(Order::Reload);
    assert!(is_busy(world.answers(second)));
    for _ in 0..5 {
        world.signal(Signal::Hup);
    }
    world.run(5 * SECOND);
    assert!(is_reloaded(world.answers(first)));
    assert_eq!(
        world.serving_generations(),
        [3],
        "five signals are one reload"
    );
}

#[test]
pub(crate) fn worker_of_the_old_code_is_replaced_while_new_code_takes_its_time() {
    let mut world = World::serving(plan(1));
    world.code = Code::Hangs;
    world.order(Order::Reload);
    world.run(SECOND);
    world.code = Code::Good;
    world.freeze(3);
    let reason = "a request cannot be ended".to_owned();
    world.say(0, FromWorker::Stuck { reason });
    world.run(SECOND);
    assert_eq!(
        world.serving_generations(),
        [1],
        "beside the stuck one and the new one"
    );
}

#[test]
pub(crate) fn reload_whose_launcher_dies_before_anybody_is_ready_is_refused() {
    for (name, steps) in [("while it loads", 0), ("before it has forked", 1)] {
        let mut world = World::serving(plan(1));
        let order = world.order(Order::Reload);
        world.finish_reading();
        for _ in 0..steps {
            world.progress(1);
            while world.deliver(0) {}
        }
        world.kill_any(1);
        world.run(2 * SECOND);
        assert!(is_broken(world.answers(order)), "{name}");
        assert_eq!(world.serving_generations(), [1], "{name}");
        world.settle().expect(name);
    }
}

#[test]
pub(crate) fn reload_is_not_kept_by_the_old_launcher_that_loads_again() {
    let mut world = World::serving(plan(1));
    let order = world.order(Order::Reload);
    world.finish_reading();
    world.kill_any(0);
    while world.deliver(0) {}
    let launchers = world.alive() - world.alive_workers();
    assert_eq!(launchers, 2, "another one for the old code");
    world.freeze(1);
    world.run(3 * SECOND);
    assert!(is_reloaded(world.answers(order)));
    world.settle().expect("the new code serves");
}

#[test]
pub(crate) fn signal_during_what_is_refused_is_followed() {
    for (first, then) in [
        (Signal::Hup, Signal::Usr2),
        (Signal::Usr2, Signal::Hup),
        (Signal::Usr2, Signal::Usr2),
    ] {
        let mut world = World::serving(plan(1));
        world.is_readable = false;
        world.signal(first);
        world.signal(then);
        world.finish_reading();
        world.finish_reading();
        let refused = |it: &Notice| {
            let is_reload = matches!(it, Notice::ReloadRefused { .. });
            is_reload || matches!(it, Notice::UpgradeRefused { .. })
        };
        assert_eq!(count(&world, refused), 2, "{first:?}, {then:?}");
        assert_eq!(world.phase(), Phase::Running);
    }
}
