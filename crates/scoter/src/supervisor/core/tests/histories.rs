//! Histories with names: what a user would notice, without the processes.

use std::time::Duration;

use super::world::{Code, World, plan};
use crate::control::{Phase, ReloadError};
use crate::ipc::channel::FromWorker;
use crate::supervisor::core::{Answer, Event, Notice, Order, OrderId};
use crate::sys::signals::Signal;

const SECOND: Duration = Duration::from_secs(1);

fn is_reloaded(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::Reload(Ok(_))])
}

fn is_busy(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::Reload(Err(ReloadError::Busy(_)))])
}

fn is_broken(answers: &[Answer]) -> bool {
    matches!(answers, [Answer::Reload(Err(ReloadError::Broken(_)))])
}

fn count(world: &World, is_it: impl Fn(&Notice) -> bool) -> usize {
    world.notices.iter().filter(|notice| is_it(notice)).count()
}

#[test]
fn first_worker_proves_the_code_before_the_others_start() {
    let mut world = World::new(plan(3));
    world.tell(Event::Start);
    for _ in 0..4 {
        world.progress(0);
        world.deliver(0);
    }
    assert_eq!(world.alive_workers(), 1);
    world.run(SECOND);
    assert_eq!(world.serving_generations(), [1, 1, 1]);
    assert_eq!(world.phase(), Phase::Running);
}

#[test]
fn start_fails_with_the_code_of_what_failed() {
    for (name, code, expected) in [
        ("import fails", Code::Broken, 3),
        ("import crashes", Code::Crashes, 3),
        ("import never ends", Code::Hangs, 3),
        (
            "workers end as soon as they are ready",
            Code::EndsWhenReady,
            3,
        ),
    ] {
        let mut world = World::new(plan(2));
        world.code = code;
        world.tell(Event::Start);
        world.run(20 * SECOND);
        assert_eq!(world.exit_code, Some(expected), "{name}");
        assert_eq!(world.alive(), 0, "{name}");
        world.check().expect(name);
    }
}

#[test]
fn worker_that_dies_is_replaced_at_once_and_a_loop_is_slowed_down() {
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
fn reload_puts_new_workers_in_place_and_then_answers() {
    let mut world = World::serving(plan(2));
    let order = world.order(Order::Reload);
    assert!(world.answers(order).is_empty());
    world.run(2 * SECOND);
    assert!(is_reloaded(world.answers(order)));
    assert_eq!(world.serving_generations(), [2, 2]);
    assert_eq!(world.alive(), 3, "two workers and their launcher");
}

#[test]
fn reload_of_code_that_is_no_good_changes_nothing() {
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
fn reload_whose_configuration_is_wrong_or_never_read_is_refused() {
    let mut world = World::serving(plan(1));
    world.is_readable = false;
    let wrong = world.order(Order::Reload);
    world.finish_reading();
    assert!(is_broken(world.answers(wrong)));
    let never = world.order(Order::Reload);
    world.advance(11 * SECOND);
    assert!(is_broken(world.answers(never)));
    // The reader that hangs has read before the next order: another one follows it.
    let next = world.order(Order::Reload);
    world.is_readable = true;
    world.finish_reading();
    assert!(world.answers(next).is_empty());
    world.run(2 * SECOND);
    assert!(is_reloaded(world.answers(next)));
}

#[test]
fn limits_of_a_reload_hold_for_its_own_workers_only() {
    let limited = |lifetime| {
        let mut plan = plan(1);
        plan.max_lifetime = lifetime;
        plan
    };
    let mut world = World::serving(plan(1));
    world.lifetime = Some(SECOND);
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
    world.lifetime = None;
    let reload = world.order(Order::Reload);
    world.run(SECOND);
    assert!(is_reloaded(world.answers(reload)));
    world.run(10 * SECOND);
    assert_eq!(count(&world, is_replaced), 0, "limits of code that is gone");
}

#[test]
fn orders_during_a_reload_are_told_so_and_signals_follow_it() {
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
fn signal_during_the_start_is_followed_after_it() {
    let mut world = World::new(plan(1));
    world.tell(Event::Start);
    world.signal(Signal::Hup);
    world.run(3 * SECOND);
    assert_eq!(world.serving_generations(), [2]);
}

#[test]
fn stop_during_anything_ends_everything_and_answers_everybody() {
    type Prepare = fn(&mut World) -> Option<OrderId>;
    let situations: [(&str, Prepare); 6] = [
        ("serving", |_| None),
        ("reading", |world| Some(world.order(Order::Reload))),
        ("rolling out", |world| {
            let order = world.order(Order::Reload);
            world.finish_reading();
            Some(order)
        }),
        ("upgrading", |world| {
            let order = world.order(Order::Upgrade);
            world.finish_reading();
            Some(order)
        }),
        ("recycling", |world| {
            let reason = "max-requests".to_owned();
            world.say(0, FromWorker::Replace { reason });
            world.deliver(0);
            None
        }),
        ("without launchers", |world| {
            world.kill_launchers();
            None
        }),
    ];
    for (name, prepare) in situations {
        let mut world = World::serving(plan(2));
        let waiting = prepare(&mut world);
        let stop = world.order(Order::Stop);
        assert_eq!(world.answers(stop), [Answer::Stopping], "{name}");
        world.run(10 * SECOND);
        assert_eq!(world.exit_code, Some(0), "{name}");
        assert_eq!(world.alive(), 0, "{name}");
        if let Some(order) = waiting {
            assert!(is_busy(world.answers(order)), "{name}");
        }
        world.check().expect(name);
    }
}

#[test]
fn stop_ends_by_its_deadline_although_nobody_responds() {
    for (name, second_signal, expected) in [
        ("--graceful-timeout and what comes beyond it", false, 20),
        ("a second signal", true, 6),
    ] {
        let mut world = World::serving(plan(2));
        for index in 0..3 {
            world.freeze(index);
        }
        world.signal(Signal::Term);
        if second_signal {
            world.signal(Signal::Term);
        }
        let begun = world.now;
        while world.exit_code.is_none() {
            world.run(SECOND / 2);
        }
        let took = world.now.duration_since(begun).as_secs();
        assert!(took <= expected, "{name}: {took} s");
        assert_eq!(world.alive(), 0, "{name}");
    }
}

#[test]
fn drain_delay_serves_on_and_ends_a_reload() {
    let mut delayed = plan(2);
    delayed.drain_delay = Some(5 * SECOND);
    let mut world = World::serving(delayed);
    let reload = world.order(Order::Reload);
    world.finish_reading();
    world.signal(Signal::Term);
    assert!(is_busy(world.answers(reload)));
    assert_eq!(world.phase(), Phase::Draining);
    world.run(4 * SECOND);
    assert_eq!(world.serving_generations(), [1, 1]);
    world.run(8 * SECOND);
    assert_eq!(world.exit_code, Some(0));
}

#[test]
fn number_of_workers_follows_orders_and_signals_in_every_state() {
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
fn place_of_a_worker_that_served_is_filled_although_others_keep_failing() {
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
fn worker_is_replaced_before_it_goes_and_one_at_a_time() {
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
fn worker_that_does_not_respond_is_killed_and_replaced() {
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
fn launcher_that_dies_is_replaced_and_its_workers_serve_on() {
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
fn upgrade_is_refused_where_the_installed_release_says_no() {
    let mut world = World::serving(plan(1));
    let refused = world.order(Order::Upgrade);
    world.run(SECOND);
    assert!(is_broken(world.answers(refused)));
    // It says yes, and cannot be executed: nothing is lost either.
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
fn launcher_of_another_release_is_the_sign_of_an_upgrade() {
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
    world.settle().expect("the old code continues to serve");
}

#[test]
fn worker_of_the_old_code_is_replaced_while_new_code_takes_its_time() {
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
fn forks_that_cannot_be_ordered_are_one_failure() {
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
