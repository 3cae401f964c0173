//! Packets with bodies between them, one after the other: however the stream is cut, the
//! codec takes each packet as it went in and not a byte of what is behind it, whatever
//! the bodies look like.
//!
//! This fuzzes the codec alone. What takes the bodies here is a model of a server, not
//! scoter, which is a crate that this one must not depend on: scoter's own tests in
//! `worker/request/partial_request` send such streams to the real thing.

#![no_main]

use arbitrary::Arbitrary;
use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use uwsgi_codec::{Limits, Packet, PacketBuilder};

#[derive(Debug, Arbitrary)]
struct Connection<'a> {
    requests: Vec<Request<'a>>,
    /// What comes behind the last request.
    rest: &'a [u8],
    /// Bytes of each receive.
    cuts: Vec<u8>,
}

#[derive(Debug, Arbitrary)]
struct Request<'a> {
    path: &'a [u8],
    body: Body<'a>,
}

#[derive(Debug, Arbitrary)]
enum Body<'a> {
    Bytes(&'a [u8]),
    /// It looks like a request.
    Packet { path: &'a [u8] },
}

fuzz_target!(|connection: Connection| {
    let sent: Option<Vec<_>> = connection.requests.iter().map(Request::bytes).collect();
    let Some(sent) = sent else { return };
    let mut stream = Vec::new();
    for (packet, body) in &sent {
        stream.extend_from_slice(packet);
        stream.extend_from_slice(body);
    }
    stream.extend_from_slice(connection.rest);
    let (received, rest) = receive(&stream, &connection.cuts, sent.len());
    assert_eq!(received, sent);
    assert_eq!(rest, connection.rest);
});

/// Takes so many requests from a stream, as a simple server would.
fn receive(stream: &[u8], cuts: &[u8], requests: usize) -> (Vec<(Vec<u8>, Vec<u8>)>, Vec<u8>) {
    let mut buffer = BytesMut::new();
    let mut cuts = cuts.iter().map(|cut| usize::from(*cut) + 1).cycle();
    let mut behind = stream;
    let mut received = Vec::new();
    let mut packet: Option<Packet> = None;
    while received.len() < requests {
        if packet.is_none() {
            packet = Packet::decode(&mut buffer, &Limits::default()).expect("a packet is next");
        }
        if let Some(complete) = packet.take_if(|packet| buffer.len() >= length(packet)) {
            let body = buffer.split_to(length(&complete)).to_vec();
            let mut bytes = BytesMut::new();
            complete.encode(&mut bytes).expect("it was decoded");
            received.push((bytes.to_vec(), body));
            continue;
        }
        let (now, later) = behind.split_at(cuts.next().unwrap_or(usize::MAX).min(behind.len()));
        assert!(!now.is_empty(), "all was sent, and a request is missing");
        buffer.extend_from_slice(now);
        behind = later;
    }
    (received, [&buffer[..], behind].concat())
}

fn length(packet: &Packet) -> usize {
    let value = packet.vars.get("CONTENT_LENGTH").expect("each has one");
    let text = std::str::from_utf8(value).expect("digits");
    text.parse().expect("a number")
}

impl Request<'_> {
    /// The packet and the body; `None` if they are too long for a packet.
    fn bytes(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let body = match self.body {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::Packet { path } => packet(path, 0)?,
        };
        Some((packet(self.path, body.len())?, body))
    }
}

fn packet(path: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut packet = PacketBuilder::new();
    packet.var("PATH_INFO", path).ok()?;
    packet.var("CONTENT_LENGTH", length.to_string()).ok()?;
    packet.to_vec().ok()
}
