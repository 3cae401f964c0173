//! A proxy: adds a var to every request and passes it on to a uwsgi server, bodies
//! streaming in both directions.
//!
//! ```text
//! cargo run --example proxy --features tokio -- 127.0.0.1:3030 127.0.0.1:3031
//! ```

#![expect(clippy::print_stderr, reason = "a command-line tool")]

use std::env;
use std::error::Error;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tokio_util::codec::{Encoder, Framed};
use uwsgi_codec::bytes::BytesMut;
use uwsgi_codec::{Event, PacketBuilder, UwsgiCodec};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, server] = arguments
        .try_into()
        .map_err(|_| "usage: proxy LISTEN SERVER")?;
    let listener = TcpListener::bind(address).await?;
    loop {
        let (front_end, peer) = listener.accept().await?;
        let server = server.clone();
        tokio::spawn(async move {
            if let Err(error) = pass_on(front_end, &server).await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn pass_on(front_end: TcpStream, server: &str) -> Result<(), Box<dyn Error>> {
    let mut requests = Framed::new(front_end, UwsgiCodec::default());
    let mut server = TcpStream::connect(server).await?;
    let mut sent = BytesMut::new();
    while let Some(event) = requests.next().await {
        match event? {
            Event::Packet(packet) => {
                // The last pair with a key wins.
                let mut packet = PacketBuilder::from(&packet);
                packet.var("HTTP_X_FORWARDED_BY", "proxy")?;
                packet.encode(&mut sent)?;
            }
            Event::End => break,
            piece => UwsgiCodec::default().encode(piece, &mut sent)?,
        }
        server.write_all_buf(&mut sent).await?;
    }
    // The response is HTTP and ends with the connection.
    tokio::io::copy(&mut server, requests.get_mut()).await?;
    Ok(())
}
