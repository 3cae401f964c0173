#![expect(clippy::print_stderr, reason = "that is what -v is for")]

use uwsgi_codec::http::ReplyHead;
use uwsgi_codec::{Packet, modifier};
use uwsgi_http::Address;
use uwsgi_tools::Escaped;

/// What `-v` reports, on standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verbose {
    pub(crate) is_on: bool,
}

impl Verbose {
    pub(crate) fn connected(self, address: &Address) {
        if self.is_on {
            eprintln!("* connected to {address}");
        }
    }

    pub(crate) fn sent(self, packet: &Packet, body: Option<u64>) {
        if !self.is_on {
            return;
        }
        let (modifier1, modifier2) = (packet.header.modifier1, packet.header.modifier2);
        let name = modifier::name(modifier1).unwrap_or("unknown");
        eprintln!(
            "* packet: {name} ({modifier1}, {modifier2}), {} bytes",
            packet.len()
        );
        for (key, value) in &packet.vars {
            eprintln!("> {} = {}", Escaped(key), Escaped(value));
        }
        if let Some(body) = body {
            eprintln!("* body: {body} bytes");
        }
    }

    pub(crate) fn interim(self, head: &ReplyHead) {
        let mut bytes = Vec::new();
        if self.is_on && head.encode(&mut bytes).is_ok() {
            self.received(&bytes);
        }
    }

    pub(crate) fn received(self, head: &[u8]) {
        if !self.is_on {
            return;
        }
        for line in head.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                eprintln!("< {}", Escaped(line));
            }
        }
    }

    pub(crate) fn surplus(self, bytes: usize) {
        if self.is_on && bytes > 0 {
            eprintln!("* {bytes} bytes came behind the reply and are not part of it");
        }
    }

    pub(crate) fn packet(self, direction: char, header: [u8; 4]) {
        if self.is_on {
            eprintln!("{direction} {}", Escaped(&header));
        }
    }

    /// What a server says beside its answer to a ping.
    pub(crate) fn warning(self, text: &[u8]) {
        if self.is_on && !text.is_empty() {
            eprintln!("* warning of the server: {}", Escaped(text));
        }
    }
}
