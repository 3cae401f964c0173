//! Requests that are incomplete: the reactor receives the rest, until a slot can serve them.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::Interest;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wsgi_environ::Body;

use crate::log::say;
use crate::request_head::RequestHead;
use crate::sys::descriptors::move_aside;
use crate::worker::Shared;
use crate::worker::connection::Connection;
use crate::worker::connection::async_connection::{AsyncConnection, Waited};
use crate::worker::request::intake::{Request, Stage, body_of, streamed_body};
use crate::worker::request::late_body::{LateBody, MayWait};
use crate::worker::request::receive_buffer::make_room;
use crate::worker::response::pending::PendingResponse;
use crate::worker::response::refusal::{Refusal, Refused};

/// A connection whose request is incomplete.
#[derive(Debug)]
pub(crate) struct PartialRequest {
    pub(crate) connection: Arc<Connection>,
    /// What was received and not yet taken apart.
    pub(crate) buffer: BytesMut,
    pub(crate) missing: Part,
}

/// What a [`PartialRequest`] waits for.
#[derive(Debug)]
pub(crate) enum Part {
    /// The rest of the packet.
    Packet,
    /// The rest of the body.
    Body(Arc<RequestHead>),
}

impl Part {
    /// The head of the request, if it is complete.
    pub(crate) fn into_head(self) -> Option<Arc<RequestHead>> {
        match self {
            Self::Packet => None,
            Self::Body(head) => Some(head),
        }
    }
}

/// What a partial request has become.
pub(crate) enum Received {
    /// A request, and whether there was more behind it.
    Request(Arc<RequestHead>, Body, bool),
    Ping([u8; 4]),
}

impl PartialRequest {
    /// The next request of a kept connection, of which nothing has been received.
    pub(crate) fn next(mut connection: Arc<Connection>) -> Self {
        if let Some(ours) = Arc::get_mut(&mut connection) {
            ours.begin_request();
        }
        Self {
            connection,
            buffer: BytesMut::new(),
            missing: Part::Packet,
        }
    }

    /// Receives until the request is complete, and queues it for the slots.
    ///
    /// What cannot be served comes back with what is to be said about it.
    pub(crate) async fn complete(
        self,
        shared: &Arc<Shared>,
        permit: OwnedSemaphorePermit,
    ) -> Option<(PendingResponse, OwnedSemaphorePermit)> {
        let connection = Arc::clone(&self.connection);
        let received = self.receive(shared).await;
        conclude(connection, received, shared, permit).await
    }

    async fn receive(self, shared: &Shared) -> Result<Received, Refused> {
        let Self {
            connection,
            mut buffer,
            missing,
        } = self;
        let peer = AsyncConnection::new(Arc::clone(&connection), Interest::READABLE, &shared.stop)
            .map_err(|error| Refusal::of(&connection, error))?;
        let head = match missing {
            Part::Body(head) => head,
            Part::Packet => {
                let deadline = (connection.accepted() + shared.header_timeout).into();
                match receive_packet(&peer, &mut buffer, deadline, shared).await? {
                    Stage::Body(head) => head,
                    Stage::Whole(head, body) => {
                        return Ok(Received::Request(head, body, !buffer.is_empty()));
                    }
                    Stage::Ping(answer) => return Ok(Received::Ping(answer)),
                    Stage::Packet => return Err(Refusal::PeerGone.into()),
                }
            }
        };
        receive_rest(connection, &peer, buffer, Arc::clone(&head), shared)
            .await
            .map_err(|refusal| Refused {
                refusal,
                head: Some(head),
            })
    }
}

/// Receives the body of a request, or finds that it does not begin.
async fn receive_rest(
    connection: Arc<Connection>,
    peer: &AsyncConnection<'_>,
    mut buffer: BytesMut,
    head: Arc<RequestHead>,
    shared: &Shared,
) -> Result<Received, Refusal> {
    let length = head.content_length()?;
    if buffer.is_empty() {
        if let Begun::Not(permit) = begin_body(peer, &mut buffer, length, shared).await? {
            let late = LateBody::new(connection, permit);
            let body = Body::streamed(Bytes::new(), length, Arc::new(late));
            return Ok(Received::Request(head, body, false));
        }
    }
    let body = if shared.intake.streams(length) {
        streamed_body(&mut buffer, length, connection)
    } else {
        receive_body(peer, &mut buffer, length, shared).await?
    };
    Ok(Received::Request(head, body, !buffer.is_empty()))
}

/// Queues a request for the slots, with the permit that bounds the queue. What cannot be served
/// comes back with what is to be said about it.
pub(crate) async fn conclude(
    connection: Arc<Connection>,
    received: Result<Received, Refused>,
    shared: &Shared,
    permit: OwnedSemaphorePermit,
) -> Option<(PendingResponse, OwnedSemaphorePermit)> {
    match received {
        Ok(Received::Request(head, body, overrun)) => {
            let request = Request {
                connection,
                head,
                body,
                overrun,
                since: std::time::Instant::now(),
                queued_since: None,
                permit: Some(permit),
            };
            let request = shared.ready.push(request).err()?;
            let refused = Refused {
                refusal: Refusal::NobodyLeft,
                head: Some(request.head),
            };
            shared.count(&refused.refusal, &request.connection);
            let response = PendingResponse::refusal(request.connection, &refused);
            Some((response, request.permit?))
        }
        Ok(Received::Ping(answer)) => {
            Some((PendingResponse::bytes(connection, answer.to_vec()), permit))
        }
        Err(refused) => {
            shared.count(&refused.refusal, &connection);
            let response = PendingResponse::refusal(connection, &refused);
            say(move || refused.log()).await;
            Some((response, permit))
        }
    }
}

/// Whether a body has begun to arrive.
enum Begun {
    Yes,
    /// Nothing of it has; perhaps the application may wait for it.
    Not(Option<MayWait>),
}

/// Reads until the packet is complete; [`Stage::Packet`] never comes back.
async fn receive_packet(
    peer: &AsyncConnection<'_>,
    buffer: &mut BytesMut,
    deadline: Instant,
    shared: &Shared,
) -> Result<Stage, Refused> {
    loop {
        match shared.intake.examine(buffer)? {
            Stage::Packet => {}
            stage => return Ok(stage),
        }
        make_room(buffer, PACKET_STEP)?;
        let received = buffer.len();
        match peer.wait(deadline, |peer| peer.recv_into(buffer)).await {
            Waited::Done(Ok(0)) => return Err(Refusal::PeerGone.into()),
            Waited::Done(Ok(_)) => {}
            Waited::Done(Err(error)) => return Err(Refusal::of(peer.connection(), error).into()),
            Waited::TimedOut => return Err(Refusal::HeaderTimeout { received }.into()),
            Waited::Stopping => return Err(Refusal::Stopping.into()),
        }
    }
}

/// Waits for the first bytes of a body, for as long as an application that may not read it
/// can be kept waiting.
async fn begin_body(
    peer: &AsyncConnection<'_>,
    buffer: &mut BytesMut,
    length: u64,
    shared: &Shared,
) -> Result<Begun, Refusal> {
    let start = Instant::now();
    let most = usize::try_from(length).unwrap_or(usize::MAX);
    make_room(buffer, most.min(BODY_STEP))?;
    let begun = |waited| match waited {
        Waited::Done(Ok(0)) => Err(Refusal::PeerGone),
        Waited::Done(Ok(_)) => Ok(Begun::Yes),
        Waited::Done(Err(error)) => Err(Refusal::of(peer.connection(), error)),
        Waited::TimedOut | Waited::Stopping => Ok(Begun::Not(None)),
    };
    let soon = peer
        .wait(start + BODY_START_TIMEOUT, |peer| peer.recv_into(buffer))
        .await;
    if !matches!(soon, Waited::TimedOut) {
        return begun(soon);
    }
    tokio::select! {
        biased;
        waited = peer.wait(start + LATE_BODY_TIMEOUT, |peer| peer.recv_into(buffer)) => begun(waited),
        permit = shared.late_bodies.permit() => Ok(Begun::Not(Some(permit))),
    }
}

async fn receive_body(
    peer: &AsyncConnection<'_>,
    buffer: &mut BytesMut,
    length: u64,
    shared: &Shared,
) -> Result<Body, Refusal> {
    if length > shared.intake.body_buffer as u64 {
        return spool_body(peer, buffer, length, shared).await;
    }
    while (buffer.len() as u64) < length {
        let received = buffer.len() as u64;
        // Memory follows what arrives, not what was announced.
        let missing = usize::try_from(length - received).unwrap_or(usize::MAX);
        make_room(buffer, missing.min(buffer.len().max(BODY_STEP)))?;
        receive_more(peer, buffer, received, length, shared).await?;
    }
    Ok(body_of(buffer, length))
}

/// Keeps a body beyond `--body-buffer` in a file that has no name and goes away by itself.
async fn spool_body(
    peer: &AsyncConnection<'_>,
    buffer: &mut BytesMut,
    length: u64,
    shared: &Shared,
) -> Result<Body, Refusal> {
    let file = shared
        .files
        .run(tempfile::tempfile)
        .await
        .map_err(io::Error::from)
        .and_then(|file| file);
    // The number must not be given out again while the application reads it.
    let mut file: File = move_aside(file.map_err(Refusal::Spool)?);
    let mut spooled = 0;
    loop {
        let part = usize::try_from(length - spooled).map_or(buffer.len(), |l| l.min(buffer.len()));
        let bytes = buffer.split_to(part);
        let writing = shared.files.run(move || {
            file.write_all(&bytes)?;
            Ok(file)
        });
        spooled += part as u64;
        if spooled < length {
            make_room(buffer, SPOOL_STEP)?;
            receive_more(peer, buffer, spooled, length, shared).await?;
        }
        file = writing
            .await
            .map_err(io::Error::from)
            .and_then(|file| file)
            .map_err(Refusal::Spool)?;
        if spooled == length {
            break;
        }
    }
    file.rewind().map_err(Refusal::Spool)?;
    Ok(Body::spooled(file, length))
}

async fn receive_more(
    peer: &AsyncConnection<'_>,
    buffer: &mut BytesMut,
    received: u64,
    length: u64,
    shared: &Shared,
) -> Result<(), Refusal> {
    let deadline = Instant::now() + shared.connection_timeouts.body;
    match peer.wait(deadline, |peer| peer.recv_into(buffer)).await {
        Waited::Done(Ok(0)) => Err(Refusal::PeerGone),
        Waited::Done(Ok(_)) => Ok(()),
        Waited::Done(Err(error)) => Err(Refusal::of(peer.connection(), error)),
        Waited::TimedOut => Err(Refusal::BodyTimeout { received, length }),
        Waited::Stopping => Err(Refusal::Stopping),
    }
}

/// How long a body may take to begin before the application is started without it: nearly all
/// begin sooner, and of what never comes (auth_request) the client waits for no more.
const BODY_START_TIMEOUT: Duration = Duration::from_millis(100);

/// How long it may where as many slots as may are waiting for such bodies: then the application
/// is started all the same, and can read no more than what is there.
const LATE_BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// Room made for each receive, in bytes.
const PACKET_STEP: usize = 8 * 1_024;
const BODY_STEP: usize = 64 * 1_024;
const SPOOL_STEP: usize = 256 * 1_024;

#[cfg(test)]
mod tests;
