use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Options;
use crate::tally::Tally;

/// What a run has shown. Serialised, it is what `load --json` writes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `uwsgi` or `http`.
    pub protocol: &'static str,
    /// Requests at a time.
    pub clients: u32,
    /// Requests that were measured.
    pub requests: u64,
    /// From the first of them to the end of the last reply.
    pub seconds: f64,
    /// Requests in a second.
    pub requests_per_second: f64,
    /// Bytes of replies, with their heads.
    pub bytes_received: u64,
    /// Bytes of requests, with their heads.
    pub bytes_sent: u64,
    /// Connections that a full backlog refused, and requests repeated because
    /// a connection that was kept was closed.
    pub retries: u64,
    /// What the load generator itself took of a processor, user and system,
    /// in microseconds.
    pub load_cpu_us_per_request: f64,
    /// By path, as given.
    pub latency: BTreeMap<String, Latency>,
    /// How often each value came, by the name of the header, as given.
    pub headers: BTreeMap<String, BTreeMap<String, u64>>,
}

/// How long requests took, in microseconds: from before the connection
/// (uwsgi) or before the first byte (http) to the last byte of the reply.
#[derive(Clone, Debug, Serialize)]
pub struct Latency {
    /// How many.
    pub requests: u64,
    /// The arithmetic mean.
    pub mean: f64,
    /// What half of them did not exceed.
    pub p50: f64,
    /// What 90 % did not exceed.
    pub p90: f64,
    /// What 99 % did not exceed.
    pub p99: f64,
    /// What 99.9 % did not exceed.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
    /// Every latency that occurred, in nanoseconds, with how many had it: so
    /// that runs can be taken together, which quantiles cannot.
    pub counts: Vec<(u64, u64)>,
}

impl Report {
    pub(crate) fn new(options: &Options, tally: &Tally, elapsed: Duration, cpu: Duration) -> Self {
        let also = options.also.as_ref().map(|also| &also.path);
        let paths = [Some(&options.path), also].into_iter().flatten();
        let requests = options.requests as f64;
        Self {
            protocol: options.protocol.name(),
            clients: options.clients,
            requests: options.requests,
            seconds: elapsed.as_secs_f64(),
            requests_per_second: requests / elapsed.as_secs_f64(),
            bytes_received: tally.bytes_received,
            bytes_sent: tally.bytes_sent,
            retries: tally.retries,
            load_cpu_us_per_request: cpu.as_secs_f64() * 1e6 / requests,
            latency: paths
                .cloned()
                .zip(tally.latencies.iter().map(Latency::from))
                .collect(),
            headers: tally.headers.headers.iter().cloned().collect(),
        }
    }
}

impl From<&Histogram<u64>> for Latency {
    fn from(nanoseconds: &Histogram<u64>) -> Self {
        let quantile = |quantile| nanoseconds.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            requests: nanoseconds.len(),
            mean: nanoseconds.mean() / 1e3,
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: nanoseconds.max() as f64 / 1e3,
            counts: nanoseconds
                .iter_recorded()
                .map(|value| (value.value_iterated_to(), value.count_at_value()))
                .collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} requests, {} at a time, in {:.3} s: {:.0} a second",
            self.requests, self.clients, self.seconds, self.requests_per_second
        )?;
        writeln!(
            f,
            "{} bytes sent, {} received, {} retries; {:.1} µs of CPU here for each request",
            self.bytes_sent, self.bytes_received, self.retries, self.load_cpu_us_per_request
        )?;
        for (path, latency) in &self.latency {
            writeln!(
                f,
                "{path}: {} requests, µs: mean {:.1}, p50 {:.1}, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}",
                latency.requests,
                latency.mean,
                latency.p50,
                latency.p90,
                latency.p99,
                latency.p99_9,
                latency.max
            )?;
        }
        for (name, values) in &self.headers {
            for (value, count) in values {
                writeln!(f, "{name}: {value}: {count}")?;
            }
        }
        Ok(())
    }
}
