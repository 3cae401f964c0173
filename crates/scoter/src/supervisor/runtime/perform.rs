//! Performing what the supervisor has decided.

use std::io;
use std::os::fd::AsFd;

use jiff::Timestamp;
use nix::sys::signal::{Signal, kill};

use super::Runtime;
use crate::control::ReloadStatus;
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::messages::UwsgiFacts;
use crate::ipc::uwsgi_memory::UwsgiMemory;
use crate::log::{self, Colours};
use crate::net::Listener;
use crate::supervisor::configuration::{self};
use crate::supervisor::core::{Action, Command, Event, NewWorker, Notice, Notification};
use crate::supervisor::dev::Session;
use crate::supervisor::launcher::{Launcher, Sockets};
use crate::supervisor::name_master;
use crate::supervisor::notices;
use crate::supervisor::preflight::Preflight;
use crate::supervisor::touch::Watch;
use crate::supervisor::worker::Worker;
use crate::sys::limits::hint_for;

impl Runtime {
    /// Performs a command. Returns its result, if it can fail.
    pub(super) fn perform(&mut self, command: Command) -> Option<Event> {
        match command {
            Command::AddGeneration(number) => {
                if let Some(loaded) = self.read.take() {
                    self.generations.insert(number, loaded);
                }
            }
            Command::DropGeneration(number) => drop(self.generations.remove(&number)),
            Command::PutInForce(number) => self.put_in_force(number),
            Command::StartLauncher { serial, generation } => {
                return Some(self.start_launcher(serial, generation));
            }
            Command::Fork(worker) => return self.fork(worker),
            Command::ReopenErrorLog => self.reopen_error_log(),
            Command::Tell(serial, message) => {
                if let Some(worker) = self.workers.get(&serial) {
                    worker.tell(message);
                }
            }
            Command::Kill(pid) => drop(kill(pid, Signal::SIGKILL)),
            Command::ReportLost(serial) => {
                if let Some(worker) = self.workers.get(&serial) {
                    worker.report_lost();
                }
            }
            Command::Release(serial) => {
                if let Some(worker) = self.workers.remove(&serial) {
                    worker.add_to(&mut self.gone);
                    self.gone_counts.add(&worker.board);
                    let cpu = worker.meter.cpu.unwrap_or_default();
                    *self.gone_cpu.entry(worker.id).or_default() += cpu;
                    self.numbers.end(worker.id, worker.work());
                }
                drop(self.launchers.remove(&serial));
            }
            Command::StopListening => {
                self.listeners.iter().for_each(Listener::close_to_newcomers);
            }
            Command::ReadConfiguration(action) => return self.read(action),
            Command::StartPreflight if self.dev.is_some() => {
                let problem = "scoter dev does not replace itself: end it with Ctrl-C and start it \
                               again";
                return Some(Event::Preflight(Err(problem.to_owned())));
            }
            Command::StartPreflight => match Preflight::start(&self.program) {
                Ok(preflight) => self.preflight = Some(preflight),
                Err(error) => {
                    let problem = format!("{error}{}", hint_for(&error));
                    return Some(Event::Preflight(Err(problem)));
                }
            },
            Command::KillPreflight => {
                if let Some(preflight) = self.preflight.take() {
                    preflight.kill();
                }
            }
            Command::Flush => self.is_flushing = true,
            Command::ExecNewRelease => {
                let error = self.exec_new_release();
                let problem = format!("{error}{}", hint_for(&error));
                return Some(Event::NotExecuted(problem));
            }
            Command::Notify(notification) => self.notify(&notification),
            Command::NoteReload { generation, error } => {
                let error = error.or_else(|| self.dev.as_ref()?.problem());
                let count = match &error {
                    None => &mut self.reloads.succeeded,
                    Some(_) => &mut self.reloads.failed,
                };
                *count += 1;
                self.last_reload = Some(ReloadStatus {
                    at: Timestamp::now(),
                    ok: error.is_none(),
                    generation,
                    error,
                });
            }
            Command::Answer(order, answer) => self.answer(order, answer),
            Command::Log(notice) => self.say(notice),
            Command::Exit(code) => self.exit_code = Some(code),
        }
        None
    }

    fn say(&mut self, notice: Notice) {
        let Some(dev) = &mut self.dev else {
            return notices::write(notice);
        };
        let (unsaid, message) = dev.say(notice);
        if let Some(notice) = unsaid {
            notices::write(notice);
        }
        if let Some(message) = message {
            for worker in self.workers.values() {
                worker.tell(message.clone());
            }
        }
    }

    fn put_in_force(&mut self, generation: u32) {
        if let Some(loaded) = self.generations.get(&generation) {
            let paths = &loaded.options.reload_on_touch;
            if !self.touched.is_of(paths) {
                self.touched = Watch::begin(paths, &self.events);
            }
            let (level, format) = (loaded.options.log_level, loaded.options.log_format);
            log::init(level, format, Colours::Auto);
            name_master(&loaded.options);
        }
    }

    /// The other processes use the file that is opened here: one tries, and one says so if it fails.
    fn reopen_error_log(&self) {
        let Some(file) = self.error_log.as_deref().and_then(log::reopen_error_log) else {
            return;
        };
        for launcher in self.launchers.values() {
            launcher.tell_error_log(file.as_fd());
        }
        for worker in self.workers.values() {
            worker.tell_error_log(file.as_fd());
        }
    }

    fn start_launcher(&mut self, serial: u64, generation: u32) -> Event {
        let Some(loaded) = self.generations.get(&generation) else {
            return Event::LauncherNotStarted(serial, "its generation is gone".to_owned());
        };
        // From then on every generation has them: one without a timeout takes what others hold.
        if loaded.options.queue_timeout.is_some() && self.held.is_empty() {
            let listeners = self.listeners.iter();
            let held: io::Result<_> = listeners.map(|_| ConnectionQueue::new()).collect();
            match held {
                Ok(held) => self.held = held,
                Err(error) => return Event::LauncherNotStarted(serial, error.to_string()),
            }
        }
        if loaded.options.uwsgi_module && self.uwsgi.is_none() {
            match UwsgiMemory::create() {
                Ok(memory) => self.uwsgi = Some(memory),
                Err(error) => return Event::LauncherNotStarted(serial, error.to_string()),
            }
        }
        let uwsgi = self.uwsgi.as_ref().filter(|_| loaded.options.uwsgi_module);
        let facts = UwsgiFacts {
            is_a_reload: generation > 1,
        };
        let control = self.control.as_ref();
        let sockets = Sockets {
            listeners: &self.listeners,
            control: control.and_then(|control| control.file()),
            readers: &self.reader_listeners,
            queue: self.queue.as_ref(),
            held: &self.held,
            uwsgi: uwsgi.map(|memory| (memory.as_fd(), facts)),
        };
        let development = self.dev.as_ref().map(Session::development);
        let events = self.events.clone();
        match Launcher::start(serial, loaded, &self.program, &sockets, development, events) {
            Ok((launcher, pid)) => {
                self.launchers.insert(serial, launcher);
                Event::LauncherStarted(serial, pid)
            }
            Err(error) => {
                let problem = format!("{error}{}", hint_for(&error));
                Event::LauncherNotStarted(serial, problem)
            }
        }
    }

    fn fork(&mut self, new: NewWorker) -> Option<Event> {
        let serial = new.serial;
        let Some(launcher) = self.launchers.get(&new.launcher) else {
            return Some(Event::WorkerNotForked(
                serial,
                "its launcher is gone".to_owned(),
            ));
        };
        match Worker::fork(launcher, new, self.events.clone()) {
            Ok(worker) => {
                self.numbers.begin(worker.id, Timestamp::now());
                self.workers.insert(serial, worker);
                None
            }
            Err(error) => {
                let problem = format!("{error}{}", hint_for(&error));
                Some(Event::WorkerNotForked(serial, problem))
            }
        }
    }

    fn read(&self, action: Action) -> Option<Event> {
        let current = self.generations.get(&self.core.current());
        let options = current.map(|loaded| loaded.options.clone());
        let arguments = self.arguments.clone();
        let Some(options) = options else {
            let problem = "the serving generation has no configuration".to_owned();
            return Some(Event::Configuration(Err(problem)));
        };
        let begun = configuration::read(action, arguments, options, self.readers.clone());
        let error = begun.err()?;
        let hint = hint_for(&error);
        let problem = format!("cannot read the configuration: {error}{hint}");
        Some(Event::Configuration(Err(problem)))
    }

    fn notify(&mut self, notification: &Notification) {
        match notification {
            Notification::Ready(status) => {
                log::start_is_over();
                self.systemd.ready(status);
            }
            Notification::Reloading(status) => self.systemd.reloading(status),
            Notification::Stopping(status) => self.systemd.stopping(status),
            Notification::Status(status) => self.systemd.status(status),
            Notification::ExtendTimeout(time) => self.systemd.extend(*time),
            Notification::Watchdog => self.systemd.feed(),
        }
    }
}
