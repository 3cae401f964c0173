use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use uwsgi_codec::http::{ReplyHead, ReplyLimits};
use uwsgi_http::client::{Exchange, Stream, Timeouts};

use crate::command::Command;
use crate::data::Data;
use crate::failure::Failure;
use crate::output::Output;
use crate::packet::packet;
use crate::verbose::Verbose;

/// What is known of a request while it is under way and afterwards: what `--write-out` writes.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    pub(crate) method: String,
    /// 0 before the head of the reply has come.
    pub(crate) status: u16,
    pub(crate) headers: usize,
    pub(crate) content_type: String,
    pub(crate) request_bytes: usize,
    pub(crate) header_bytes: usize,
    pub(crate) received: u64,
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) connected: Duration,
    pub(crate) head_received: Duration,
}

impl Transfer {
    /// Sends the request and writes the reply.
    pub(crate) async fn run(
        &mut self,
        command: &Command,
        start: Instant,
        verbose: Verbose,
    ) -> Result<(), Failure> {
        let mut url = command.target.url().map_err(Failure::Url)?;
        let mut data = Data::of(command).map_err(Failure::Data)?;
        if let (true, Data::Bytes(query)) = (command.get, &data) {
            url.add_query(query).map_err(Failure::Url)?;
            data = Data::None;
        }
        let packet = packet(command, &url, &data)?.build()?;
        let method = packet.vars.get("REQUEST_METHOD").unwrap_or(b"GET");
        // Whatever is none has a reply with a body.
        let method = Method::from_bytes(method).unwrap_or_default();
        self.method = method.to_string();
        let mut wire = Vec::with_capacity(packet.len());
        packet.encode(&mut wire)?;
        self.request_bytes = wire.len();

        let stream = Stream::connect(&command.address, command.connect_timeout).await?;
        self.connected = start.elapsed();
        verbose.connected(&command.address);
        verbose.sent(&packet, data.len());
        let (body, sent) = data.into_body();
        self.sent = sent;
        let exchange = Exchange::new(wire, method)
            .with_timeouts(UNLIMITED)
            .with_limits(LIMITS)
            .with_on_interim(move |head| verbose.interim(head));
        let mut reply = exchange.send(stream, body).await?;
        self.head_received = start.elapsed();
        self.note(&reply.head, reply.head_bytes.len());
        verbose.received(&reply.head_bytes);
        if self.status == 400 && says_close(&reply.head_bytes) && !command.is_silent() {
            suspect_http();
        }
        if command.fail && self.status >= 400 {
            return Err(Failure::Status(self.status));
        }

        let mut output = Output::new(command.output.as_deref());
        if command.include || command.head {
            output.write(&reply.head_bytes).await?;
        }
        if command.head {
            return output.finish().await;
        }
        while let Some(frame) = reply.body.frame().await {
            let Ok(piece) = frame?.into_data() else {
                continue;
            };
            self.received += piece.len() as u64;
            output.write(&piece).await?;
        }
        verbose.surplus(reply.body.surplus());
        output.finish().await
    }

    /// Returns how many bytes of the request's body have been sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn note(&mut self, head: &ReplyHead, bytes: usize) {
        self.status = head.status().as_u16();
        self.headers = head.headers().len();
        let content_type = head.headers().get(CONTENT_TYPE).map(|it| it.as_bytes());
        self.content_type = String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned();
        self.header_bytes = bytes;
    }
}

/// Whether a head has `Connection: close`. Servers of uwsgi rarely say it, since each of their connections ends;
/// nginx, Node and gunicorn say it to whoever sends them something other than HTTP.
fn says_close(head: &[u8]) -> bool {
    head.split(|&byte| byte == b'\n').any(|line| {
        let mut halves = line.splitn(2, |&byte| byte == b':');
        let name = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"close")
    })
}

#[expect(clippy::print_stderr, reason = "what a user should know")]
fn suspect_http() {
    eprintln!(
        "uwsgi-curl: an HTTP server answers a uwsgi packet like this: if it is one, use curl"
    );
}

/// What limits there are are those of the command line.
const UNLIMITED: Timeouts = Timeouts::new()
    .with_connect(Duration::MAX)
    .with_head(Duration::MAX)
    .with_read(Duration::MAX)
    .with_write(Duration::MAX);

/// Larger than a front end's: this is a tool to look at replies with.
const LIMITS: ReplyLimits = ReplyLimits::new()
    .with_max_bytes(1024 * 1024)
    .with_max_headers(4096);
