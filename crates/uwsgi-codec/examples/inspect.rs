//! Decodes a captured packet and prints its header and vars.
//!
//! ```text
//! cargo run --example inspect -- tests/fixtures/get.bin
//! ```

#![expect(clippy::print_stderr, reason = "a command-line tool")]

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;

use uwsgi_codec::{Header, Limits, PacketRef};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path] = arguments.as_slice() else {
        eprintln!("usage: inspect FILE");
        return ExitCode::from(2);
    };
    match inspect(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inspect: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn inspect(path: &str) -> Result<(), Box<dyn Error>> {
    let capture = fs::read(path)?;
    let Some(packet) = PacketRef::decode(&capture, &Limits::default())? else {
        return Err(incomplete(&capture).into());
    };
    print(packet, capture.len() - packet.len())?;
    Ok(())
}

fn print(packet: PacketRef<'_>, behind: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let header = packet.header;
    writeln!(out, "modifier1  {}", header.modifier1)?;
    writeln!(out, "modifier2  {}", header.modifier2)?;
    writeln!(out, "datasize   {}", header.datasize)?;
    writeln!(out, "vars       {}", packet.vars.len())?;
    for (key, value) in packet.vars {
        writeln!(out, "  {} = {}", key.escape_ascii(), value.escape_ascii())?;
    }
    writeln!(out, "behind it  {behind} bytes")
}

fn incomplete(capture: &[u8]) -> String {
    match capture.first_chunk() {
        None => format!("{} bytes, a header takes {}", capture.len(), Header::LEN),
        Some(first) => {
            let packet_len = Header::from_bytes(*first).packet_len();
            format!("{} bytes, the packet has {packet_len}", capture.len())
        }
    }
}
