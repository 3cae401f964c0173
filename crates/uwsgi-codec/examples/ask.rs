//! Asks a uwsgi server for a path and prints its reply, head and body.
//!
//! ```text
//! cargo run --example ask -- unix:/run/app.sock '/search?q=caf%C3%A9'
//! cargo run --example ask -- 127.0.0.1:3031 /
//! ```

#![expect(clippy::print_stderr, reason = "a command-line tool")]

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use uwsgi_codec::{EncodeError, PacketBuilder};

const TIMEOUT: Option<Duration> = Some(Duration::from_secs(30));

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, uri] = arguments.as_slice() else {
        eprintln!("usage: ask unix:/path/to/socket|host:port /path[?query]");
        return ExitCode::from(2);
    };
    match run(address, uri) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ask: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: &str, uri: &str) -> Result<(), Box<dyn Error>> {
    let request = request(uri)?;
    let reply = if let Some(path) = address.strip_prefix("unix:") {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(TIMEOUT)?;
        exchange(socket, &request)?
    } else {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(TIMEOUT)?;
        exchange(socket, &request)?
    };
    if reply.is_empty() {
        return Err("the server closed the connection without a reply".into());
    }
    io::stdout().write_all(&reply)?;
    Ok(())
}

/// Writes the packet of a GET with the vars that servers and frameworks expect.
fn request(uri: &str) -> Result<Vec<u8>, EncodeError> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    PacketBuilder::new()
        .var("REQUEST_METHOD", "GET")?
        .var("REQUEST_URI", uri)?
        .var("PATH_INFO", percent_decoded(path))?
        .var("QUERY_STRING", query)?
        .var("SERVER_PROTOCOL", "HTTP/1.1")?
        .var("SERVER_NAME", "localhost")?
        .var("SERVER_PORT", "80")?
        .var("REMOTE_ADDR", "127.0.0.1")?
        .var("HTTP_HOST", "localhost")?
        .to_vec()
}

/// Sends one request; the reply is raw HTTP and ends where the connection does.
fn exchange(mut socket: impl Read + Write, request: &[u8]) -> io::Result<Vec<u8>> {
    socket.write_all(request)?;
    let mut reply = Vec::new();
    socket.read_to_end(&mut reply)?;
    Ok(reply)
}

/// Replaces `%XX` by its byte, as web servers do for `PATH_INFO`.
fn percent_decoded(path: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        if let (b'%', Some((byte, behind))) = (first, hex_byte(behind)) {
            decoded.push(byte);
            rest = behind;
        } else {
            decoded.push(first);
            rest = behind;
        }
    }
    decoded
}

fn hex_byte(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, behind @ ..] = digits else {
        return None;
    };
    let digit = |digit: &u8| char::from(*digit).to_digit(16);
    let byte = digit(high)? * 16 + digit(low)?;
    Some((u8::try_from(byte).ok()?, behind))
}
