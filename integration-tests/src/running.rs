use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;

/// The variable that names the folder of a test to every process that was started for it.
pub(crate) const FOLDER: &str = "TEST_FOLDER";

/// A process that a test did not start itself, seen from outside: a launcher, a worker, a child of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Running {
    pid: Pid,
}

impl Running {
    /// Makes a handle of a process.
    pub fn new(pid: Pid) -> Self {
        Self { pid }
    }

    /// Returns the process that was started for `folder`, and everything that it started itself. Their environment
    /// says so, which stays when parents go.
    pub(crate) fn all_in(folder: &Path) -> Vec<Self> {
        let entry = format!("{FOLDER}={}", folder.display());
        fs::read_dir("/proc")
            .expect("Linux")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(|pid| Self::new(Pid::from_raw(pid)))
            .filter(|process| {
                process
                    .read("environ")
                    .split('\0')
                    .any(|variable| variable == entry)
            })
            .collect()
    }

    /// Ends all that `find` finds at once: nobody has the time to start another one, or to tidy up. `first` is the
    /// one that has started the others.
    pub(crate) fn kill_all(first: Pid, find: impl Fn() -> Vec<Self>) {
        let mut stopped = Vec::new();
        loop {
            let all = find();
            if all == stopped {
                break;
            }
            for process in &all {
                process.try_signal(Signal::SIGSTOP);
            }
            stopped = all;
        }
        let mut left = stopped;
        until("no process is left", || {
            // Its end would wake up the others: a group of processes that nobody is in charge of any more is
            // continued (setpgid(2)).
            for process in &left {
                if left.len() == 1 || process.pid != first {
                    process.try_signal(Signal::SIGKILL);
                }
            }
            // One that ends has no environment any more, and its files still for a while.
            left.retain(|process| !process.has_ended());
            for process in find() {
                if !left.contains(&process) {
                    left.push(process);
                }
            }
            left.is_empty().then_some(())
        });
    }

    /// Returns the process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When there is no such process.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.pid));
    }

    /// Sends a signal, unless the process has ended meanwhile.
    fn try_signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Tells whether it has ended and somebody has taken note.
    pub fn is_gone(&self) -> bool {
        !Path::new(&format!("/proc/{}", self.pid)).exists()
    }

    /// Tells whether nothing of it runs any more, and all of its files are closed.
    fn has_ended(&self) -> bool {
        let status = self.read("status");
        let says = |field, value| {
            let mut lines = status.lines().map(str::split_whitespace);
            lines.any(|mut words| words.next() == Some(field) && words.next() == Some(value))
        };
        // The last of the threads closes the files, also where it is not the first that has ended last.
        status.is_empty() || says("State:", "Z") && says("Threads:", "1")
    }

    /// Waits until it has ended and somebody has taken note: until then it is a zombie.
    #[track_caller]
    pub fn wait_until_gone(&self) {
        until(&format!("end of process {}", self.pid), || {
            self.is_gone().then_some(())
        });
    }

    /// Returns the arguments it was started with, of a forked process those of its parent.
    pub fn arguments(&self) -> Vec<String> {
        let arguments = self.read("cmdline");
        arguments
            .split_terminator('\0')
            .map(str::to_owned)
            .collect()
    }

    /// Returns its name, which `ps` and `top` show.
    pub fn name(&self) -> String {
        self.read("comm").trim_end().to_owned()
    }

    /// Returns the memory it occupies now, in KiB (`VmRSS`).
    pub fn resident_kib(&self) -> usize {
        self.status_kib("VmRSS:")
    }

    /// Returns the most memory it ever occupied, in KiB (`VmHWM`).
    pub fn peak_resident_kib(&self) -> usize {
        self.status_kib("VmHWM:")
    }

    /// Lets it have no more than `kib` KiB of addresses beyond those it has now (`VmSize`): what it asks for then
    /// is refused.
    ///
    /// # Panics
    ///
    /// When there is no prlimit(1).
    #[track_caller]
    pub fn limit_memory(&self, kib: usize) {
        let bytes = (self.status_kib("VmSize:") + kib) * 1024;
        let status = Command::new("prlimit")
            .args([format!("--pid={}", self.pid), format!("--as={bytes}")])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit");
    }

    /// Returns how many file descriptors it has open.
    pub fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid);
        fs::read_dir(path).expect("the process runs").count()
    }

    fn status_kib(&self, field: &str) -> usize {
        let status = self.read("status");
        let line = status.lines().find(|line| line.starts_with(field));
        line.and_then(|line| line.split_whitespace().nth(1))
            .and_then(|kib| kib.parse().ok())
            .unwrap_or_else(|| panic!("no {field} in {status}"))
    }

    /// Reads a file of `/proc/PID`; nothing of a process that has ended.
    fn read(&self, file: &str) -> String {
        let bytes = fs::read(format!("/proc/{}/{file}", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
