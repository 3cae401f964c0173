//! A capture: prints the packets in a file, whatever they carry, and how long the
//! bodies between them are.
//!
//! ```text
//! cargo run --example capture -- tests/fixtures/post.bin
//! ```

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use uwsgi_codec::modifier::{self, Contents};
use uwsgi_codec::{Limits, RawPacket, content_length, read_raw_packet};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: capture FILE")?;
    let mut capture = BufReader::new(File::open(path)?);
    let limits = Limits::default();
    let mut out = io::stdout().lock();
    while let Some(packet) = read_raw_packet(&mut capture, &limits)? {
        let body = print(&packet, &limits, &mut out)?;
        let skipped = io::copy(&mut (&mut capture).take(body), &mut io::sink())?;
        writeln!(out, "behind it  {skipped} of {body} bytes of body")?;
    }
    Ok(())
}

/// Prints a packet; returns the length of its body.
fn print(packet: &RawPacket, limits: &Limits, out: &mut impl Write) -> Result<u64, Box<dyn Error>> {
    let header = packet.header;
    let name = modifier::name(header.modifier1).unwrap_or("unknown");
    writeln!(out, "modifier1  {} ({name})", header.modifier1)?;
    writeln!(out, "modifier2  {}", header.modifier2)?;
    writeln!(out, "datasize   {}", header.datasize)?;
    match modifier::contents(header.modifier1, header.modifier2) {
        Some(Contents::Vars) => {
            let vars = packet.vars(limits)?;
            for (key, value) in vars {
                writeln!(out, "  {} = {}", key.escape_ascii(), value.escape_ascii())?;
            }
            return Ok(content_length(vars)?.unwrap_or(0));
        }
        Some(Contents::Array) => {
            for item in packet.items(limits)? {
                writeln!(out, "  {}", item.escape_ascii())?;
            }
        }
        _ => writeln!(out, "  {}", packet.block.escape_ascii())?,
    }
    Ok(0)
}
