use std::collections::BTreeMap;

use http::{HeaderName, StatusCode};

use crate::reply::{Ending, Reply};

/// What two replies do not have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    Status([Option<StatusCode>; 2]),
    /// The values of a header, sorted.
    Header {
        name: HeaderName,
        values: [Vec<Vec<u8>>; 2],
    },
    Body {
        /// The first byte that differs, or that only one of them has.
        offset: usize,
        lens: [usize; 2],
    },
    /// One is complete, or they are incomplete for different reasons.
    Ending([Ending; 2]),
}

/// Compares two replies, without the headers of `ignored`.
pub(crate) fn differences(replies: [&Reply; 2], ignored: &[HeaderName]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let statuses = replies.map(|reply| reply.head.as_ref().map(|head| head.head.status()));
    if statuses[0] != statuses[1] {
        differences.push(Difference::Status(statuses));
    }
    let [first, second] = replies.map(|reply| headers(reply, ignored));
    let mut names: Vec<_> = first.keys().chain(second.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let values = [&first, &second].map(|headers| headers.get(name).cloned());
        let values = values.map(Option::unwrap_or_default);
        if values[0] != values[1] {
            let name = HeaderName::try_from(*name).expect("from a HeaderMap");
            differences.push(Difference::Header { name, values });
        }
    }
    let endings = replies.map(|reply| reply.ending.clone());
    if endings[0] != endings[1] {
        differences.push(Difference::Ending(endings));
    }
    let [first, second] = replies.map(|reply| reply.body.as_slice());
    if first != second {
        let same = first.iter().zip(second).take_while(|(a, b)| a == b);
        differences.push(Difference::Body {
            offset: same.count(),
            lens: [first.len(), second.len()],
        });
    }
    differences
}

/// Returns the values of each header, sorted: their order on the wire has a meaning only for a few, and no front end
/// keeps it.
fn headers<'a>(reply: &'a Reply, ignored: &[HeaderName]) -> BTreeMap<&'a str, Vec<Vec<u8>>> {
    let mut headers: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let Some(head) = &reply.head else {
        return headers;
    };
    for (name, value) in head.head.headers() {
        if !ignored.contains(name) {
            let values = headers.entry(name.as_str()).or_default();
            values.push(value.as_bytes().to_vec());
        }
    }
    for values in headers.values_mut() {
        values.sort();
    }
    headers
}
