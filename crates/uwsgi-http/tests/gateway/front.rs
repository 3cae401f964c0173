//! A gateway for one test.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uwsgi_http::Address;
use uwsgi_http::client::Client;
use uwsgi_http::gateway::Gateway;

use crate::server::DEADLINE;

pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<()>,
}

impl Front {
    pub(crate) async fn of(server: Address) -> Self {
        Self::new(Gateway::new(Client::new(server))).await
    }

    pub(crate) async fn new(gateway: Gateway) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(gateway.serve(listener, async {
            // Not if the test has dropped it: then the runtime ends.
            if stopped.await.is_err() {
                std::future::pending().await
            }
        }));
        Self {
            address,
            stop,
            task,
        }
    }

    pub(crate) async fn connect(&self) -> Browser {
        Browser(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends bytes on a new connection, and returns all that comes back.
    pub(crate) async fn ask(&self, request: &str) -> String {
        let mut browser = self.connect().await;
        browser.write(request.as_bytes()).await;
        browser.rest().await
    }
}

/// A connection as the client of the gateway sees it.
pub(crate) struct Browser(pub(crate) TcpStream);

impl Browser {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads until `end` has come.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            let read = timeout(DEADLINE, self.0.read_u8()).await;
            match read.expect("it comes") {
                Ok(byte) => text.push(byte),
                Err(error) => panic!("{error} after {}", text.escape_ascii()),
            }
        }
        String::from_utf8(text).unwrap()
    }

    /// Reads until the gateway closes the connection.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        let read = timeout(DEADLINE, self.0.read_to_end(&mut rest)).await;
        read.expect("the connection is closed").unwrap();
        String::from_utf8(rest).unwrap()
    }
}

/// The lines of a head that a test looks at: without `Date`.
pub(crate) fn without_date(response: &str) -> String {
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let lines: Vec<_> = head
        .split("\r\n")
        .filter(|line| !line.starts_with("date: "))
        .collect();
    format!("{}\n\n{body}", lines.join("\n"))
}
