//! A server that accepts, reads, writes and closes, and nothing else: four
//! system calls for each request, as a program in C would make them. What
//! another server costs above it is that server's own. It is scheduled as
//! scoter's threads are while they sleep behind a busy nginx, because that
//! decides what a request costs there.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::ExitCode;

use benchmarks::Address;
use clap::Parser;
use nix::libc;
use rustix::io::Errno;
use rustix::net::{self, SocketFlags, SocketType, sockopt};
use uwsgi_codec::Header;

/// Answers every request over the uwsgi protocol with the same reply.
#[derive(Parser)]
#[command(name = "floor", version)]
struct Options {
    /// Where to listen: unix:/path or HOST:PORT
    address: Address,

    /// The file whose bytes are the reply, instead of "Hello, world"
    #[arg(long, value_name = "FILE")]
    reply: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let started = options
        .reply
        .as_ref()
        .map_or_else(|| Ok(HELLO.to_vec()), std::fs::read)
        .and_then(|reply| {
            let listener = listen(&options.address)?;
            let_the_waker_finish()?;
            writeln!(io::stderr(), "ready")?;
            Ok((listener, reply))
        });
    let error = match started {
        Ok((listener, reply)) => serve(&listener, &reply),
        Err(error) => error,
    };
    let _ = writeln!(io::stderr(), "floor: {}: {error}", options.address);
    ExitCode::FAILURE
}

fn listen(address: &Address) -> io::Result<OwnedFd> {
    let listener = net::socket_with(
        address.family(),
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    match address {
        Address::Unix(path) => match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        },
        Address::Tcp(_) => sockopt::set_socket_reuseaddr(&listener, true)?,
    }
    net::bind(&listener, &address.to_socket_address()?)?;
    net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

/// Lets nginx connect and write in one go, where both share a core.
///
/// A thread of the ordinary kind takes the core from nginx as soon as that
/// connects, and finds nothing to read yet. One of SCHED_BATCH waits for its
/// turn (sched(7)).
fn let_the_waker_finish() -> io::Result<()> {
    let priority = libc::sched_param { sched_priority: 0 };
    #[expect(unsafe_code, reason = "neither nix nor rustix has this call")]
    // SAFETY: `priority` is valid for reading; zero is this thread, the only one.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const priority) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Serves until accepting is not possible any more; returns why.
fn serve(listener: &OwnedFd, reply: &[u8]) -> io::Error {
    let mut buffer = vec![0; Header::LEN + usize::from(u16::MAX)];
    loop {
        match net::accept_with(listener, SocketFlags::CLOEXEC) {
            // A client that goes away in the middle is none of the others' business.
            Ok(connection) => drop(answer(&connection, &mut buffer, reply)),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error) => return error.into(),
        }
    }
}

fn answer(connection: &OwnedFd, buffer: &mut [u8], reply: &[u8]) -> rustix::io::Result<()> {
    let mut received = 0;
    while received < packet_len(&buffer[..received]) {
        match rustix::io::read(connection, &mut buffer[received..])? {
            0 => return Ok(()),
            len => received += len,
        }
    }
    let mut rest = reply;
    while !rest.is_empty() {
        rest = &rest[rustix::io::write(connection, rest)?..];
    }
    Ok(())
}

/// Returns the bytes of the packet, or of its header while that is not there.
fn packet_len(received: &[u8]) -> usize {
    received.first_chunk().map_or(Header::LEN, |&header| {
        Header::from_bytes(header).packet_len()
    })
}

const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world\n";

const BACKLOG: i32 = 1024;
