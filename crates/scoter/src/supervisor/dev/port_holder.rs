//! Which process listens on a port.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// The command and the process ID of whoever listens on a TCP port of this machine; `None` unless it
/// is a process that this one may examine.
pub(super) fn find(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(fs::read_to_string);
    let mut sockets = tables
        .iter()
        .flatten()
        .flat_map(|table| sockets_in(table, port));
    sockets.find_map(|inode| {
        let socket = PathBuf::from(format!("socket:[{inode}]"));
        let processes = fs::read_dir("/proc")
            .ok()?
            .flatten()
            .map(|entry| entry.path());
        let is_number = |path: &PathBuf| path.file_name().is_some_and(is_pid);
        let processes = processes.filter(is_number);
        let mut holders = processes.filter(|process| has_open(process, &socket));
        let holder = holders.next()?;
        let pid = holder.file_name()?.to_str()?;
        Some(format!("{} (process {pid})", command(&holder)?))
    })
}

/// The inodes of sockets that listen on `port`, from a table as in proc(5).
fn sockets_in(table: &str, port: u16) -> Vec<u64> {
    let port = format!(":{port:04X}");
    let lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&port)))
        .filter(|fields| fields.get(3) == Some(&LISTEN))
        .filter_map(|fields| fields.get(9)?.parse().ok())
        .collect()
}

fn is_pid(name: &OsStr) -> bool {
    name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
}

fn has_open(process: &Path, socket: &Path) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target == socket))
}

fn command(process: &Path) -> Option<String> {
    let words = fs::read(process.join("cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words);
    Some(shown(words.trim_end_matches('\0')))
}

/// Words as they tell most in a line: programs without the directories that they are in.
fn shown(words: &str) -> String {
    let is_harmless = |c: &char| !c.is_control();
    let words = words.split('\0').map(|word| match word.rsplit_once('/') {
        Some((folder, name)) if folder.is_empty() || folder.starts_with('/') => name,
        _ => word,
    });
    let words: Vec<_> = words.collect();
    let line = words.join(" ");
    line.chars().filter(is_harmless).take(MAX_COMMAND).collect()
}

/// TCP_LISTEN in the kernel's include/net/tcp_states.h.
const LISTEN: &str = "0A";

/// Characters of a command that say which one it is.
const MAX_COMMAND: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_shown_without_the_directories_of_programs() {
        for (words, expected) in [
            (
                "/home/a/projects/long/name/shop/.venv/bin/python\0/home/a/projects/long/name/shop/.venv/\
                 bin/scoter\0dev\0app:app",
                "python scoter dev app:app",
            ),
            (
                "nginx: master process /usr/sbin/nginx",
                "nginx: master process /usr/sbin/nginx",
            ),
            ("./serve\0--at\0a/b", "./serve --at a/b"),
            ("a\x1b[2J", "a[2J"),
        ] {
            assert_eq!(shown(words), expected);
        }
    }

    #[test]
    fn only_sockets_that_listen_on_the_port_are_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n\
             1: 0100007F:1F40 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n\
             2: 0100007F:1F41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1\n";
        assert_eq!(sockets_in(table, 8_000), [4_711]);
    }
}
