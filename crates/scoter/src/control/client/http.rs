//! The client's end of the control socket: one request per connection.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, SERVER};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::error::ClientError;
use crate::control::Status;

/// A client of a control socket.
#[derive(Debug)]
pub(super) struct Client {
    path: PathBuf,
    /// Bytes that a response may have.
    max_answer: usize,
}

/// A complete response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    text: String,
}

impl Client {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            max_answer: MAX_ANSWER,
        }
    }

    /// Accepts responses of at most so many bytes.
    pub(super) fn with_max_answer(self, max_answer: usize) -> Self {
        Self { max_answer, ..self }
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Requests the status.
    pub(super) async fn status(&self) -> Result<Status, ClientError> {
        let answer = self.ask(Method::GET, Uri::from_static("/status")).await?;
        self.read(&answer.success()?)
    }

    /// Sends a request to which the server responds immediately. If another release replaces the
    /// server at that moment, a query is repeated, but an order is not.
    pub(super) async fn ask(&self, method: Method, uri: Uri) -> Result<Answer, ClientError> {
        let is_question = method == Method::GET;
        match self.ask_once(method.clone(), uri.clone()).await {
            Err(ClientError::ConnectionLost) if is_question => self.ask_once(method, uri).await,
            answer => answer,
        }
    }

    async fn ask_once(&self, method: Method, uri: Uri) -> Result<Answer, ClientError> {
        let asked = async {
            let stream = self.connect().await?;
            self.exchange(stream, method, uri).await
        };
        self.within_timeout(asked).await
    }

    /// Fails if the server takes too long.
    pub(super) async fn within_timeout<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let silent = |_| ClientError::NoAnswer {
            path: self.path.clone(),
        };
        timeout(ANSWER_TIMEOUT, asked).await.map_err(silent)?
    }

    pub(super) async fn connect(&self) -> Result<UnixStream, ClientError> {
        let begun = Instant::now();
        loop {
            match UnixStream::connect(&self.path).await {
                // The queue is full, because of other clients or because the server is stopped.
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock
                        && begun.elapsed() < CONNECT_TIMEOUT =>
                {
                    sleep(CONNECT_RETRY_DELAY).await;
                }
                connected => {
                    return connected.map_err(|error| ClientError::from_connect(&self.path, error));
                }
            }
        }
    }

    /// Sends a request on this connection, and waits for the complete response.
    pub(super) async fn exchange(
        &self,
        stream: UnixStream,
        method: Method,
        uri: Uri,
    ) -> Result<Answer, ClientError> {
        let broken = |error: hyper::Error| match error.is_parse() {
            true => self.not_scoter(""),
            false => ClientError::ConnectionLost,
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let host = HeaderValue::from_static("scoter");
        request.headers_mut().insert(HOST, host);
        let response = sender.send_request(request).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.max_answer).collect().await;
        let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
            Ok(error) => broken(*error),
            Err(_too_long) => self.not_scoter(""),
        })?;
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        if !is_scoter(&head.headers) {
            return Err(self.not_scoter(&text));
        }
        Ok(Answer {
            status: head.status,
            text,
        })
    }

    /// Parses the body of a response.
    pub(super) fn read<T: DeserializeOwned>(&self, json: &str) -> Result<T, ClientError> {
        serde_json::from_str(json).map_err(|error| ClientError::Unreadable {
            path: self.path.clone(),
            error,
        })
    }

    fn not_scoter(&self, answer: &str) -> ClientError {
        ClientError::NotScoter {
            path: self.path.clone(),
            answer: answer.to_owned(),
        }
    }

    pub(super) fn system(&self, error: io::Error) -> ClientError {
        ClientError::System {
            path: self.path.clone(),
            error,
        }
    }
}

impl Answer {
    /// The body of a successful response.
    pub(super) fn success(self) -> Result<String, ClientError> {
        match self.status.is_success() {
            true => Ok(self.text),
            false => Err(ClientError::refused(self.status, &self.text)),
        }
    }
}

fn is_scoter(headers: &HeaderMap) -> bool {
    let name = headers.get(SERVER).map(HeaderValue::as_bytes);
    name.is_some_and(|name| name.starts_with(b"scoter/"))
}

/// How long the server may take for a request to which it responds immediately.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait for room in the socket's queue.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_RETRY_DELAY: Duration = Duration::from_millis(5);

/// In bytes: enough for some hundred thousand slots.
const MAX_ANSWER: usize = 64 * 1_024 * 1_024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;
    use crate::control::ControlListener;

    #[tokio::test]
    async fn connection_errors_are_distinguished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let client = Client::new(&path);
        let missing = client.status().await.unwrap_err();
        assert!(matches!(missing, ClientError::Missing { .. }), "{missing}");
        drop(ControlListener::bind(&path, None).unwrap());
        let ended = client.status().await.unwrap_err();
        assert!(matches!(ended, ClientError::Ended { .. }), "{ended}");
        if !nix::unistd::geteuid().is_root() {
            let closed = std::fs::Permissions::from_mode(0o000);
            std::fs::set_permissions(&path, closed).unwrap();
            let denied = client.status().await.unwrap_err();
            assert!(matches!(denied, ClientError::Denied { .. }), "{denied}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn server_that_does_not_respond_times_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let _listener = ControlListener::bind(&path, None).unwrap();
        let error = Client::new(&path).status().await.unwrap_err();
        assert!(matches!(error, ClientError::NoAnswer { .. }), "{error}");
    }

    #[tokio::test]
    async fn responses_of_other_servers_are_rejected() {
        for (answer, says) in [
            (
                "HTTP/1.1 400 Bad Request\r\nContent-Length: 27\r\n\r\nthis socket speaks uwsgi\x1b.\n\n",
                "is not scoter's control socket; it answered: this socket speaks uwsgi?.\n",
            ),
            ("+OK ready\r\n\r\n", "is not scoter's control socket\n"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("other");
            let listener = UnixListener::bind(&path).unwrap();
            let serving = tokio::spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 4];
                stream.read_exact(&mut head).await.unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream
            });
            let error = Client::new(&path).status().await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert_eq!(error.exit_code(), 2);
            serving.await.unwrap();
        }
    }
}
