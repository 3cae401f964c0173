//! Upgrade: the installed release replaces the master in the same process, while the workers
//! continue to serve; then it reloads.

use std::time::Instant;

use super::Supervisor;
use super::command::{Action, Command};
use super::event::OrderId;
use super::lifecycle::{Lifecycle, PREFLIGHT_TIMEOUT, Request, Upgrade};
use super::notice::Notice;
use super::origin::Origin;

impl Supervisor {
    /// Begins an upgrade: if the installed release can take over, it does.
    pub(super) fn upgrade(&mut self, origin: Origin, order: Option<OrderId>, now: Instant) {
        self.begin_reading(Action::Upgrade, origin, order, now);
    }

    /// Starts the preflight, after the working directory has been entered in which the new release
    /// will run.
    pub(super) fn begin_preflight(&mut self, request: Request, now: Instant) {
        self.log(Notice::Upgrading(request.origin));
        self.command(Command::StartPreflight);
        self.lifecycle = Lifecycle::Upgrading(Upgrade {
            request,
            deadline: now + PREFLIGHT_TIMEOUT,
            is_accepted: false,
        });
    }

    /// The preflight has ended.
    pub(super) fn on_preflight(&mut self, outcome: Result<(), String>, now: Instant) {
        let Lifecycle::Upgrading(upgrade) = &mut self.lifecycle else {
            return;
        };
        match outcome {
            Ok(()) => {
                upgrade.is_accepted = true;
                // Received messages would be lost when this program is replaced.
                self.command(Command::Flush);
            }
            Err(problem) => self.refuse_upgrade(problem, now),
        }
    }

    pub(super) fn on_flushed(&mut self) {
        if matches!(&self.lifecycle, Lifecycle::Upgrading(upgrade) if upgrade.is_accepted) {
            self.command(Command::ExecNewRelease);
        }
    }

    pub(super) fn on_not_executed(&mut self, problem: &str, now: Instant) {
        self.refuse_upgrade(problem.to_owned(), now);
    }

    /// Ends a preflight that takes too long.
    pub(super) fn end_late_preflight(&mut self, now: Instant) {
        self.command(Command::KillPreflight);
        let problem = format!(
            "the installed release did not say within {} seconds whether it can take over",
            PREFLIGHT_TIMEOUT.as_secs()
        );
        self.refuse_upgrade(problem, now);
    }

    fn refuse_upgrade(&mut self, problem: String, now: Instant) {
        if let Some(Upgrade { request, .. }) = self.lifecycle.take_upgrade() {
            self.refuse(Action::Upgrade, request, problem, now);
        }
    }
}
