//! What the supervisor wants done, done to the world.

use std::collections::VecDeque;

use super::processes::{Launcher, State, Worker};
use super::{World, exited};
use crate::ipc::channel::{FromLauncher, ToWorker};
use crate::supervisor::core::{Activity, Command, Event};

impl World {
    pub(super) fn perform(&mut self) {
        loop {
            while let Some(command) = self.supervisor.next_command() {
                if let Some(event) = self.perform_one(command) {
                    self.observe();
                    self.supervisor.handle(event, self.now);
                }
            }
            if !self.is_flushing {
                return;
            }
            let mut queues = self.channels.values_mut();
            let event = queues.find_map(VecDeque::pop_front);
            self.is_flushing = event.is_some();
            if let Some(Event::Launcher(_, FromLauncher::Exited { pid, status })) = event {
                self.supervisor.handle(exited(pid, status), self.now);
            }
            let event = event.unwrap_or(Event::Flushed);
            self.supervisor.handle(event, self.now);
        }
    }

    fn perform_one(&mut self, command: Command) -> Option<Event> {
        if self.exit_code.is_some() {
            self.violate(format!("{command:?} after the end"));
            return None;
        }
        match command {
            Command::StartLauncher { serial, generation } => {
                let pid = self.new_pid();
                self.launchers.insert(
                    serial,
                    Launcher {
                        pid,
                        generation,
                        is_alive: true,
                        is_frozen: false,
                        is_prepared: false,
                        is_dismissed: false,
                        orders: VecDeque::new(),
                    },
                );
                self.channels.insert(serial, VecDeque::new());
                return Some(Event::LauncherStarted(serial, pid));
            }
            Command::Fork(new) => {
                let Some(launcher) = self.launchers.get_mut(&new.launcher) else {
                    let problem = "no launcher".to_owned();
                    return Some(Event::WorkerNotForked(new.serial, problem));
                };
                if !launcher.is_alive || self.refuses_forks {
                    let problem = "broken pipe".to_owned();
                    return Some(Event::WorkerNotForked(new.serial, problem));
                }
                launcher.orders.push_back(new.serial);
                let generation = launcher.generation;
                self.workers.insert(
                    new.serial,
                    Worker {
                        id: new.id,
                        generation,
                        launcher: new.launcher,
                        pid: None,
                        state: State::Ordered,
                        is_frozen: false,
                        is_blameless: true,
                        activity: Activity {
                            slots: new.slots,
                            ..Activity::default()
                        },
                    },
                );
                self.channels.insert(new.serial, VecDeque::new());
                self.check_numbers(generation);
            }
            Command::Tell(serial, message) => self.tell_worker(serial, message),
            Command::Kill(pid) => self.kill(pid.as_raw()),
            Command::Release(serial) => {
                self.channels.remove(&serial);
                if let Some(launcher) = self.launchers.get_mut(&serial) {
                    launcher.is_dismissed = true;
                    launcher.is_prepared = true;
                }
                self.tell_worker(serial, ToWorker::Leave);
            }
            Command::ReadConfiguration(action) => {
                if self.reading.replace(action).is_some() {
                    self.violate("the configuration is read twice at once");
                }
            }
            Command::StartPreflight => self.preflight = true,
            Command::KillPreflight => self.preflight = false,
            Command::Flush => self.is_flushing = true,
            Command::ExecNewRelease => {
                return Some(Event::NotExecuted("not in a test".to_owned()));
            }
            Command::Answer(order, answer) => {
                self.answers.entry(order).or_default().push(answer);
            }
            Command::Log(notice) => {
                self.check_recycling(&notice);
                self.notices.push(notice);
            }
            Command::PutInForce(generation) => {
                let is_in_force = self.supervisor.current() == generation;
                if !is_in_force && !self.served.contains(&generation) {
                    self.violate(format!("generation {generation} is in force unproven"));
                }
            }
            Command::Exit(code) => {
                self.exit_code = Some(code);
                self.close_channels();
            }
            Command::AddGeneration(_)
            | Command::DropGeneration(_)
            | Command::StopListening
            | Command::ReportLost(_)
            | Command::Notify(_)
            | Command::NoteReload { .. } => {}
        }
        None
    }
}
