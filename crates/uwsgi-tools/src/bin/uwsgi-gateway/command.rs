use std::num::NonZeroUsize;
use std::time::Duration;

use clap::Parser;
use tracing::level_filters::LevelFilter;
use uwsgi_codec::http::RequestMapping;
use uwsgi_http::Address;
use uwsgi_http::client::{Client, KeptConnections, Timeouts};
use uwsgi_http::gateway::Gateway;

use crate::size::{memory_size, size};

/// Serves HTTP/1.1 in front of a uwsgi server, as nginx does with uwsgi_pass.
///
/// For development, tests and small installations: no TLS, no files, no cache. Bodies are streamed in both directions, so
/// a slow client occupies a worker of the server; --buffered-body helps with uploads. REMOTE_ADDR is whoever has
/// connected; X-Forwarded-For and the like are passed on as the client wrote them.
///
/// TERM and INT end it once the requests under way have ended; a second signal ends it at once. Exit codes: 0 after a
/// signal, 1 if it cannot listen or after a second signal, 2 usage.
#[derive(Debug, Parser)]
#[command(name = "uwsgi-gateway", version)]
pub(crate) struct Command {
    /// The uwsgi server: a path with a slash, unix:PATH or HOST:PORT
    #[arg(value_parser = uwsgi_tools::address)]
    pub(crate) address: Address,

    /// Where to listen; port 0 is any free one
    #[arg(
        short,
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:8080",
        value_parser = listen
    )]
    pub(crate) listen: String,
    /// The path that the application is mounted at, such as /shop; others are answered with 404 [default: the root]
    #[arg(long, value_name = "PATH", value_parser = script_name)]
    pub(crate) script_name: Option<RequestMapping>,
    /// Send another variable with each request; it replaces one of the same name
    #[arg(long, value_name = "NAME=VALUE", value_parser = var)]
    pub(crate) var: Vec<(String, String)>,
    /// Ask the server to keep its connections: for scoter with --keep-alive, and others that know KEEPALIVE.md
    #[arg(long)]
    pub(crate) keep_alive: bool,
    /// Seconds that a kept connection waits for a request; the server's limit should be longer
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = uwsgi_tools::seconds)]
    pub(crate) keep_alive_timeout: Duration,

    /// Connections of clients served at once; others wait until one ends
    #[arg(long, value_name = "NUMBER", default_value = "1024")]
    pub(crate) max_connections: NonZeroUsize,
    /// The longest request body; the answer to a longer one is 413 [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_body: Option<u64>,
    /// Up to this length a request body is held in memory, and the server is asked once it is complete. As uwsgi needs
    /// the length, a longer chunked one is answered with 413, and with 0 any chunked one with 411; others are streamed
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = memory_size)]
    pub(crate) buffered_body: usize,
    /// The longest request head; the answer to a longer one is 431
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = memory_size)]
    pub(crate) max_head: usize,

    /// Seconds until there must be a connection to the server; the answer is 504 then
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = uwsgi_tools::seconds)]
    pub(crate) connect_timeout: Duration,
    /// Seconds that the server may take for the head, for the next part of a body, or to receive; the answer is 504 then
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = uwsgi_tools::seconds)]
    pub(crate) timeout: Duration,
    /// Seconds that a client may take for the next request, for the next part of its body, or to receive
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = uwsgi_tools::seconds)]
    pub(crate) client_timeout: Duration,
    /// Seconds that requests may go on after the first signal
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = uwsgi_tools::seconds)]
    pub(crate) stop_timeout: Duration,

    /// The least important messages on standard error: error, warn, info, debug or off
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LevelFilter,
}

impl Command {
    /// Makes the gateway.
    pub(crate) fn gateway(&self) -> Gateway {
        let timeouts = Timeouts::new()
            .with_connect(self.connect_timeout)
            .with_head(self.timeout)
            .with_read(self.timeout)
            .with_write(self.timeout);
        let mut client = Client::new(self.address.clone()).with_timeouts(timeouts);
        if let Some(mapping) = &self.script_name {
            client = client.with_mapping(mapping.clone());
        }
        for (name, value) in &self.var {
            client = client
                .with_var(name, value)
                .expect("checked when the command line was read");
        }
        if self.keep_alive {
            let kept = KeptConnections::new().with_idle_timeout(self.keep_alive_timeout);
            client = client.with_kept_connections(kept);
        }
        Gateway::new(client)
            .with_max_connections(self.max_connections.get())
            .with_max_body(self.max_body.unwrap_or(u64::MAX))
            .with_buffered_body(self.buffered_body)
            .with_max_head(self.max_head)
            .with_client_timeout(self.client_timeout)
            .with_stop_timeout(self.stop_timeout)
    }
}

fn listen(text: &str) -> Result<String, String> {
    let is_host = |host: &str| match host.strip_prefix('[') {
        Some(ipv6) => ipv6.ends_with(']'),
        None => !host.is_empty() && !host.contains(['/', ':']),
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    match text.rsplit_once(':') {
        Some((host, port)) if is_host(host) && is_port(port) => Ok(text.to_owned()),
        _ => Err("expected HOST:PORT, such as 127.0.0.1:8080 or [::]:80".to_owned()),
    }
}

fn script_name(text: &str) -> Result<RequestMapping, String> {
    RequestMapping::new()
        .with_script_name(text)
        .map_err(|_| "not a path that begins with a slash and ends with none".to_owned())
}

fn var(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there is no =")?;
    uwsgi_codec::PacketBuilder::new()
        .var(name, value)
        .map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value.to_owned()))
}
