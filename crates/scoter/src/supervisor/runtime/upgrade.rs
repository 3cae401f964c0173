//! Upgrading: passes state to the next release, and takes it over from the previous one.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Instant;

use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};
use tracing::info;

use super::Runtime;
use crate::control::Service;
use crate::ipc::channel::Channel;
use crate::ipc::connection_queue::ConnectionQueue;
use crate::ipc::uwsgi_memory::UwsgiMemory;
use crate::supervisor::configuration::Loaded;
use crate::supervisor::launcher::Launcher;
use crate::supervisor::upgrade::{GenerationState, LauncherState, State, WorkerState, exec_with};
use crate::supervisor::worker::Worker;
use crate::sys::file_limit;
use crate::sys::raw_fd::own;

impl Runtime {
    /// Executes the new release. Returns only if that fails, with the reason.
    pub(super) fn exec_new_release(&self) -> io::Error {
        let state = self.state();
        let kept = self.descriptors();
        let exec = || {
            let mut file = File::from(memfd_create("scoter-state", MemfdFlags::empty())?);
            file.write_all(&serde_json::to_vec(&state)?)?;
            for fd in &kept {
                fcntl_setfd(fd, FdFlags::empty())?;
            }
            exec_with(&self.program, file.as_raw_fd())
        };
        // Signals stay pending for the new release: this one would no longer act on them, and
        // the default of most would end the process before there are handlers again.
        let mask = match SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK) {
            Ok(mask) => mask,
            Err(errno) => return errno.into(),
        };
        if let Some(unread) = &self.unread_signals {
            unread.send_again();
        }
        info!("replacing itself with the installed release");
        let error = match exec() {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let _ = mask.thread_set_mask();
        for fd in &kept {
            let _ = fcntl_setfd(fd, FdFlags::CLOEXEC);
        }
        error
    }

    fn state(&self) -> State {
        let raw = |fd: BorrowedFd<'_>| fd.as_raw_fd();
        let readers = self.reader_listeners.iter();
        State {
            supervisor: self.core.state(Instant::now()),
            started_at: self.started_at,
            gone: self.gone.clone(),
            counts: self.gone_counts.clone(),
            cpu: self.gone_cpu.clone(),
            reloads: self.reloads,
            last_reload: self.last_reload.clone(),
            listeners: self
                .listeners
                .iter()
                .map(|listener| (raw(listener.as_fd()), listener.describe()))
                .collect(),
            control: self
                .control
                .as_ref()
                .map(|control| (raw(control.as_fd()), control.path().to_owned())),
            metrics: readers.clone().find_map(|reader| match reader.service() {
                Service::Metrics => Some((raw(reader.as_fd()), reader.describe())),
                Service::UwsgiStats(_) => None,
            }),
            uwsgi_stats: readers.clone().find_map(|reader| match reader.service() {
                Service::UwsgiStats(how) => Some((raw(reader.as_fd()), reader.describe(), how)),
                Service::Metrics => None,
            }),
            numbers: self.numbers.clone(),
            queue: self.queue.as_ref().map(|queue| queue.ends().map(raw)),
            held_connections: self.held.iter().map(|held| held.ends().map(raw)).collect(),
            uwsgi: self.uwsgi.as_ref().map(|memory| raw(memory.as_fd())),
            path: self.program.search_path().clone(),
            file_limit: Some(file_limit::before()),
            generations: self
                .generations
                .iter()
                .map(|(number, loaded)| GenerationState {
                    number: *number,
                    directory: loaded.directory.as_ref().map(|it| it.path().to_owned()),
                    held: loaded.directory.as_ref().map(|it| raw(it.as_fd())),
                    settings: loaded.settings.to_json(),
                    environment: loaded.environment.clone(),
                })
                .collect(),
            launchers: self
                .launchers
                .iter()
                .map(|(serial, launcher)| LauncherState {
                    serial: *serial,
                    channel: raw(launcher.as_fd()),
                })
                .collect(),
            workers: self
                .workers
                .iter()
                .map(|(serial, worker)| WorkerState {
                    serial: *serial,
                    id: worker.id,
                    channel: raw(worker.as_fd()),
                    board: raw(worker.board.as_fd()),
                })
                .collect(),
        }
    }

    /// The descriptors that the new release inherits.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let listeners = self.listeners.iter().map(AsFd::as_fd);
        let control = self.control.iter().map(AsFd::as_fd);
        let readers = self.reader_listeners.iter().map(|reader| reader.as_fd());
        let generations = self.generations.values();
        let directories = generations.filter_map(|loaded| loaded.directory.as_ref());
        let queues = self.queue.iter().chain(&self.held);
        let launchers = self.launchers.values().map(AsFd::as_fd);
        let workers = self.workers.values();
        let boards = workers.clone().map(|worker| worker.board.as_fd());
        listeners
            .chain(control)
            .chain(readers)
            .chain(directories.map(AsFd::as_fd))
            .chain(queues.flat_map(ConnectionQueue::ends))
            .chain(self.uwsgi.iter().map(AsFd::as_fd))
            .chain(launchers)
            .chain(workers.map(AsFd::as_fd))
            .chain(boards)
            .collect()
    }

    /// Takes over from an earlier release.
    ///
    /// # Errors
    ///
    /// Those of invalid descriptors.
    pub(super) fn resume(&mut self, state: State) -> io::Result<()> {
        self.started_at = state.started_at;
        self.gone = state.gone;
        self.gone_counts = state.counts;
        self.gone_cpu = state.cpu;
        self.numbers = state.numbers;
        self.reloads = state.reloads;
        self.program.keep_search_path(state.path);
        self.last_reload = state.last_reload;
        let adopt = |[sender, receiver]: [RawFd; 2]| {
            let ends = [own(sender)?.into(), own(receiver)?.into()];
            io::Result::Ok(ConnectionQueue::of(ends))
        };
        if let Some(ends) = state.queue {
            self.queue = Some(adopt(ends)?);
        }
        let held: io::Result<_> = state.held_connections.into_iter().map(adopt).collect();
        self.held = held?;
        // A release with another layout makes its own.
        let uwsgi = state.uwsgi.map(own).transpose()?;
        self.uwsgi = uwsgi.filter(|memory| UwsgiMemory::attach(memory).is_ok());
        let ours = self.read.take();
        for generation in state.generations {
            let number = generation.number;
            if let Some(loaded) = generation.loaded(ours.as_ref()) {
                self.generations.insert(number, loaded);
            }
        }
        for launcher in state.launchers {
            let channel = Channel::from(own(launcher.channel)?);
            let adopted = Launcher::adopt(launcher.serial, channel, self.events.clone())?;
            self.launchers.insert(launcher.serial, adopted);
        }
        for worker in state.workers {
            let channel = Channel::from(own(worker.channel)?);
            let board = own(worker.board)?.into();
            let events = self.events.clone();
            let adopted = Worker::adopt(worker.serial, worker.id, channel, board, events)?;
            self.workers.insert(worker.serial, adopted);
        }
        let plans = &self.generations;
        let plan = self.plan.clone();
        let plan_of = |number| {
            plans
                .get(&number)
                .map_or_else(|| plan.clone(), Loaded::plan)
        };
        self.core.resume(state.supervisor, plan_of, Instant::now());
        self.measure();
        Ok(())
    }
}
