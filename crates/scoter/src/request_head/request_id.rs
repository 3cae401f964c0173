//! One ID for a request, in nginx's logs, the application's and ours.

use std::io;
use std::mem::size_of;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::rand::{GetRandomFlags, getrandom};
use uwsgi_codec::Vars;

/// The id of one request: up to [`MAX_LENGTH`] visible ASCII characters, without quotes and
/// backslashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId {
    text: Bytes,
    /// Whether it is the `X-Request-ID` of the request.
    was_sent: bool,
}

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// The ID to add to the environ, which already contains one that was sent.
    pub(crate) fn in_environ(&self) -> wsgi_environ::RequestId<'_> {
        match self.was_sent {
            true => wsgi_environ::RequestId::Sent,
            false => wsgi_environ::RequestId::Made(self.as_str()),
        }
    }
}

/// Gives requests their ids.
///
/// Create it in the process that uses it: a copy in a forked process would repeat the IDs.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Distinguishes processes.
    prefix: u64,
    /// The first value of the counter.
    start: u64,
    made: AtomicU64,
}

impl RequestIds {
    /// # Errors
    ///
    /// Those of getrandom(2).
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            prefix: random()?,
            start: random()?,
            made: AtomicU64::new(0),
        })
    }

    /// Uses the ID that the front end `sent` among the `vars`. If there is none, or it is too long
    /// or unsafe in a log, generates one of 32 hexadecimal digits.
    pub(crate) fn of(&self, vars: &Vars, sent: Option<&[u8]>) -> RequestId {
        match sent {
            Some(text) if is_usable(text) => RequestId {
                text: vars.as_bytes().slice_ref(text),
                was_sent: true,
            },
            _ => RequestId {
                text: self.make(),
                was_sent: false,
            },
        }
    }

    fn make(&self) -> Bytes {
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        let number = u128::from(self.prefix) << 64 | u128::from(mix(self.start, count));
        let mut digits = [0; 32];
        for (index, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdef"[(number >> (124 - 4 * index)) as usize & 15];
        }
        Bytes::copy_from_slice(&digits)
    }
}

/// SplitMix64: a unique number for each count, in no visible order.
fn mix(start: u64, count: u64) -> u64 {
    let mut mixed = start.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn is_usable(text: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    (1..=MAX_LENGTH).contains(&text.len())
        // Without an early exit, so that it is vectorised.
        && text.iter().fold(true, |plain, byte| plain & is_plain(byte))
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; size_of::<u64>()];
    // Up to 256 bytes are never returned partially (getrandom(2)).
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Bytes of an id that is kept.
const MAX_LENGTH: usize = 128;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use uwsgi_codec::PacketBuilder;

    use super::*;

    fn vars<'a>(ids: impl IntoIterator<Item = &'a [u8]>) -> Vars {
        let mut builder = PacketBuilder::new();
        builder.var("REQUEST_METHOD", "GET").unwrap();
        for id in ids {
            builder.var("HTTP_X_REQUEST_ID", id).unwrap();
        }
        builder.build().unwrap().vars
    }

    fn of(ids: &RequestIds, vars: &Vars) -> RequestId {
        ids.of(vars, vars.get("HTTP_X_REQUEST_ID"))
    }

    #[test]
    fn usable_ids_are_shared_with_the_packet() {
        let ids = RequestIds::new().unwrap();
        for text in [
            "a",
            "0af7651916cd43dd8448eb211c80319c",
            "Root=1-67-ab/;:,~",
            &"x".repeat(128),
        ] {
            let vars = vars([text.as_bytes()]);
            let id = of(&ids, &vars);
            assert_eq!(id.as_str(), text);
            assert!(id.was_sent);
            assert!(vars.as_bytes().as_ptr_range().contains(&id.text.as_ptr()));
        }
    }

    #[test]
    fn last_of_several_counts() {
        let id = of(&RequestIds::new().unwrap(), &vars([&b"one"[..], b"two"]));
        assert_eq!((id.as_str(), id.was_sent), ("two", true));
    }

    #[test]
    fn ids_that_could_harm_a_log_are_replaced() {
        let ids = RequestIds::new().unwrap();
        for text in [
            &b""[..],
            b"a b",
            b"a\"b",
            b"a'b",
            b"a\\b",
            b"a\nb",
            b"a\x1bb",
            b"a\x7fb",
            b"caf\xc3\xa9",
            &[b'x'; 129],
        ] {
            let id = of(&ids, &vars([text]));
            assert!(!id.was_sent, "{text:?}");
            assert_eq!(id.as_str().len(), 32, "{text:?}");
            let is_digit = |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
            assert!(id.as_str().bytes().all(is_digit), "{id:?}");
        }
    }

    #[test]
    fn generated_ids_never_repeat() {
        let sources = [RequestIds::new().unwrap(), RequestIds::new().unwrap()];
        let made: HashSet<_> = (0..2_000)
            .map(|count| of(&sources[count % 2], &vars([])).text)
            .collect();
        assert_eq!(made.len(), 2_000);
    }
}
