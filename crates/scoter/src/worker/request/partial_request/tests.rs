use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pyo3::Python;
use pyo3::types::{PyAnyMethods, PyBytes, PyBytesMethods};
use tokio::runtime::Builder;
use uwsgi_codec::PacketBuilder;
use wsgi_environ::Input;

use super::*;
use crate::net::Family;
use crate::request_head::Param;
use crate::worker::request::intake::Request;
use crate::worker::request::ready_queue::Popped;

/// What a front end sends on one connection.
#[derive(Debug, Clone)]
struct Sent {
    bodies: Vec<Vec<u8>>,
    /// Bytes of each write, in turn.
    cuts: Vec<usize>,
    /// The request behind which it sends more without waiting for the response.
    ahead: Option<(usize, Vec<u8>)>,
}

/// What has come of a request.
#[derive(Debug, PartialEq)]
struct Served {
    path: String,
    body: Vec<u8>,
    /// Whether something has come behind it.
    is_ahead: bool,
}

fn packet(path: &str, body: &[u8]) -> Vec<u8> {
    let mut packet = PacketBuilder::new();
    packet.var("PATH_INFO", path).unwrap();
    packet
        .var("CONTENT_LENGTH", body.len().to_string())
        .unwrap();
    [&packet.to_vec().unwrap()[..], body].concat()
}

impl Sent {
    fn any() -> impl Strategy<Value = Self> {
        let looks_like_a_request = prop_oneof![
            Just(packet("/body", b"")),
            Just(packet("/body", b"abc")),
            // One that lacks its end, which the next request must not become.
            Just(packet("/body", &[b'x'; 60])[..50].to_vec()),
        ];
        let body = || prop_oneof![vec(any::<u8>(), 0..60), looks_like_a_request.clone()];
        let ahead = proptest::option::of((0_usize..6, looks_like_a_request.clone()));
        let cuts = vec(prop_oneof![1_usize..5, 1_usize..100], 1..8);
        (vec(body(), 1..6), cuts, ahead).prop_map(|(bodies, cuts, ahead)| Self {
            bodies,
            cuts,
            ahead,
        })
    }

    /// All until the connection ends: with the first request behind which there is more.
    fn expected(&self) -> Vec<Served> {
        let ahead = self.ahead.as_ref().map(|(number, _)| *number);
        let all = self.bodies.iter().enumerate().map(|(number, body)| Served {
            path: format!("/{number}"),
            body: body.clone(),
            is_ahead: ahead == Some(number),
        });
        let last = ahead.unwrap_or(usize::MAX);
        all.take(last.saturating_add(1)).collect()
    }
}

/// Writes in parts, and lets the other task run in between.
async fn write(mut client: &UnixStream, bytes: &[u8], cuts: &mut impl Iterator<Item = usize>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(cuts.next().unwrap().min(rest.len()));
        client.write_all(part).unwrap();
        rest = behind;
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
}

async fn receive(shared: &Arc<Shared>, connection: Arc<Connection>) -> Request {
    let permit = shared.reactor.request_permit().unwrap();
    let partial = PartialRequest::next(connection);
    assert!(partial.complete(shared, permit).await.is_none(), "refused");
    match shared.ready.pop() {
        Popped::Request(request) => *request,
        popped => panic!("{popped:?}"),
    }
}

fn read(body: Body) -> Vec<u8> {
    Python::attach(|py| {
        let input = Input::new(py, body).unwrap();
        let bytes = input.call_method0("read").unwrap();
        bytes.cast::<PyBytes>().unwrap().as_bytes().to_vec()
    })
}

async fn serve(shared: &Arc<Shared>, sent: &Sent) -> Vec<Served> {
    let (ours, client) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let (ours, timeouts) = (OwnedFd::from(ours), shared.connection_timeouts);
    let mut connection = Arc::new(Connection::new(ours, Family::Unix, timeouts));
    let mut cuts = sent.cuts.iter().copied().cycle();
    let mut served = Vec::new();
    for (number, body) in sent.bodies.iter().enumerate() {
        let mut bytes = packet(&format!("/{number}"), body);
        if let Some((_, more)) = sent.ahead.as_ref().filter(|(ahead, _)| *ahead == number) {
            bytes.extend_from_slice(more);
        }
        let writing = write(&client, &bytes, &mut cuts);
        let (request, ()) = tokio::join!(receive(shared, connection), writing);
        let path = request.head.param(Param::Path).unwrap_or_default();
        // Where the buffer had no room for more, that is still to be received.
        let behind = request
            .connection
            .recv_into(&mut BytesMut::with_capacity(1));
        let is_ahead = request.overrun || behind.is_ok();
        served.push(Served {
            path: String::from_utf8_lossy(path).into_owned(),
            body: read(request.body),
            is_ahead,
        });
        if is_ahead {
            break;
        }
        connection = request.connection;
    }
    served
}

/// However the bytes of a connection are cut, and whatever its bodies look like.
#[test]
fn requests_of_a_connection_come_out_as_they_went_in_and_no_others() {
    Python::initialize();
    let folder = tempfile::tempdir().unwrap();
    // Longer bodies go to a file.
    let arguments = ["--buffer-body", "all", "--body-buffer", "40"];
    let (shared, _handoffs) = Shared::of_test(&folder.path().join("socket"), &arguments);
    // The clock stands still while there is something to do: no wait for a body ends too early.
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config::with_source_file(file!()));
    let result = runner.run(&Sent::any(), |sent| {
        let served = runtime.block_on(async {
            let shared = Arc::clone(&shared);
            serve(&shared, &sent).await
        });
        prop_assert_eq!(served, sent.expected());
        Ok(())
    });
    result.unwrap();
}
