use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crate::http::Client;
use crate::reply::Reply;
use crate::wait::until;

/// Clients that ask for one path again and again, each as soon as it has its answer, until they are told to leave
/// or get 502: nginx finds nobody behind it then.
#[derive(Debug)]
pub struct Crowd {
    over: Arc<AtomicBool>,
    replies: Arc<Mutex<Vec<Reply>>>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Sends `clients` on their way.
    pub fn asking(client: &Client, path: &str, clients: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let replies = Arc::new(Mutex::new(Vec::new()));
        let clients = (0..clients).map(|_| {
            let (client, path) = (client.clone(), path.to_owned());
            let (over, replies) = (Arc::clone(&over), Arc::clone(&replies));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let reply = client.get(&path);
                    let status = reply.status;
                    locked(&replies).push(reply);
                    if status == 502 {
                        break;
                    }
                }
            })
        });
        Self {
            clients: clients.collect(),
            over,
            replies,
        }
    }

    /// Returns how many answers there are by now.
    pub fn answers(&self) -> usize {
        locked(&self.replies).len()
    }

    /// Waits until there are `count` answers, counted from the first one.
    #[track_caller]
    pub fn wait_for_answers(&self, count: usize) {
        until(&format!("{count} answers to the crowd"), || {
            self.assert_at_work();
            (self.answers() >= count).then_some(())
        });
    }

    /// Waits until there are `count` more answers than now.
    #[track_caller]
    pub fn wait_for_more(&self, count: usize) {
        self.wait_for_answers(self.answers() + count);
    }

    /// Waits until somebody was answered `text`.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        let mut seen = 0;
        until(&format!("answer {text:?} to the crowd"), || {
            self.assert_at_work();
            let replies = locked(&self.replies);
            let found = replies[seen..].iter().any(|reply| reply.body == text);
            seen = replies.len();
            found.then_some(())
        });
    }

    /// Tells the clients to leave, waits until all have, and returns every answer.
    ///
    /// # Panics
    ///
    /// When one of them did not get a complete answer to each request.
    #[track_caller]
    pub fn leave(mut self) -> Vec<Reply> {
        self.over.store(true, Ordering::Relaxed);
        self.join()
    }

    /// Waits until every client has got 502, and returns every answer.
    ///
    /// # Panics
    ///
    /// When one of them did not get a complete answer to each request.
    #[track_caller]
    pub fn turned_away(mut self) -> Vec<Reply> {
        self.join()
    }

    #[track_caller]
    fn join(&mut self) -> Vec<Reply> {
        for client in self.clients.drain(..) {
            client.join().expect("every request is answered");
        }
        std::mem::take(&mut *locked(&self.replies))
    }

    /// Nobody need wait any longer when a client has given up: its own panic says why.
    #[track_caller]
    fn assert_at_work(&self) {
        let given_up = self.clients.iter().any(JoinHandle::is_finished);
        assert!(!given_up, "a client of the crowd is not served any more");
    }
}

impl Drop for Crowd {
    /// A test that fails does not wait for its clients, but lets them end.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn locked(replies: &Mutex<Vec<Reply>>) -> std::sync::MutexGuard<'_, Vec<Reply>> {
    replies.lock().unwrap_or_else(PoisonError::into_inner)
}
