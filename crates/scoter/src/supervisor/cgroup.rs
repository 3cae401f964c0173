//! This process's control group: limits and out-of-memory kills.

use std::fs;
use std::path::{Path, PathBuf};

/// The control group of this process, v2, v1 or both.
#[derive(Debug, Clone)]
pub(super) struct Cgroup {
    root: PathBuf,
    /// The path in the unified hierarchy.
    unified: Option<String>,
    /// The names of a v1 hierarchy's controllers, and the path in it.
    legacy: Vec<(String, String)>,
}

impl Cgroup {
    /// Reads `/proc/self/cgroup`.
    pub(super) fn of_this_process() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/cgroup").ok()?;
        Some(Self::parse(&text, Path::new("/sys/fs/cgroup")))
    }

    /// cgroups(7): lines of "ID:CONTROLLERS:PATH", with ID 0 and no controllers for v2.
    fn parse(text: &str, root: &Path) -> Self {
        let mut cgroup = Self {
            root: root.to_owned(),
            unified: None,
            legacy: Vec::new(),
        };
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if controllers.is_empty() {
                cgroup.unified = Some(path.to_owned());
            } else {
                cgroup
                    .legacy
                    .push((controllers.to_owned(), path.to_owned()));
            }
        }
        cgroup
    }

    /// Directories that may have a controller's files: the group's own first, then its parents',
    /// whose limits also apply. In a container the group's path is the host's, and its files are at
    /// the root.
    pub(super) fn folders(&self, controller: &str) -> impl Iterator<Item = PathBuf> {
        let unified = self.unified.iter().map(|path| (self.root.clone(), path));
        let legacy = self.legacy.iter().filter_map(move |(names, path)| {
            let has = names.split(',').any(|name| name == controller);
            has.then(|| (self.root.join(names), path))
        });
        let mut folders = Vec::new();
        for (root, path) in unified.chain(legacy) {
            let own = root.join(path.trim_start_matches('/'));
            let within = own
                .ancestors()
                .take_while(|folder| folder.starts_with(&root));
            folders.extend(within.map(Path::to_owned));
        }
        folders.into_iter()
    }

    /// The memory that the group may use, in bytes, if there is a limit.
    pub(super) fn memory_limit(&self) -> Option<u64> {
        // In v1 a number near 2^63 means "no limit".
        const NONE: u64 = 1 << 60;
        self.folders("memory")
            .flat_map(|folder| ["memory.max", "memory.limit_in_bytes"].map(|n| folder.join(n)))
            .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
            .filter(|limit| *limit < NONE)
            .min()
    }

    /// How many processes of the group the kernel has killed for lack of memory.
    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.folders("memory")
            .flat_map(|folder| ["memory.events", "memory.oom_control"].map(|n| folder.join(n)))
            .find_map(|path| parse_oom_kills(&fs::read_to_string(path).ok()?))
    }
}

fn parse_oom_kills(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|count| count.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_both_hierarchies_are_found_with_their_parents() {
        let text = "7:cpu,cpuacct:/a/b\n3:memory:/m\n0::/system.slice/x.service\n";
        let cgroup = Cgroup::parse(text, Path::new("/cg"));
        let folders: Vec<_> = cgroup
            .folders("cpu")
            .map(|folder| folder.display().to_string())
            .collect();
        assert_eq!(
            folders,
            [
                "/cg/system.slice/x.service",
                "/cg/system.slice",
                "/cg",
                "/cg/cpu,cpuacct/a/b",
                "/cg/cpu,cpuacct/a",
                "/cg/cpu,cpuacct"
            ]
        );
    }

    #[test]
    fn kills_and_limits_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("g");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("memory.max"), "max\n").unwrap();
        fs::write(own.join("memory.events"), "low 0\noom 3\noom_kill 2\n").unwrap();
        fs::write(folder.path().join("memory.max"), "1048576\n").unwrap();
        let cgroup = Cgroup::parse("0::/g\n", folder.path());
        assert_eq!(cgroup.memory_limit(), Some(1_048_576));
        assert_eq!(cgroup.oom_kills(), Some(2));
    }
}
