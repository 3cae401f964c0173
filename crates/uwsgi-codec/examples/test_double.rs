//! A test double: stands in for a uwsgi server, answers with a canned reply, and
//! returns what it was asked. The same lines serve in a test of a front end.
//!
//! ```text
//! cargo run --example test_double
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use uwsgi_codec::{Limits, Packet, PacketBuilder, read_packet};

/// A server for one request.
struct Double {
    address: std::net::SocketAddr,
    asked: JoinHandle<Result<Packet, String>>,
}

impl Double {
    fn answering(reply: &'static [u8]) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let asked = thread::spawn(move || {
            let serve = || -> Result<Packet, Box<dyn Error>> {
                let (mut socket, _) = listener.accept()?;
                let packet = read_packet(&mut socket, &Limits::default())?.ok_or("no request")?;
                socket.write_all(reply)?;
                Ok(packet)
            };
            serve().map_err(|error| error.to_string())
        });
        Ok(Self { address, asked })
    }

    /// What it was asked.
    fn request(self) -> Result<Packet, Box<dyn Error>> {
        let asked = self.asked.join().map_err(|_| "the double panicked")?;
        Ok(asked?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let double = Double::answering(b"HTTP/1.1 204 No Content\r\n\r\n")?;

    // What is being tested: here, a client in three lines.
    let mut socket = TcpStream::connect(double.address)?;
    socket.write_all(&PacketBuilder::new().var("PATH_INFO", "/ping")?.to_vec()?)?;
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply)?;

    assert_eq!(reply, b"HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(double.request()?.vars.get("PATH_INFO"), Some(&b"/ping"[..]));
    Ok(())
}
