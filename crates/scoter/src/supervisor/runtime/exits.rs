//! Child processes that have ended.

use nix::unistd::Pid;
use rustix::process::{WaitOptions, wait};

use super::Runtime;
use crate::ipc::messages::FromLauncher;
use crate::supervisor::core::{Event, Exit};
use crate::supervisor::launcher::Launcher;
use crate::supervisor::worker::Worker;

impl Runtime {
    /// The exit that a launcher has reported.
    pub(super) fn exit_told_by(&mut self, event: &Event) -> Option<Event> {
        match event {
            Event::Launcher(_, FromLauncher::Exited { pid, status }) => self.exit(*pid, *status),
            _ => None,
        }
    }

    /// Reaps every child that has ended; as PID 1 also unknown ones, which are ignored.
    pub(super) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let (pid, status) = (pid.as_raw_pid(), status.as_raw());
            let event = match self.preflight.take_if(|it| it.pid == Pid::from_raw(pid)) {
                Some(preflight) => Some(Event::Preflight(preflight.outcome(status))),
                None => self.exit(pid, status),
            };
            if let Some(event) = event {
                self.handle(event);
            }
        }
    }

    /// Describes the end of a process of the server.
    fn exit(&mut self, pid: i32, status: i32) -> Option<Event> {
        let child = self.core.child(Pid::from_raw(pid))?;
        let worker = self.workers.get(&child.serial).map(Worker::stack);
        let launcher = self.launchers.get(&child.serial).map(Launcher::stack);
        let exit = Exit {
            status: Some(status),
            reason: self.exit_reasons.describe(status, child.rss),
            stack: worker.or(launcher).flatten(),
        };
        Some(Event::Exited(pid, exit))
    }
}
