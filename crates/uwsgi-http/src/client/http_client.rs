use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use uwsgi_codec::http::{
    BodyLength, ConnectionInfo, MapError, ReplyHead, ReplyLimits, RequestMapping, ask_to_keep,
};
use uwsgi_codec::{EncodeError, PacketBuilder};

use super::error::ClientError;
use super::exchange::{Exchange, Reply, Unanswered};
use super::pool::{KeptConnections, Pool};
use super::reply_body::ReplyBody;
use super::sending::{Sending, boxed};
use super::stream::Stream;
use super::timeouts::Timeouts;
use crate::{Address, BoxError};

/// A client of one uwsgi server: sends requests of the crate [`http`].
///
/// Cloning it is cheap, and clones share the kept connections. Any number of requests may
/// be under way together, each on a connection of its own.
///
/// # Examples
///
/// ```no_run
/// use http::Request;
/// use http_body_util::{BodyExt, Empty};
/// use bytes::Bytes;
/// use uwsgi_http::client::Client;
///
/// # async fn get() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new("/run/app.sock".parse()?);
/// let request = Request::get("/hello?name=world")
///     .header("Host", "example.com")
///     .body(Empty::<Bytes>::new())?;
/// let response = client.send(request).await?;
/// println!("{}", response.status());
/// let body = response.into_body().collect().await?.to_bytes();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    settings: Arc<Settings>,
    pool: Option<Arc<Pool>>,
}

#[derive(Clone)]
struct Settings {
    address: Address,
    mapping: RequestMapping,
    vars: Vec<(Bytes, Bytes)>,
    limits: ReplyLimits,
    timeouts: Timeouts,
}

impl fmt::Debug for Settings {
    /// Of the variables only the names: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vars: Vec<_> = self.vars.iter().map(|(key, _)| key).collect();
        f.debug_struct("Settings")
            .field("address", &self.address)
            .field("mapping", &self.mapping)
            .field("vars", &vars)
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

/// The reason phrase of a reply, in the [extensions](http::Extensions) of the response if
/// it is not the usual one of its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Bytes);

impl Reason {
    /// Returns its bytes: UTF-8, Latin-1 or whatever the server has sent.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Client {
    /// Makes a client that closes each connection behind the reply, with the defaults of
    /// everything else. Nothing is sent yet.
    #[must_use]
    pub fn new(address: Address) -> Self {
        let settings = Settings {
            address,
            mapping: RequestMapping::new(),
            vars: Vec::new(),
            limits: ReplyLimits::new(),
            timeouts: Timeouts::new(),
        };
        Self {
            settings: Arc::new(settings),
            pool: None,
        }
    }

    /// Sets how requests become variables.
    #[must_use]
    pub fn with_mapping(mut self, mapping: RequestMapping) -> Self {
        self.settings_mut().mapping = mapping;
        self
    }

    /// Sends another variable with each request, behind those of the mapping: of equal
    /// names the last one counts.
    ///
    /// # Errors
    ///
    /// As [`PacketBuilder::var`].
    pub fn with_var(
        mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, EncodeError> {
        let (key, value) = (key.as_ref(), value.as_ref());
        PacketBuilder::new().var(key, value)?;
        let pair = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        self.settings_mut().vars.push(pair);
        Ok(self)
    }

    /// Sets the limits of the reply's head.
    #[must_use]
    pub fn with_limits(mut self, limits: ReplyLimits) -> Self {
        self.settings_mut().limits = limits;
        self
    }

    /// Sets how long the server may take.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings_mut().timeouts = timeouts;
        self
    }

    /// Asks the server to keep its connections, and uses them for further requests.
    /// Default: each request has a new connection, as the protocol has it.
    #[must_use]
    pub fn with_kept_connections(mut self, kept: KeptConnections) -> Self {
        self.pool = Some(Arc::new(Pool::new(kept)));
        self
    }

    /// Returns where the server is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.settings.address
    }

    /// Sends a request, and receives the head of the reply.
    ///
    /// The length of the body is what [`Body::size_hint`] knows exactly, else what
    /// `Content-Length` says. Without either, the request is refused: uwsgi cannot say
    /// that a body ends somewhere. The reply is received while the body is sent, and may
    /// come before its end; what is left of the body is sent while the [`ReplyBody`] is
    /// read, until that ends ([`ReplyBody::has_sent_request`]).
    ///
    /// Of the connection of HTTP on which the request came, there is none; a gateway calls
    /// [`Client::send_for`].
    ///
    /// 1xx heads are skipped. If a kept connection turns out to have been closed, and no
    /// byte of a reply has come, a request is sent again on a new one: any request if no
    /// byte of it has left, else one without a body whose method is idempotent (RFC 9110,
    /// 9.2.2). Other requests may have had an effect.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Request`], [`ClientError::Encode`]: nothing was sent;
    /// - [`ClientError::Connect`];
    /// - the others as [`Exchange::send`], and [`ClientError::RequestBodyLength`] if the
    ///   body does not have the length that was announced.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<ReplyBody>, ClientError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.send_for(request, &ConnectionInfo::new()).await
    }

    /// Sends a request that came on a connection of HTTP, as [`Client::send`] does.
    ///
    /// # Errors
    ///
    /// As [`Client::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`Client::send`].
    pub async fn send_for<B>(
        &self,
        request: Request<B>,
        connection: &ConnectionInfo,
    ) -> Result<Response<ReplyBody>, ClientError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let length = body_length(&parts, &body)?;
        let (packet, has_asked) = self.packet(&parts, connection, length)?;
        let pool = self.pool.as_ref().filter(|_| has_asked);
        let exchange = || {
            Exchange::new(packet.clone(), parts.method.clone())
                .with_limits(self.settings.limits)
                .with_timeouts(self.settings.timeouts)
        };

        let announced = length.bytes();
        let mut sending = Sending::new(packet.clone(), boxed(body), announced);
        if let Some(stream) = pool.and_then(|pool| pool.take()) {
            match exchange().send_on(stream, sending).await {
                Ok(reply) => return Ok(into_response(reply, pool)),
                Err(Unanswered {
                    unsent: Some(unsent),
                    ..
                }) => sending = *unsent,
                Err(Unanswered {
                    error: ClientError::NoReply { .. },
                    ..
                }) if may_be_repeated(&parts.method, length) => {
                    sending = Sending::new(packet.clone(), None, announced);
                }
                Err(unanswered) => return Err(unanswered.error),
            }
        }
        let timeouts = &self.settings.timeouts;
        let stream = Stream::connect(&self.settings.address, timeouts.connect).await?;
        let reply = exchange().send_on(stream, sending).await;
        let reply = reply.map_err(|unanswered| unanswered.error)?;
        Ok(into_response(reply, pool))
    }

    /// Makes the packet of a request; says whether it asks to keep the connection.
    fn packet(
        &self,
        parts: &Parts,
        connection: &ConnectionInfo,
        length: BodyLength,
    ) -> Result<(Bytes, bool), ClientError> {
        let settings = &self.settings;
        let mut packet = PacketBuilder::new();
        settings
            .mapping
            .to_vars(parts, connection, length, &mut packet)?;
        packet.vars(settings.vars.iter().map(|(key, value)| (key, value)))?;
        let has_asked = match self.pool {
            Some(_) => ask_to_keep(&parts.method, length, &mut packet)?,
            None => false,
        };
        Ok((packet.to_vec()?.into(), has_asked))
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

fn body_length(parts: &Parts, body: &impl Body) -> Result<BodyLength, MapError> {
    let said = BodyLength::of(parts)?;
    Ok(match (said, body.size_hint().exact()) {
        (BodyLength::Absent | BodyLength::Unknown, Some(0)) => BodyLength::Absent,
        (_, Some(exact)) => BodyLength::Known(exact),
        // A body without a header that announces it.
        (BodyLength::Absent, None) if !body.is_end_stream() => BodyLength::Unknown,
        (said, None) => said,
    })
}

/// RFC 9110, 9.2.2. A body is gone once it is sent.
fn may_be_repeated(method: &Method, length: BodyLength) -> bool {
    method.is_idempotent() && length.bytes() == Some(0)
}

fn into_response(reply: Reply, pool: Option<&Arc<Pool>>) -> Response<ReplyBody> {
    let Reply { head, mut body, .. } = reply;
    if let Some(pool) = pool {
        body.keep_in(Arc::clone(pool));
    }
    let reason = unusual_reason(&head);
    let mut response = head.into_response(body);
    if let Some(reason) = reason {
        response.extensions_mut().insert(reason);
    }
    response
}

fn unusual_reason(head: &ReplyHead) -> Option<Reason> {
    let usual = head.status().canonical_reason().unwrap_or_default();
    let reason = head.reason();
    (reason != usual.as_bytes()).then(|| Reason(Bytes::copy_from_slice(reason)))
}
