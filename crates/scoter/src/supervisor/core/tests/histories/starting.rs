//! Starts.

use super::{SECOND, count};
use crate::control::Phase;
use crate::supervisor::core::tests::world::{Code, World, plan};
use crate::supervisor::core::{Event, Notice};
use crate::sys::signals::Signal;

#[test]
pub(crate) fn first_worker_proves_the_code_before_the_others_start() {
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
pub(crate) fn start_fails_with_the_code_of_what_failed() {
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
pub(crate) fn signal_during_the_start_is_followed_after_it() {
    for (signal, generation) in [(Signal::Hup, 2), (Signal::Usr2, 1)] {
        let mut world = World::new(plan(1));
        world.tell(Event::Start);
        world.signal(signal);
        world.run(3 * SECOND);
        assert_eq!(world.serving_generations(), [generation]);
        let refused = count(&world, |it| matches!(it, Notice::UpgradeRefused { .. }));
        assert_eq!(refused, usize::from(signal == Signal::Usr2));
    }
}
