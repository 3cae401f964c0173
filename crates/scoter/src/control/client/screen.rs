//! The terminal of `scoter top`: the alternate screen, and keys without Return.

use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{read, retry_on_intr};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sys::async_fd::readable;

/// Shows the terminal's alternate screen until it is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    /// The previous settings of standard input, if it is a terminal.
    before: Option<Termios>,
}

/// The events that end `top`.
#[derive(Debug)]
pub(super) struct QuitInput {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    keys: Option<AsyncFd<OwnedFd>>,
}

impl Screen {
    /// Switches to the alternate screen, and delivers keys as they are pressed.
    ///
    /// # Errors
    ///
    /// Those of the terminal.
    pub(super) fn enter() -> io::Result<Self> {
        let stdin = io::stdin();
        let before = match stdin.is_terminal() {
            true => Some(tcgetattr(&stdin)?),
            false => None,
        };
        let screen = Self { before };
        if let Some(before) = &screen.before {
            let mut raw = before.clone();
            // ISIG too: after Ctrl-Z the shell would keep this screen.
            let modes = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            raw.local_modes.remove(modes);
            // A read without input returns immediately.
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        }
        write_out(SHOW_OTHER)?;
        Ok(screen)
    }

    /// The columns and rows to fill. The last column stays empty, because terminals differ in where
    /// they leave the cursor after a character there.
    pub(super) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (usize::from(size.ws_col) - 1, size.ws_row.into())
            }
            _ => (79, 24),
        }
    }

    /// Replaces the contents of the screen.
    ///
    /// # Errors
    ///
    /// Those of the terminal.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from(TO_TOP);
        for (index, line) in lines.iter().enumerate() {
            // Not after the last line, which would make the screen scroll.
            if index > 0 {
                text.push_str("\r\n");
            }
            text.push_str(line);
            text.push_str(CLEAR_LINE);
        }
        text.push_str(CLEAR_BELOW);
        write_out(&text)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = write_out(SHOW_FIRST);
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

impl QuitInput {
    /// Installs the handlers. To be called within a runtime, before there is a [`Screen`].
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(super) fn prepare() -> io::Result<Self> {
        let keys = match io::stdin().is_terminal() {
            true => Some(readable(io::stdin().as_fd().try_clone_to_owned()?)?),
            false => None,
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            keys,
        })
    }

    /// Waits for `q`, Ctrl-C, or a signal that ends the process.
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            Ok(()) = quit_key(self.keys.as_ref()) => {}
        }
    }
}

async fn quit_key(keys: Option<&AsyncFd<OwnedFd>>) -> io::Result<()> {
    let Some(keys) = keys else {
        return std::future::pending().await;
    };
    loop {
        let mut guard = keys.readable().await?;
        let mut pressed = [0; 64];
        let count = retry_on_intr(|| read(keys.get_ref(), &mut pressed))?;
        guard.clear_ready();
        if pressed[..count].iter().any(|key| QUIT_KEYS.contains(key)) {
            return Ok(());
        }
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// q, Q, Ctrl-C and Ctrl-D.
const QUIT_KEYS: &[u8] = b"qQ\x03\x04";

/// xterm's control sequences: the alternate screen, and the cursor hidden.
const SHOW_OTHER: &str = "\x1b[?1049h\x1b[?25l";
const SHOW_FIRST: &str = "\x1b[?25h\x1b[?1049l";
const TO_TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
