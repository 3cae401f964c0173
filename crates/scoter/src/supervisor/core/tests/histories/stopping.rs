//! Stops, and what they wait for.

use std::time::Duration;

use super::{SECOND, is_busy};
use crate::control::Phase;
use crate::ipc::messages::FromWorker;
use crate::supervisor::core::tests::world::{Code, World, plan};
use crate::supervisor::core::{Answer, Event, Order, OrderId};
use crate::sys::signals::Signal;

#[test]
pub(crate) fn stop_during_anything_ends_everything_and_answers_everybody() {
    type Prepare = fn(&mut World) -> Option<OrderId>;
    let situations: [(&str, Prepare); 7] = [
        ("serving", |_| None),
        ("entering the directory", |world| {
            Some(world.order(Order::Upgrade))
        }),
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
pub(crate) fn stop_ends_by_its_deadline_although_nobody_responds() {
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
            world.signal(Signal::Quit);
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
pub(crate) fn drain_delay_serves_on_and_ends_a_reload() {
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
pub(crate) fn stop_waits_for_requests_and_cuts_those_that_take_too_long() {
    for (name, takes, second_signal, expected) in [
        ("idle", 0, false, 0),
        ("busy", 2, false, 2),
        ("longer than --graceful-timeout", 3_600, false, 3),
        ("a second signal", 3_600, true, 0),
    ] {
        let mut world = World::serving(plan(2));
        world.begin_request(0, takes * SECOND);
        let begun = world.now;
        world.signal(Signal::Term);
        if second_signal {
            world.signal(Signal::Int);
        }
        while world.exit_code.is_none() {
            world.run(SECOND / 4);
        }
        assert_eq!(world.exit_code, Some(0), "{name}");
        let took = world.now.duration_since(begun).as_secs();
        assert_eq!(took, expected, "{name}");
    }
}

#[test]
fn term_that_is_sent_twice_cuts_nothing() {
    for (name, second, after, expected) in [
        ("at once", Signal::Term, Duration::ZERO, 2),
        ("soon", Signal::Term, SECOND / 2, 2),
        ("later", Signal::Term, SECOND, 1),
        ("another signal", Signal::Int, Duration::ZERO, 0),
    ] {
        let mut world = World::serving(plan(2));
        world.begin_request(0, 2 * SECOND);
        let begun = world.now;
        world.signal(Signal::Term);
        world.run(after);
        world.signal(second);
        while world.exit_code.is_none() {
            world.run(SECOND / 10);
        }
        let took = world.now.duration_since(begun).as_secs();
        assert_eq!(took, expected, "{name}");
    }
}

#[test]
pub(crate) fn drain_delay_replaces_whoever_dies_and_is_cut_by_a_second_signal() {
    let mut delayed = plan(2);
    delayed.drain_delay = Some(60 * SECOND);
    let mut world = World::serving(delayed);
    world.signal(Signal::Term);
    world.kill_any(1);
    world.run(SECOND);
    assert_eq!(world.phase(), Phase::Draining);
    assert_eq!(world.serving_generations(), [1, 1]);
    world.begin_request(0, 3_600 * SECOND);
    world.signal(Signal::Term);
    world.run(SECOND);
    assert_eq!(world.exit_code, Some(0));
    world.check().expect("nothing is left");
}

#[test]
pub(crate) fn drain_delay_comes_before_a_stop_in_any_state() {
    type Prepare = fn(&mut World);
    let situations: [(&str, Prepare); 5] = [
        ("starting", |_| {}),
        ("serving", |world| world.run(SECOND)),
        ("reading", |world| {
            world.run(SECOND);
            world.signal(Signal::Hup);
        }),
        ("entering the directory", |world| {
            world.run(SECOND);
            world.signal(Signal::Usr2);
        }),
        ("upgrading", |world| {
            world.run(SECOND);
            world.signal(Signal::Usr2);
            world.finish_reading();
        }),
    ];
    for (name, prepare) in situations {
        let mut delayed = plan(2);
        delayed.drain_delay = Some(5 * SECOND);
        let mut world = World::new(delayed);
        world.tell(Event::Start);
        prepare(&mut world);
        world.signal(Signal::Term);
        assert_eq!(world.phase(), Phase::Draining, "{name}");
        world.run(4 * SECOND);
        assert_eq!(world.serving_generations(), [1, 1], "{name}");
        world.run(5 * SECOND);
        assert_eq!(world.exit_code, Some(0), "{name}");
        world.check().expect(name);
    }
}

#[test]
pub(crate) fn stop_of_a_server_that_has_lost_everybody_ends_at_once() {
    let mut world = World::serving(plan(1));
    world.code = Code::Crashes;
    while world.alive() > 0 {
        world.kill_any(0);
    }
    while world.deliver(0) {}
    world.kill_launchers();
    while world.deliver(0) {}
    world.signal(Signal::Term);
    world.run(2 * SECOND);
    assert_eq!(world.exit_code, Some(0));
}

#[test]
pub(crate) fn stop_during_the_start_ends_whoever_is_there() {
    for steps in 0..8 {
        let mut world = World::new(plan(2));
        world.tell(Event::Start);
        for step in 0..steps {
            world.progress(step);
            world.deliver(0);
        }
        world.signal(Signal::Term);
        world.run(10 * SECOND);
        assert_eq!(world.exit_code, Some(0), "after {steps} steps");
        world.check().expect("nothing is left");
    }
}

#[test]
pub(crate) fn worker_that_has_become_ready_unheard_finishes_its_requests() {
    let starting = || {
        let mut world = World::new(plan(1));
        world.tell(Event::Start);
        world.progress(0);
        while world.deliver(0) {}
        world.progress(0);
        while world.deliver(0) {}
        world
    };
    let replacing = || {
        let mut world = World::serving(plan(2));
        world.kill_any(1);
        world.progress(0);
        while world.deliver(0) {}
        world.progress(0);
        while world.deliver(0) {}
        world
    };
    type Prepare = fn() -> World;
    let situations: [(&str, usize, Prepare); 2] = [
        ("at the start", 0, starting),
        ("as a replacement", 1, replacing),
    ];
    for ((name, before, prepare), second_signal) in situations
        .into_iter()
        .flat_map(|situation| [(situation, false), (situation, true)])
    {
        let mut world = prepare();
        assert_eq!(world.serving_generations().len(), before, "{name}");
        while world.serving_generations().len() == before {
            assert!(
                (0..world.alive()).any(|index| world.progress(index)),
                "{name}"
            );
        }
        for _ in 0..=before {
            assert!(world.begin_request(0, 2 * SECOND), "{name}");
        }
        let begun = world.now;
        world.signal(Signal::Term);
        if second_signal {
            world.signal(Signal::Int);
        }
        while world.exit_code.is_none() {
            world.run(SECOND / 4);
        }
        let took = world.now.duration_since(begun).as_secs();
        let expected = if second_signal { 0 } else { 2 };
        assert_eq!(took, expected, "{name}");
    }
}

#[test]
pub(crate) fn launcher_that_dies_during_a_stop_is_not_replaced() {
    for (name, steps) in [("while it loads", 0), ("when it is prepared", 1)] {
        let mut world = World::serving(plan(1));
        world.begin_request(0, 2 * SECOND);
        world.order(Order::Reload);
        world.finish_reading();
        for _ in 0..steps {
            world.progress(1);
            while world.deliver(0) {}
        }
        world.signal(Signal::Term);
        let before = world.alive();
        world.kill_any(1);
        while world.deliver(0) {}
        assert_eq!(world.alive(), before - 1, "{name}");
        world.run(10 * SECOND);
        assert_eq!(world.exit_code, Some(0), "{name}");
    }
}
