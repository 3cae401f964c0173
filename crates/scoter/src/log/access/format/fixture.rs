//! One request for the tests of all formats.

use std::time::{Duration, Instant};

use super::super::clock::Moment;
use super::super::entry::Entry;
use super::{Process, Record};
use crate::request_head::RequestHead;

/// A request with these variables.
pub(super) fn entry<K, V>(vars: impl IntoIterator<Item = (K, V)>) -> Entry
where
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let head = RequestHead::of(vars);
    Entry {
        head,
        status: 200,
        body_bytes: 12,
        accepted: Instant::now(),
        queued: Some(Duration::from_micros(1_500)),
        slot: Some(3),
        said: None,
    }
}

/// The line that `write` makes of a response that took 1.042 s.
pub(super) fn line_of(entry: &Entry, write: impl FnOnce(&mut Vec<u8>, &Record<'_>)) -> String {
    let mut line = Vec::new();
    let record = Record {
        entry,
        body_bytes: 10,
        elapsed: Duration::from_micros(1_042_250),
        now: Moment {
            common: "22/Nov/2026:06:30:00 +0000",
            date_time: "2026-11-22T06:30:00",
            offset: "+00:00",
            millis: 7,
        },
        process: Process {
            pid: 4_242,
            worker: Some(2),
        },
        is_cut: false,
        sample: None,
    };
    write(&mut line, &record);
    String::from_utf8(line).unwrap()
}
