//! Upgrades: one release leaves everything to the next.

use super::{SECOND, count, is_broken, is_busy, is_reloaded};
use crate::control::Phase;
use crate::ipc::messages::FromWorker;
use crate::supervisor::core::tests::world::{Code, World, plan};
use crate::supervisor::core::{Notice, Order};
use crate::sys::signals::Signal;

#[test]
pub(crate) fn upgrade_is_refused_where_the_installed_release_says_no() {
    let mut world = World::serving(plan(1));
    let refused = world.order(Order::Upgrade);
    world.run(SECOND);
    assert!(is_broken(world.answers(refused)));
    // It accepts, but cannot be executed: nothing is lost either.
    world.is_release_good = true;
    let failed = world.order(Order::Upgrade);
    world.run(SECOND);
    assert!(is_broken(world.answers(failed)));
    let late = world.order(Order::Upgrade);
    world.finish_reading();
    world.advance(61 * SECOND);
    assert!(is_broken(world.answers(late)));
    assert_eq!(world.phase(), Phase::Running);
    assert_eq!(world.serving_generations(), [1]);
}

#[test]
pub(crate) fn launcher_of_another_release_is_the_sign_of_an_upgrade() {
    let mut world = World::serving(plan(1));
    world.version = "0.0.0";
    let reload = world.order(Order::Reload);
    world.run(SECOND);
    assert!(
        is_broken(world.answers(reload)),
        "{:?}",
        world.answers(reload)
    );
    let upgrades = count(&world, |it| matches!(it, Notice::Upgrading(_)));
    assert_eq!(upgrades, 1);
    world.version = env!("CARGO_PKG_VERSION");
    world.settle().expect("the old code serves on");
}

#[test]
pub(crate) fn upgrade_replaces_the_release_and_then_its_workers() {
    for is_everything_received in [true, false] {
        let mut world = World::serving(plan(1));
        install(&mut world);
        world.is_everything_received = is_everything_received;
        world.order(Order::Scale(3));
        world.run(SECOND);
        world.kill_any(1);
        world.deliver(0);
        let order = world.order(Order::Upgrade);
        world.finish_reading();
        world.finish_preflight();
        let taken_over = count(&world, |it| matches!(it, Notice::TakenOver));
        assert_eq!(taken_over, 1);
        assert!(world.answers(order).is_empty(), "the next release shows it");
        let busy = world.order(Order::Reload);
        assert!(is_busy(world.answers(busy)));
        world.run(3 * SECOND);
        assert!(is_reloaded(world.answers(order)));
        assert_eq!(world.serving_generations(), [2, 2, 2]);
        let view = world.supervisor.view(world.now);
        assert_eq!((view.wanted, view.crashed), (3, 1));
        world.settle().expect("nothing is lost");
    }
}

#[test]
pub(crate) fn next_release_serves_on_with_the_old_workers_if_new_code_is_no_good() {
    let mut world = World::serving(plan(2));
    install(&mut world);
    world.code = Code::Broken;
    let order = world.order(Order::Upgrade);
    world.run(2 * SECOND);
    assert!(is_broken(world.answers(order)));
    assert_eq!(world.serving_generations(), [1, 1]);
    world.code = Code::Good;
    world.kill_any(1);
    world.run(SECOND);
    assert_eq!(world.serving_generations(), [1, 1]);
    world.settle().expect("the old code serves on");
}

#[test]
pub(crate) fn next_release_ends_what_the_last_one_has_begun() {
    // A worker that is being replaced, and its replacement.
    let mut world = World::serving(plan(2));
    let reason = "max-requests".to_owned();
    world.say(0, FromWorker::Replace { reason });
    world.deliver(0);
    upgrade(&mut world);
    world.run(3 * SECOND);
    world.settle().expect("two workers of the new code");

    // A launcher that was dismissed, and does not end.
    let mut world = World::serving(plan(1));
    let reload = world.order(Order::Reload);
    world.finish_reading();
    world.freeze(0);
    world.run(SECOND);
    assert!(is_reloaded(world.answers(reload)));
    upgrade(&mut world);
    world.signal(Signal::Term);
    world.run(15 * SECOND);
    assert_eq!(world.exit_code, Some(0));
    world.check().expect("it was killed");

    // A place that stays empty.
    let mut world = World::serving(plan(2));
    world.code = Code::Crashes;
    world.kill_any(1);
    world.run(15 * SECOND);
    let forks = |world: &World| count(world, |it| matches!(it, Notice::WorkerNotStarted { .. }));
    let before = forks(&world);
    upgrade(&mut world);
    world.run(SECOND);
    assert_eq!(forks(&world), before);
    world.settle().expect("the code is good again");
}

#[test]
pub(crate) fn stop_of_the_next_release_ends_everything_and_a_stop_before_it_prevents_it() {
    for (name, is_before) in [("before", true), ("after", false)] {
        let mut world = World::serving(plan(2));
        install(&mut world);
        let order = world.order(Order::Upgrade);
        world.finish_reading();
        if !is_before {
            world.finish_preflight();
        }
        world.signal(Signal::Term);
        world.run(10 * SECOND);
        assert_eq!(world.exit_code, Some(0), "{name}");
        assert_eq!(is_busy(world.answers(order)), is_before, "{name}");
        world.check().expect(name);
    }
}

#[test]
pub(crate) fn signals_during_an_upgrade_are_followed_whatever_becomes_of_it() {
    for (name, is_good) in [("it succeeds", true), ("it is refused", false)] {
        for signal in [Signal::Hup, Signal::Usr2] {
            let mut world = World::serving(plan(1));
            install(&mut world);
            world.is_release_good = is_good;
            world.signal(Signal::Usr2);
            world.signal(signal);
            world.finish_reading();
            world.signal(signal);
            world.run(5 * SECOND);
            // The next release reads everything again.
            let reloads = count(&world, |it| matches!(it, Notice::Reloaded { .. }));
            let refusals = count(&world, |it| matches!(it, Notice::UpgradeRefused { .. }));
            let is_repeated = signal == Signal::Usr2 && !is_good;
            assert_eq!(reloads, usize::from(!is_repeated), "{name}, {signal:?}");
            let expected = usize::from(!is_good) + usize::from(is_repeated);
            assert_eq!(refusals, expected, "{name}, {signal:?}");
            world.settle().expect(name);
        }
    }
}

#[test]
pub(crate) fn launcher_that_has_just_died_is_replaced_by_the_next_release() {
    let mut world = World::serving(plan(1));
    world.is_everything_received = false;
    world.order(Order::Scale(2));
    world.kill_launchers();
    // The report of its end arrives before the end of its channel.
    world.deliver(1);
    upgrade(&mut world);
    world.run(3 * SECOND);
    world.settle().expect("two workers of the new code");
}

/// Another release is installed, which can take over.
fn install(world: &mut World) {
    world.is_release_good = true;
    world.is_executable = true;
}

fn upgrade(world: &mut World) {
    install(world);
    world.signal(Signal::Usr2);
    world.finish_reading();
    world.finish_preflight();
    let taken_over = count(world, |it| matches!(it, Notice::TakenOver));
    assert_eq!(taken_over, 1);
}
