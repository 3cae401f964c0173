use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use crate::process::Process;
use crate::wait::until;

/// A chromedriver(1) on a port that the kernel chose. It ends with the test, and the browsers that it started with it.
#[derive(Debug)]
pub(super) struct Chromedriver {
    // Ends it, and shows its log if the test fails.
    _process: Process,
    address: SocketAddr,
}

/// Tells whether the browser and its driver are there.
pub(super) fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_on_path = |name| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    is_on_path("chromium") && is_on_path("chromedriver")
}

impl Chromedriver {
    /// Starts it; what it and the browsers write is in `folder`.
    #[track_caller]
    pub(super) fn start(folder: &Path) -> Self {
        let mut command = Command::new("chromedriver");
        // Chromium writes to the home directory, whatever the profile.
        command.arg("--port=0").env("HOME", folder);
        let mut process = Process::spawn("chromedriver", &mut command, folder, "it is installed");
        let port = until("chromedriver listens", || {
            if let Some(status) = process.exit_status() {
                panic!("chromedriver did not start: {status}");
            }
            port(&process.stdout())
        });
        Self {
            _process: process,
            address: (Ipv4Addr::LOCALHOST, port).into(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Finds `ChromeDriver was started successfully on port 37261.` in what it writes.
fn port(output: &str) -> Option<u16> {
    let (_, rest) = output.split_once("successfully on port ")?;
    let (port, _) = rest.split_once('.')?;
    port.parse().ok()
}
