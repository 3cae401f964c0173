//! What `faulthandler` writes about threads.

use crate::control::{Call, ThreadStack, ThreadStacks};

/// Reads the stacks of all threads in a dump (`Python/traceback.c`). It has neither the names that
/// `threading` knows nor source lines. How many threads or calls it leaves out it does not say: then
/// it is at least one.
pub(crate) fn read_dump(text: &str) -> ThreadStacks {
    let mut stacks = ThreadStacks::default();
    for line in text.lines() {
        if let Some(ident) = ident_of(line) {
            stacks.threads.push(ThreadStack {
                ident: Some(ident),
                ..ThreadStack::default()
            });
        } else if line == MORE {
            stacks.threads_left_out = 1;
        } else if let Some(thread) = stacks.threads.last_mut() {
            let line = line.trim();
            if line == MORE {
                thread.calls_left_out = 1;
            } else if let Some(call) = call_of(line) {
                thread.calls.push(call);
            }
        }
    }
    // The dump has the most recent call first.
    for thread in &mut stacks.threads {
        thread.calls.reverse();
    }
    stacks
}

/// `Thread 0x00007f0000000001 (most recent call first):`, since Python 3.14 with the name that the
/// kernel knows.
fn ident_of(line: &str) -> Option<u64> {
    let rest = line
        .strip_prefix("Thread 0x")
        .or_else(|| line.strip_prefix("Current thread 0x"))?;
    let rest = rest.strip_suffix(" (most recent call first):")?;
    let ident = rest.split(' ').next().unwrap_or(rest);
    u64::from_str_radix(ident, 16).ok()
}

/// `File "/srv/app.py", line 3 in hang`.
fn call_of(line: &str) -> Option<Call> {
    let (file, rest) = line.strip_prefix("File ")?.rsplit_once(", line ")?;
    let (number, function) = rest.split_once(" in ")?;
    Some(Call {
        file: file.trim_matches('"').to_owned(),
        line: number.parse().ok(),
        function: function.to_owned(),
        source: None,
    })
}

const MORE: &str = "...";

#[cfg(test)]
mod tests {
    use super::*;

    fn call(file: &str, line: Option<u64>, function: &str) -> Call {
        Call {
            file: file.to_owned(),
            line,
            function: function.to_owned(),
            source: None,
        }
    }

    fn thread(ident: u64, calls: Vec<Call>) -> ThreadStack {
        ThreadStack {
            ident: Some(ident),
            calls,
            ..ThreadStack::default()
        }
    }

    #[test]
    fn dumps_of_all_releases_are_read() {
        let own = "  File \"/srv/a, line 1 in b.py\", line 3 in hang\n  \
                   File \"<string>\", line 12 in <module>\n";
        let calls = || {
            vec![
                call("<string>", Some(12), "<module>"),
                call("/srv/a, line 1 in b.py", Some(3), "hang"),
            ]
        };
        for (name, text, expected) in [
            ("nothing", String::new(), vec![]),
            (
                "one",
                format!("\nThread 0x00007f0000000a01 (most recent call first):\n{own}"),
                vec![thread(0x7f00_0000_0a01, calls())],
            ),
            (
                "two, one of them current, with names (3.14)",
                format!(
                    "Thread 0x00000000000000a1 [worker] (most recent call first):\n{own}\n\
                     Current thread 0x00000000000000a2 [a b] (most recent call first):\n{own}"
                ),
                vec![thread(0xa1, calls()), thread(0xa2, calls())],
            ),
            (
                "without frames",
                "Thread 0x00000000000000a1 (most recent call first):\n  <no Python frame>\n\
                 Thread 0x00000000000000a2 (most recent call first):\n<no Python frame>\n"
                    .to_owned(),
                vec![thread(0xa1, vec![]), thread(0xa2, vec![])],
            ),
            (
                "unknown code",
                "Thread 0x00000000000000a1 (most recent call first):\n  File ???, line ??? in ???\n"
                    .to_owned(),
                vec![thread(0xa1, vec![call("???", None, "???")])],
            ),
        ] {
            let stacks = read_dump(&text);
            assert_eq!(stacks.threads, expected, "{name}");
            assert_eq!(stacks.threads_left_out, 0, "{name}");
        }
    }

    #[test]
    fn what_the_dump_leaves_out_is_noticed() {
        let text = "Thread 0x00000000000000a1 (most recent call first):\n  \
                    File \"a.py\", line 3 in deep\n  ...\n...\n";
        let stacks = read_dump(text);
        assert_eq!(stacks.threads[0].calls_left_out, 1);
        assert_eq!(stacks.threads_left_out, 1);
    }
}
