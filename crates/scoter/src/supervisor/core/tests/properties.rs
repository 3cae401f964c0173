//! Random histories of the world.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm};

use super::world::{Checked, Code, World, plan};
use crate::ipc::channel::FromWorker;
use crate::supervisor::core::{Event, Order};
use crate::sys::signals::Signal;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Time passes, in milliseconds, and nothing else.
    Wait(u16),
    /// Everything that can happen happens, for so many milliseconds.
    Run(u16),
    Deliver(usize),
    Progress(usize),
    Kill(usize),
    KillLaunchers,
    Freeze(usize),
    Deploy(Code),
    Configure {
        workers: u16,
        is_readable: bool,
        is_release_good: bool,
    },
    LetForksFail(bool),
    FinishReading,
    FinishPreflight,
    Signal(Signal),
    Order(Order),
    Touch,
    AskForReplacement(usize),
    GetStuck(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let index = || 0..8_usize;
    let code = prop_oneof![
        3 => Just(Code::Good),
        1 => Just(Code::Broken),
        1 => Just(Code::Crashes),
        1 => Just(Code::Hangs),
        1 => Just(Code::EndsWhenReady),
    ];
    let signal = prop_oneof![
        4 => Just(Signal::Hup),
        2 => Just(Signal::Ttin),
        2 => Just(Signal::Ttou),
        1 => Just(Signal::Usr1),
        1 => Just(Signal::Usr2),
        1 => Just(Signal::Term),
    ];
    let order = prop_oneof![
        4 => Just(Order::Reload),
        2 => (0..5_u32).prop_map(Order::Scale),
        1 => Just(Order::Upgrade),
        1 => Just(Order::Stop),
    ];
    prop_oneof![
        3 => (0..6_000_u16).prop_map(Step::Wait),
        4 => (0..3_000_u16).prop_map(Step::Run),
        6 => index().prop_map(Step::Deliver),
        6 => index().prop_map(Step::Progress),
        2 => index().prop_map(Step::Kill),
        1 => Just(Step::KillLaunchers),
        1 => index().prop_map(Step::Freeze),
        3 => code.prop_map(Step::Deploy),
        1 => (1..4_u16, any::<bool>(), any::<bool>()).prop_map(
            |(workers, is_readable, is_release_good)| Step::Configure {
                workers,
                is_readable,
                is_release_good,
            },
        ),
        1 => any::<bool>().prop_map(Step::LetForksFail),
        2 => Just(Step::FinishReading),
        1 => Just(Step::FinishPreflight),
        3 => signal.prop_map(Step::Signal),
        3 => order.prop_map(Step::Order),
        1 => Just(Step::Touch),
        1 => index().prop_map(Step::AskForReplacement),
        1 => index().prop_map(Step::GetStuck),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step.clone() {
        Step::Wait(millis) => world.advance(Duration::from_millis(millis.into())),
        Step::Run(millis) => world.run(Duration::from_millis(millis.into())),
        Step::Deliver(index) => drop(world.deliver(index)),
        Step::Progress(index) => drop(world.progress(index)),
        Step::Kill(index) => world.kill_any(index),
        Step::KillLaunchers => world.kill_launchers(),
        Step::Freeze(index) => world.freeze(index),
        Step::Deploy(code) => world.code = code,
        Step::Configure {
            workers,
            is_readable,
            is_release_good,
        } => {
            world.configured = workers;
            world.is_readable = is_readable;
            world.is_release_good = is_release_good;
        }
        Step::LetForksFail(fails) => world.forks_fail = fails,
        Step::FinishReading => drop(world.finish_reading()),
        Step::FinishPreflight => drop(world.finish_preflight()),
        Step::Signal(signal) => world.signal(signal),
        Step::Order(order) => drop(world.order(order)),
        Step::Touch => world.tell(Event::Touched("touched".into())),
        Step::AskForReplacement(index) => {
            let reason = "max-requests".to_owned();
            world.say(index, FromWorker::Replace { reason });
        }
        Step::GetStuck(index) => {
            let reason = "a request cannot be ended".to_owned();
            world.say(index, FromWorker::Stuck { reason });
        }
    }
}

fn live_through(history: &[Step], workers: u16) -> Checked {
    let mut world = World::new(plan(workers));
    world.tell(Event::Start);
    for step in history {
        if world.exit_code.is_some() {
            break;
        }
        take(&mut world, step);
        world.check()?;
    }
    world.settle()
}

proptest! {
    #![proptest_config(Config {
        // More with PROPTEST_CASES.
        cases: Config::default().cases.max(10_000),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        // The default one takes most of the time, where nothing is optimised.
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    })]

    #[test]
    fn server_is_well_at_the_end_of_any_history(
        history in prop::collection::vec(step(), 0..40),
        workers in 1..4_u16,
    ) {
        if let Err(problem) = live_through(&history, workers) {
            prop_assert!(false, "{}", problem);
        }
    }
}
