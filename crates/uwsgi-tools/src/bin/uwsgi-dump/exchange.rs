use std::io::{self, Read};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use uwsgi_http::Address;

use crate::printer::Times;
use crate::reply::Reply;
use crate::reply_stream::{Bodies, ReplyStream};
use crate::request::Request;
use crate::stream::Stream;

/// What a server has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// From the attempt to connect.
    pub(crate) times: Times,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the connection ended without a reply{}", sent(.0))]
    NoReply(Option<io::Error>),
    #[error("the connection broke: {0}")]
    Receive(io::Error),
    #[error("cannot read the saved body: {0}")]
    Body(io::Error),
    #[error("no complete reply within {0:?}")]
    Late(Duration),
}

/// Sends a request as it was captured, and receives the reply.
pub(crate) async fn exchange(
    address: &Address,
    request: &Request,
    body: impl Read,
    limit: Duration,
) -> Result<Answer, ExchangeError> {
    let start = Instant::now();
    let exchanged = async {
        let connected = Stream::connect(address).await;
        let (mut from, mut to) = tokio::io::split(connected.map_err(ExchangeError::Connect)?);
        let sending = async {
            let refusal = match send(&mut to, request, body).await {
                Ok(()) => None,
                Err(Unsent::Body(error)) => return Err(ExchangeError::Body(error)),
                Err(Unsent::Refused(error)) => Some(error),
            };
            Ok::<_, ExchangeError>(refusal)
        };
        let receiving = receive(&mut from, request, start);
        tokio::pin!(sending, receiving);
        // A server may answer before it has read everything, and then read no further.
        let mut refusal = None;
        let mut is_sent = false;
        let answer = loop {
            tokio::select! {
                sent = &mut sending, if !is_sent => {
                    refusal = sent?;
                    is_sent = true;
                }
                answer = &mut receiving => break answer?,
            }
        };
        answer.ok_or(ExchangeError::NoReply(refusal))
    };
    let result = timeout(limit, exchanged).await;
    result.unwrap_or(Err(ExchangeError::Late(limit)))
}

async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    mut body: impl Read,
) -> Result<(), Unsent> {
    let packet = &request.packet;
    let mut bytes = packet.header.to_bytes().to_vec();
    bytes.extend_from_slice(&packet.block);
    to.write_all(&bytes).await.map_err(Unsent::Refused)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = body.read(&mut buffer).map_err(Unsent::Body)?;
        if read == 0 {
            return Ok(());
        }
        let sent = to.write_all(&buffer[..read]).await;
        sent.map_err(Unsent::Refused)?;
    }
}

enum Unsent {
    Body(io::Error),
    Refused(io::Error),
}

async fn receive(
    from: &mut (impl AsyncRead + Unpin),
    request: &Request,
    start: Instant,
) -> Result<Option<Answer>, ExchangeError> {
    let mut replies = ReplyStream::new(Bodies::Keep);
    replies.expect(request);
    let mut first_byte = None;
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer).await;
        let read = read.map_err(ExchangeError::Receive)?;
        let reply = match read {
            0 => match replies.finish() {
                Some(reply) => Some(reply),
                None => return Ok(None),
            },
            _ => {
                first_byte.get_or_insert_with(|| start.elapsed());
                replies.feed(&buffer[..read]);
                replies.next()
            }
        };
        if let Some(reply) = reply {
            let total = start.elapsed();
            let times = Times { first_byte, total };
            return Ok(Some(Answer { reply, times }));
        }
    }
}

fn sent(refusal: &Option<io::Error>) -> String {
    match refusal {
        None => String::new(),
        Some(error) => format!(", and the request could not be sent: {error}"),
    }
}

const CHUNK: usize = 64 * 1024;
