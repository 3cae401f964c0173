//! Asks the installed release whether it understands the configuration.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::program::Program;
use crate::sys::limits::hint_for;

/// A process of the installed release that only checks its configuration.
#[derive(Debug)]
pub(super) struct Preflight {
    pub(super) pid: Pid,
    /// Its output.
    output: File,
}

impl Preflight {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// Those of the system, with the program that they concern.
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        // Not a file, because the file system may not respond.
        let output = File::from(memfd_create("scoter-preflight", MemfdFlags::CLOEXEC)?);
        let mut command = program.preflight();
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?);
        // The master reaps every child, including unknown ones.
        let child = command.spawn().map_err(|error| {
            let program = Path::new(command.get_program()).display();
            let hint = hint_for(&error);
            io::Error::new(error.kind(), format!("{program}: {error}{hint}"))
        })?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self {
            pid: Pid::from_raw(pid),
            output,
        })
    }

    pub(super) fn kill(&self) {
        let _ = kill(self.pid, Signal::SIGKILL);
    }

    /// Its result: the release can take over, or why not.
    ///
    /// # Errors
    ///
    /// Its output.
    pub(super) fn outcome(mut self, status: i32) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        let mut said = String::new();
        let _ = self.output.rewind();
        let _ = self.output.read_to_string(&mut said);
        Err(match said.trim() {
            "" => "the installed release cannot be started".to_owned(),
            said => said.to_owned(),
        })
    }
}
