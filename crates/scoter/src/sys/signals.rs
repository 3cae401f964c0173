//! The signals that scoter's processes act on, and those they must survive.

use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::time::{Duration, Instant};

use nix::libc::{self, siginfo_t};
use nix::sys::signal::{SigSet, SigmaskHow, Signal as Number, kill};
use nix::unistd::Pid;
use rustix::net::{SendFlags, send};
use rustix::process::getpid;
use tokio::net::UnixStream;

use crate::sys::fork;

/// The signals that the top process acts on, in order of arrival.
#[derive(Debug)]
pub(crate) struct Signals(UnixStream);

/// A signal that scoter acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Term,
    Int,
    Quit,
    Hup,
    Usr1,
    Usr2,
    Ttin,
    Ttou,
}

/// Distinguishes a duplicate TERM from a second one that means "now". Service managers and
/// container runtimes may send two, for instance to a process and to its group, whereas Ctrl-C
/// twice comes from a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FirstStop {
    signal: Option<Signal>,
    at: Instant,
}

impl FirstStop {
    /// Records what began a stop: a signal, or something else.
    pub(crate) fn new(signal: Option<Signal>, at: Instant) -> Self {
        Self { signal, at }
    }

    /// Whether a later signal is a duplicate.
    pub(crate) fn is_repeated_by(self, signal: Option<Signal>, now: Instant) -> bool {
        let both = [self.signal, signal];
        both == [Some(Signal::Term); 2] && now.duration_since(self.at) < TERM_REPEAT_TIME
    }
}

/// A signal that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) signal: Signal,
    /// Whether this process sent it to itself, as a handler of the application does to end the
    /// process after its own work.
    pub(crate) is_own: bool,
}

impl Signals {
    /// Installs handlers, which also run the existing ones. Call it within a runtime.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(crate) fn install() -> io::Result<Self> {
        let (sender, receiver) = StdStream::pair()?;
        receiver.set_nonblocking(true)?;
        let process = getpid();
        fork::replace(&ACTED_ON.map(|signal| signal as i32), || {
            for signal in Signal::ALL {
                let sender = sender.try_clone()?;
                let note = move |info: &siginfo_t| {
                    // A child forked by the application shares the socket.
                    if getpid() == process {
                        let own = if sent_by(info) == Some(process.as_raw_pid()) {
                            OWN
                        } else {
                            0
                        };
                        let byte = signal as u8 | own;
                        let _ = send(&sender, &[byte], SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
                    }
                };
                #[expect(unsafe_code, reason = "a handler runs at any time")]
                // SAFETY: getpid(2) and send(2) are async-signal-safe (signal-safety(7)), and
                // nothing is allocated or locked.
                unsafe {
                    signal_hook_registry::register_sigaction(signal.number() as i32, note)?
                };
            }
            io::Result::Ok(())
        })?;
        Ok(Self(UnixStream::from_std(receiver)?))
    }

    /// The signals that are lost if this process executes another program now.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(crate) fn unread(&self) -> io::Result<UnreadSignals> {
        let copy = self.0.as_fd().try_clone_to_owned()?;
        Ok(UnreadSignals(copy.into()))
    }

    /// Waits for the next signal.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again at any time.
    pub(crate) async fn next(&mut self) -> Arrived {
        loop {
            let mut byte = [0];
            let readable = self.0.readable().await;
            match readable.and_then(|()| self.0.try_read(&mut byte)) {
                Ok(1..) => {
                    let [byte] = byte;
                    if let Some(signal) = Signal::ALL.get(usize::from(byte & !OWN)) {
                        return Arrived {
                            signal: *signal,
                            is_own: byte & OWN != 0,
                        };
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return std::future::pending().await,
            }
        }
    }
}

/// The signals that have arrived, and that [`Signals::next`] has not returned yet.
#[derive(Debug)]
pub(crate) struct UnreadSignals(StdStream);

impl UnreadSignals {
    /// Sends them to this process again. To be called while signals are blocked in all threads:
    /// they then stay pending, also through an exec.
    pub(crate) fn send_again(&self) {
        let mut bytes = [0; 64];
        while let Ok(count @ 1..) = (&self.0).read(&mut bytes) {
            for byte in &bytes[..count] {
                if let Some(signal) = Signal::ALL.get(usize::from(byte & !OWN)) {
                    let _ = kill(Pid::this(), signal.number());
                }
            }
        }
    }
}

/// The process that sent a signal, if any.
fn sent_by(info: &siginfo_t) -> Option<i32> {
    // sigaction(2): si_pid is set for these codes, but not for the kernel's own.
    if !matches!(
        info.si_code,
        libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL
    ) {
        return None;
    }
    #[expect(
        unsafe_code,
        reason = "which part of the union is valid depends on si_code"
    )]
    // SAFETY: si_code says that a process has sent it.
    Some(unsafe { info.si_pid() })
}

/// The signals of a worker under a master. It survives those sent to the whole process group
/// (`systemctl kill`, Ctrl-C), on which the master acts.
#[derive(Debug)]
pub(crate) struct Quiet(Signals);

impl Quiet {
    /// Installs the handlers. Call it within a runtime.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub(crate) fn install() -> io::Result<Self> {
        Signals::install().map(Self)
    }

    /// Waits for a signal that tells this process to end, and returns it.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again at any time.
    pub(crate) async fn terminated(&mut self) -> Signal {
        loop {
            let signal = self.0.next().await.signal;
            // INT usually comes from Ctrl-C, which sends it to the whole group.
            if signal.is_stop() && signal != Signal::Int {
                return signal;
            }
        }
    }
}

/// Runs `start`, which starts a thread that must not receive signals: while the thread that acts on
/// them has them blocked, another thread would receive them, and they would be lost.
pub(crate) fn kept_from<R>(start: impl FnOnce() -> R) -> R {
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK);
    let result = start();
    if let Ok(mask) = mask {
        let _ = mask.thread_set_mask();
    }
    result
}

/// Blocks the signals until [`unblock`]: before the handlers are installed they would end the
/// process and leave sockets behind, or be lost.
pub(crate) fn block() {
    let _ = SigSet::from_iter(ACTED_ON).thread_block();
}

/// Unblocks the signals. Call it once the handlers are installed.
pub(crate) fn unblock() {
    let _ = SigSet::from_iter(ACTED_ON).thread_unblock();
}

impl Signal {
    const ALL: [Self; 8] = [
        Self::Term,
        Self::Int,
        Self::Quit,
        Self::Hup,
        Self::Usr1,
        Self::Usr2,
        Self::Ttin,
        Self::Ttou,
    ];

    /// The signal with this number.
    pub(crate) fn of_number(number: i32) -> Option<Self> {
        let is_it = |signal: &Self| signal.number() as i32 == number;
        Self::ALL.into_iter().find(is_it)
    }

    /// Its name without SIG.
    pub(crate) fn name(self) -> &'static str {
        name_of(self.number() as i32)
    }

    /// Whether it ends the server.
    pub(crate) fn is_stop(self) -> bool {
        matches!(self, Self::Term | Self::Int | Self::Quit)
    }

    fn number(self) -> Number {
        match self {
            Self::Term => Number::SIGTERM,
            Self::Int => Number::SIGINT,
            Self::Quit => Number::SIGQUIT,
            Self::Hup => Number::SIGHUP,
            Self::Usr1 => Number::SIGUSR1,
            Self::Usr2 => Number::SIGUSR2,
            Self::Ttin => Number::SIGTTIN,
            Self::Ttou => Number::SIGTTOU,
        }
    }
}

/// The name of a signal without SIG.
pub(crate) fn name_of(number: i32) -> &'static str {
    let name = Number::try_from(number).map_or("", Number::as_str);
    name.strip_prefix("SIG").unwrap_or(name)
}

/// The signals of [`Signals`]. Their default would end or stop the process; a launcher leaves them
/// to the master.
pub(crate) const ACTED_ON: [Number; 8] = [
    Number::SIGTERM,
    Number::SIGINT,
    Number::SIGQUIT,
    Number::SIGHUP,
    Number::SIGUSR1,
    Number::SIGUSR2,
    Number::SIGTTIN,
    Number::SIGTTOU,
];

/// How long after TERM another one counts as a duplicate.
const TERM_REPEAT_TIME: Duration = Duration::from_secs(1);

/// The bit that marks a signal that the process sent to itself: signals have smaller numbers.
const OWN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_term_soon_after_term_is_the_same_signal() {
        use Signal::{Int, Quit, Term};

        let begun = Instant::now();
        for (first, second, after_ms, expected) in [
            (Some(Term), Some(Term), 0, true),
            (Some(Term), Some(Term), 999, true),
            (Some(Term), Some(Term), 1_000, false),
            (Some(Term), Some(Int), 0, false),
            (Some(Term), Some(Quit), 0, false),
            (Some(Int), Some(Int), 0, false),
            (Some(Int), Some(Term), 0, false),
            (Some(Quit), Some(Quit), 0, false),
            // `scoter stop`.
            (None, Some(Term), 0, false),
            (Some(Term), None, 0, false),
        ] {
            let now = begun + Duration::from_millis(after_ms);
            let found = FirstStop::new(first, begun).is_repeated_by(second, now);
            assert_eq!(found, expected, "{first:?} {second:?} {after_ms}");
        }
    }
}
