//! Threads that Python is starting and that the kernel does not run yet.
//!
//! Before Python 3.12 the state of such a thread has the identifier of the thread that starts it:
//! `_thread.start_new_thread` creates it with `_PyThreadState_Prealloc`, which notes the calling
//! thread, and only `thread_run`, in the new thread, corrects that. It is first in the list of
//! states, so `PyThreadState_SetAsyncExc` takes it for the other. Since 3.12 `bind_tstate` notes the
//! identifier, in the new thread.

use pyo3::prelude::*;

/// Whether a thread can have the identifier of another one.
pub(crate) fn has_foreign_ident(py: Python<'_>) -> bool {
    py.version_info() < (3, 12)
}

/// Whether the thread `ident` is starting another one, in what `faulthandler` writes about all
/// threads: of several with the identifier, the first has no frame yet. It writes about the 100
/// newest; if there are more, the thread itself may be missing.
///
/// While the caller keeps the GIL, no thread can be created: "no" remains true.
pub(crate) fn is_starting(ident: u64, dump: &str) -> bool {
    let mut lines = dump.lines();
    let header = format!("hread 0x{ident:016x} (most recent call first):");
    let found = lines.any(|line| line.ends_with(&header));
    // Indented since Python 3.10.
    if !found || lines.next().map(str::trim_start) != Some(NO_FRAME) {
        return false;
    }
    lines.any(|line| line.ends_with(&header) || line == MORE_THREADS)
}

const NO_FRAME: &str = "<no Python frame>";
const MORE_THREADS: &str = "...";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_is_starting_another_while_both_have_its_identifier() {
        let frame = "  File \"/srv/app.py\", line 3 in application\n";
        let none = "  <no Python frame>\n";
        let own = "Thread 0x00007f0000000001 (most recent call first):\n";
        let current = "\nCurrent thread 0x00007f0000000001 (most recent call first):\n";
        let other = "Thread 0x00007f0000000002 (most recent call first):\n";
        for (name, parts, starting) in [
            ("nothing", vec![], false),
            ("only itself", vec![own, frame], false),
            ("only itself, in C code", vec![own, none], false),
            (
                "another's",
                vec![other, none, own, frame, other, none],
                false,
            ),
            ("its own", vec![own, none, own, frame], true),
            (
                "its own, in 3.9",
                vec![own, none.trim_start(), own, frame],
                true,
            ),
            (
                "its own, itself in C code",
                vec![own, none, own, none],
                true,
            ),
            (
                "its own, itself marked",
                vec![own, none, current, frame],
                true,
            ),
            (
                "its own, of several",
                vec![other, none, own, none, other, frame, own, frame],
                true,
            ),
            (
                "a dead one of that identifier",
                vec![own, frame, own, none],
                false,
            ),
            (
                "itself beyond the limit",
                vec![own, none, other, frame, "...\n"],
                true,
            ),
            (
                "a deep stack",
                vec![own, none, other, frame, "  ...\n"],
                false,
            ),
        ] {
            assert_eq!(
                is_starting(0x7f00_0000_0001, &parts.concat()),
                starting,
                "{name}"
            );
        }
    }
}
