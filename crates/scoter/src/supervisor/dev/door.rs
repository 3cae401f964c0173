//! Where browsers connect: HTTP on a loopback address, which a gateway turns into uwsgi requests,
//! as nginx would, in a thread of its own.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use uwsgi_http::Address;
use uwsgi_http::client::{Client, Timeouts};
use uwsgi_http::gateway::Gateway;

use super::port_holder;
use crate::config::HttpAddress;
use crate::sys::limits::hint_for;
use crate::sys::signals::kept_from;

/// Why an address cannot be had.
#[derive(Debug, Error)]
pub(crate) enum DoorError {
    /// Somebody else has it.
    #[error(
        "cannot listen on {address}: {holder} has this port\nhint: end it, or use another port: \
         --http {}", next_port(*address)
    )]
    InUse { address: SocketAddr, holder: String },
    /// The system refuses it.
    #[error(
        "cannot listen on {address}: {error}{}\nhint: --http sets another address",
        hint_for(error)
    )]
    Refused {
        address: SocketAddr,
        error: io::Error,
    },
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

/// A door that requests come through.
#[derive(Debug)]
pub(super) struct OpenDoor {
    stop: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<()>>,
}

impl Door {
    /// Listens on an address.
    ///
    /// # Errors
    ///
    /// [`DoorError`] says who has it, if that can be found out.
    pub(super) fn bind(HttpAddress(address): HttpAddress) -> Result<Self, DoorError> {
        let bound = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        });
        bound.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => DoorError::InUse {
                address,
                holder: port_holder::find(address.port())
                    .unwrap_or_else(|| "another process".to_owned()),
            },
            _ => DoorError::Refused { address, error },
        })
    }

    /// What to open in a browser.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets requests in, for the server that listens on this Unix socket.
    ///
    /// # Errors
    ///
    /// System errors, if no threads or descriptors are available.
    pub(super) fn open(self, server: PathBuf) -> io::Result<OpenDoor> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let run = move || {
            let _end = end;
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(self.listener) {
                    let stopped = async { drop(stopped.await) };
                    gateway(server).serve(listener, stopped).await;
                }
            });
        };
        let thread = thread::Builder::new().name("scoter-http".to_owned());
        kept_from(|| thread.spawn(run))?;
        Ok(OpenDoor {
            stop: Some(stop),
            ended: Some(ended),
        })
    }
}

impl OpenDoor {
    /// Closes the door, once responses under way have been delivered.
    ///
    /// # Errors
    ///
    /// `TimedOut` if its thread does not end.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        drop(self.stop.take());
        if let Some(ended) = self.ended.take() {
            let _ = tokio::time::timeout(STOP_TIME * 2, ended).await?;
        }
        Ok(())
    }
}

fn gateway(server: PathBuf) -> Gateway {
    // The server's own limits apply; without any, a request may be held in a debugger.
    let timeouts = Timeouts::new()
        .with_head(A_DAY)
        .with_read(A_DAY)
        .with_write(A_DAY);
    let client = Client::new(Address::Unix(server)).with_timeouts(timeouts);
    Gateway::new(client)
        .with_buffered_body(MAX_BUFFERED)
        .with_stop_timeout(STOP_TIME)
}

fn next_port(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(8_000))
}

/// How much of a request's body is held until it is complete: like nginx's `uwsgi_request_buffering`,
/// this tells the length of chunked bodies. Longer ones of known length are passed on as they come.
const MAX_BUFFERED: usize = 128 << 20;

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What clients have to take the rest of their responses at the stop.
const STOP_TIME: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_in_use_is_explained_with_its_holder_and_the_option() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = holder.local_addr().unwrap();
        let error = Door::bind(HttpAddress(address)).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(
            error.starts_with(&format!("cannot listen on {address}: ")),
            "{error}"
        );
        assert!(error.contains(&format!("(process {pid})")), "{error}");
        assert!(
            error.contains("hint: end it, or use another port: --http 127.0.0.1:"),
            "{error}"
        );
    }
}
