use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::wait::until;

/// A terminal in which a program runs.
#[derive(Debug)]
pub struct Terminal {
    /// The end at which a person would be.
    person: File,
    /// The end of the program, which stays open so that its settings can be read.
    program: File,
    child: Child,
    shown: String,
}

impl Terminal {
    /// Runs a command, of which arguments and variables count, in a terminal of this size.
    ///
    /// # Panics
    ///
    /// When the program does not start.
    #[track_caller]
    pub fn running(command: &Command, columns: u16, rows: u16) -> Self {
        let pty = openpty(None, None).expect("there are terminals");
        let person = File::from(pty.master);
        tcsetwinsize(&person, size(columns, rows)).expect("open");
        let flags = rustix::fs::fcntl_getfl(&person).expect("open");
        rustix::fs::fcntl_setfl(&person, flags | rustix::fs::OFlags::NONBLOCK).expect("open");
        let program = File::from(pty.slave);
        let end = || program.try_clone().expect("open");
        // With a terminal of its own it learns of another size.
        let mut child = Command::new("setsid");
        child
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => child.env(name, value),
                None => child.env_remove(name),
            };
        }
        Self {
            person,
            program,
            child: child.spawn().expect("setsid is there"),
            shown: String::new(),
        }
    }

    /// Returns everything that has been written to the terminal since [`Terminal::wait_for`] last did.
    pub fn shown(&mut self) -> &str {
        let mut bytes = [0; 65_536];
        loop {
            match self.person.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => self.shown += &String::from_utf8_lossy(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        &self.shown
    }

    /// Waits until the screen shows `text`, returns what it has shown until then, and forgets it.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        until(&format!("{text:?} on the screen"), || {
            self.shown().contains(text).then_some(())
        });
        std::mem::take(&mut self.shown)
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("open");
    }

    /// Gives it another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.person, size(columns, rows)).expect("open");
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("positive"));
        kill(pid, signal).expect("it runs");
    }

    /// Returns the modes that the program has set.
    pub fn modes(&self) -> LocalFlags {
        tcgetattr(self.program.as_fd()).expect("open").local_flags
    }

    /// Waits for the end of the program.
    ///
    /// # Panics
    ///
    /// When that takes too long.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        until("its end", || self.child.try_wait().expect("ours")).code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
