//! Formats [`Stacks`] for people, each stack as Python prints it.

use std::fmt::Write as _;

use super::render::{ascii, printable_line};
use crate::control::human::short;
use crate::control::{SlotStatus, Stacks, ThreadStack, ThreadStacks, WorkerStacks};

/// Renders the output of `scoter stacks`.
pub(super) fn render(stacks: &Stacks) -> String {
    if stacks.workers.is_empty() {
        return "no workers: the log says what the server is waiting for\n".to_owned();
    }
    let workers = stacks.workers.iter().map(worker);
    workers.collect::<Vec<_>>().join("\n")
}

fn worker(worker: &WorkerStacks) -> String {
    let WorkerStacks {
        id,
        pid,
        generation,
        phase,
        stacks,
    } = worker;
    let mut text = format!("worker {id}, pid {pid}, generation {generation}: {phase}\n");
    let ThreadStacks {
        problem,
        threads,
        threads_left_out,
    } = stacks;
    // Writing to a string cannot fail.
    if let Some(problem) = problem {
        let _ = writeln!(text, "  {}", printable_line(problem));
    }
    let (idle, threads): (Vec<_>, Vec<_>) = threads.iter().partition(|thread| is_idle(thread));
    for thread in threads {
        write_thread(&mut text, thread);
    }
    if !idle.is_empty() {
        let idle: Vec<_> = idle.into_iter().map(place).collect();
        let _ = writeln!(text, "  idle: {}", idle.join(", "));
    }
    if *threads_left_out > 0 {
        let _ = writeln!(text, "  … {}", more(*threads_left_out, "threads"));
    }
    text
}

/// Whether a thread waits for a request, and executes nothing.
fn is_idle(thread: &ThreadStack) -> bool {
    let slot = thread.slot.as_ref();
    thread.calls.is_empty() && slot.is_some_and(|slot| !slot.is_busy())
}

fn write_thread(text: &mut String, thread: &ThreadStack) {
    let _ = write!(text, "  {}", place(thread));
    if let Some(slot) = &thread.slot {
        let _ = write!(text, ": {}", work(slot));
    }
    text.push('\n');
    if thread.calls_left_out > 0 {
        let _ = writeln!(text, "    … {}", more(thread.calls_left_out, "calls"));
    }
    for call in &thread.calls {
        let line = call
            .line
            .map_or_else(|| "?".to_owned(), |it| it.to_string());
        let (file, function) = (printable_line(&call.file), printable_line(&call.function));
        let _ = writeln!(text, "    File \"{file}\", line {line}, in {function}");
        if let Some(source) = &call.source {
            let _ = writeln!(text, "      {}", printable_line(source));
        }
    }
}

/// One may also mean that their number is unknown.
fn more(count: u64, what: &str) -> String {
    match count {
        1 => format!("more {what}"),
        _ => format!("{count} more {what}"),
    }
}

/// Which thread it is.
fn place(thread: &ThreadStack) -> String {
    let name = thread.name.as_deref().map(printable_line);
    match (&thread.slot, name, thread.ident) {
        (Some(slot), Some(name), _) => format!("slot {} ({name})", slot.slot),
        (Some(slot), None, _) => format!("slot {}", slot.slot),
        (None, Some(name), _) => format!("thread {name}"),
        (None, None, Some(ident)) => format!("thread {ident:#x}"),
        (None, None, None) => "thread".to_owned(),
    }
}

/// What a slot is doing.
fn work(slot: &SlotStatus) -> String {
    if !slot.is_busy() {
        return slot.phase.to_string();
    }
    let part = |text: &Option<String>| ascii(text.as_deref().unwrap_or_default());
    format!(
        "{} {}, {} for {}, id {}",
        part(&slot.method),
        part(&slot.uri),
        slot.phase,
        short(slot.age_ms.unwrap_or_default()),
        part(&slot.request_id)
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::busy_status;
    use super::*;
    use crate::control::{Call, WorkerPhase};

    fn call(file: &str, line: Option<u64>, function: &str, source: Option<&str>) -> Call {
        Call {
            file: file.to_owned(),
            line,
            function: function.to_owned(),
            source: source.map(str::to_owned),
        }
    }

    #[test]
    fn stacks_are_shown_with_what_each_thread_serves() {
        let slots = &busy_status().workers[0].slots;
        let calls = vec![
            call(
                "/srv/app.py",
                Some(12),
                "application",
                Some("return report()"),
            ),
            call("/srv/app.py", Some(3), "report", None),
        ];
        let thread = |name: &str| ThreadStack {
            name: Some(name.to_owned()),
            ..ThreadStack::default()
        };
        let stacks = Stacks {
            workers: vec![
                WorkerStacks {
                    id: 1,
                    pid: 4_243,
                    generation: 3,
                    phase: WorkerPhase::Ready,
                    stacks: ThreadStacks {
                        problem: None,
                        threads: vec![
                            ThreadStack {
                                slot: Some(slots[1].clone()),
                                calls: calls.clone(),
                                calls_left_out: 7,
                                ..thread("scoter-slot-1")
                            },
                            ThreadStack {
                                slot: Some(slots[0].clone()),
                                ..thread("MainThread")
                            },
                            ThreadStack {
                                slot: Some(slots[0].clone()),
                                ..thread("scoter-slot-2")
                            },
                            ThreadStack {
                                calls: vec![call("???", None, "???", None)],
                                ..thread("flusher")
                            },
                        ],
                        threads_left_out: 3,
                    },
                },
                WorkerStacks {
                    id: 2,
                    phase: WorkerPhase::Unresponsive,
                    stacks: ThreadStacks::missing("no answer", vec![slots[1].clone()]),
                    ..WorkerStacks::default()
                },
            ],
        };
        assert_eq!(
            render(&stacks),
            "\
worker 1, pid 4243, generation 3: ready
  slot 1 (scoter-slot-1): GET /report?month=11, running for 1.2s, id 5f3a
    … 7 more calls
    File \"/srv/app.py\", line 12, in application
      return report()
    File \"/srv/app.py\", line 3, in report
  thread flusher
    File \"???\", line ?, in ???
  idle: slot 0 (MainThread), slot 0 (scoter-slot-2)
  … 3 more threads

worker 2, pid 0, generation 0: unresponsive
  no answer
  slot 1: GET /report?month=11, running for 1.2s, id 5f3a
"
        );
    }

    #[test]
    fn server_without_workers_says_where_to_look() {
        assert!(render(&Stacks::default()).contains("the log"));
    }

    #[test]
    fn peers_and_applications_cannot_send_control_sequences_to_the_terminal() {
        let mut slot = busy_status().workers[0].slots[1].clone();
        slot.uri = Some("/\x1b[2J\n\u{9b}31m\u{202e}".to_owned());
        let hostile = "a\x1b[31m\nworker 2, pid 1";
        let stacks = Stacks {
            workers: vec![WorkerStacks {
                stacks: ThreadStacks {
                    problem: Some(hostile.to_owned()),
                    threads: vec![
                        ThreadStack {
                            slot: Some(slot),
                            ..ThreadStack::default()
                        },
                        ThreadStack {
                            name: Some(hostile.to_owned()),
                            calls: vec![call(hostile, Some(1), hostile, Some(hostile))],
                            ..ThreadStack::default()
                        },
                    ],
                    threads_left_out: 0,
                },
                ..WorkerStacks::default()
            }],
        };
        let text = render(&stacks);
        assert!(text.contains("GET /?[2J??31m?, running"), "{text}");
        let controls = text.chars().filter(|it| it.is_control() && *it != '\n');
        assert_eq!(controls.count(), 0, "{text}");
        assert_eq!(text.matches("a?[31m?worker 2, pid 1").count(), 5, "{text}");
        assert_eq!(text.lines().count(), 6, "{text}");
    }
}
