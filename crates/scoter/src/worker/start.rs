//! How a worker's start ends.

use std::sync::OnceLock;

/// Decides, once, whether the start of a worker leads to service.
///
/// The main thread is about to run the slots while the reactor receives an order to end: whoever
/// comes first decides for both. So a worker that has begun to serve ends like any other, and one
/// whose start was cancelled has run no request.
#[derive(Debug, Default)]
pub(crate) struct Start(OnceLock<Outcome>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Completed,
    Cancelled,
}

impl Start {
    /// Says that the slots run from now on. Returns whether they may: otherwise the start has been
    /// cancelled, and the process is about to end.
    #[must_use]
    pub(crate) fn complete(&self) -> bool {
        self.decide(Outcome::Completed)
    }

    /// Says that the process ends without having served. Returns whether it may: otherwise the
    /// slots run, and whoever ends it has to wait for them.
    #[must_use]
    pub(crate) fn cancel(&self) -> bool {
        self.decide(Outcome::Cancelled)
    }

    fn decide(&self, wanted: Outcome) -> bool {
        *self.0.get_or_init(|| wanted) == wanted
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn first_outcome_holds_for_everybody() {
        let completed = Start::default();
        assert!(completed.complete());
        assert!(!completed.cancel());
        assert!(completed.complete());
        let cancelled = Start::default();
        assert!(cancelled.cancel());
        assert!(!cancelled.complete());
        assert!(cancelled.cancel(), "a second order");
    }

    #[test]
    fn only_one_of_two_that_come_together_goes_on() {
        for _ in 0..1_000 {
            let (start, together) = (Start::default(), Barrier::new(2));
            let (completed, cancelled) = thread::scope(|scope| {
                let serving = scope.spawn(|| {
                    together.wait();
                    start.complete()
                });
                together.wait();
                let cancelled = start.cancel();
                (serving.join().unwrap(), cancelled)
            });
            assert_ne!(completed, cancelled);
        }
    }
}
