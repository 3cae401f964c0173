//! What the tests have in common: two users, and a server that root starts for one of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use integration_tests::{Finished, Package, Process, Scoter, ScoterBuilder, skip};
use nix::unistd::{Uid, User};

/// Somebody to give privileges up to, who may have a server's code read: the user, another user, and a Python that
/// both can run.
pub(super) struct Stage {
    pub(super) user: User,
    pub(super) stranger: User,
    pub(super) package: Package,
}

impl Stage {
    /// Looks for them. None, and a word to whoever runs the tests, where there is no such stage.
    pub(super) fn set() -> Option<Self> {
        if !Uid::effective().is_root() {
            skip("only root can become somebody else");
            return None;
        }
        let find = |name| User::from_name(name).ok().flatten();
        let (Some(user), Some(stranger)) = (find("www-data"), find("nobody")) else {
            skip("there is no user www-data, or no user nobody");
            return None;
        };
        let Some(package) = Package::within_reach_of(user.uid.as_raw(), user.gid.as_raw()) else {
            skip("neither the Python of the tests nor the system's can run scoter as www-data");
            return None;
        };
        Some(Self {
            user,
            stranger,
            package,
        })
    }

    /// A server of root's, in a folder of root's that others can look into.
    pub(super) fn serving(&self, app: &str) -> ScoterBuilder {
        let scoter = Scoter::serving(app).from_package(&self.package);
        let set_mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("the test's own folder");
        };
        set_mode(scoter.folder(), 0o755);
        set_mode(&scoter.folder().join("events"), 0o666);
        scoter
    }

    /// Runs a Python script as another user, in a folder of its own. It ends with what is returned.
    pub(super) fn run_as(
        &self,
        user: &User,
        script: &str,
        args: &[&Path],
    ) -> (tempfile::TempDir, Process) {
        let folder = tempfile::TempDir::with_prefix("scoter-").expect("as for the server");
        let mut command = Command::new("/usr/bin/env");
        command
            .args(["python3", "-c", script])
            .args(args)
            // The usual one may be out of their reach.
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .uid(user.uid.as_raw())
            .gid(user.gid.as_raw());
        let process = Process::spawn("script", &mut command, folder.path(), "install Python");
        (folder, process)
    }

    /// Asks a control socket as another user, with `python`'s help. Returns what came.
    pub(super) fn ask_as(&self, user: &User, socket: &Path, line: &str) -> Finished {
        let script = "\
import socket, sys
with socket.socket(socket.AF_UNIX) as stream:
    stream.connect(sys.argv[1])
    stream.sendall(f'{sys.argv[2]} HTTP/1.1\\r\\nHost: scoter\\r\\n\\r\\n'.encode())
    while piece := stream.recv(65536):
        sys.stdout.write(piece.decode())
";
        let (_folder, mut process) = self.run_as(user, script, &[socket, Path::new(line)]);
        process.wait()
    }
}

pub(super) fn control_of(scoter: &Scoter) -> PathBuf {
    scoter.control().socket().to_owned()
}

pub(super) fn sockets_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the test's own folder");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.retain(|path| path.to_string_lossy().contains("sock"));
    paths
}
