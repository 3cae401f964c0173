//! A client: asks a uwsgi server for a path and prints the reply, head and body.
//!
//! ```text
//! cargo run --example client -- 127.0.0.1:3031 /search 'q=caf%C3%A9'
//! ```

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::net::TcpStream;
use std::time::Duration;

use uwsgi_codec::PacketBuilder;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .ok_or("usage: client HOST:PORT PATH [QUERY]")?;
    let path = arguments.next().unwrap_or_else(|| "/".into());
    let query = arguments.next().unwrap_or_default();

    // The vars that servers and frameworks expect. PATH_INFO is decoded: the feature
    // `http` does that, and all the rest, for a request as HTTP clients write it.
    let request = PacketBuilder::new()
        .var("REQUEST_METHOD", "GET")?
        .var("REQUEST_URI", format!("{path}?{query}"))?
        .var("PATH_INFO", &path)?
        .var("QUERY_STRING", &query)?
        .var("SERVER_PROTOCOL", "HTTP/1.1")?
        .var("SERVER_NAME", "localhost")?
        .var("SERVER_PORT", "80")?
        .var("REMOTE_ADDR", "127.0.0.1")?
        .var("HTTP_HOST", "localhost")?
        .to_vec()?;

    let mut socket = TcpStream::connect(&address)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    socket.write_all(&request)?;
    // The reply is HTTP, not a packet, and ends with the connection.
    io::copy(&mut socket, &mut io::stdout())?;
    Ok(())
}
