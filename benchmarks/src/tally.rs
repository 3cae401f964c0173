use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

/// What is counted while requests are sent.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Latencies in nanoseconds, for each kind of request.
    pub(crate) latencies: Vec<Histogram<u64>>,
    pub(crate) headers: HeaderCounts,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) retries: u64,
}

impl Tally {
    pub(crate) fn new(kinds: usize, headers: &[String]) -> Self {
        let histogram = Histogram::new_with_max(MAX_LENGTH.as_nanos() as u64, 3)
            .expect("both bounds are in the range that is allowed");
        Self {
            latencies: vec![histogram; kinds],
            headers: HeaderCounts {
                headers: headers
                    .iter()
                    .map(|name| (name.clone(), BTreeMap::new()))
                    .collect(),
            },
            bytes_received: 0,
            bytes_sent: 0,
            retries: 0,
        }
    }

    pub(crate) fn record(&mut self, kind: usize, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latencies[kind].saturating_record(nanoseconds);
    }
}

const MAX_LENGTH: Duration = Duration::from_secs(3600);

/// How often each value of the response headers in question came.
#[derive(Debug)]
pub(crate) struct HeaderCounts {
    pub(crate) headers: Vec<(String, BTreeMap<String, u64>)>,
}

impl HeaderCounts {
    pub(crate) fn count(&mut self, name: &str, value: &[u8]) {
        for (counted, values) in &mut self.headers {
            if !counted.eq_ignore_ascii_case(name) {
                continue;
            }
            let value = String::from_utf8_lossy(value);
            match values.get_mut(value.as_ref()) {
                Some(count) => *count += 1,
                None => {
                    values.insert(value.into_owned(), 1);
                }
            }
        }
    }
}
