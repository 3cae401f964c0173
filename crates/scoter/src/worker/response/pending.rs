//! Responses that only have to be sent: the application has finished with them.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wsgi_environ::{
    Completed, HeadState, Method, Persistence, ResponseEnd, Transport, reason_phrase,
    write_plain_response,
};

use crate::ipc::scoreboard::{Finished, MethodClass, Writer};
use crate::log::{Entry, ResponseOutcome};
use crate::request_head::Param;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::connection::async_connection::{AsyncConnection, Waited};
use crate::worker::connection::owner::Revoked;
use crate::worker::response::incident::{Finder, Incident, LossKind};
use crate::worker::response::refusal::{Answer, Refusal, Refused};
use crate::worker::response::revoked_request::RevokedRequest;
use crate::worker::response::send_buffer::SendBuffer;
use crate::worker::response::send_progress::{Progress, SendError};

/// A response that only has to be sent, and how its connection ends.
#[derive(Debug)]
pub(crate) struct PendingResponse {
    connection: Arc<Connection>,
    buffer: SendBuffer,
    ending: ConnectionEnd,
    /// Whether a thread of the application still waits for the request's body, and keeps
    /// the connection with it.
    input_busy: bool,
    /// Whether it has ended before it was complete.
    is_cut: bool,
    /// Logged and counted when the last byte is out, or known never to be.
    entry: Option<Entry>,
    /// Bytes of the request's body that were received.
    received: u64,
}

/// How a connection ends once its response is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionEnd {
    /// The peer knows where the response ends, and sends nothing more.
    Close,
    /// The end of the connection is the end of the response, and has to be said: closing
    /// says nothing while a process that the application forked holds the same connection.
    Shutdown,
    /// The peer may still be sending: closing now would reset the connection, and nginx
    /// would lose the response (502, "recv() failed (104: Connection reset by peer)").
    Drain,
    /// The response is broken, and the peer is to notice.
    Abort,
    /// The connection serves another request.
    Keep,
    /// The same, and has been taken back for it already.
    TakenBack,
}

/// What a response leaves to the slot that has sent it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// The buffer of the head, if nothing needs it any more.
    pub(crate) head_buffer: Vec<u8>,
    /// The connection, if it is kept and its next request may have come already.
    pub(crate) signalled: Option<Arc<Connection>>,
}

impl PendingResponse {
    /// What is left of a response. After an `overrun` the peer may be sending still.
    pub(crate) fn new(
        connection: Arc<Connection>,
        completed: Completed,
        overrun: bool,
        entry: Entry,
    ) -> Self {
        let ending = match completed.end {
            ResponseEnd::PeerGone | ResponseEnd::PeerStalled => ConnectionEnd::Close,
            ResponseEnd::CutShort => ConnectionEnd::Abort,
            ResponseEnd::TakenBack => ConnectionEnd::TakenBack,
            ResponseEnd::Complete
                if overrun || completed.input.unread > 0 || connection.has_spoken_early() =>
            {
                ConnectionEnd::Drain
            }
            ResponseEnd::Complete if completed.persistence == Persistence::KeepAlive => {
                ConnectionEnd::Keep
            }
            ResponseEnd::Complete if completed.head == HeadState::Sent => ConnectionEnd::Shutdown,
            ResponseEnd::Complete => ConnectionEnd::Close,
        };
        Self {
            connection,
            ending,
            input_busy: completed.input.busy,
            is_cut: !matches!(
                completed.end,
                ResponseEnd::Complete | ResponseEnd::TakenBack
            ),
            buffer: completed.tail.into(),
            received: entry
                .head
                .content_length()
                .map_or(0, |length| length.saturating_sub(completed.input.unread)),
            entry: Some(entry),
        }
    }

    /// A response of the server's own; whatever the peer still sends is discarded.
    pub(crate) fn bytes(connection: Arc<Connection>, bytes: Vec<u8>) -> Self {
        Self {
            connection,
            buffer: SendBuffer::bytes(bytes),
            ending: ConnectionEnd::Drain,
            input_busy: false,
            is_cut: false,
            entry: None,
            received: 0,
        }
    }

    /// A response in the place of the application's, which has sent nothing.
    pub(crate) fn replacement(revoked: &RevokedRequest, status: u16) -> Self {
        let method = revoked.head.kind();
        let text = format!("{}\n", reason_phrase(status));
        let mut bytes = Vec::new();
        write_plain_response(status, &text, method, &mut bytes);
        let body_bytes = match method {
            Method::Head => 0,
            Method::Other => text.len() as u64,
        };
        let mut response = Self::bytes(Arc::clone(&revoked.connection), bytes);
        response.entry = Some(Entry {
            head: Arc::clone(&revoked.head),
            status,
            body_bytes,
            accepted: revoked.connection.accepted(),
            queued: revoked.queued,
            slot: Some(revoked.slot),
            said: None,
        });
        response
    }

    /// The response to a refused request.
    pub(crate) fn refusal(connection: Arc<Connection>, refused: &Refused) -> Self {
        let Refused { refusal, head } = refused;
        let method = refused.method();
        let accepted = connection.accepted();
        let mut response = Self::bytes(connection, refusal.response(method));
        if let (Some(head), Answer::Status(status)) = (head, refusal.answer()) {
            response.entry = Some(Entry {
                head: Arc::clone(head),
                status,
                body_bytes: match method {
                    Method::Head => 0,
                    Method::Other => refusal.text(status).len() as u64,
                },
                accepted,
                queued: match refusal {
                    // Of a request without the front end's clock only a part of the wait is known.
                    Refusal::QueueTimeout { waited } => head.front_end_age().and(Some(*waited)),
                    _ => None,
                },
                slot: None,
                said: None,
            });
        }
        response.ending = match refusal {
            // There is no room to wait for anybody.
            Refusal::Overloaded => ConnectionEnd::Shutdown,
            refusal if refusal.answer() == Answer::Silence => ConnectionEnd::Close,
            _ => ConnectionEnd::Drain,
        };
        response
    }

    /// Bytes of Python's that it keeps.
    pub(crate) fn bytes_of_python(&self) -> usize {
        self.buffer.bytes_of_python()
    }

    /// Sends what can be sent at once. What cannot goes to the reactor.
    pub(crate) fn start(self, shared: &Shared) -> Sent {
        Self::start_in_place(&mut Some(self), shared)
    }

    /// The same, and leaves nothing in `place`. A response is large: most are sent without being moved.
    pub(crate) fn start_in_place(place: &mut Option<Self>, shared: &Shared) -> Sent {
        Self::begin(place, shared, Finder::Slot)
    }

    /// The same for a task of the reactor, which waits for nobody.
    pub(crate) fn start_in_task(self, shared: &Shared) {
        if let Some(connection) = Self::begin(&mut Some(self), shared, Finder::Task).signalled {
            shared.look_after(connection);
        }
    }

    fn begin(place: &mut Option<Self>, shared: &Shared, finder: Finder) -> Sent {
        if place
            .as_mut()
            .is_some_and(|response| response.send_at_once(shared, finder) == Progress::Done)
        {
            return Self::end_here(place, shared, finder);
        }
        match place.take() {
            Some(response) => response.hand_over(shared, finder),
            None => Sent::default(),
        }
    }

    /// Sends what can be sent at once. Returns whether the connection can end.
    fn send_at_once(&mut self, shared: &Shared, finder: Finder) -> Progress {
        match self.buffer.send(&self.connection) {
            Ok(Progress::Done) if self.ending == ConnectionEnd::Drain => {
                self.connection.shutdown_write();
                self.buffer.let_go();
                Progress::Blocked
            }
            Ok(progress) => progress,
            Err(error) => {
                if let Some(incident) = self.lose(error, shared) {
                    finder.say(incident);
                }
                Progress::Done
            }
        }
    }

    /// Leaves the rest to the reactor.
    fn hand_over(mut self, shared: &Shared, finder: Finder) -> Sent {
        self.buffer.settle();
        if !self.buffer.count_in(&shared.response_memory) {
            return self.finish_here(shared, finder);
        }
        match shared.reactor.finish(Box::new(self)) {
            Ok(()) => Sent::default(),
            Err(response) => response.finish_here(shared, finder),
        }
    }

    /// Sends the rest, discards what the peer still sends, and closes.
    pub(crate) async fn finish(mut self, shared: Arc<Shared>, permit: OwnedSemaphorePermit) {
        let mut lost = None;
        if let Err(error) = self.send_rest(&shared).await {
            lost = self.lose(error, &shared);
        } else if self.ending == ConnectionEnd::Drain {
            self.connection.shutdown_write();
            let slow = self.record(&shared, Finder::Task);
            self.buffer.let_go();
            if let Some(incident) = slow {
                incident.say().await;
            }
            self.drain(&shared, &permit).await;
        }
        let (sent, slow) = Self::end(&mut Some(self), &shared, Finder::Task);
        if let Some(connection) = sent.signalled {
            shared.look_after(connection);
        }
        for incident in [lost, slow].into_iter().flatten() {
            incident.say().await;
        }
        drop(permit);
    }

    /// Every byte taken renews the deadline, as nginx's `send_timeout` does.
    async fn send_rest(&mut self, shared: &Shared) -> Result<(), SendError> {
        if self.buffer.left() == 0 {
            return Ok(());
        }
        if self.buffer.has_file() {
            return self.send_file(shared).await;
        }
        let peer = self.writable(shared)?;
        loop {
            let deadline = Instant::now() + shared.connection_timeouts.write;
            let mut room = peer.ready(deadline).await.ok_or(SendError::Stalled)?;
            self.check_peer(shared);
            match self.buffer.send(&self.connection)? {
                Progress::Done => return Ok(()),
                Progress::Blocked => room.clear_ready(),
            }
        }
    }

    async fn send_file(&mut self, shared: &Shared) -> Result<(), SendError> {
        let mut progress = self.send_file_now(shared, FILE_WAIT_TIMEOUT).await?;
        while progress == Progress::Blocked {
            // Registered only for as long as the reactor waits: it would wake up whenever the
            // peer makes room for the other thread.
            let peer = self.writable(shared)?;
            let deadline = Instant::now() + shared.connection_timeouts.write;
            drop(peer.ready(deadline).await.ok_or(SendError::Stalled)?);
            drop(peer);
            // It has shown to be slow, and there are few threads to wait for it.
            progress = self.send_file_now(shared, Duration::ZERO).await?;
        }
        Ok(())
    }

    fn writable<'a>(&self, shared: &'a Shared) -> Result<AsyncConnection<'a>, SendError> {
        let connection = Arc::clone(&self.connection);
        AsyncConnection::new(connection, Interest::WRITABLE, &shared.stop).map_err(SendError::Peer)
    }

    /// Reading a file may have to wait for a disk, which must not hold up the reactor:
    /// another thread sends for as long as the peer keeps up, each time within `timeout`.
    async fn send_file_now(
        &mut self,
        shared: &Shared,
        timeout: Duration,
    ) -> Result<Progress, SendError> {
        let connection = Arc::clone(&self.connection);
        // What is known should there be a panic.
        let lost = SendBuffer::lost(self.buffer.left());
        let mut buffer = std::mem::replace(&mut self.buffer, lost);
        let keeps = self.ending == ConnectionEnd::Keep;
        let turn = shared.files.run(move || {
            let turn = std::time::Instant::now();
            let mut is_quiet = true;
            let sent = loop {
                is_quiet = is_quiet && (!keeps || connection.is_quiet());
                let sent = buffer.send(&connection);
                let blocked = matches!(sent, Ok(Progress::Blocked));
                let waits = blocked && !timeout.is_zero() && turn.elapsed() < FILE_TURN;
                if !waits || !connection.drains(timeout) {
                    break sent;
                }
            };
            (buffer, sent, is_quiet)
        });
        let (buffer, sent, is_quiet) = turn.await?;
        self.buffer = buffer;
        if !is_quiet {
            self.do_not_keep(shared);
        }
        sent
    }

    /// Looks before more of a response is sent whether the peer still waits for it, if the
    /// connection is to be kept.
    fn check_peer(&mut self, shared: &Shared) {
        if self.ending == ConnectionEnd::Keep && !self.connection.is_quiet() {
            self.do_not_keep(shared);
        }
    }

    /// Lets the connection end with the response, because the peer has not waited for it.
    fn do_not_keep(&mut self, shared: &Shared) {
        self.ending = ConnectionEnd::Drain;
        if self.connection.has_spoken_early() {
            shared.kept.count_out_of_step();
        }
    }

    /// Discards what the peer still sends. It has less time while others need the room.
    async fn drain(&self, shared: &Shared, permit: &OwnedSemaphorePermit) {
        let connection = Arc::clone(&self.connection);
        let Ok(peer) = AsyncConnection::new(connection, Interest::READABLE, &shared.stop) else {
            return;
        };
        let begun = Instant::now();
        let mut scratch = vec![0; DRAIN_STEP];
        loop {
            let time = match shared.reactor.is_short(permit) {
                true => SHORT_DRAIN_TIME,
                false => DRAIN_TIME,
            };
            if begun.elapsed() >= time {
                return;
            }
            let mut deadline = begun + time;
            // A stop allows less than that, which each wait counts for itself.
            if shared.stop.ending().is_none() {
                deadline = deadline.min(Instant::now() + SHORT_DRAIN_TIME);
            }
            match peer.wait(deadline, |peer| peer.discard(&mut scratch)).await {
                Waited::Done(Ok(1..)) | Waited::TimedOut => {}
                Waited::Done(_) | Waited::Stopping => return,
            }
        }
    }

    /// The reactor has no room, or not for so many bytes: a slot waits itself, for the peer to
    /// take the response, but not for input that nobody reads.
    fn finish_here(mut self, shared: &Shared, finder: Finder) -> Sent {
        if let Err(error) = self.send_waiting(shared, finder) {
            if let Some(incident) = self.lose(error, shared) {
                finder.say(incident);
            }
        } else if self.ending == ConnectionEnd::Drain {
            self.connection.shutdown_write();
            let mut scratch = vec![0; DRAIN_STEP];
            let mut arrived = || self.connection.discard(&mut scratch);
            for _ in 0..MAX_DRAIN_STEPS {
                let Ok(1..) = arrived() else { break };
            }
        }
        Self::end_here(&mut Some(self), shared, finder)
    }

    fn send_waiting(&mut self, shared: &Shared, finder: Finder) -> Result<(), SendError> {
        loop {
            self.check_peer(shared);
            if self.buffer.send(&self.connection)? == Progress::Done {
                return Ok(());
            }
            if finder == Finder::Task {
                return Err(SendError::Stalled);
            }
            self.connection
                .wait_writable()
                .map_err(|_| SendError::Stalled)?;
        }
    }

    /// Notes that the rest cannot be sent. Returns what is to be logged of it.
    fn lose(&mut self, error: SendError, shared: &Shared) -> Option<Box<Incident>> {
        let kind = match &error {
            // By us, for --request-timeout: that has been counted, and logged.
            SendError::Peer(_) if self.connection.owner().revoked() == Some(Revoked::Rest) => {
                self.ending = ConnectionEnd::Close;
                return None;
            }
            SendError::Peer(_) if self.connection.is_lost() => LossKind::ConnectionLost,
            SendError::Peer(_) => LossKind::PeerGone,
            SendError::Stalled => LossKind::Stalled,
            SendError::File(_) | SendError::Panicked(_) => LossKind::Broken,
        };
        if kind == LossKind::PeerGone {
            shared.peer_gone();
        }
        self.ending = match kind {
            LossKind::PeerGone | LossKind::ConnectionLost => ConnectionEnd::Close,
            LossKind::Stalled | LossKind::Broken => ConnectionEnd::Abort,
        };
        Incident::lost(self.entry.as_ref(), kind, error, self.buffer.left())
    }

    /// Counts the response and writes it to the access log, once, as soon as it is known how much of
    /// it left. Returns what is to be logged beside that.
    fn record(&mut self, shared: &Shared, finder: Finder) -> Option<Box<Incident>> {
        let entry = self.entry.take()?;
        let elapsed = entry.accepted.elapsed();
        let unsent = self.buffer.left();
        let finished = Finished {
            method: MethodClass::of(entry.head.param(Param::Method).unwrap_or_default()),
            status: entry.status,
            duration: elapsed,
            queued: entry.queued,
            request_bytes: self.received,
            response_bytes: entry.body_bytes.saturating_sub(unsent),
        };
        match (finder, entry.slot) {
            // The slot that has run the request, and nobody else.
            (Finder::Slot, Some(slot)) => {
                let cell = &shared.board.cells()[slot];
                cell.counters().note(&finished, Writer::Only);
            }
            _ => shared.board.totals().counters.note(&finished, Writer::Any),
        }
        // A refusal has been logged as such, or is counted.
        let was_run = entry.slot.is_some();
        let is_slow = was_run && shared.slow_request.is_some_and(|limit| elapsed >= limit);
        let outcome = ResponseOutcome {
            elapsed,
            unsent,
            is_cut: self.is_cut || unsent > 0 || self.ending == ConnectionEnd::Abort,
            is_slow,
        };
        shared.access_log.write(&entry, &outcome);
        is_slow.then(|| Box::new(Incident::Slow(entry, elapsed)))
    }

    fn end_here(place: &mut Option<Self>, shared: &Shared, finder: Finder) -> Sent {
        let (sent, slow) = Self::end(place, shared, finder);
        if let Some(incident) = slow {
            finder.say(incident);
        }
        sent
    }

    fn end(
        place: &mut Option<Self>,
        shared: &Shared,
        finder: Finder,
    ) -> (Sent, Option<Box<Incident>>) {
        let Some(response) = place else {
            return (Sent::default(), None);
        };
        let slow = response.record(shared, finder);
        let Self {
            connection,
            buffer,
            ending,
            input_busy,
            ..
        } = response;
        match ending {
            ConnectionEnd::Abort => connection.abort(),
            ConnectionEnd::Shutdown => connection.shutdown_write(),
            ConnectionEnd::Close
            | ConnectionEnd::Drain
            | ConnectionEnd::Keep
            | ConnectionEnd::TakenBack => {}
        }
        let is_kept = *ending == ConnectionEnd::Keep;
        // The body of a request whose connection is kept has arrived: whoever still reads it does
        // not read from the connection.
        if *input_busy && !is_kept {
            connection.interrupt();
        }
        let head_buffer = buffer.take_front();
        let signalled = match place.take_if(|_| is_kept) {
            Some(response) => shared.kept.keep(response.connection),
            None => None,
        };
        *place = None;
        let sent = Sent {
            head_buffer,
            signalled,
        };
        (sent, slow)
    }
}

/// How long unread input is discarded.
const DRAIN_TIME: Duration = Duration::from_secs(30);

/// The same where more than half of those wait that may. Also how often that is looked at.
const SHORT_DRAIN_TIME: Duration = Duration::from_secs(1);

/// How long a thread that sends a file waits for the peer to take more: a front end that keeps
/// up does so sooner, and to come back later costs two context switches.
const FILE_WAIT_TIMEOUT: Duration = Duration::from_millis(10);

/// For how long such a thread comes back to a peer that was full: there are few of them.
const FILE_TURN: Duration = Duration::from_millis(100);

/// How often a slot discards input itself.
const MAX_DRAIN_STEPS: usize = 64;

/// Bytes discarded at once.
const DRAIN_STEP: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;

    use wsgi_environ::{RemainingBody, ResponseTail};

    use super::*;
    use crate::net::Family;
    use crate::request_head::RequestHead;

    fn response(shared: &Shared, buffer: SendBuffer) -> (PendingResponse, UnixStream) {
        let (ours, client) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let ours = OwnedFd::from(ours);
        let connection = Arc::new(Connection::new(
            ours,
            Family::Unix,
            shared.connection_timeouts,
        ));
        let mut response = PendingResponse::bytes(connection, Vec::new());
        response.buffer = buffer;
        (response, client)
    }

    #[tokio::test(start_paused = true)]
    async fn peer_that_is_refused_keeps_its_place_for_less_while_others_need_it() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--max-pending", "4"];
        let (shared, _handoffs) = Shared::of_test(&folder.path().join("socket"), &arguments);
        for (others, expected) in [(0, DRAIN_TIME), (1, DRAIN_TIME), (2, SHORT_DRAIN_TIME)] {
            let permit = || shared.reactor.request_permit().unwrap();
            let _others: Vec<_> = (0..others).map(|_| permit()).collect();
            let (response, _client) = response(&shared, SendBuffer::default());
            let begun = Instant::now();
            response.finish(Arc::clone(&shared), permit()).await;
            let time = begun.elapsed();
            assert!(
                time >= expected && time < expected + SHORT_DRAIN_TIME,
                "{others}: {time:?}"
            );
        }
    }

    #[tokio::test]
    async fn connection_is_not_kept_if_something_arrives_before_the_end_of_its_response() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, _handoffs) = Shared::of_test(&folder.path().join("socket"), &[]);
        let begun = |buffer| {
            let (mut response, mut client) = response(&shared, buffer);
            response.ending = ConnectionEnd::Keep;
            // Until the socket is full.
            let sent = response.buffer.send(&response.connection).unwrap();
            assert_eq!(sent, Progress::Blocked);
            client.write_all(b"early").unwrap();
            let reader = std::thread::spawn(move || {
                // No further: a connection that is kept would stay open.
                let mut received = vec![0; LARGE];
                client.read_exact(&mut received).map(|()| received.len())
            });
            (response, reader)
        };
        let bytes = || SendBuffer::bytes(vec![b'x'; LARGE]);
        let file = || {
            let file = tempfile::tempfile().unwrap();
            file.set_len(LARGE as u64).unwrap();
            let len = LARGE as u64;
            let body = RemainingBody::File {
                file: file.into(),
                offset: 0,
                len,
            };
            SendBuffer::from(ResponseTail {
                out: Vec::new(),
                body,
            })
        };
        let count = || {
            let out_of_step = &shared.board.totals().out_of_step;
            out_of_step.swap(0, std::sync::atomic::Ordering::Relaxed)
        };
        for (name, buffer) in [("bytes", bytes()), ("file", file())] {
            let (response, reader) = begun(buffer);
            drop(response.finish_here(&shared, Finder::Slot));
            assert_eq!(reader.join().unwrap().unwrap(), LARGE, "{name}, in a slot");
            assert_eq!(count(), 1, "{name}, in a slot");
        }
        for (name, buffer) in [("bytes", bytes()), ("file", file())] {
            let (response, reader) = begun(buffer);
            let permit = shared.reactor.request_permit().unwrap();
            response.finish(Arc::clone(&shared), permit).await;
            assert_eq!(reader.join().unwrap().unwrap(), LARGE, "{name}, later");
            assert_eq!(count(), 1, "{name}, later");
        }
    }

    /// More bytes than a socket holds.
    const LARGE: usize = 8 << 20;

    #[tokio::test]
    async fn response_that_a_panic_cut_is_not_taken_for_sent() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, _handoffs) = Shared::of_test(&folder.path().join("socket"), &[]);
        // To send it is a panic: there is no such piece.
        let (mut response, _client) = response(&shared, SendBuffer::lost(1_000_000).in_pieces(2));
        let sent = response.send_file_now(&shared, Duration::ZERO).await;
        assert!(matches!(sent, Err(SendError::Panicked(_))), "{sent:?}");
        assert_eq!(response.buffer.left(), 1_000_000);
    }

    /// What this thread logs.
    #[derive(Clone, Default)]
    struct Logged(Arc<Mutex<Vec<u8>>>);

    impl Write for Logged {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn reactor_leaves_what_is_to_be_logged_to_others() {
        let logged = Logged::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone());
        let _subscriber = tracing::subscriber::set_default(subscriber.finish());
        let said = || std::mem::take(&mut *logged.0.lock().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--write-timeout", "10ms", "--slow-request", "1ms"];
        let (shared, _handoffs) = Shared::of_test(&folder.path().join("socket"), &arguments);
        let head = RequestHead::of([("PATH_INFO", "/")]);
        let entry = || Entry {
            head: Arc::clone(&head),
            status: 200,
            body_bytes: 0,
            accepted: std::time::Instant::now() - Duration::from_secs(1),
            queued: None,
            slot: Some(0),
            said: None,
        };
        let short = || {
            SendBuffer::from(ResponseTail {
                out: Vec::new(),
                body: RemainingBody::File {
                    file: tempfile::tempfile().unwrap().into(),
                    offset: 0,
                    len: 1,
                },
            })
        };
        let cases: [(&str, &dyn Fn() -> SendBuffer, bool); 4] = [
            ("slow", &SendBuffer::default, true),
            ("stalled", &|| SendBuffer::bytes(vec![b'x'; 8 << 20]), true),
            (
                "not taken",
                &|| SendBuffer::bytes(vec![b'x'; 8 << 20]),
                false,
            ),
            ("a file that is shorter than it was", &short, true),
        ];
        for (name, buffer, stays) in cases {
            let make = || {
                let (mut response, client) = response(&shared, buffer());
                response.ending = ConnectionEnd::Close;
                response.entry = Some(entry());
                (response, stays.then_some(client))
            };
            let (response, _client) = make();
            response.start_in_task(&shared);
            assert_eq!(String::from_utf8_lossy(&said()), "", "{name}, at once");
            let (response, _client) = make();
            let permit = shared.reactor.request_permit().unwrap();
            response.finish(Arc::clone(&shared), permit).await;
            assert_eq!(String::from_utf8_lossy(&said()), "", "{name}");
            // A slot says it itself, and what it leaves to the reactor is that one's to say.
            let (response, _client) = make();
            if name != "stalled" {
                response.start(&shared);
                assert!(!said().is_empty(), "{name}");
            }
        }
    }
}
