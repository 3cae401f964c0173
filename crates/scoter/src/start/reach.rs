//! Checks what the server can reach as the user that it becomes. This is done before anything
//! is bound, so that a start that cannot succeed leaves nothing behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, CWD, Mode, OFlags, access, openat};
use rustix::io::Errno;
use thiserror::Error;
use tracing::warn;

use super::Start;
use super::identity::{Identity, IdentityError};
use crate::log::AccessLogTo;

/// A path that the configuration names, and what the server does with it.
#[derive(Debug)]
struct Need {
    /// Where it comes from.
    what: &'static str,
    path: PathBuf,
    /// The path, and the paths that result from following each link on the way. Resolved with the
    /// current privileges, because the user may not be allowed to read the links.
    followed: Vec<PathBuf>,
    purpose: Purpose,
    consequence: Consequence,
    /// Whether another check reports its absence better, or it may be created later.
    may_be_missing: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Executed.
    Run,
    /// A directory that files are opened in.
    Enter,
    Read,
    /// Appended to, and created if missing.
    Append,
    /// Replaced by a new file in the same directory.
    Replace,
}

/// The consequence if the path is out of reach.
#[derive(Debug, Clone, Copy)]
enum Consequence {
    /// The start fails with this exit code.
    Fatal(u8),
    /// Serving is possible, but this is not.
    Without(&'static str),
}

/// Why the server cannot access a path.
#[derive(Debug, Error)]
#[error(
    "user {user} cannot {} {}, {what}: {reason}\nhint: {hint}", purpose.verb(), path.display()
)]
pub(crate) struct OutOfReach {
    user: String,
    what: &'static str,
    path: PathBuf,
    purpose: Purpose,
    reason: String,
    hint: String,
    exit_code: u8,
}

impl OutOfReach {
    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl Need {
    /// The setting with which a unit has the directory made.
    fn directive(&self) -> &'static str {
        match self.purpose {
            Purpose::Append => "LogsDirectory=",
            _ => "RuntimeDirectory=",
        }
    }
}

impl Purpose {
    fn verb(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Enter => "enter",
            Self::Read => "read",
            Self::Append | Self::Replace => "write",
        }
    }

    /// Checks the access that it needs, without side effects.
    fn attempt(self, path: &Path) -> rustix::io::Result<()> {
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        match self {
            Self::Run => access(path, Access::EXEC_OK),
            Self::Enter => enter(path),
            Self::Read => access(path, Access::READ_OK),
            Self::Append => match access(path, Access::WRITE_OK) {
                Ok(()) if path.is_dir() => Err(Errno::ISDIR),
                Err(Errno::NOENT) => access(folder, Access::WRITE_OK | Access::EXEC_OK),
                found => found,
            },
            Self::Replace => access(folder, Access::WRITE_OK | Access::EXEC_OK),
        }
    }
}

/// Checks that the server will be able to access the paths that it needs. Other paths only cause a
/// warning.
///
/// Returns the first required path that is out of reach.
///
/// # Errors
///
/// [`IdentityError::Refused`] if the system does not allow the check.
pub(super) fn check(
    start: &Start<'_>,
    identity: &Identity,
) -> Result<Option<OutOfReach>, IdentityError> {
    let needs = needs(start);
    let user = identity.user_name();
    let obstacles = identity.attempt(|| {
        let of = |need: &Need| obstacle(need, &user);
        needs.iter().map(of).collect::<Vec<_>>()
    })?;
    for (need, obstacle) in needs.iter().zip(obstacles) {
        match (obstacle, need.consequence) {
            (Some(obstacle), Consequence::Fatal(_)) => return Ok(Some(obstacle)),
            (Some(obstacle), Consequence::Without(consequence)) => {
                let OutOfReach { user, reason, .. } = obstacle;
                let (what, path) = (need.what, need.path.display());
                warn!(user, what, %path, reason, "out of reach: {consequence}");
            }
            (None, _) => {}
        }
    }
    Ok(None)
}

fn needs(start: &Start<'_>) -> Vec<Need> {
    let options = start.options;
    let mut needs = Vec::new();
    let mut add = |what, path: &Path, purpose, consequence| {
        needs.push(Need {
            what,
            path: path.to_owned(),
            followed: followed(path),
            purpose,
            consequence,
            may_be_missing: matches!(what, APPLICATION | PYTHONPATH),
        });
    };
    let modules = Consequence::Without("modules there will not be found");
    let launcher = start.program.launcher_file();
    // Without a master, the embedding program does not start itself again.
    if launcher.is_some() || !options.no_master {
        let program = start.program.executable();
        add("which starts the workers", program, Purpose::Run, FATAL);
    }
    if let Some(launcher) = launcher {
        add("a file of scoter", launcher, Purpose::Read, FATAL);
    }
    match (&options.chdir, std::env::current_dir()) {
        (Some(path), _) => add("--chdir", path, Purpose::Enter, FATAL),
        (None, Ok(path)) => add("the working directory", &path, Purpose::Enter, modules),
        (None, Err(_)) => {}
    }
    for path in &options.pythonpath {
        add(PYTHONPATH, path, Purpose::Enter, modules);
    }
    for path in options.targets().filter_map(|(_, target)| target.file()) {
        add(APPLICATION, path, Purpose::Read, Consequence::Fatal(3));
    }
    if let AccessLogTo::File(path) = &options.access_log {
        add("--access-log", path, Purpose::Append, FATAL);
    }
    if let Some(path) = &options.error_log {
        add("--error-log", path, Purpose::Append, FATAL);
    }
    if let Some(path) = &options.pid_file {
        add("--pid-file", path, Purpose::Replace, FATAL);
    }
    let reload = Consequence::Without("a reload will be refused");
    if let Some(path) = start.settings.file() {
        add("the configuration", path, Purpose::Read, reload);
    }
    for path in &options.env_file {
        add("--env-file", path, Purpose::Read, reload);
    }
    needs
}

fn obstacle(need: &Need, user: &str) -> Option<OutOfReach> {
    let error = need.purpose.attempt(&need.path).err()?;
    if need.may_be_missing && error == Errno::NOENT {
        return None;
    }
    let (reason, hint) = explain(need, error);
    Some(OutOfReach {
        user: user.to_owned(),
        what: need.what,
        path: need.path.clone(),
        purpose: need.purpose,
        reason,
        hint,
        exit_code: match need.consequence {
            Consequence::Fatal(code) => code,
            Consequence::Without(_) => 0,
        },
    })
}

/// Says why a path cannot be accessed, and what to do about it.
fn explain(need: &Need, errno: Errno) -> (String, String) {
    let error = io::Error::from(errno);
    let may_enter = |folder: &Path| enter(folder).is_ok();
    let mut followed = need.followed.iter();
    let closed = followed.find_map(|path| Some((path, first_closed(path, may_enter)?)));
    if let Some((path, folder)) = closed {
        let linked = match *path == need.path {
            true => String::new(),
            false => format!("it is a link to {}, and ", path.display()),
        };
        let folder = folder.display();
        let reason = format!("{linked}the user may not enter {folder} ({error})");
        return (reason, hint_at_closed(need, &folder.to_string()));
    }
    let is_created = matches!(need.purpose, Purpose::Append | Purpose::Replace);
    match need.path.parent() {
        Some(folder) if is_created && errno == Errno::NOENT => (
            format!("the directory {} does not exist", folder.display()),
            format!("create it, or let systemd do so with {}", need.directive()),
        ),
        _ => {
            let hint = "check its owner and mode, and those of its directory";
            (error.to_string(), hint.to_owned())
        }
    }
}

/// What to do about a directory that the user may not enter. root's own stays closed.
fn hint_at_closed(need: &Need, folder: &str) -> String {
    if need.purpose == Purpose::Run {
        return format!(
            "make the virtual environment from the system's Python (/usr/bin/python3 -m venv), or \
             from one outside {folder}"
        );
    }
    match folder {
        "/root" => "choose a place outside /root".to_owned(),
        folder => {
            format!("let that user enter {folder} (chmod o+x {folder}), or choose another place")
        }
    }
}

/// The path, and the paths that result from following each link on the way.
fn followed(path: &Path) -> Vec<PathBuf> {
    let first = Some(path.to_owned());
    let paths = std::iter::successors(first, |path| follow_first_link(path));
    paths.take(MAX_LINKS).collect()
}

fn follow_first_link(path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<_> = path.ancestors().collect();
    parts.reverse();
    parts.into_iter().find_map(|link| {
        let target = fs::read_link(link).ok()?;
        let rest = path.strip_prefix(link).ok()?;
        let target = link.parent()?.join(target);
        // An empty rest would leave a trailing slash.
        Some(target.join(rest).components().collect())
    })
}

/// The first directory on the way to `path` that exists and may not be entered.
fn first_closed(path: &Path, may_enter: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut folders: Vec<_> = path.ancestors().skip(1).collect();
    folders.reverse();
    let closed = folders.into_iter().find(|folder| !may_enter(folder))?;
    closed.is_dir().then(|| closed.to_owned())
}

fn enter(folder: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, folder, flags, Mode::empty())?;
    access(folder, Access::EXEC_OK)
}

const APPLICATION: &str = "the application";
const PYTHONPATH: &str = "--pythonpath";

/// path_resolution(7): the kernel gives up after 40.
const MAX_LINKS: usize = 41;

const FATAL: Consequence = Consequence::Fatal(2);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn first_folder_that_is_closed_is_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("a/b/c")).unwrap();
        for (closed, path, expected) in [
            (&["a/b"][..], "a/b/c/file", Some("a/b")),
            (&["a", "a/b"], "a/b/c/file", Some("a")),
            (&["a/b/c"], "a/b/c/file", Some("a/b/c")),
            // Only the directories on the way count.
            (&["a/b/c"], "a/b/c", None),
            (&[], "a/b/c/file", None),
            // A missing directory is not closed.
            (&["a/x"], "a/x/file", None),
        ] {
            let is_closed = |folder: &Path| closed.iter().any(|name| root.join(name) == folder);
            let found = first_closed(&root.join(path), |folder| !is_closed(folder));
            assert_eq!(
                found,
                expected.map(|name| root.join(name)),
                "{closed:?} {path}"
            );
        }
    }

    #[test]
    fn links_are_followed_one_by_one() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), "").unwrap();
        symlink("b/file", root.join("a/file")).unwrap();
        symlink(root.join("a"), root.join("folder")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let names = ["folder/file", "a/file", "a/b/file"];
        let expected = names.map(|name| root.join(name));
        // The path of the temporary directory may contain a link itself.
        assert!(followed(&root.join("folder/file")).ends_with(&expected));
        assert_eq!(followed(&root.join("loop")).len(), MAX_LINKS);
    }

    #[test]
    fn closed_directories_of_root_are_never_to_be_opened() {
        for (purpose, folder, expected) in [
            (Purpose::Run, "/root", "from the system's Python"),
            (Purpose::Run, "/home/alice", "outside /home/alice"),
            (Purpose::Read, "/root", "outside /root"),
            (Purpose::Read, "/home/alice", "chmod o+x /home/alice"),
        ] {
            let need = Need {
                what: "",
                path: PathBuf::new(),
                followed: Vec::new(),
                purpose,
                consequence: FATAL,
                may_be_missing: false,
            };
            let hint = hint_at_closed(&need, folder);
            assert!(hint.contains(expected), "{purpose:?} {folder}: {hint}");
        }
    }

    #[test]
    fn attempts_leave_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        for (purpose, possible) in [
            (Purpose::Run, false),
            (Purpose::Enter, false),
            (Purpose::Read, false),
            (Purpose::Append, true),
            (Purpose::Replace, true),
        ] {
            assert_eq!(purpose.attempt(&missing).is_ok(), possible, "{purpose:?}");
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let nowhere = missing.join("file");
        for purpose in [Purpose::Append, Purpose::Replace] {
            assert!(purpose.attempt(&nowhere).is_err(), "{purpose:?}");
        }
        assert!(Purpose::Enter.attempt(folder.path()).is_ok());
    }
}
