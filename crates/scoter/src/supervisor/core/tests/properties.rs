//! Random histories of the world.

use std::cell::RefCell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRunner};

use super::transitions::TRANSITIONS;
use super::world::{Checked, Code, Seen, World, plan, seen};
use crate::config::Workers;
use crate::ipc::messages::FromWorker;
use crate::supervisor::core::{Event, Order, Plan};
use crate::sys::signals::Signal;

/// A step of a history.
#[derive(Debug, Clone)]
enum Step {
    /// Only time passes, in milliseconds.
    Wait(u16),
    /// All processes run for this many milliseconds.
    Run(u16),
    Deliver(usize),
    Progress(usize),
    Kill(usize),
    KillLaunchers,
    Freeze(usize),
    Deploy(Code),
    Configure {
        workers: Workers,
        has_drain_delay: bool,
        is_readable: bool,
    },
    /// Another release is installed.
    Install {
        is_good: bool,
        is_executable: bool,
        is_everything_received: bool,
    },
    /// A request, which takes this many milliseconds.
    Request(usize, u16),
    /// Connections begin or cease to wait.
    LetWait(bool),
    LetForksFail(bool),
    FinishReading,
    FinishPreflight,
    /// An upgrade runs up to the preflight, unless something prevents it.
    BeginUpgrade,
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
        2 => Just(Signal::Usr2),
        1 => Just(Signal::Term),
    ];
    let order = prop_oneof![
        4 => Just(Order::Reload),
        2 => (0..5_u32).prop_map(Order::Scale),
        2 => Just(Order::Upgrade),
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
        2 => (workers(), any::<bool>(), any::<bool>()).prop_map(
            |(workers, has_drain_delay, is_readable)| Step::Configure {
                workers,
                has_drain_delay,
                is_readable,
            },
        ),
        2 => (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
            |(is_good, is_executable, is_everything_received)| Step::Install {
                is_good,
                is_executable,
                is_everything_received,
            },
        ),
        6 => (index(), 0..8_000_u16).prop_map(|(index, millis)| Step::Request(index, millis)),
        1 => any::<bool>().prop_map(Step::LetWait),
        1 => any::<bool>().prop_map(Step::LetForksFail),
        4 => Just(Step::FinishReading),
        2 => Just(Step::FinishPreflight),
        2 => Just(Step::BeginUpgrade),
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
            has_drain_delay,
            is_readable,
        } => {
            world.configured.workers = workers;
            world.configured.drain_delay = has_drain_delay.then_some(DRAIN_DELAY);
            world.is_readable = is_readable;
        }
        Step::Install {
            is_good,
            is_executable,
            is_everything_received,
        } => {
            world.is_release_good = is_good;
            world.is_executable = is_executable;
            world.is_everything_received = is_everything_received;
        }
        Step::Request(index, millis) => {
            let _ = world.begin_request(index, Duration::from_millis(millis.into()));
        }
        Step::LetWait(waits) => world.is_anybody_waiting = waits,
        Step::LetForksFail(fails) => world.forks_fail = fails,
        Step::FinishReading => drop(world.finish_reading()),
        Step::BeginUpgrade => {
            world.signal(Signal::Usr2);
            world.finish_reading();
        }
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

fn workers() -> impl Strategy<Value = Workers> {
    prop_oneof![
        3 => (1..4_u16).prop_map(Workers::Fixed),
        1 => (1..3_u16, 0..3_u16).prop_map(|(min, more)| Workers::Range { min, max: min + more }),
    ]
}

/// The inputs of a start.
#[derive(Debug, Clone)]
struct Start {
    workers: Workers,
    has_drain_delay: bool,
    is_watched: bool,
}

fn start() -> impl Strategy<Value = Start> {
    let parts = (workers(), any::<bool>(), any::<bool>());
    parts.prop_map(|(workers, has_drain_delay, is_watched)| Start {
        workers,
        has_drain_delay,
        is_watched,
    })
}

fn live_through(start: &Start, history: &[Step]) -> Checked {
    let plan = Plan {
        workers: start.workers,
        drain_delay: start.has_drain_delay.then_some(DRAIN_DELAY),
        ..plan(1)
    };
    let mut world = World::watched(plan, start.is_watched.then_some(WATCHDOG));
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

#[test]
fn server_recovers_at_the_end_of_any_history_and_each_transition_is_seen() {
    let mut runner = TestRunner::new(Config {
        // More with PROPTEST_CASES.
        cases: Config::default().cases.max(10_000),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        source_file: Some(file!()),
        // Without optimisation the default one takes most of the time.
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    });
    let histories = (start(), prop::collection::vec(step(), 0..40));
    let known: Seen = TRANSITIONS.iter().map(|(it, _)| *it).collect();
    let all = RefCell::new(Seen::new());
    // A single run may miss rare transitions.
    for _ in 0..MAX_ROUNDS {
        let outcome = runner.run(&histories, |(start, history)| {
            drop(seen());
            live_through(&start, &history).map_err(TestCaseError::fail)?;
            let seen = seen();
            let unknown: Vec<_> = seen.difference(&known).collect();
            prop_assert!(unknown.is_empty(), "without a name: {unknown:?}");
            all.borrow_mut().extend(seen);
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
        if *all.borrow() == known {
            return;
        }
    }
    let all = all.into_inner();
    let missing: Vec<_> = known.difference(&all).collect();
    panic!("never seen: {missing:?}");
}

/// Rounds, each with as many histories as one run has.
const MAX_ROUNDS: u32 = 5;

const DRAIN_DELAY: Duration = Duration::from_secs(4);

/// Shorter than the timeout of an unresponsive worker.
const WATCHDOG: Duration = Duration::from_secs(5);
