use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// A place where an application waits until the test lets it go on.
///
/// A named pipe: the application (`probe.wait_at("name")`) reads one byte from it, [`Gate::open`] writes one.
/// Who comes first doesn't matter, and no clock is involved.
#[derive(Debug)]
pub struct Gate {
    pipe: File,
}

impl Gate {
    /// Makes the gate `name` for an application whose test has `folder`.
    pub fn at(folder: &Path, name: &str) -> Self {
        let path = &folder.join("gates").join(name);
        mkfifo(path, Mode::S_IRWXU).expect("a gate has a name of its own in the test's own folder");
        // Both directions: opening must not wait for the application, nor its opening for a writer.
        let pipe = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .expect("just made");
        Self { pipe }
    }

    /// Lets one waiting application go on, or the next that comes.
    pub fn open(&self) {
        self.open_for(1);
    }

    /// Lets `count` applications go on.
    pub fn open_for(&self, count: usize) {
        (&self.pipe)
            .write_all(&vec![b'.'; count])
            .expect("a pipe holds more than a test writes");
    }
}
