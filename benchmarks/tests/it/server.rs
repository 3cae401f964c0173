use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tempfile::TempDir;
use uwsgi_codec::{Limits, PacketRef};

/// A server of one thread, which hands one connection after the other to a
/// function.
pub(crate) struct Server {
    pub(crate) address: String,
    connections: Arc<AtomicUsize>,
    _directory: Option<TempDir>,
}

pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

impl Server {
    /// Starts on a Unix socket; `serve` gets the connection's number, from 1.
    pub(crate) fn unix(serve: impl FnMut(usize, &mut dyn Stream) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let accept = move || listener.accept().unwrap().0;
        Self::start(
            format!("unix:{}", path.display()),
            Some(directory),
            accept,
            serve,
        )
    }

    /// Starts on TCP, on a port that was free.
    pub(crate) fn tcp(serve: impl FnMut(usize, &mut dyn Stream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let accept = move || listener.accept().unwrap().0;
        Self::start(address, None, accept, serve)
    }

    /// Starts on a Unix socket and answers every packet with these bytes.
    pub(crate) fn fixed(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::unix(move |_, stream| {
            read_packet(stream);
            // A client that has seen enough is free to go.
            let _ = stream.write_all(&reply);
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    // The thread ends with the process: most of the time it waits for a client, and none comes.
    fn start<S: Stream>(
        address: String,
        directory: Option<TempDir>,
        accept: impl Fn() -> S + Send + 'static,
        mut serve: impl FnMut(usize, &mut dyn Stream) + Send + 'static,
    ) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            loop {
                let mut stream = accept();
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                serve(number, &mut stream);
            }
        });
        Self {
            address,
            connections,
            _directory: directory,
        }
    }
}

/// Reads a packet and returns its REQUEST_URI.
pub(crate) fn read_packet(stream: &mut dyn Stream) -> String {
    let mut packet = vec![0; 4];
    stream.read_exact(&mut packet).unwrap();
    let len = usize::from(u16::from_le_bytes([packet[1], packet[2]]));
    packet.resize(4 + len, 0);
    stream.read_exact(&mut packet[4..]).unwrap();
    let packet = PacketRef::decode(&packet, &Limits::default())
        .unwrap()
        .unwrap();
    String::from_utf8(packet.vars.get("REQUEST_URI").unwrap().to_vec()).unwrap()
}

/// Reads a head of HTTP; `None` at the end of the connection.
pub(crate) fn read_head(stream: &mut dyn Stream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}
