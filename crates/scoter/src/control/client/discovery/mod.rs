//! The servers of this machine that the caller may ask.
//!
//! The kernel lists all sockets with their paths, so there is no register that could be out of
//! date, or that a server would have to write to. Sockets named like a control socket are asked for
//! their status if they belong to the caller or to root; for root, whoever they belong to. A file
//! system or a process that does not respond holds up a thread, and not the caller.

mod candidates;
mod unix_sockets;

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hyper::{Method, Uri};
use nix::unistd::{Pid, Uid, User, geteuid};
use tokio::runtime;
use tokio::time::timeout_at;

use super::error::ClientError;
use super::http::Client;
use crate::control::Status;
use crate::sys::process_stat::ProcessStat;
use candidates::{Candidate, is_trusted, select};
use unix_sockets::control_sockets;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Discovery {
    /// By process ID.
    pub(super) servers: Vec<FoundServer>,
    /// Control sockets that only other users may ask.
    pub(super) of_others: usize,
    /// Sockets that were not asked because so many others did not answer in time.
    pub(super) not_asked: usize,
}

/// A running server.
#[derive(Debug, Clone)]
pub(super) struct FoundServer {
    pub(super) path: PathBuf,
    /// The process that listens, as seen from here; 0 if it is not visible.
    pub(super) pid: i32,
    /// Its user, if that is not the caller.
    pub(super) user: Option<String>,
    /// `None` if it does not answer.
    pub(super) status: Option<Status>,
}

/// What is behind a socket.
#[derive(Debug)]
enum Behind {
    Server(Box<FoundServer>),
    /// A process of another user.
    Other,
    /// No server.
    Nothing,
}

/// Finds the servers.
///
/// # Errors
///
/// Those of reading `/proc/net/unix`, and of starting threads.
pub(super) fn find() -> io::Result<Discovery> {
    find_among(control_sockets(&fs::read(TABLE)?), geteuid())
}

fn find_among(paths: BTreeSet<PathBuf>, me: Uid) -> io::Result<Discovery> {
    let selection = select(received(look_up(paths)?, LOOK_UP_TIMEOUT), me);
    let (sender, answers) = channel();
    let threads = selection.asked.len().min(MAX_THREADS);
    let waiting = Arc::new(Mutex::new(VecDeque::from(selection.asked)));
    for _ in 0..threads {
        let (sender, waiting) = (sender.clone(), Arc::clone(&waiting));
        spawn(move || {
            let next = || lock(&waiting).pop_front();
            while let Some(path) = next() {
                if sender.send(ask(&path, me)).is_err() {
                    break;
                }
            }
        })?;
    }
    drop(sender);
    let mut discovery = Discovery {
        servers: Vec::new(),
        of_others: selection.of_others,
        not_asked: 0,
    };
    let answers = received(answers, ASK_TIMEOUT + MARGIN);
    discovery.not_asked = lock(&waiting).drain(..).count();
    for behind in answers {
        match behind {
            Behind::Server(server) => discovery.servers.push(*server),
            Behind::Other => discovery.of_others += 1,
            Behind::Nothing => {}
        }
    }
    discovery.servers.sort_by_key(|server| server.pid);
    Ok(discovery)
}

/// Looks up the owners of the files, in another thread. What is no socket any more is left out.
fn look_up(paths: BTreeSet<PathBuf>) -> io::Result<Receiver<Candidate>> {
    let (sender, candidates) = channel();
    spawn(move || {
        for path in paths {
            let Ok(found) = fs::metadata(&path) else {
                continue;
            };
            let owner = Uid::from_raw(found.uid());
            let is_socket = found.file_type().is_socket();
            if is_socket && sender.send(Candidate { path, owner }).is_err() {
                break;
            }
        }
    })?;
    Ok(candidates)
}

/// Whatever arrives until all senders are gone, or until the time is over.
fn received<T>(receiver: Receiver<T>, time: Duration) -> Vec<T> {
    let end = Instant::now() + time;
    let mut all = Vec::new();
    while let Ok(one) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        all.push(one);
    }
    all
}

fn lock(waiting: &Mutex<VecDeque<PathBuf>>) -> MutexGuard<'_, VecDeque<PathBuf>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name("scoter-discovery".to_owned());
    thread.spawn(run).map(drop)
}

fn ask(path: &Path, me: Uid) -> Behind {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(ask_status(path, me)),
        Err(_) => Behind::Nothing,
    }
}

async fn ask_status(path: &Path, me: Uid) -> Behind {
    let client = Client::new(path).with_max_answer(MAX_ANSWER);
    let end = tokio::time::Instant::now() + ASK_TIMEOUT;
    let stream = match timeout_at(end, client.connect()).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(ClientError::Denied { .. })) => return Behind::Other,
        Ok(Err(_)) | Err(_) => return Behind::Nothing,
    };
    // What the kernel says of the peer, before anything that the peer says of itself.
    let Ok(peer) = stream.peer_cred() else {
        return Behind::Nothing;
    };
    let user = Uid::from_raw(peer.uid());
    if !is_trusted(user, me) {
        return Behind::Other;
    }
    let pid = peer.pid().unwrap_or_default();
    let asked = client.exchange(stream, Method::GET, Uri::from_static("/status"));
    let status = match timeout_at(end, asked).await {
        Ok(Ok(answer)) => match answer.success().and_then(|json| client.read(&json)) {
            Ok(status) => Some(status),
            Err(ClientError::Refused { .. }) => return Behind::Other,
            Err(_) => return Behind::Nothing,
        },
        // Other programs have control sockets too, and wait for whoever connects to begin.
        Err(_) if is_master(pid) => None,
        Ok(Err(_)) | Err(_) => return Behind::Nothing,
    };
    Behind::Server(Box::new(FoundServer {
        path: path.to_owned(),
        pid,
        user: (user != me).then(|| name_of(user)),
        status,
    }))
}

/// Whether a process is called like a master.
fn is_master(pid: i32) -> bool {
    let stat = ProcessStat::of(Pid::from_raw(pid));
    stat.is_ok_and(|stat| stat.name.ends_with("-master"))
}

fn name_of(user: Uid) -> String {
    let known = User::from_uid(user).ok().flatten();
    known.map_or_else(|| user.to_string(), |known| known.name)
}

const TABLE: &str = "/proc/net/unix";

/// How long file systems may take in all.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long each server may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// What threads may take besides.
const MARGIN: Duration = Duration::from_secs(1);

/// How many servers are asked at a time.
const MAX_THREADS: usize = 64;

/// In bytes. Tens of servers are asked at a time; a worker takes up some 2,000 bytes.
const MAX_ANSWER: usize = 8 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::super::fixture::{Fixture, busy_status};
    use super::*;
    use crate::control::Order;

    fn statuses(discovery: &Discovery) -> Vec<Option<&Status>> {
        let servers = discovery.servers.iter();
        servers.map(|server| server.status.as_ref()).collect()
    }

    #[tokio::test]
    async fn server_is_told_from_others_that_listen_or_have_ended() {
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                reply.send(busy_status()).unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let silent = folder.path().join("silent.control");
        let _silent = UnixListener::bind(&silent).unwrap();
        let ended = folder.path().join("ended.control");
        drop(UnixListener::bind(&ended).unwrap());
        let file = folder.path().join("file.control");
        fs::write(&file, "").unwrap();
        let server = fixture.client.path().to_owned();
        let paths = [server.clone(), silent, ended, file, "/no/control".into()];
        let found = tokio::task::spawn_blocking(move || find_among(paths.into(), geteuid()));
        let found = found.await.unwrap().unwrap();
        assert_eq!(statuses(&found), [Some(&busy_status())]);
        let found = &found.servers[0];
        assert_eq!(found.path, server);
        assert_eq!(found.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(found.user, None);
    }

    #[tokio::test]
    async fn server_is_found_behind_any_number_of_others() {
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                reply.send(busy_status()).unwrap();
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let mut paths = BTreeSet::from([fixture.client.path().to_owned()]);
        for number in 0..3 * MAX_THREADS {
            // In front of the server's in the order of paths.
            let path = PathBuf::from(format!("{}/{number}.control", folder.path().display()));
            drop(UnixListener::bind(&path).unwrap());
            paths.insert(path);
        }
        let found = tokio::task::spawn_blocking(move || find_among(paths, geteuid()));
        let found = found.await.unwrap().unwrap();
        assert_eq!(statuses(&found), [Some(&busy_status())]);
        assert_eq!(found.not_asked, 0);
    }

    #[test]
    fn peer_of_another_user_is_not_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("theirs.control");
        let listener = UnixListener::bind(&path).unwrap();
        // As if this process were another user's, where root's own file leads to it.
        let me = Uid::from_raw(54_321);
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let behind = runtime.unwrap().block_on(ask_status(&path, me));
        if geteuid().is_root() {
            // Root is trusted by everybody, but does not answer.
            assert!(matches!(behind, Behind::Nothing), "{behind:?}");
        } else {
            assert!(matches!(behind, Behind::Other), "{behind:?}");
            let (mut stream, _) = listener.accept().unwrap();
            let mut sent = Vec::new();
            io::Read::read_to_end(&mut stream, &mut sent).unwrap();
            assert_eq!(sent, b"");
        }
    }
}
