//! A server for one test.

#![allow(dead_code, reason = "no test binary needs all of it")]

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::Empty;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use uwsgi_codec::{Limits, PacketBuilder, PacketRef};
use uwsgi_http::Address;
use uwsgi_http::client::{ClientError, Exchange, Reply, Stream, Timeouts};

pub(crate) struct Server {
    folder: TempDir,
    listener: UnixListener,
}

impl Server {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        Self { folder, listener }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.folder.path().join("socket"))
    }

    pub(crate) async fn accept(&self) -> Accepted {
        let accepted = timeout(DEADLINE, self.listener.accept()).await;
        Accepted(accepted.expect("a connection comes").unwrap().0)
    }

    /// Says whether no connection waits to be accepted.
    pub(crate) fn has_no_connection(&self) -> bool {
        let listener = self.listener.as_fd().try_clone_to_owned().unwrap();
        let accepted = std::os::unix::net::UnixListener::from(listener).accept();
        accepted.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// For what should happen at once.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A connection as the server sees it.
pub(crate) struct Accepted(pub(crate) UnixStream);

impl Accepted {
    /// Receives a packet, to its last byte and no further.
    pub(crate) async fn packet(&mut self) -> HashMap<String, String> {
        let mut packet = vec![0; 4];
        self.0.read_exact(&mut packet).await.unwrap();
        let len = usize::from(u16::from_le_bytes([packet[1], packet[2]]));
        packet.resize(4 + len, 0);
        self.0.read_exact(&mut packet[4..]).await.unwrap();
        let packet = PacketRef::decode(&packet, &Limits::default())
            .unwrap()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let vars = packet.vars.into_iter();
        vars.map(|(key, value)| (text(key), text(value))).collect()
    }

    pub(crate) async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Waits until the client has closed the connection; returns what came before that.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest).await {
            // The reply was not read.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => rest,
            read => read.map(|_| rest).unwrap(),
        }
    }

    /// Waits until the client has closed the connection; says whether nothing came before.
    pub(crate) async fn closes(self) -> bool {
        self.rest().await.is_empty()
    }
}

/// A packet without a body.
pub(crate) fn get() -> Vec<u8> {
    PacketBuilder::new()
        .var("REQUEST_METHOD", "GET")
        .unwrap()
        .to_vec()
        .unwrap()
}

/// Sends a request without a body to a server that answers with these pieces, each sent
/// when the one before has been received, and then closes.
pub(crate) async fn answered(method: Method, pieces: &[&[u8]]) -> Result<Reply, ClientError> {
    answered_to(Exchange::new(get(), method), pieces).await
}

pub(crate) async fn answered_to(
    exchange: Exchange,
    pieces: &[&[u8]],
) -> Result<Reply, ClientError> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let pieces: Vec<_> = pieces.iter().map(|piece| piece.to_vec()).collect();
    tokio::spawn(async move {
        let mut theirs = Accepted(theirs);
        theirs.packet().await;
        for piece in pieces {
            theirs.write(&piece).await;
            // The client's turn: there is one thread.
            tokio::task::yield_now().await;
        }
    });
    exchange
        .send(Stream::from(ours), Empty::<Bytes>::new())
        .await
}

pub(crate) async fn connect(server: &Server) -> (Stream, Accepted) {
    let address = server.address();
    let limit = Timeouts::new().connect;
    let (stream, accepted) = tokio::join!(Stream::connect(&address, limit), server.accept());
    (stream.unwrap(), accepted)
}
