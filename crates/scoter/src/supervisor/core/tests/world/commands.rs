//! What the supervisor wants done, done to the world.

use std::collections::VecDeque;

use super::processes::{Launcher, Worker};
use super::{World, exited, plan, processes, supervisor};
use crate::control::{ReloadError, Reloaded};
use crate::ipc::messages::{FromLauncher, LeaveReason, ToWorker};
use crate::supervisor::core::{Activity, Answer, Command, Event, Notification, State};

impl World {
    pub(super) fn perform(&mut self) {
        loop {
            while let Some(command) = self.supervisor.next_command() {
                if let Some(event) = self.perform_one(command) {
                    self.handle(event);
                }
            }
            if !self.is_flushing {
                return;
            }
            let received = match self.is_everything_received {
                true => self.channels.values_mut().find_map(VecDeque::pop_front),
                false => None,
            };
            self.is_flushing = received.is_some();
            if let Some(Event::Launcher(_, FromLauncher::Exited { pid, status })) = received {
                self.handle(exited(pid, status));
            }
            self.handle(received.unwrap_or(Event::Flushed));
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
                self.check_backoff(generation, new.id);
                self.workers.insert(
                    new.serial,
                    Worker {
                        id: new.id,
                        generation,
                        launcher: new.launcher,
                        pid: None,
                        state: processes::State::Ordered,
                        is_frozen: false,
                        is_blameless: true,
                        is_let_go: false,
                        requests: Vec::new(),
                        leave_by: None,
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
                let message = ToWorker::Leave(LeaveReason::NotNeeded);
                self.tell_worker(serial, message);
            }
            Command::ReadConfiguration(action) => {
                self.asked = self.now;
                if self.reading.replace(action).is_some() {
                    self.violate("the configuration is read twice at once");
                }
            }
            Command::StartPreflight => {
                self.asked = self.now;
                self.preflight = true;
            }
            Command::KillPreflight => self.preflight = false,
            Command::Flush => self.is_flushing = true,
            Command::ExecNewRelease if self.is_executable => self.exec_new_release(),
            Command::ExecNewRelease => {
                return Some(Event::NotExecuted("it cannot be executed".to_owned()));
            }
            Command::Answer(order, answer) => {
                self.answers.entry(order).or_default().push(answer);
            }
            Command::NoteReload { generation, error } => {
                self.answer_those_handed_over(generation, error);
            }
            Command::Notify(Notification::Watchdog) => self.check_watchdog(),
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
            Command::AddGeneration(number) => {
                let plan = self.read.take();
                self.plans.extend(plan.map(|plan| (number, plan)));
            }
            Command::DropGeneration(_)
            | Command::StopListening
            | Command::ReopenErrorLog
            | Command::ReportLost(_)
            | Command::Notify(_) => {}
        }
        None
    }

    /// The installed release takes over. It knows only the state that is passed to it.
    fn exec_new_release(&mut self) {
        if let Some(lost) = self.supervisor.next_command() {
            self.violate(format!("{lost:?} is lost with the release that wanted it"));
        }
        let state = self.supervisor.state(self.now);
        let state = serde_json::to_vec(&state).and_then(|text| serde_json::from_slice(&text));
        let state: State = state.expect("plain data");
        let plan_of = |number| self.plans.get(&number).cloned().unwrap_or_else(|| plan(1));
        let mut next = supervisor(
            plan_of(self.supervisor.current()),
            self.watchdog.timeout(),
            self.now,
        );
        next.resume(state, plan_of, self.now);
        self.supervisor = next;
        self.transitions.note(&self.supervisor);
        self.is_flushing = false;
        // The reader was a thread of the replaced program.
        self.reading = None;
        let open = self.answers.iter().filter(|(_, it)| it.is_empty());
        let open: Vec<_> = open.map(|(order, _)| *order).collect();
        self.handed_over = open;
        // The new release also sees that a channel is closed.
        for (serial, queue) in &mut self.channels {
            let worker = self.workers.get(serial);
            let is_worker_there = worker.is_some_and(|it| !it.has_ended());
            let launcher = self.launchers.get(serial);
            let is_there = is_worker_there || launcher.is_some_and(|it| it.is_alive);
            let is_told = |event: &Event| matches!(event, Event::ChannelClosed(_));
            if !is_there && !queue.iter().any(is_told) {
                queue.push_back(Event::ChannelClosed(*serial));
            }
        }
    }

    /// Clients that ordered an upgrade ask the next release for its outcome.
    fn answer_those_handed_over(&mut self, generation: u32, error: Option<String>) {
        for order in std::mem::take(&mut self.handed_over) {
            let outcome = match &error {
                None => Ok(Reloaded {
                    generation,
                    workers: self.supervisor.view(self.now).wanted,
                    took_ms: 0,
                    needs_restart: Vec::new(),
                }),
                Some(problem) => Err(ReloadError::Broken(problem.clone())),
            };
            self.answers
                .entry(order)
                .or_default()
                .push(Answer::Reload(outcome));
        }
    }
}
