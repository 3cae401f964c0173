//! Reading stacks: with the interpreter or, if C code does not release the GIL, without.

use std::path::Path;
use std::sync::{Arc, Mutex as StdMutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use tokio::sync::{Mutex, oneshot};
use tokio::time::{sleep, timeout};

use crate::control::{Call, SlotStatus, ThreadStack, ThreadStacks};
use crate::python::request_timeout::PythonThread;
use crate::python::stacks::{GilTimeout, STEP, Stack, read_dump, stacks_of};
use crate::worker::Shared;

/// Whoever reads stacks takes turns, so that at most one thread waits for the GIL.
#[derive(Debug, Default)]
pub(crate) struct Examination {
    turn: Mutex<()>,
    job: StdMutex<Job>,
    /// Locked while source lines are read, which may take longer than a turn.
    sources: StdMutex<()>,
}

/// Whose stacks to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// Of the threads of these slots.
    Slots(Vec<usize>),
}

/// What the thread that reads is doing. It may be later than whoever has asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Job {
    #[default]
    None,
    /// All threads of the pool are busy.
    Queued,
    WaitsForGil,
    Reads,
}

/// Why the interpreter gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unavailable {
    /// C code does not release the GIL.
    Gil,
    /// It has been reached, and answers too late.
    TooSlow,
}

/// Reads stacks. Never waits for long.
pub(crate) async fn examine(shared: &Arc<Shared>, wanted: Wanted) -> ThreadStacks {
    let examination = &shared.examination;
    let _turn = examination.turn.lock().await;
    let read = match examination.earlier_job().await {
        Job::None => ask_the_interpreter(shared, wanted.clone()).await,
        // For an earlier examination, since longer than this one would wait.
        Job::WaitsForGil => Err(Unavailable::Gil),
        Job::Queued | Job::Reads => Err(Unavailable::TooSlow),
    };
    match read {
        Ok(stacks) => stacks,
        Err(Unavailable::Gil) => read_without_interpreter(shared, wanted).await,
        Err(Unavailable::TooSlow) => {
            ThreadStacks::missing(TOO_SLOW, busy_slots(&slots(shared, &wanted)))
        }
    }
}

impl Examination {
    /// What the thread of the last examination is still doing. If that is not to wait for the GIL,
    /// it is about to end.
    async fn earlier_job(&self) -> Job {
        let begun = Instant::now();
        loop {
            let job = self.job();
            let may_end = matches!(job, Job::Queued | Job::Reads);
            if !may_end || begun.elapsed() >= READ_TIMEOUT {
                return job;
            }
            sleep(JOB_CHECK_INTERVAL).await;
        }
    }

    fn job(&self) -> Job {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_job(&self, job: Job) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }
}

/// Notes the end of the job, panics included.
struct JobEnd(Arc<Shared>);

impl Drop for JobEnd {
    fn drop(&mut self) {
        self.0.examination.set_job(Job::None);
    }
}

async fn ask_the_interpreter(
    shared: &Arc<Shared>,
    wanted: Wanted,
) -> Result<ThreadStacks, Unavailable> {
    let (calls, mut read) = oneshot::channel();
    let (sources, completed) = oneshot::channel();
    shared.examination.set_job(Job::Queued);
    let end = JobEnd(Arc::clone(shared));
    shared.examiners.submit(move || {
        let shared = Arc::clone(&end.0);
        shared.examination.set_job(Job::WaitsForGil);
        Python::attach(|py| {
            shared.examination.set_job(Job::Reads);
            let read = read_with_interpreter(py, &shared, &wanted);
            let _ = calls.send(read.report.clone());
            // Others need not wait for the sources.
            drop(end);
            let reading = shared.examination.sources.try_lock();
            if !matches!(reading, Err(TryLockError::WouldBlock)) {
                let _ = sources.send(read.with_sources(py));
            }
        });
    });
    let mut gil_timeout = GilTimeout::among(shared.running());
    // For a thread of the pool, or for the stacks.
    let mut elsewhere = Duration::ZERO;
    let stacks = loop {
        let begun = Instant::now();
        if let Ok(received) = timeout(STEP, &mut read).await {
            // Without stacks there was a panic, which has been logged.
            break received.map_err(|_| Unavailable::TooSlow)?;
        }
        let is_over = match shared.examination.job() {
            Job::WaitsForGil if gil_timeout.is_over_after(begun.elapsed()) => {
                return Err(Unavailable::Gil);
            }
            Job::WaitsForGil => false,
            Job::None | Job::Queued | Job::Reads => {
                elsewhere += begun.elapsed();
                elsewhere >= READ_TIMEOUT
            }
        };
        if is_over {
            return Err(Unavailable::TooSlow);
        }
    };
    // They are on a disk, which may not answer.
    Ok(match timeout(SOURCES_TIMEOUT, completed).await {
        Ok(Ok(with_sources)) => with_sources,
        Ok(Err(_)) | Err(_) => stacks,
    })
}

/// The stacks without their source lines, and what these are found by.
struct Read<'py> {
    report: ThreadStacks,
    stacks: Vec<Stack<'py>>,
}

fn read_with_interpreter<'py>(py: Python<'py>, shared: &Shared, wanted: &Wanted) -> Read<'py> {
    let threads = threads(shared, wanted);
    let is_wanted = |thread| match wanted {
        Wanted::All => true,
        Wanted::Slots(_) => threads.iter().any(|(_, it)| *it == thread),
    };
    let stacks = match stacks_of(py, is_wanted) {
        Ok(stacks) => stacks,
        Err(error) => {
            let busy = busy_slots(&slots(shared, wanted));
            return Read {
                report: ThreadStacks::missing(error.to_string(), busy),
                stacks: Vec::new(),
            };
        }
    };
    // Before any Python code runs, so that these are the requests that the stacks are of.
    let slots = slots(shared, wanted);
    let described = stacks.iter().map(|stack| {
        let mut described = stack.describe(py);
        described.slot = slot_of(&threads, &slots, stack.thread());
        if is_idle(&described) && stack.waits_in_scoter() {
            described.calls.clear();
            described.calls_left_out = 0;
        }
        described
    });
    let described = described.collect();
    Read {
        report: with_silent_slots(described, &threads, &slots).bounded(),
        stacks,
    }
}

impl Read<'_> {
    fn with_sources(mut self, py: Python<'_>) -> ThreadStacks {
        for described in &mut self.report.threads {
            let ident = described.ident;
            let stack = self.stacks.iter().find(|it| Some(it.thread().0) == ident);
            if let Some(stack) = stack {
                stack.add_sources(py, described);
            }
        }
        self.report
    }
}

/// What `faulthandler` finds, while the GIL cannot be had.
async fn read_without_interpreter(shared: &Arc<Shared>, wanted: Wanted) -> ThreadStacks {
    let dumping = Arc::clone(shared);
    // Not where others wait for the interpreter.
    let dumped = shared.files.run(move || {
        let last_resort = dumping.monitor.last_resort()?;
        Some(last_resort.stacks())
    });
    let dumped = dumped.await;
    let slots = slots(shared, &wanted);
    let text = match dumped {
        Ok(Some(Ok(text))) => text,
        Ok(Some(Err(error))) => {
            let problem = format!("{GIL_IS_HELD}; the stacks cannot be read: {error}");
            return ThreadStacks::missing(problem, busy_slots(&slots));
        }
        Ok(None) | Err(_) => return ThreadStacks::missing(GIL_IS_HELD, busy_slots(&slots)),
    };
    let threads = threads(shared, &wanted);
    let ThreadStacks {
        threads: mut described,
        threads_left_out,
        ..
    } = read_dump(&text);
    for thread in &mut described {
        let ident = PythonThread(thread.ident.unwrap_or_default());
        thread.slot = slot_of(&threads, &slots, ident);
        if is_idle(thread) && thread.calls.last().is_none_or(is_of_scoter) {
            thread.calls.clear();
        }
    }
    // A thread without frames waits for the GIL on behalf of an examination.
    let has_frames = |thread: &ThreadStack| wanted == Wanted::All && !thread.calls.is_empty();
    described.retain(|thread| thread.slot.is_some() || has_frames(thread));
    let mut stacks = with_silent_slots(described, &threads, &slots);
    stacks.problem = Some(format!("{GIL_IS_HELD} {ABOUT_DUMPS}"));
    stacks.threads_left_out += threads_left_out;
    stacks.bounded()
}

/// The wanted slots whose threads are known, and these threads.
fn threads(shared: &Shared, wanted: &Wanted) -> Vec<(usize, PythonThread)> {
    let slots = shared.monitor.slots().iter().map(|slot| slot.thread());
    let slots = slots.enumerate();
    let known = slots.filter(|(index, thread)| thread.0 != 0 && wanted.includes(*index));
    known.collect()
}

/// What the wanted slots are doing, and their numbers.
fn slots(shared: &Shared, wanted: &Wanted) -> Vec<(usize, SlotStatus)> {
    let cells = shared.board.cells().iter().enumerate();
    let cells = cells.filter(|(index, _)| wanted.includes(*index));
    cells
        .map(|(index, cell)| {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            (index, SlotStatus::new(number, cell.read()))
        })
        .collect()
}

impl Wanted {
    fn includes(&self, slot: usize) -> bool {
        match self {
            Self::All => true,
            Self::Slots(slots) => slots.contains(&slot),
        }
    }
}

fn busy_slots(slots: &[(usize, SlotStatus)]) -> Vec<SlotStatus> {
    let busy = slots.iter().filter(|(_, slot)| slot.is_busy());
    busy.map(|(_, slot)| slot.clone()).collect()
}

fn slot_of(
    threads: &[(usize, PythonThread)],
    slots: &[(usize, SlotStatus)],
    thread: PythonThread,
) -> Option<SlotStatus> {
    let (index, _) = threads.iter().find(|(_, it)| *it == thread)?;
    let (_, slot) = slots.iter().find(|(it, _)| it == index)?;
    Some(slot.clone())
}

/// Adds the slots whose threads have no Python frame at all.
fn with_silent_slots(
    mut described: Vec<ThreadStack>,
    threads: &[(usize, PythonThread)],
    slots: &[(usize, SlotStatus)],
) -> ThreadStacks {
    for (index, slot) in slots {
        let Some((_, thread)) = threads.iter().find(|(it, _)| it == index) else {
            continue;
        };
        if !described.iter().any(|it| it.ident == Some(thread.0)) {
            described.push(ThreadStack {
                ident: Some(thread.0),
                slot: Some(slot.clone()),
                ..ThreadStack::default()
            });
        }
    }
    ThreadStacks {
        threads: described,
        ..ThreadStacks::default()
    }
}

/// Whether a thread is that of a slot without a request.
fn is_idle(thread: &ThreadStack) -> bool {
    thread.slot.as_ref().is_some_and(|slot| !slot.is_busy())
}

/// Whether a call is one of those that have started the thread of a slot, by its file: in
/// `threading`, or in the package of scoter.
fn is_of_scoter(call: &Call) -> bool {
    let path = Path::new(&call.file);
    let folder = path.parent().and_then(Path::file_name);
    let is_thread = call.function == "run" && path.ends_with("threading.py");
    is_thread || folder.is_some_and(|folder| folder == "scoter")
}

/// How long reading the frames may take once the GIL has been obtained.
const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Between looks at the thread of an earlier examination.
const JOB_CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// How long reading the source lines may take. Other threads have the GIL in between.
const SOURCES_TIMEOUT: Duration = Duration::from_secs(1);

const GIL_IS_HELD: &str = "C code holds the GIL: nothing else in this process executes Python";

const ABOUT_DUMPS: &str = "(stacks from faulthandler, without source lines)";

const TOO_SLOW: &str = "the threads of this process could not be examined in time";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_start_a_slot_are_recognised_by_their_file() {
        for (file, function, expected) in [
            ("/usr/lib/python3.13/threading.py", "run", true),
            ("/usr/lib/python3.13/threading.py", "wait", false),
            ("/venv/site-packages/scoter/__main__.py", "main", true),
            ("/venv/site-packages/scoter/launcher.py", "<module>", true),
            ("/srv/app.py", "run", false),
            ("???", "???", false),
        ] {
            let call = Call {
                file: file.to_owned(),
                function: function.to_owned(),
                ..Call::default()
            };
            assert_eq!(is_of_scoter(&call), expected, "{file} {function}");
        }
    }
}
