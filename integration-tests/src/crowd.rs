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
    answers: Arc<Mutex<Vec<Answer>>>,
    clients: Vec<JoinHandle<()>>,
}

/// An answer to one of the clients.
#[derive(Debug)]
struct Answer {
    reply: Reply,
    /// How many answers there were when the client began to ask.
    before: usize,
}

impl Crowd {
    /// Sends `clients` on their way.
    pub fn asking(client: &Client, path: &str, clients: usize) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let answers = Arc::new(Mutex::new(Vec::new()));
        let clients = (0..clients).map(|_| {
            let (client, path) = (client.clone(), path.to_owned());
            let (over, answers) = (Arc::clone(&over), Arc::clone(&answers));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let before = locked(&answers).len();
                    let reply = client.get(&path);
                    let status = reply.status;
                    locked(&answers).push(Answer { reply, before });
                    if status == 502 {
                        break;
                    }
                }
            })
        });
        Self {
            clients: clients.collect(),
            over,
            answers,
        }
    }

    /// Returns how many answers there are by now.
    pub fn answers(&self) -> usize {
        locked(&self.answers).len()
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

    /// Waits until there are `count` answers to clients that begin to ask from now on, and returns them. Others may still
    /// be under way, however many answers come before them.
    #[track_caller]
    pub fn next_answers(&self, count: usize) -> Vec<Reply> {
        let now = self.answers();
        until(&format!("{count} further answers to the crowd"), || {
            self.assert_at_work();
            let answers = locked(&self.answers);
            let next = answers.iter().filter(|answer| answer.before > now);
            let next: Vec<_> = next.map(|answer| answer.reply.clone()).collect();
            (next.len() >= count).then_some(next)
        })
    }

    /// Waits until somebody was answered `text`.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        let mut seen = 0;
        until(&format!("answer {text:?} to the crowd"), || {
            self.assert_at_work();
            let answers = locked(&self.answers);
            let found = answers[seen..]
                .iter()
                .any(|answer| answer.reply.body == text);
            seen = answers.len();
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
        let answers = std::mem::take(&mut *locked(&self.answers));
        answers.into_iter().map(|answer| answer.reply).collect()
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

fn locked(answers: &Mutex<Vec<Answer>>) -> std::sync::MutexGuard<'_, Vec<Answer>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}
