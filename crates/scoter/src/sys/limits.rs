//! Limits of the system that a process has reached, and how they are raised.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// The hint for a system error that a limit has caused, on a line of its own.
pub(crate) fn hint_for(error: &io::Error) -> String {
    let hint = match Errno::from_io_error(error) {
        Some(Errno::MFILE) => open_files(soft(Resource::Nofile)),
        Some(Errno::NFILE) => "raise the system's limit of open files, fs.file-max".to_owned(),
        Some(Errno::AGAIN) => threads(soft(Resource::As), soft(Resource::Nproc)),
        Some(Errno::NOMEM) => memory(soft(Resource::As)),
        _ => return String::new(),
    };
    format!("\nhint: {hint}")
}

/// The hint if a thread could not be started.
pub(crate) fn hint_for_threads() -> String {
    let hint = threads(soft(Resource::As), soft(Resource::Nproc));
    format!("\nhint: {hint}")
}

/// The limit in force, if there is one.
fn soft(resource: Resource) -> Option<u64> {
    getrlimit(resource).current
}

fn open_files(limit: Option<u64>) -> String {
    let limit = limit.map_or_else(String::new, |limit| format!(" of {limit}"));
    format!(
        "raise the open file limit{limit} (LimitNOFILE= in the systemd unit, or ulimit -n), or \
         lower --threads or --workers"
    )
}

fn threads(address_space: Option<u64>, processes: Option<u64>) -> String {
    if address_space.is_some() {
        return format!("{}, or lower --threads", memory(address_space));
    }
    let processes = processes.map_or_else(String::new, |limit| format!(" of {limit}"));
    format!(
        "raise the limit of processes and threads: TasksMax= in the systemd unit or pids.max of \
         the cgroup, or the user's limit{processes} (LimitNPROC=, ulimit -u)"
    )
}

fn memory(address_space: Option<u64>) -> String {
    match address_space {
        Some(bytes) => format!(
            "raise the address space limit of {} KiB (LimitAS= in the systemd unit, or ulimit -v), \
             which stacks of threads count towards",
            bytes / 1_024
        ),
        None => "there is not enough memory: look for a limit of the cgroup (MemoryMax= in the \
                 systemd unit)"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_limit_and_where_it_is_set() {
        for (hint, words) in [
            (
                open_files(Some(32)),
                &["limit of 32 ", "LimitNOFILE=", "ulimit -n"][..],
            ),
            (open_files(None), &["limit (LimitNOFILE="]),
            (
                threads(Some(307_200_000), Some(20)),
                &[
                    "address space limit of 300000 KiB",
                    "ulimit -v",
                    "--threads",
                ],
            ),
            (
                threads(None, Some(20)),
                &["TasksMax=", "limit of 20 ", "ulimit -u"],
            ),
            (threads(None, None), &["limit (LimitNPROC="]),
            (memory(None), &["MemoryMax="]),
        ] {
            for word in words {
                assert!(hint.contains(word), "{word:?} in {hint}");
            }
        }
    }

    #[test]
    fn other_errors_have_no_hint() {
        assert_eq!(hint_for(&io::Error::other("x")), "");
        assert_eq!(hint_for(&io::Error::from(Errno::ACCESS)), "");
        assert!(hint_for(&io::Error::from(Errno::MFILE)).starts_with("\nhint: raise"));
    }
}
