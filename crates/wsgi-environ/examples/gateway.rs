//! A server of HTTP/1.1 without a front end: the head of each response arrives as data, and a body
//! without a length is chunked. One connection at a time, one request on each.
//!
//! ```sh
//! cargo run -p wsgi-environ --example gateway -- 127.0.0.1:8000
//! curl http://127.0.0.1:8000/tea
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use pyo3::prelude::*;
use uwsgi_codec::ContentLength;
use wsgi_environ::{
    Body, EnvironBuilder, Errors, Exchange, ForwardedProto, Input, Method, ObjectCache,
    Persistence, RemainingBody, RequestId, ResponseEnd, ResponseHead, ScriptName, ServerInfo,
    Transport, respond, write_plain_response,
};

const APPLICATION: &std::ffi::CStr = c"
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain; charset=utf-8')])
    yield environ['REQUEST_METHOD'].encode() + b' '
    yield environ['PATH_INFO'].encode('latin-1') + b'\\n'
    yield environ['wsgi.input'].read()
";

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8000"))?;
    let mut slot = Slot::new(listener.local_addr()?.port())?;
    for stream in listener.incoming() {
        // What a client does to its connection is no reason to stop.
        let _ = slot.serve(stream?);
    }
    Ok(())
}

/// What serves one request after the other.
struct Slot {
    application: Py<PyAny>,
    errors: Py<Errors>,
    builder: EnvironBuilder,
    objects: ObjectCache,
}

impl Slot {
    fn new(port: u16) -> PyResult<Self> {
        Python::attach(|py| {
            let module = PyModule::from_code(py, APPLICATION, c"application.py", c"application")?;
            let log = |lines: &[u8]| drop(io::stderr().write_all(lines));
            let errors = Py::new(py, Errors::new(log))?;
            let server = ServerInfo {
                multithread: false,
                multiprocess: false,
                server_name: "localhost".to_owned(),
                server_port: port,
                forwarded_proto: ForwardedProto::Ignore,
            };
            Ok(Self {
                application: module.getattr("application")?.unbind(),
                builder: EnvironBuilder::new(py, &server, errors.clone_ref(py))?,
                errors,
                objects: ObjectCache::default(),
            })
        })
    }

    fn serve(&mut self, mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
        let mut received = Vec::new();
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut headers);
        let Some(head_len) = receive_head(&mut stream, &mut received)? else {
            return Ok(());
        };
        request.parse(&received)?;

        let mut length = ContentLength::default();
        let (path, query) = match request.path.unwrap_or_default().split_once('?') {
            Some(halves) => halves,
            None => (request.path.unwrap_or_default(), ""),
        };
        let mut pairs: Vec<(String, &[u8])> = vec![
            (
                "REQUEST_METHOD".to_owned(),
                request.method.unwrap_or_default().as_bytes(),
            ),
            // Not decoded here: what `%2F` means is the gateway's decision.
            ("PATH_INFO".to_owned(), path.as_bytes()),
            ("QUERY_STRING".to_owned(), query.as_bytes()),
        ];
        for header in &*request.headers {
            let name = header.name.to_ascii_uppercase();
            match &name[..] {
                "CONTENT-LENGTH" => length.note(header.value)?,
                "TRANSFER-ENCODING" => return refuse(&mut stream, 411),
                // `X_Name` and `X-Name` would be the same variable.
                _ if name.contains('_') => continue,
                _ => {}
            }
            let name = name.replace('-', "_");
            let name = match &name[..] {
                "CONTENT_LENGTH" | "CONTENT_TYPE" => name,
                _ => format!("HTTP_{name}"),
            };
            pairs.push((name, header.value));
        }

        let method = Method::named(request.method.unwrap_or_default().as_bytes());
        let connection = Arc::new(Connection {
            stream,
            method,
            is_chunked: AtomicBool::new(false),
        });
        let length = length.get().unwrap_or(0);
        let mut prefix = Bytes::copy_from_slice(&received[head_len..]);
        prefix.truncate(usize::try_from(length)?);
        let body = Body::streamed(
            prefix.clone(),
            length - prefix.len() as u64,
            connection.clone(),
        );
        let completed = Python::attach(|py| {
            let input = Input::new(py, body)?;
            let environ = self.builder.build_from_pairs(
                py,
                pairs,
                ScriptName::AsSent,
                RequestId::Made("a real server counts"),
                &input,
            )?;
            Ok::<_, wsgi_environ::BuildError>(respond(
                self.application.bind(py),
                Exchange {
                    environ,
                    input,
                    errors: self.errors.bind(py).clone(),
                    transport: connection.clone(),
                    method,
                    persistence: Persistence::Close,
                    on_return: |_, _| {},
                    out: Vec::new(),
                    object_cache: &mut self.objects,
                },
            ))
        })?;

        connection.send(&completed.tail.out)?;
        match completed.tail.body {
            RemainingBody::Nothing => {}
            RemainingBody::Chunks(chunks) => {
                for chunk in chunks {
                    connection.send(&chunk)?;
                }
            }
            RemainingBody::File { file, offset, len } => {
                let mut bytes = vec![0; usize::try_from(len)?];
                File::from(file).read_exact_at(&mut bytes, offset)?;
                connection.send(&bytes)?;
            }
        }
        if completed.end == ResponseEnd::Complete {
            connection.end()?;
        }
        Ok(())
    }
}

/// Returns how long the head is; `None` if the client has left.
fn receive_head(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<Option<usize>> {
    const MAX_HEAD: usize = 65_536;
    loop {
        if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(at + 4));
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece)? {
            0 => return Ok(None),
            _ if received.len() > MAX_HEAD => return Ok(None),
            n => received.extend_from_slice(&piece[..n]),
        }
    }
}

fn refuse(stream: &mut TcpStream, status: u16) -> Result<(), Box<dyn Error>> {
    let mut response = Vec::new();
    write_plain_response(status, "", Method::Other, &mut response);
    Ok(stream.write_all(&response)?)
}

struct Connection {
    stream: TcpStream,
    method: Method,
    is_chunked: AtomicBool,
}

impl Connection {
    fn send(&self, part: &[u8]) -> io::Result<()> {
        let mut stream = &self.stream;
        match self.is_chunked.load(Ordering::Relaxed) {
            // An empty chunk is the last one.
            _ if part.is_empty() => Ok(()),
            true => {
                write!(stream, "{:x}\r\n", part.len())?;
                stream.write_all(part)?;
                stream.write_all(b"\r\n")
            }
            false => stream.write_all(part),
        }
    }

    fn end(&self) -> io::Result<()> {
        match self.is_chunked.load(Ordering::Relaxed) {
            true => (&self.stream).write_all(b"0\r\n\r\n"),
            false => Ok(()),
        }
    }
}

impl Transport for Connection {
    fn take_head(&self, head: ResponseHead<'_>) -> bool {
        let mut text = format!("HTTP/1.1 {} ", head.status()).into_bytes();
        text.extend_from_slice(head.reason());
        text.extend_from_slice(b"\r\nConnection: close\r\n");
        for (name, value) in head.headers() {
            text.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
        }
        let has_body = self.method != Method::Head && !matches!(head.status(), 101 | 204 | 304);
        if has_body && head.content_length().is_none() {
            self.is_chunked.store(true, Ordering::Relaxed);
            text.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        text.extend_from_slice(b"\r\n");
        // An error here is one of the next attempt to send, too.
        let _ = (&self.stream).write_all(&text);
        true
    }

    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        for part in parts {
            self.send(part)?;
        }
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn wait_writable(&self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buf)
    }

    fn interrupt(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_without_a_length_is_chunked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client
            .write_all(b"POST /tea?a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nmilk")
            .unwrap();
        let mut slot = Slot::new(80).unwrap();
        slot.serve(listener.accept().unwrap().0).unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert_eq!(
            response,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Transfer-Encoding: chunked\r\n\r\n\
             5\r\nPOST \r\n5\r\n/tea\n\r\n4\r\nmilk\r\n0\r\n\r\n"
        );
    }
}
