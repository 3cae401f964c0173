//! A server: answers every request with what it has received, one after the other.
//!
//! ```text
//! cargo run --example server -- 127.0.0.1:3031
//! cargo run --example client -- 127.0.0.1:3031 /
//! ```
//!
//! With nginx in front: `location / { include uwsgi_params; uwsgi_pass 127.0.0.1:3031; }`.

#![expect(clippy::print_stderr, reason = "a command-line tool")]

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use uwsgi_codec::{Limits, content_length, modifier, read_packet};

const MAX_BODY: u64 = 1_048_576;

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).ok_or("usage: server HOST:PORT")?;
    let listener = TcpListener::bind(address)?;
    loop {
        let (socket, peer) = listener.accept()?;
        if let Err(error) = answer(socket) {
            eprintln!("{peer}: {error}");
        }
    }
}

fn answer(mut socket: TcpStream) -> Result<(), Box<dyn Error>> {
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let packet = match read_packet(&mut socket, &Limits::default()) {
        Ok(Some(packet)) => packet,
        // A health check that only connects.
        Ok(None) => return Ok(()),
        Err(error) => {
            respond(&mut socket, error.http_status(), &format!("{error}\n"))?;
            return Err(error.into());
        }
    };
    if packet.header.modifier1 != modifier::WSGI {
        return Ok(respond(&mut socket, 400, "not a request\n")?);
    }

    // The body follows the packet, without framing of its own.
    let length = match content_length(packet.vars.as_ref()) {
        Ok(length) => length.unwrap_or(0),
        Err(error) => {
            return Ok(respond(
                &mut socket,
                error.http_status(),
                &format!("{error}\n"),
            )?);
        }
    };
    if length > MAX_BODY {
        return Ok(respond(&mut socket, 413, "too large\n")?);
    }
    let mut body = Vec::new();
    (&mut socket).take(length).read_to_end(&mut body)?;

    let text = format!("{:#?}\n{} bytes of body\n", packet.vars, body.len());
    Ok(respond(&mut socket, 200, &text)?)
}

/// The response is HTTP, not a packet.
fn respond(socket: &mut TcpStream, status: u16, text: &str) -> io::Result<()> {
    let length = text.len();
    // The reason phrase may be empty, the space before it stays (RFC 9112, 4).
    let head = format!("HTTP/1.1 {status} \r\nContent-Length: {length}\r\n\r\n");
    socket.write_all(format!("{head}{text}").as_bytes())?;
    // To close a socket with unread input would reset the connection, and the response
    // might be lost: end it, and discard what still comes.
    socket.shutdown(Shutdown::Write)?;
    io::copy(&mut socket.take(MAX_BODY), &mut io::sink())?;
    Ok(())
}
