//! Asking workers where their threads are.

use std::io;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Runtime;
use crate::control::{SlotStatus, Stacks, ThreadStacks, WorkerStacks};
use crate::supervisor::core::WorkerView;
use crate::supervisor::worker::Worker;
use crate::sys::process_stat::ProcessStat;

/// A worker that has been asked, or the reason why it could not be.
struct Question {
    about: WorkerStacks,
    /// The requests that it runs, for when it does not answer.
    busy: Vec<SlotStatus>,
    answer: Result<UnixStream, String>,
}

/// A worker's answer, and its length in bytes.
type Answered = (WorkerStacks, usize);

impl Runtime {
    /// Asks all workers, or those with this number, and sends their answers to `reply`.
    pub(super) fn report_stacks(
        &self,
        worker: Option<u32>,
        reply: oneshot::Sender<Result<Stacks, String>>,
    ) {
        let view = self.core.view(Instant::now());
        let is_asked = |known: &&WorkerView| worker.is_none_or(|id| known.id == id);
        let known = view.workers.iter().filter(is_asked);
        let known = known.filter_map(|known| Some((known, self.workers.get(&known.serial)?)));
        let mut questions: Vec<_> = known
            .map(|(it, worker)| Question::ask(it, worker))
            .collect();
        questions.sort_by_key(|question| (question.about.id, question.about.generation));
        if let (Some(id), []) = (worker, &questions[..]) {
            let ids = view.workers.iter().map(|known| known.id).collect();
            let _ = reply.send(Err(unknown(id, ids)));
            return;
        }
        tokio::spawn(async move {
            // At the same time, because each of them may fail to answer.
            let answers = questions.into_iter().map(|it| tokio::spawn(it.answer()));
            let mut workers = Vec::new();
            for answer in answers.collect::<Vec<_>>() {
                workers.extend(answer.await);
            }
            let _ = reply.send(Ok(Stacks {
                workers: bounded(workers),
            }));
        });
    }
}

impl Question {
    fn ask(known: &WorkerView, worker: &Worker) -> Self {
        let slots = (0..).zip(worker.board.cells());
        let slots = slots.map(|(slot, cell)| SlotStatus::new(slot, cell.read()));
        Self {
            about: WorkerStacks {
                id: known.id,
                pid: known.pid.map_or(0, Pid::as_raw),
                generation: known.generation,
                phase: known.phase,
                stacks: ThreadStacks::default(),
            },
            busy: slots.filter(SlotStatus::is_busy).collect(),
            answer: match known.pid {
                Some(_) => worker.ask_for_stacks().map_err(|error| match error.kind() {
                    io::ErrorKind::WouldBlock => "it does not read what it is asked".to_owned(),
                    _ => format!("it cannot be asked: {error}"),
                }),
                None => Err("its launcher has not forked it yet".to_owned()),
            },
        }
    }

    async fn answer(self) -> Answered {
        let Self {
            about,
            busy,
            answer,
        } = self;
        let pid = Pid::from_raw(about.pid);
        let found = match answer {
            Ok(stream) => match timeout(ANSWER_TIMEOUT, receive(stream)).await {
                Ok(received) => received,
                Err(_) => Err(silence(ProcessStat::of(pid).ok().as_ref())),
            },
            Err(problem) => Err(problem),
        };
        let (stacks, bytes) = found.unwrap_or_else(|problem| {
            let stacks = ThreadStacks::missing(problem, busy);
            (stacks, 0)
        });
        (WorkerStacks { stacks, ..about }, bytes)
    }
}

async fn receive(stream: UnixStream) -> Result<(ThreadStacks, usize), String> {
    let mut json = Vec::new();
    let received = stream.take(MAX_ANSWER).read_to_end(&mut json).await;
    received.map_err(|error| format!("its answer cannot be read: {error}"))?;
    // Application code may have closed the stream, too.
    let stacks = serde_json::from_slice(&json).map_err(|_| "it ended before it had answered")?;
    Ok((stacks, json.len()))
}

fn unknown(id: u32, mut known: Vec<u32>) -> String {
    known.sort_unstable();
    known.dedup();
    let known: Vec<_> = known.iter().map(u32::to_string).collect();
    match known.as_slice() {
        [] => format!("there is no worker {id}: there are none now"),
        [one] => format!("there is no worker {id}: the only one is {one}"),
        _ => format!("there is no worker {id}: there are {}", known.join(", ")),
    }
}

/// Why a worker does not answer, although its reactor needs no Python for that.
fn silence(process: Option<&ProcessStat>) -> String {
    let seconds = ANSWER_TIMEOUT.as_secs();
    let why = match process {
        Some(process) if process.is_stopped => "its process is stopped (SIGSTOP, a debugger)",
        Some(process) if process.has_ended => "its process has ended",
        _ => "its process gets no CPU time, or very many threads compete for the GIL",
    };
    format!("no answer within {seconds} s: {why}")
}

/// Leaves out the stacks of the last workers where all are too much for one response.
fn bounded(answered: Vec<Answered>) -> Vec<WorkerStacks> {
    let mut total = 0;
    let workers = answered.into_iter().map(|(mut worker, bytes)| {
        total += bytes;
        if total > MAX_ANSWERS {
            let id = worker.id;
            let problem = format!("too much for one response: ask for worker {id} alone");
            worker.stacks = ThreadStacks::missing(problem, Vec::new());
        }
        worker
    });
    workers.collect()
}

/// How long a worker may take: one that is running answers within a second even if C code keeps
/// the GIL.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of an answer: far more than a worker sends.
const MAX_ANSWER: u64 = 16 * 1_024 * 1_024;

/// Bytes of all answers; a client accepts twice as many.
const MAX_ANSWERS: usize = 32 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[test]
    fn unknown_worker_is_refused_with_the_known_ones() {
        for (known, expected) in [
            (vec![], "there is no worker 7: there are none now"),
            (vec![1], "there is no worker 7: the only one is 1"),
            (vec![2, 1, 2], "there is no worker 7: there are 1, 2"),
        ] {
            assert_eq!(unknown(7, known), expected);
        }
    }

    #[test]
    fn silence_is_explained_by_the_state_of_the_process() {
        let process = |has_ended, is_stopped| ProcessStat {
            cpu: None,
            name: "scoter-w1".to_owned(),
            has_ended,
            is_stopped,
        };
        for (process, expected) in [
            (Some(process(false, true)), "stopped"),
            (Some(process(true, false)), "ended"),
            (Some(process(false, false)), "CPU time"),
            (None, "CPU time"),
        ] {
            let text = silence(process.as_ref());
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn last_workers_are_left_out_where_all_are_too_much() {
        let worker = |id, bytes| {
            let worker = WorkerStacks {
                id,
                ..WorkerStacks::default()
            };
            (worker, bytes)
        };
        let workers = bounded(vec![worker(1, MAX_ANSWERS), worker(2, 1), worker(3, 0)]);
        let left_out = workers.iter().map(|it| it.stacks.problem.is_some());
        assert_eq!(left_out.collect::<Vec<_>>(), [false, true, true]);
    }

    #[tokio::test]
    async fn answer_that_is_not_whole_is_that_of_a_worker_that_has_ended() {
        for (sent, expected) in [
            (&br#"{"threads_left_out":3}"#[..], Ok(3)),
            (br#"{"threads_left"#, Err("it ended before it had answered")),
            (b"", Err("it ended before it had answered")),
        ] {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(sent).await.unwrap();
            drop(theirs);
            let received = receive(ours).await;
            let received = received.map(|(stacks, _)| stacks.threads_left_out);
            assert_eq!(received, expected.map_err(str::to_owned));
        }
    }
}
