//! The terminal of `scoter top`: the alternate screen, keys without Return, and signals.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{read, retry_on_intr};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::frame::Size;
use crate::sys::async_fd::readable;

/// Shows the terminal's alternate screen until it is dropped, also by a panic.
#[derive(Debug)]
pub(super) struct Screen {
    output: File,
    /// Standard input and its previous settings, if it is a terminal.
    input: Option<(OwnedFd, Termios)>,
}

/// What comes from the user and the system.
#[derive(Debug)]
pub(super) struct Input {
    resize: tokio::signal::unix::Signal,
    /// Signals that end the process.
    ends: [tokio::signal::unix::Signal; 4],
    keys: Option<AsyncFd<OwnedFd>>,
}

/// Something to react to.
#[derive(Debug)]
pub(super) enum Signal {
    /// The process is to end.
    End,
    /// The window has another size.
    Resized,
    /// Keys have been pressed.
    Pressed(Vec<u8>),
}

impl Screen {
    /// Switches to the alternate screen, and delivers keys as they are pressed.
    ///
    /// # Errors
    ///
    /// Those of the terminal.
    pub(super) fn enter() -> io::Result<Self> {
        let stdin = io::stdin();
        let input = match stdin.is_terminal() {
            true => Some(stdin.as_fd().try_clone_to_owned()?),
            false => None,
        };
        Self::enter_on(input, io::stdout().as_fd().try_clone_to_owned()?)
    }

    fn enter_on(input: Option<OwnedFd>, output: OwnedFd) -> io::Result<Self> {
        let input = match input {
            Some(input) => {
                let before = tcgetattr(&input)?;
                Some((input, before))
            }
            None => None,
        };
        let screen = Self {
            output: output.into(),
            input,
        };
        if let Some((input, before)) = &screen.input {
            let mut raw = before.clone();
            // ISIG too: after Ctrl-Z the shell would keep this screen.
            let modes = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
            raw.local_modes.remove(modes);
            // A read without input returns immediately.
            raw.special_codes[SpecialCodeIndex::VMIN] = 0;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            tcsetattr(input, OptionalActions::Now, &raw)?;
        }
        screen.write(SHOW_OTHER)?;
        Ok(screen)
    }

    /// The columns and rows to fill. The last column stays empty, because terminals differ in where
    /// they leave the cursor after a character there.
    pub(super) fn size(&self) -> Size {
        match tcgetwinsize(&self.output) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
                columns: usize::from(size.ws_col) - 1,
                rows: size.ws_row.into(),
            },
            _ => Size {
                columns: 79,
                rows: 24,
            },
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
        self.write(&text)
    }

    fn write(&self, text: &str) -> io::Result<()> {
        (&self.output).write_all(text.as_bytes())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.write(SHOW_FIRST);
        if let Some((input, before)) = &self.input {
            let _ = tcsetattr(input, OptionalActions::Now, before);
        }
    }
}

impl Input {
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
            resize: signal(SignalKind::window_change())?,
            ends: [
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
                signal(SignalKind::quit())?,
            ],
            keys,
        })
    }

    /// Waits for the next signal or key.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped.
    pub(super) async fn next(&mut self) -> Signal {
        let [interrupt, terminate, hangup, quit] = &mut self.ends;
        tokio::select! {
            _ = interrupt.recv() => Signal::End,
            _ = terminate.recv() => Signal::End,
            _ = hangup.recv() => Signal::End,
            _ = quit.recv() => Signal::End,
            _ = self.resize.recv() => Signal::Resized,
            pressed = pressed(self.keys.as_ref()) => match pressed {
                Ok(bytes) => Signal::Pressed(bytes),
                // The terminal is gone.
                Err(_) => Signal::End,
            },
        }
    }
}

async fn pressed(keys: Option<&AsyncFd<OwnedFd>>) -> io::Result<Vec<u8>> {
    let Some(keys) = keys else {
        return std::future::pending().await;
    };
    loop {
        let mut guard = keys.readable().await?;
        let mut bytes = [0; 64];
        let count = retry_on_intr(|| read(keys.get_ref(), &mut bytes))?;
        match count {
            // A terminal that has been closed is readable for ever.
            0 if guard.ready().is_read_closed() => return Err(ErrorKind::UnexpectedEof.into()),
            0 => guard.clear_ready(),
            _ => {
                guard.clear_ready();
                return Ok(bytes[..count].to_vec());
            }
        }
    }
}

/// xterm's control sequences: the alternate screen, and the cursor hidden.
const SHOW_OTHER: &str = "\x1b[?1049h\x1b[?25l";
const SHOW_FIRST: &str = "\x1b[?25h\x1b[?1049l";
const TO_TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use nix::pty::openpty;

    use super::*;

    #[tokio::test]
    async fn keys_end_with_the_terminal() {
        let pty = openpty(None, None).unwrap();
        let [input, output] = [(); 2].map(|()| pty.slave.try_clone().unwrap());
        let keys = readable(pty.slave).unwrap();
        let _screen = Screen::enter_on(Some(input), output).unwrap();
        let mut terminal = File::from(pty.master);
        terminal.write_all(b"c").unwrap();
        assert_eq!(pressed(Some(&keys)).await.unwrap(), b"c");
        drop(terminal);
        assert!(pressed(Some(&keys)).await.is_err());
    }

    #[test]
    fn panic_leaves_the_terminal_as_it_was() {
        let pty = openpty(None, None).unwrap();
        let [input, output] = [(); 2].map(|()| pty.slave.try_clone().unwrap());
        let before = tcgetattr(&pty.slave).unwrap().local_modes;
        assert!(before.contains(LocalModes::ECHO | LocalModes::ICANON));
        let screen = Screen::enter_on(Some(input), output).unwrap();
        let during = tcgetattr(&pty.slave).unwrap().local_modes;
        assert!(!during.intersects(LocalModes::ECHO | LocalModes::ICANON));
        let ended = catch_unwind(AssertUnwindSafe(move || {
            let _screen = screen;
            panic!("on purpose");
        }));
        assert!(ended.is_err());
        assert_eq!(tcgetattr(&pty.slave).unwrap().local_modes, before);
        let expected = format!("{SHOW_OTHER}{SHOW_FIRST}");
        let mut written = vec![0; expected.len()];
        File::from(pty.master).read_exact(&mut written).unwrap();
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }
}
