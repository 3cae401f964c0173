//! One request and its response.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, ready};

use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;
use tracing::{debug, error, warn};
use uwsgi_codec::http::{BodyEnd, asks_to_keep, from_vars};
use uwsgi_codec::{Packet, modifier};

use super::BoxError;
use super::connection::{Connection, status_of};
use super::reply::{self, Persistence};
use super::request_body::RequestBody;
use super::sending::{Sending, Sent, caught};
use super::wire::{InputEvent, take};
use crate::causes::Causes;

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The next request comes on it.
    Keep,
    /// The response ends with it.
    Close,
    /// The response is not complete, or nobody waits for it.
    Abort,
}

/// What a service made of a request.
enum Called<B> {
    Responded(Response<B>),
    /// It failed, or panicked.
    Failed(StatusCode),
    /// The client has gone, and the service's future has been dropped.
    Gone,
}

/// Which request a log message is about.
struct Asked {
    method: Method,
    uri: Uri,
}

impl<I: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection<I> {
    pub(super) async fn exchange<S, B>(&mut self, packet: Packet, service: S) -> Ending
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Send,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (parts, length) = match from_vars(&packet.vars) {
            Ok(request) => request,
            Err(error) => {
                let (peer, kind) = (self.wire.socket.peer(), error.kind());
                let status = error.http_status();
                warn!(peer, kind, status, %error, "request refused");
                self.wire.begin_unknown();
                return self.refuse(status_of(status), &Method::GET).await;
            }
        };
        let length = length.bytes().unwrap_or(0);
        let (body, feed) = RequestBody::new(take(&mut self.wire.received, length), length);
        self.wire.begin(feed);
        // KEEPALIVE.md, "Agreeing", 1 and 2.
        let asks = packet.header.modifier1 == modifier::WSGI && asks_to_keep(packet.vars.as_ref());
        let asked = Asked {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
        };
        drop(packet);
        match self
            .call(service, Request::from_parts(parts, body), &asked)
            .await
        {
            Called::Responded(response) => self.respond(response, asks, &asked).await,
            Called::Failed(status) => self.refuse(status, &asked.method).await,
            Called::Gone => Ending::Abort,
        }
    }

    async fn call<S, B>(
        &mut self,
        mut service: S,
        request: Request<RequestBody>,
        asked: &Asked,
    ) -> Called<B>
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Send,
        S::Future: Send,
        S::Error: Into<BoxError>,
    {
        let mut call = pin!(async move {
            let ready = poll_fn(|cx| service.poll_ready(cx)).await;
            ready.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error))?;
            let called = service.call(request).await;
            called.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error))
        });
        let (method, path) = (&asked.method, asked.uri.path());
        poll_fn(|cx| {
            loop {
                match caught(|| call.as_mut().poll(cx)) {
                    Ok(Poll::Ready(Ok(response))) => {
                        return Poll::Ready(Called::Responded(response));
                    }
                    Ok(Poll::Ready(Err((status, error)))) => {
                        let error: BoxError = error.into();
                        let error = Causes(&*error);
                        let code = status.as_u16();
                        error!(%method, path, status = code, %error, "the service failed");
                        return Poll::Ready(Called::Failed(status));
                    }
                    Err(panic) => {
                        error!(%method, path, panic, "the service panicked");
                        return Poll::Ready(Called::Failed(StatusCode::INTERNAL_SERVER_ERROR));
                    }
                    Ok(Poll::Pending) => {}
                }
                match ready!(self.wire.poll_input(cx)) {
                    InputEvent::Delivered => {}
                    InputEvent::Gone => {
                        debug!(%method, path, "the client left before the response");
                        return Poll::Ready(Called::Gone);
                    }
                }
            }
        })
        .await
    }

    async fn respond<B>(&mut self, response: Response<B>, asks: bool, asked: &Asked) -> Ending
    where
        B: Body + Send,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = response.into_parts();
        let (method, path) = (&asked.method, asked.uri.path());
        let (status, hint) = (parts.status.as_u16(), body.size_hint());
        let head = match reply::head(parts, &hint, method) {
            Ok(head) => head,
            Err(error) => {
                error!(%method, path, status, %error, "the service's response cannot be sent");
                return self.refuse(StatusCode::INTERNAL_SERVER_ERROR, method).await;
            }
        };
        let persistence = match asks && self.may_keep().await {
            true => Persistence::Keep,
            false => Persistence::Close,
        };
        let (wire_head, persistence) = reply::encode(&head, persistence);
        let mut sending = Sending::new(wire_head, head.body_end(), persistence);
        let mut body = pin!(body);
        let sent = poll_fn(|cx| {
            let sent = ready!(sending.poll(body.as_mut(), &mut self.wire, cx));
            if matches!((&sent, head.body_end()), (Sent::Whole, BodyEnd::Length(_))) {
                sending.look_behind(body.as_mut(), cx);
            }
            Poll::Ready(sent)
        });
        let sent = sent.await;
        if sending.is_longer() {
            error!(%method, path, status, "the body is longer than its Content-Length: cut");
        }
        if asks && self.wire.has_surplus() {
            let peer = self.wire.socket.peer();
            warn!(peer, %method, path, "bytes behind the request: connection closed");
        }
        match sent {
            Sent::Whole => {
                return match sending.persistence() {
                    Persistence::Keep => Ending::Keep,
                    Persistence::Close => Ending::Close,
                };
            }
            Sent::Short { missing } => {
                error!(%method, path, status, missing, "the body is shorter than its Content-Length");
            }
            Sent::Failed(error) => {
                let error = Causes(&*error);
                error!(%method, path, status, %error, "the body of the response failed");
            }
            Sent::Panicked(panic) => {
                error!(%method, path, status, panic, "the body of the response panicked");
            }
            Sent::Lost(error) => {
                debug!(%method, path, status, %error, "the response could not be sent");
                return Ending::Abort;
            }
            Sent::Gone => {
                debug!(%method, path, status, "the client left within the response");
                return Ending::Abort;
            }
        }
        if sending.is_unsent() {
            return self.refuse(StatusCode::INTERNAL_SERVER_ERROR, method).await;
        }
        Ending::Abort
    }

    /// Decides about a request that asks for it: KEEPALIVE.md, "Agreeing", 3, 4 and 7.
    async fn may_keep(&mut self) -> bool {
        let has_arrived = poll_fn(|cx| {
            self.wire.discard_what_has_arrived(cx);
            Poll::Ready(self.wire.poll_is_quiet(cx))
        });
        has_arrived.await && self.has_room_to_keep()
    }
}
