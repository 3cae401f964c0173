//! Signal dispositions in a process that runs application code.

use std::time::Duration;

use nix::sys::signal::Signal as Number;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::log::say;
use crate::sys::disposition::Disposition;
use crate::sys::fork;

/// The dispositions that C code of an application may replace, and that
/// scoter cannot do without: the server could not be stopped, or would end with it. For the
/// others what the application wants is done in a worker.
pub(crate) struct Dispositions([Disposition; NEEDED.len()]);

impl Dispositions {
    /// Reads what is in force.
    pub(crate) fn current() -> Self {
        Self(NEEDED.map(|signal| Disposition::of(signal as i32)))
    }

    /// Puts back what the application replaced, and says so.
    pub(crate) fn restore(&self) {
        self.put_back().for_each(report);
    }

    /// Does so again and again: C code may replace them at any time, in a request too.
    pub(crate) async fn keep(self) {
        let mut rhythm = interval(RHYTHM);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rhythm.tick().await;
            for number in self.put_back() {
                say(move || report(number)).await;
            }
        }
    }

    /// Children of the application have what it wanted.
    fn put_back(&self) -> impl Iterator<Item = i32> {
        let replaced = self.0.iter().filter(|needed| !needed.is_in_force());
        replaced.map(|needed| {
            fork::replace(&[needed.number()], || needed.restore());
            needed.number()
        })
    }
}

fn report(number: i32) {
    let signal = Number::try_from(number).map_or("", Number::as_str);
    warn!(
        signal,
        "the application replaced a signal handler that scoter needs: restored"
    );
}

const NEEDED: [Number; 5] = [
    Number::SIGTERM,
    Number::SIGINT,
    Number::SIGQUIT,
    Number::SIGHUP,
    Number::SIGPIPE,
];

/// How long a handler of C code may be in the place of scoter's.
const RHYTHM: Duration = Duration::from_millis(500);
