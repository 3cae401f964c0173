//! `scoter stop`, which returns when the server has ended.

use std::os::fd::OwnedFd;
use std::time::Duration;

use hyper::{Method, Uri};
use jiff::Timestamp;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::time::sleep;

use super::error::ClientError;
use super::http::Client;
use crate::sys::async_fd::readable;

/// How to notice that a server has ended.
#[derive(Debug)]
enum Server {
    /// Its process ends.
    Process(AsyncFd<OwnedFd>),
    /// Its process is not visible from here, so no server, or another one, responds at the socket.
    Since(Timestamp),
}

impl Client {
    pub(super) async fn stop(&self) -> Result<String, ClientError> {
        let stream = self.connect().await?;
        let server = match process_behind(&stream) {
            Some(process) => Server::Process(process),
            None => Server::Since(self.status().await?.started_at),
        };
        let asked = self.exchange(stream, Method::POST, Uri::from_static("/stop"));
        match self.within_timeout(asked).await {
            Ok(answer) => drop(answer.success()?),
            // It has already ended.
            Err(ClientError::ConnectionLost) => {}
            Err(error) => return Err(error),
        }
        self.until_gone(&server).await?;
        Ok("stopped\n".to_owned())
    }

    /// Waits for the end of a server, however long its own deadlines let it take.
    async fn until_gone(&self, server: &Server) -> Result<(), ClientError> {
        match server {
            Server::Process(process) => {
                let ended = process.readable().await;
                ended.map(drop).map_err(|error| self.system(error))
            }
            Server::Since(started_at) => loop {
                match self.status().await {
                    Ok(status) if status.started_at != *started_at => return Ok(()),
                    Err(error) if error.is_absence() => return Ok(()),
                    // It is still ending, and may be too busy to respond.
                    Ok(_) | Err(_) => sleep(POLL_INTERVAL).await,
                }
            },
        }
    }
}

/// The process at the other end, if it is visible from here.
fn process_behind(stream: &UnixStream) -> Option<AsyncFd<OwnedFd>> {
    let pid = Pid::from_raw(stream.peer_cred().ok()?.pid()?)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    readable(process).ok()
}

/// How often to check whether an invisible server has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};

    use tokio::time::timeout;

    use super::super::fixture::{Fixture, busy_status};
    use super::*;
    use crate::control::Order;

    #[tokio::test]
    async fn end_of_a_process_is_waited_for() {
        // `cat` ends when its standard input does.
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let server = Server::Process(readable(process).unwrap());
        let client = Client::new(Path::new("/nowhere"));
        let early = timeout(Duration::ZERO, client.until_gone(&server)).await;
        assert!(early.is_err());
        drop(child.stdin.take());
        client.until_gone(&server).await.unwrap();
        child.wait().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn end_of_an_invisible_server_is_noticed_at_its_socket() {
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                reply.send(busy_status()).unwrap();
            }
        });
        let server = Server::Since(busy_status().started_at);
        let ended = fixture.client.until_gone(&server);
        tokio::pin!(ended);
        assert!(timeout(Duration::from_secs(60), &mut ended).await.is_err());
        fixture.listener.close();
        ended.await.unwrap();

        let successor = Server::Since(Timestamp::UNIX_EPOCH);
        let fixture = Fixture::new(|order| {
            if let Order::Status(reply) = order {
                reply.send(busy_status()).unwrap();
            }
        });
        fixture.client.until_gone(&successor).await.unwrap();
    }
}
