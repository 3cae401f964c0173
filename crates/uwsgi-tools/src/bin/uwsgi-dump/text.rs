use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use uwsgi_codec::Header;
use uwsgi_codec::modifier::Contents;
use uwsgi_tools::Escaped;

use crate::place::Place;
use crate::printer::{Body, Times};
use crate::reply::{Ending, Head, Reply};
use crate::request::{LIMITS, Request};
use crate::secrets::Secrets;

/// Writes a request: a line, and below it an indented line for each var.
pub(crate) fn request(
    to: &mut impl Write,
    place: &Place,
    request: &Request,
    body: Body<'_>,
    secrets: Secrets,
) -> io::Result<()> {
    let Header {
        modifier1,
        datasize,
        modifier2,
    } = request.packet.header;
    write!(to, "{place}: {}", request.modifier())?;
    if (modifier1, modifier2) != (0, 0) {
        write!(to, " ({modifier1}, {modifier2})")?;
    }
    if let Some((method, target)) = request.line() {
        write!(to, " {} {}", Escaped(method), Escaped(target))?;
    }
    match request.contents {
        Contents::Vars => {
            let vars = request.vars();
            writeln!(
                to,
                ", {} in {datasize} bytes",
                count(vars.len() as u64, "var")
            )?;
            for (key, value) in vars {
                writeln!(to, "    {} = {}", Escaped(key), secrets.var(key, value))?;
            }
        }
        Contents::Array => {
            let items = request.packet.items(&LIMITS).unwrap_or_default();
            writeln!(
                to,
                ", {} in {datasize} bytes",
                count(items.len() as u64, "item")
            )?;
            for item in items {
                writeln!(to, "    {}", Escaped(item))?;
            }
        }
        _ => {
            writeln!(to, ", {datasize} bytes")?;
            if !request.packet.block.is_empty() {
                writeln!(to, "    {}", Escaped(&request.packet.block))?;
            }
        }
    }
    body_line(to, request.body_len, body)
}

/// Writes a reply: a line, and below it the lines of its head, or the packet that it is.
pub(crate) fn reply(
    to: &mut impl Write,
    place: &Place,
    reply: &Reply,
    body: Body<'_>,
    times: Option<Times>,
    secrets: Secrets,
) -> io::Result<()> {
    write!(to, "{place}: reply ")?;
    summary(to, reply, times)?;
    for head in reply.interim.iter().chain(&reply.head) {
        head_lines(to, head, secrets)?;
    }
    if let Some(packet) = reply.packet() {
        let Header {
            modifier1,
            modifier2,
            ..
        } = packet.header;
        let name = uwsgi_codec::modifier::name(modifier1).unwrap_or("unknown");
        let block = Escaped(packet.block);
        return writeln!(
            to,
            "    packet: {name} ({modifier1}, {modifier2}), {} bytes: {block}",
            packet.block.len()
        );
    }
    match (body, &reply.head) {
        (Body::Kept(bytes), _) => body_line(to, bytes.len() as u64, Body::Kept(bytes)),
        (_, None) if !reply.body.is_empty() => {
            body_line(to, reply.body_len, Body::Kept(&reply.body))
        }
        _ => Ok(()),
    }
}

/// Writes the rest of a line: status, length, times, and what is wrong.
pub(crate) fn summary(to: &mut impl Write, reply: &Reply, times: Option<Times>) -> io::Result<()> {
    if let Some(status) = reply.status() {
        write!(to, "{status}, ")?;
    }
    write!(to, "{}", count(reply.body_len, "byte"))?;
    if let Some(times) = times {
        write!(to, ", {times}")?;
    }
    match &reply.ending {
        Ending::Complete => {}
        ending => write!(to, ", {ending}")?,
    }
    match reply.excerpt.0.is_empty() {
        true => writeln!(to),
        false => writeln!(to, "; there: {}", reply.excerpt),
    }
}

fn head_lines(to: &mut impl Write, head: &Head, secrets: Secrets) -> io::Result<()> {
    for line in head.lines() {
        match secrets.line(line) {
            (line, None) => writeln!(to, "    {}", Escaped(line))?,
            (name, Some(len)) => writeln!(to, "    {} ({len} bytes redacted)", Escaped(name))?,
        }
    }
    Ok(())
}

fn body_line(to: &mut impl Write, len: u64, body: Body<'_>) -> io::Result<()> {
    if len == 0 {
        return Ok(());
    }
    match body.cut_short(len) {
        Some(received) => write!(to, "    {received} of {len} bytes of body")?,
        None => write!(to, "    body of {len} bytes")?,
    }
    match body {
        Body::Kept(bytes) => writeln!(to, ": {}", Escaped(bytes)),
        Body::Counted | Body::CutShort(_) => writeln!(to),
        Body::Announced => writeln!(to, " announced"),
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first_byte) = self.first_byte {
            write!(f, "first byte after {}, ", Milliseconds(first_byte))?;
        }
        write!(f, "end after {}", Milliseconds(self.total))
    }
}

/// A duration such as `1.25 ms`.
pub(crate) struct Milliseconds(pub(crate) Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ms", self.0.as_secs_f64() * 1e3)
    }
}

/// `1 var`, `2 vars`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
