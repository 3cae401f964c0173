//! `scoter top` in a terminal.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command};

use integration_tests::{Scoter, executable, until};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal in which `scoter top` runs.
struct Terminal {
    /// The end at which a person would be.
    person: File,
    /// The end of the program, which stays open so that its settings can be read.
    program: File,
    top: Child,
    shown: String,
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

impl Terminal {
    fn of(scoter: &Scoter, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Self {
        let pty = openpty(None, None).expect("there are terminals");
        let person = File::from(pty.master);
        tcsetwinsize(&person, size(columns, rows)).expect("open");
        let flags = rustix::fs::fcntl_getfl(&person).expect("open");
        rustix::fs::fcntl_setfl(&person, flags | rustix::fs::OFlags::NONBLOCK).expect("open");
        let program = File::from(pty.slave);
        let end = || program.try_clone().expect("open");
        // With a terminal of its own it learns of another size.
        let mut command = Command::new("setsid");
        command
            .arg("--ctty")
            .arg(executable())
            .args(["top", "--control"])
            .arg(scoter.control().socket())
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end());
        Self {
            person,
            program,
            top: command.spawn().expect("make build"),
            shown: String::new(),
        }
    }

    /// Everything that has been written to the terminal so far.
    fn shown(&mut self) -> &str {
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

    /// Waits until the screen shows `text`, and forgets what it has shown until then.
    #[track_caller]
    fn wait_for(&mut self, text: &str) -> String {
        until(&format!("{text:?} on the screen"), || {
            self.shown().contains(text).then_some(())
        });
        std::mem::take(&mut self.shown)
    }

    fn press(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).expect("open");
    }

    fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.person, size(columns, rows)).expect("open");
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.top.id().try_into().expect("positive"));
        kill(pid, signal).expect("it runs");
    }

    fn is_as_before(&self) -> bool {
        let modes = tcgetattr(self.program.as_fd()).expect("open").local_flags;
        modes.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    }

    /// Waits for the end, which leaves the terminal as it was, and returns the exit code and what the first
    /// screen shows.
    #[track_caller]
    fn end(&mut self) -> (Option<i32>, String) {
        let status = until("its end", || self.top.try_wait().expect("ours"));
        assert!(self.is_as_before());
        let shown = self.shown().to_owned();
        let (_, left) = shown
            .rsplit_once(FIRST_SCREEN)
            .unwrap_or_else(|| panic!("{shown:?}"));
        (status.code(), left.to_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.top.kill();
        let _ = self.top.wait();
    }
}

const OTHER_SCREEN: &str = "\x1b[?1049h";
const FIRST_SCREEN: &str = "\x1b[?25h\x1b[?1049l";

#[test]
fn screen_follows_keys_and_the_size_of_the_window() {
    let scoter = Scoter::serving("hello")
        .workers("2")
        .args(["--name", "shop"])
        .start();
    let mut terminal = Terminal::of(&scoter, 120, 30, &[]);
    let first = terminal.wait_for("q quit");
    assert!(first.starts_with(OTHER_SCREEN), "{first:?}");
    for text in [
        "shop (scoter",
        "latency p50",
        "waiting 0 of",
        "\x1b[32mready",
        "MEMORY",
    ] {
        assert!(first.contains(text), "{text:?} in {first:?}");
    }
    assert!(!terminal.is_as_before());
    // The mark is before the column that workers are sorted by.
    assert!(first.contains(">\x1b[0m\x1b[1m ID"), "{first:?}");
    terminal.press("c");
    terminal.wait_for(">\x1b[0m\x1b[1m CPU");
    // An arrow is none of the letters in its sequence.
    terminal.press("\x1b[C\x1bOqm");
    terminal.wait_for(">\x1b[0m\x1b[1mMEMORY");
    terminal.resize(40, 20);
    let narrow = terminal.wait_for("q quit  sort: w p a n f r b c m");
    assert!(
        !narrow.contains("PID") || narrow.contains("MEMORY"),
        "{narrow:?}"
    );
    terminal.press("q");
    assert_eq!(terminal.end(), (Some(0), String::new()));
}

#[test]
fn colours_are_left_out_if_nobody_wants_them() {
    let scoter = Scoter::serving("hello").start();
    let mut terminal = Terminal::of(&scoter, 120, 30, &[("NO_COLOR", "1")]);
    let shown = terminal.wait_for("q quit");
    assert!(
        shown.contains("ready") && !shown.contains("\x1b[1m"),
        "{shown:?}"
    );
    assert!(!shown.contains("\x1b[32m"), "{shown:?}");
    terminal.press("\x03");
    assert_eq!(terminal.end().0, Some(0));

    let mut dumb = Terminal::of(&scoter, 120, 30, &[("TERM", "dumb")]);
    let status = until("its end", || dumb.top.try_wait().expect("ours"));
    assert_eq!(status.code(), Some(0));
    let shown = dumb.shown();
    assert!(
        shown.contains("WORKER") && !shown.contains('\x1b'),
        "{shown:?}"
    );
}

#[test]
fn terminal_is_as_before_however_it_ends() {
    let mut scoter = Scoter::serving("hello").start();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let mut terminal = Terminal::of(&scoter, 80, 24, &[]);
        terminal.wait_for("q quit");
        terminal.signal(signal);
        assert_eq!(terminal.end(), (Some(0), String::new()), "{signal}");
    }
    let mut terminal = Terminal::of(&scoter, 80, 24, &[]);
    terminal.wait_for("q quit");
    scoter.stop();
    let (code, left) = terminal.end();
    assert_eq!(code, Some(0));
    assert_eq!(left.trim_end(), "the server has ended");
}
