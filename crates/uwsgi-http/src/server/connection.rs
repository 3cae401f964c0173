use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower_service::Service;
use tracing::{debug, warn};
use uwsgi_codec::{Packet, modifier, needed};

use super::BoxError;
use super::deadline::Deadline;
use super::exchange::Ending;
use super::reply;
use super::request_body::RequestBody;
use super::settings::Settings;
use super::socket::Peek;
use super::wire::Wire;

/// A connection, from its first byte to its end.
#[derive(Debug)]
pub(super) struct Connection<I> {
    pub(super) wire: Wire<I>,
    pub(super) settings: Arc<Settings>,
    stop: watch::Receiver<bool>,
    /// Room for connections that are kept.
    keepers: Arc<Semaphore>,
    kept: Option<OwnedSemaphorePermit>,
    /// Room for connections, which this one has some of.
    room: Arc<Semaphore>,
    /// Requests before the present one.
    pub(super) served: u32,
}

/// What came instead of a packet, or a packet.
#[derive(Debug)]
enum Arrival {
    Packet(Packet),
    Refused(StatusCode),
    Nothing,
}

/// What a wait for the first byte of a packet ended with.
#[derive(Debug)]
enum Waited {
    Received(io::Result<usize>),
    TimedOut,
    Stopping,
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection<I> {
    pub(super) fn new(
        io: I,
        settings: &Arc<Settings>,
        stop: watch::Receiver<bool>,
        keepers: &Arc<Semaphore>,
        room: &Arc<Semaphore>,
    ) -> Self {
        Self {
            wire: Wire::new(io, settings),
            settings: Arc::clone(settings),
            stop,
            keepers: Arc::clone(keepers),
            kept: None,
            room: Arc::clone(room),
            served: 0,
        }
    }

    /// Serves requests until the connection ends.
    pub(super) async fn serve<S, B>(mut self, service: S)
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        loop {
            let ending = match self.next_packet().await {
                Arrival::Packet(packet) => match packet.header.modifier1 {
                    modifier::WSGI | modifier::WSGI_SCRIPT_NAME => {
                        self.exchange(packet, service.clone()).await
                    }
                    modifier::PING => self.answer_ping().await,
                    modifier1 => {
                        let peer = self.wire.socket.peer();
                        warn!(
                            peer,
                            status = 400,
                            "packet refused: modifier1 {modifier1}: only 0 (WSGI), 30 and 100 \
                             (ping) are served"
                        );
                        self.wire.begin_unknown();
                        self.refuse(StatusCode::BAD_REQUEST, &Method::GET).await
                    }
                },
                Arrival::Refused(status) => {
                    self.wire.begin_unknown();
                    self.refuse(status, &Method::GET).await
                }
                Arrival::Nothing => return,
            };
            match ending {
                Ending::Keep => self.served = self.served.saturating_add(1),
                Ending::Close => return self.close().await,
                Ending::Abort => return self.wire.socket.reset_at_close(),
            }
        }
    }

    /// Answers with an error of the server's own.
    pub(super) async fn refuse(&mut self, status: StatusCode, method: &Method) -> Ending {
        self.wire.give_up();
        self.send(reply::error_response(status, method)).await
    }

    /// Answers uWSGI's ping: `modifier2` 0 asks, 1 answers.
    async fn answer_ping(&mut self) -> Ending {
        self.wire.begin(None);
        let answer = [modifier::PING, 0, 0, 1];
        self.send(Bytes::copy_from_slice(&answer)).await
    }

    async fn send(&mut self, mut response: Bytes) -> Ending {
        let sent = poll_fn(|cx| self.wire.poll_send(&mut response, &mut Bytes::new(), cx)).await;
        match sent {
            Ok(()) => Ending::Close,
            Err(_) => Ending::Abort,
        }
    }

    /// Returns whether there is room for one more request behind the present one, and
    /// takes that room.
    pub(super) fn has_room_to_keep(&mut self) -> bool {
        let has_requests_left =
            self.served.saturating_add(1) < self.settings.keep_alive.max_requests;
        if self.is_stopping() || !has_requests_left {
            return false;
        }
        if self.kept.is_none() {
            self.kept = Arc::clone(&self.keepers).try_acquire_owned().ok();
        }
        self.kept.is_some()
    }

    fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    async fn next_packet(&mut self) -> Arrival {
        let mut deadline = Deadline::default();
        if self.wire.received.is_empty() && !self.first_bytes(&mut deadline).await {
            return Arrival::Nothing;
        }
        let timeout = self.settings.header_timeout;
        loop {
            match Packet::decode(&mut self.wire.received, &self.settings.limits) {
                Ok(Some(packet)) => return Arrival::Packet(packet),
                Ok(None) => {}
                Err(error) => {
                    let (peer, kind) = (self.wire.socket.peer(), error.kind());
                    let status = error.http_status();
                    warn!(peer, kind, status, %error, "packet refused");
                    return Arrival::Refused(status_of(status));
                }
            }
            let received = poll_fn(|cx| match self.wire.poll_receive(FIRST_READ, cx) {
                Poll::Ready(received) => Poll::Ready(Some(received)),
                Poll::Pending => deadline.poll(timeout, cx).map(|()| None),
            });
            let received = received.await;
            let have = self.wire.received.len();
            let need = have + needed(&self.wire.received);
            let peer = || self.wire.socket.peer();
            match received {
                Some(Ok(1..)) => {}
                Some(Ok(0)) => {
                    warn!(
                        peer = peer(),
                        have, need, "connection ended within a packet"
                    );
                    return Arrival::Nothing;
                }
                Some(Err(error)) => {
                    warn!(peer = peer(), have, need, %error, "connection failed within a packet");
                    return Arrival::Nothing;
                }
                None => {
                    warn!(
                        peer = peer(),
                        have,
                        need,
                        ?timeout,
                        "packet did not arrive in time"
                    );
                    return Arrival::Refused(StatusCode::REQUEST_TIMEOUT);
                }
            }
        }
    }

    /// Waits for the first byte of a packet. Returns whether there is one.
    async fn first_bytes(&mut self, header_deadline: &mut Deadline) -> bool {
        let is_kept = self.served > 0;
        let mut idle_deadline = Deadline::default();
        let (deadline, timeout) = match is_kept {
            true => (&mut idle_deadline, self.settings.keep_alive.idle_timeout),
            false => (header_deadline, self.settings.header_timeout),
        };
        let waited = self.wait_for_bytes(deadline, timeout, true).await;
        let waited = match waited {
            Waited::TimedOut | Waited::Stopping if is_kept && !self.leave() => return false,
            // It was about to be sent, or has just been.
            Waited::TimedOut | Waited::Stopping if is_kept => {
                self.wait_for_bytes(&mut Deadline::default(), LAST_PACKET, false)
                    .await
            }
            Waited::Stopping => {
                let timeout = timeout.min(LAST_PACKET);
                self.wait_for_bytes(&mut Deadline::default(), timeout, false)
                    .await
            }
            waited => waited,
        };
        match waited {
            Waited::Received(Ok(1..)) => true,
            Waited::Received(Ok(0)) => false,
            Waited::Received(Err(error)) => {
                debug!(%error, "connection failed without a request");
                false
            }
            Waited::TimedOut | Waited::Stopping => {
                debug!(
                    peer = self.wire.socket.peer(),
                    "connection without a request closed"
                );
                false
            }
        }
    }

    async fn wait_for_bytes(
        &mut self,
        deadline: &mut Deadline,
        timeout: Duration,
        may_stop: bool,
    ) -> Waited {
        let mut stop = self.stop.clone();
        let mut stopping = pin!(stop.wait_for(|&stop| stop));
        poll_fn(|cx| {
            if let Poll::Ready(received) = self.wire.poll_receive(FIRST_READ, cx) {
                return Poll::Ready(Waited::Received(received));
            }
            if may_stop && stopping.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Waited::Stopping);
            }
            deadline.poll(timeout, cx).map(|()| Waited::TimedOut)
        })
        .await
    }

    /// Prepares to close a connection that waits for a request. Returns whether there is
    /// one after all.
    ///
    /// KEEPALIVE.md, "Closing": so that the request that the front end is about to send
    /// either fails there at once, and is sent elsewhere, or is answered here.
    fn leave(&self) -> bool {
        let has_request = || self.wire.socket.peek() == Peek::Bytes;
        has_request() || (self.wire.socket.shut_down_read() && has_request())
    }

    /// Ends the connection so that the peer receives all of the response.
    ///
    /// Closing a connection with unread input resets it, and what the peer has not
    /// received yet is lost: nginx then answers 502. So the response's end is sent first,
    /// and what still arrives is discarded for a while.
    async fn close(mut self) {
        self.wire.give_up();
        let is_read = self.wire.is_read();
        let ended = poll_fn(|cx| self.wire.poll_end(cx)).await;
        if is_read || ended.is_err() {
            return;
        }
        let mut stop = self.stop.clone();
        let mut stopping = pin!(stop.wait_for(|&stop| stop));
        let mut is_stopping = false;
        let (mut whole, mut silence) = (Deadline::default(), Deadline::default());
        let (mut shortest, mut is_long) = (Deadline::default(), false);
        poll_fn(|cx| {
            while let Poll::Ready(received) = self.wire.poll_receive(LINGER_READ, cx) {
                self.wire.received.clear();
                silence.stop();
                if !matches!(received, Ok(1..)) {
                    return Poll::Ready(());
                }
            }
            is_stopping = is_stopping || stopping.as_mut().poll(cx).is_ready();
            while shortest.poll(MIN_LINGER, cx).is_ready() {
                is_long = true;
                shortest.stop();
            }
            let is_in_the_way = is_stopping || self.room.available_permits() == 0;
            let is_over = whole.poll(LINGER, cx).is_ready()
                || silence.poll(LINGER_SILENCE, cx).is_ready()
                || (is_long && is_in_the_way);
            match is_over {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// Turns a status of the codec into one.
pub(super) fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Room for nginx's packet of most requests, which take about 1 KiB.
const FIRST_READ: usize = 8 * 1_024;

/// How long a packet may take that was not there when the server stopped: the front end
/// connects and then writes.
const LAST_PACKET: Duration = Duration::from_secs(1);

/// How long unread input is discarded: nginx's `lingering_time`.
const LINGER: Duration = Duration::from_secs(30);

/// The same while nothing comes: nginx's `lingering_timeout`.
const LINGER_SILENCE: Duration = Duration::from_secs(5);

/// The same while the server stops, or others wait for room. How often to look.
const MIN_LINGER: Duration = Duration::from_secs(1);

const LINGER_READ: usize = 64 * 1_024;
