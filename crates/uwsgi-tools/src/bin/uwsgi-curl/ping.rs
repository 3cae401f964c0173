use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use uwsgi_codec::{Header, Limits, RawPacketRef, modifier, needed};
use uwsgi_http::client::Stream;
use uwsgi_tools::Escaped;

use crate::command::Command;
use crate::failure::{Failure, PingFailure};
use crate::verbose::Verbose;

/// Sends uwsgi's ping; an error if it is not answered.
///
/// `modifier::PING`: modifier2 is 0 in the question and 1 in the answer, whose block is a warning or empty.
pub(crate) async fn ping(command: &Command, verbose: Verbose) -> Result<(), Failure> {
    let mut stream = Stream::connect(&command.address, command.connect_timeout).await?;
    verbose.connected(&command.address);
    let question = [modifier::PING, 0, 0, 0];
    verbose.packet('>', question);
    let answered = async {
        stream.write_all(&question).await?;
        let mut received = Vec::new();
        // What is no packet may announce more than will come.
        while needed(&received) > 0 && !received.starts_with(b"HTTP") {
            if stream.read_buf(&mut received).await? == 0 {
                break;
            }
        }
        Ok(received)
    };
    let received: io::Result<Vec<u8>> = answered.await;
    let received = received.map_err(|error| Failure::Ping(PingFailure::Broken(error)))?;
    check(&received, verbose).map_err(Failure::Ping)
}

fn check(received: &[u8], verbose: Verbose) -> Result<(), PingFailure> {
    if received.is_empty() {
        return Err(PingFailure::NoAnswer);
    }
    if received.starts_with(b"HTTP") {
        return Err(PingFailure::Http);
    }
    let start = &received[..received.len().min(SHOWN)];
    let other = || PingFailure::Other(Escaped(start).to_string());
    let Ok(Some(packet)) = RawPacketRef::decode(received, &Limits::default()) else {
        return Err(other());
    };
    let Header {
        modifier1,
        modifier2,
        ..
    } = packet.header;
    if (modifier1, modifier2) != (modifier::PING, 1) {
        return Err(other());
    }
    verbose.packet('<', packet.header.to_bytes());
    verbose.warning(packet.block);
    Ok(())
}

const SHOWN: usize = 64;
