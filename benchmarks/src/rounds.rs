use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::Address;
use crate::client::{Advance, Client, Departure, Server};
use crate::expectation::{Expectation, Repeated};
use crate::fault::{Failure, Fault};
use crate::options::{Options, Protocol};
use crate::reply::Reading;
use crate::report::Report;
use crate::request::{BODY, Request};
use crate::tally::Tally;

/// Sends the requests that `options` ask for: those that warm up, then those
/// that are measured.
///
/// # Errors
///
/// The first reply that is not as expected, or whatever else prevents one.
pub fn run(options: &Options) -> Result<Report, Failure> {
    let mut clients = Clients::new(options)?;
    clients.round(options.warm_up, 0)?;

    let (begun, cpu) = (Instant::now(), cpu_time());
    let tally = clients.round(options.requests, options.warm_up)?;
    let (elapsed, cpu) = (begun.elapsed(), cpu_time() - cpu);
    Ok(Report::new(options, &tally, elapsed, cpu))
}

struct Clients<'o> {
    options: &'o Options,
    server: Server,
    clients: Vec<Client>,
    /// Those whose connection the server's backlog had no room for, and those
    /// behind them: first come, first served.
    queue: VecDeque<usize>,
    buffer: Vec<u8>,
}

/// A number of requests, one after the other or at the same time.
struct Round {
    count: u64,
    /// Requests of earlier rounds.
    before: u64,
    begun: u64,
    done: u64,
    tally: Tally,
    /// When something came last.
    heard: Instant,
}

impl<'o> Clients<'o> {
    fn new(options: &'o Options) -> Result<Self, Failure> {
        Ok(Self {
            options,
            server: server(options).map_err(|fault| failure(options, &options.path, 1, fault))?,
            clients: (0..options.clients).map(|_| Client::new()).collect(),
            queue: VecDeque::new(),
            // What a socket holds at most, so that a large reply takes few calls.
            buffer: vec![0; 256 * 1024],
        })
    }

    fn round(&mut self, count: u64, before: u64) -> Result<Tally, Failure> {
        let mut round = Round {
            count,
            before,
            begun: 0,
            done: 0,
            tally: Tally::new(self.server.requests.len(), &self.options.count_headers),
            heard: Instant::now(),
        };
        for index in 0..self.clients.len() {
            self.begin(index, &mut round)?;
        }
        let mut ready = Vec::with_capacity(self.clients.len());
        while round.done < count {
            self.step(&mut ready, &mut round)?;
        }
        Ok(round.tally)
    }

    /// Waits until something comes, and does what there is to do then.
    fn step(
        &mut self,
        ready: &mut Vec<(usize, PollFlags)>,
        round: &mut Round,
    ) -> Result<(), Failure> {
        ready.clear();
        self.wait(ready)
            .map_err(|fault| self.failure(0, round, fault))?;
        if ready.is_empty() {
            self.check_silence(round)?;
        } else {
            round.heard = Instant::now();
        }
        for &(index, flags) in ready.iter() {
            self.advance(index, flags, round)?;
        }
        self.depart(round)
    }

    fn begin(&mut self, index: usize, round: &mut Round) -> Result<(), Failure> {
        if round.begun == round.count {
            return Ok(());
        }
        let kind = self.kind(round.begun);
        round.begun += 1;
        self.clients[index].begin(kind, round.begun);
        self.queue.push_back(index);
        self.depart(round)
    }

    /// Lets those in the queue send their requests, until one cannot connect.
    fn depart(&mut self, round: &mut Round) -> Result<(), Failure> {
        while let Some(&index) = self.queue.front() {
            match self.clients[index].depart(&self.server, &mut round.tally) {
                Ok(Departure::Sent) => self.queue.pop_front(),
                Ok(Departure::Full) => return Ok(()),
                Err(fault) => return Err(self.failure(index, round, fault)),
            };
        }
        Ok(())
    }

    fn advance(
        &mut self,
        index: usize,
        ready: PollFlags,
        round: &mut Round,
    ) -> Result<(), Failure> {
        let client = &mut self.clients[index];
        match client.advance(ready, &self.server, &mut self.buffer, &mut round.tally) {
            Ok(Advance::Waits) => Ok(()),
            Ok(Advance::Full) => {
                self.queue.push_back(index);
                Ok(())
            }
            Ok(Advance::Complete { kind }) => {
                round.tally.record(kind, client.started.elapsed());
                round.done += 1;
                self.begin(index, round)
            }
            Err(fault) => Err(self.failure(index, round, fault)),
        }
    }

    /// Returns which of the two requests the one after `begun` others is.
    fn kind(&self, begun: u64) -> usize {
        let Some(also) = &self.options.also else {
            return 0;
        };
        let until = |begun: u64| u128::from(begun) * u128::from(also.millionths) / 1_000_000;
        usize::from(until(begun + 1) > until(begun))
    }

    fn wait(&self, ready: &mut Vec<(usize, PollFlags)>) -> Result<(), Fault> {
        let timeout = if self.queue.is_empty() {
            self.options.timeout
        } else {
            self.options.timeout.min(RETRY)
        };
        // None is for ever, as so long a timeout is.
        let timeout = Timespec::try_from(timeout).ok();
        // Not epoll: a connection lasts for one request, and to register it and to have the kernel
        // forget it costs more than to look at some dozens of others. poll saved a fifth of what a
        // request costs here with 8 clients, and a tenth with 64.
        let mut indices = Vec::with_capacity(self.clients.len());
        let mut sockets = Vec::with_capacity(self.clients.len());
        for (index, client) in self.clients.iter().enumerate() {
            if let Some(socket) = client.poll_fd(&self.server) {
                indices.push(index);
                sockets.push(socket);
            }
        }
        match poll(&mut sockets, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => {
                return Err(Fault::System {
                    what: "poll",
                    source: error.into(),
                });
            }
        }
        let flags = indices.into_iter().zip(sockets.iter().map(PollFd::revents));
        ready.extend(flags.filter(|(_, flags)| !flags.is_empty()));
        Ok(())
    }

    fn check_silence(&self, round: &Round) -> Result<(), Failure> {
        if round.heard.elapsed() < self.options.timeout {
            return Ok(());
        }
        // The oldest of the requests that are under way.
        let waiting = self
            .clients
            .iter()
            .enumerate()
            .filter(|(_, client)| client.kind.is_some());
        let (index, _) = waiting
            .min_by_key(|(_, client)| client.number)
            .unwrap_or((0, &self.clients[0]));
        Err(self.failure(index, round, Fault::Silence(self.options.timeout)))
    }

    fn failure(&self, index: usize, round: &Round, fault: Fault) -> Failure {
        let client = &self.clients[index];
        let kind = client.kind.unwrap_or(0);
        let path = &self.server.requests[kind].path;
        failure(self.options, path, round.before + client.number, fault)
    }
}

fn server(options: &Options) -> Result<Server, Fault> {
    let system = |what| {
        move |error: Errno| Fault::System {
            what,
            source: error.into(),
        }
    };
    let body = Repeated::new(BODY);
    let paths = [
        Some(&options.path),
        options.also.as_ref().map(|also| &also.path),
    ];
    let requests: Vec<_> = paths
        .into_iter()
        .flatten()
        .map(|path| Request::new(options, path, &body))
        .collect::<Result<_, _>>()?;
    let kept = options.protocol == Protocol::Http;
    Ok(Server {
        family: options.address.family(),
        address: options
            .address
            .to_socket_address()
            .map_err(system("the address"))?,
        without_delay: matches!(options.address, Address::Tcp(_)) && (kept || options.body.0 > 0),
        requests,
        body,
        reading: Reading {
            protocol: options.protocol,
            expectation: Expectation::new(
                options.expect_status,
                options.expect_body.as_deref(),
                options.expect_size.map(|size| size.0),
            ),
            without_body: options.method == "HEAD",
        },
    })
}

fn failure(options: &Options, path: &str, number: u64, fault: Fault) -> Failure {
    Failure {
        address: options.address.to_string(),
        number,
        method: options.method.clone(),
        path: path.to_owned(),
        fault: Box::new(fault),
    }
}

/// Returns the time that this process has spent on a processor.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How soon a full backlog is tried again if no reply comes before.
const RETRY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::{UnixListener, UnixStream};

    use clap::Parser as _;

    use super::*;

    #[test]
    fn full_backlog_is_retried() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let filler = UnixStream::connect(&path).unwrap();

        let address = format!("unix:{}", path.display());
        let options = Options::parse_from(["load", &address, "--clients", "2", "--requests", "2"]);
        let mut clients = Clients::new(&options).unwrap();
        let mut round = Round {
            count: 2,
            before: 0,
            begun: 0,
            done: 0,
            tally: Tally::new(1, &[]),
            heard: Instant::now(),
        };
        clients.begin(0, &mut round).unwrap();
        clients.begin(1, &mut round).unwrap();
        assert_eq!(clients.queue, [0, 1]);
        assert_eq!((round.begun, round.tally.retries), (2, 2));

        drop((filler, listener.accept().unwrap()));
        let mut ready = Vec::new();
        for done in 1..=2 {
            // Room for one, which the first in the queue takes.
            clients.depart(&mut round).unwrap();
            assert_eq!(clients.queue.len(), 2 - done);
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 4);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
            while round.done < done as u64 {
                clients.step(&mut ready, &mut round).unwrap();
            }
        }
        assert_eq!(round.tally.latencies[0].len(), 2);
    }
}
