//! Reading the configuration for a reload, by a thread of its own: a pipe without a writer or
//! a file system that does not answer must not keep the master from everything else.

use std::thread;
use std::time::{Duration, Instant};

use super::event::Event;
use super::reload::{Again, Reply};
use super::supervisor::Supervisor;
use crate::config::Settings;
use crate::control::ReloadError;
use crate::signals::kept_from;

/// A reload or an upgrade that waits for the working directory, and a reload for its
/// configuration.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) what: Again,
    pub(super) origin: &'static str,
    pub(super) reply: Option<Reply>,
    /// What a signal has asked for meanwhile.
    pub(super) again: Option<Again>,
    pub(super) deadline: Instant,
}

impl Reading {
    /// Forgets it: there is something else to do.
    pub(super) fn cancel(self) {
        if let Some(reply) = self.reply {
            let _ = reply.send(Err(ReloadError::Busy("the server stops".to_owned())));
        }
    }
}

impl Supervisor {
    /// Has what is needed read.
    pub(super) fn begin_reading(
        &mut self,
        what: Again,
        origin: &'static str,
        reply: Option<Reply>,
    ) {
        // Of a reader that hangs from an earlier attempt the answer will be as good as new.
        if self.being_read != Some(what) {
            if self.being_read.is_some() {
                let problem = "the configuration is still being read for an earlier reload";
                return self.refuse(origin, problem.to_owned(), reply);
            }
            let (arguments, options) = (self.arguments.clone(), self.options.clone());
            let events = self.events.clone();
            let thread = thread::Builder::new().name("scoter-config".to_owned());
            let read = move || {
                let read = match what {
                    Again::Reload => Settings::read_again(&arguments).map(Box::new).map(Some),
                    // The new release reads for itself.
                    Again::Upgrade => {
                        Settings::enter_directory(&arguments, &options).map(|()| None)
                    }
                };
                let read = read.map_err(|problem| problem.to_string());
                // Nobody is there to hear it once the master is ending.
                let _ = events.blocking_send(Event::Read(read));
            };
            if let Err(error) = kept_from(|| thread.spawn(read)) {
                let problem = format!("cannot read the configuration: {error}");
                return self.refuse(origin, problem, reply);
            }
            self.being_read = Some(what);
        }
        self.reading = Some(Reading {
            what,
            origin,
            reply,
            again: None,
            deadline: Instant::now() + READ_PATIENCE,
        });
    }

    /// Gives up what waits for a configuration that does not come.
    pub(super) fn end_late_reading(&mut self) {
        let now = Instant::now();
        let Some(reading) = self.reading.take_if(|reading| reading.deadline <= now) else {
            return;
        };
        let file = Settings::source(&self.arguments);
        let problem = format!(
            "the configuration {} could not be read within {} seconds\n\
             hint: it is a pipe that nobody writes to, or its file system does not answer",
            file.display(),
            READ_PATIENCE.as_secs()
        );
        self.refuse(reading.origin, problem, reading.reply);
        self.follow(reading.again);
    }
}

/// For a file to be read.
const READ_PATIENCE: Duration = Duration::from_secs(10);
