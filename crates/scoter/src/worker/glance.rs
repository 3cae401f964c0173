//! What a worker itself reads of a request's variables.

use std::time::{Duration, SystemTime};

use uwsgi_codec::{Packet, VarsRef};
use wsgi_environ::{ContentLength, Method, RequestError};

use crate::scoreboard::Label;

/// A packet, and what was found in it at a glance.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) packet: Packet,
    glance: Glance,
}

/// The variables that matter to the server, found in one pass: to walk the block takes
/// longer than anything that is done with them. Of repeated ones the last counts, as
/// everywhere.
#[derive(Debug, Clone, Copy, Default)]
struct Glance {
    method: Place,
    /// As the client wrote it, or else the path.
    uri: Place,
    /// Bytes of the body.
    length: u64,
    /// `HTTP_X_REQUEST_START`.
    handed_over: Place,
    /// The first two ids: there should not be a second one.
    request_ids: [Option<Place>; 2],
}

/// Where a value stands in its block, which is at most 65,535 bytes long.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u16,
    len: u16,
}

impl Asked {
    /// Looks at a packet.
    ///
    /// # Errors
    ///
    /// Those of its `CONTENT_LENGTH`.
    pub(crate) fn read(packet: Packet) -> Result<Self, RequestError> {
        let glance = Glance::of(packet.vars.as_ref())?;
        Ok(Self { packet, glance })
    }

    pub(crate) fn vars(&self) -> VarsRef<'_> {
        self.packet.vars.as_ref()
    }

    /// The length of the body, in bytes.
    pub(crate) fn content_length(&self) -> u64 {
        self.glance.length
    }

    /// What the method says about the response.
    pub(crate) fn kind(&self) -> Method {
        match self.at(self.glance.method) {
            b"HEAD" => Method::Head,
            _ => Method::Other,
        }
    }

    /// The request as people know it.
    pub(crate) fn label<'a>(&'a self, request_id: &'a [u8]) -> Label<'a> {
        Label {
            method: self.at(self.glance.method),
            uri: self.at(self.glance.uri),
            request_id,
        }
    }

    /// The first two ids that the front end sent.
    pub(crate) fn request_ids(&self) -> impl Iterator<Item = &[u8]> {
        let places = self.glance.request_ids.iter().flatten();
        places.map(|place| self.at(*place))
    }

    /// How long ago the front end handed the request over, if it says so in a way that can
    /// be believed: `HTTP_X_REQUEST_START`, as nginx-conf sends it.
    pub(crate) fn front_end_age(&self) -> Option<Duration> {
        let handed_over = time_since_epoch(self.at(self.glance.handed_over))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let age = now.ok()?.checked_sub(handed_over);
        age.filter(|age| *age <= LONGEST_AGE)
    }

    fn at(&self, place: Place) -> &[u8] {
        let start = usize::from(place.start);
        &self.vars().as_bytes()[start..start + usize::from(place.len)]
    }
}

impl Glance {
    fn of(vars: VarsRef<'_>) -> Result<Self, RequestError> {
        let mut glance = Self::default();
        let mut path = Place::default();
        let mut length = ContentLength::default();
        for (key, value) in vars {
            match key {
                b"REQUEST_METHOD" => glance.method = Place::of(value, vars),
                b"CONTENT_LENGTH" => length.note(value)?,
                b"REQUEST_URI" => glance.uri = Place::of(value, vars),
                b"PATH_INFO" => path = Place::of(value, vars),
                b"HTTP_X_REQUEST_ID" => {
                    let next = glance.request_ids.iter_mut().find(|place| place.is_none());
                    if let Some(next) = next {
                        *next = Some(Place::of(value, vars));
                    }
                }
                b"HTTP_X_REQUEST_START" => glance.handed_over = Place::of(value, vars),
                _ => {}
            }
        }
        glance.length = length.get().unwrap_or(0);
        if glance.uri.len == 0 {
            glance.uri = path;
        }
        Ok(glance)
    }
}

impl Place {
    fn of(value: &[u8], vars: VarsRef<'_>) -> Self {
        let start = value.as_ptr() as usize - vars.as_bytes().as_ptr() as usize;
        let within = |number| u16::try_from(number).expect("blocks have 65,535 bytes at most");
        Self {
            start: within(start),
            len: within(value.len()),
        }
    }
}

/// Reads `t=1763812345.678`, or the same without `t=`: seconds with any number of decimals
/// (nginx's `$msec`), or whole milliseconds (Heroku's router) or microseconds (`%t` of
/// Apache's mod_headers), told apart by their size.
fn time_since_epoch(text: &[u8]) -> Option<Duration> {
    let text = text.strip_prefix(b"t=").unwrap_or(text);
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let whole = digits(parts.next()?)?;
    let fraction = parts.next().unwrap_or(b"0");
    if whole < SECONDS_END {
        // Of the decimals, nine are nanoseconds.
        let decimals = &fraction[..fraction.len().min(9)];
        let scale = 10u64.pow(9 - u32::try_from(decimals.len()).ok()?);
        let nanos = digits(decimals)? * scale;
        return Some(Duration::new(whole, u32::try_from(nanos).ok()?));
    }
    digits(fraction)?;
    if whole < MILLIS_END {
        Some(Duration::from_millis(whole))
    } else {
        (whole < MICROS_END).then(|| Duration::from_micros(whole))
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > MOST_DIGITS {
        return None;
    }
    text.iter().try_fold(0, |number: u64, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + u64::from(byte - b'0'))
    })
}

/// The year 5138 in seconds is March 1973 in milliseconds, and so on.
const SECONDS_END: u64 = 100_000_000_000;
const MILLIS_END: u64 = SECONDS_END * 1_000;
const MICROS_END: u64 = MILLIS_END * 1_000;

/// What fits a `u64` whatever the digits are.
const MOST_DIGITS: usize = 19;

/// Nobody waits longer: what says so is a wrong clock or a made-up header.
const LONGEST_AGE: Duration = Duration::from_secs(24 * 3_600);

#[cfg(test)]
mod tests {
    use uwsgi_codec::PacketBuilder;

    use super::*;

    fn asked(vars: &[(&str, &str)]) -> Asked {
        let mut builder = PacketBuilder::new();
        builder.vars(vars.iter().copied()).unwrap();
        Asked::read(builder.build().unwrap()).unwrap()
    }

    #[test]
    fn all_ways_to_write_a_time_mean_the_same() {
        for text in [
            "t=1763812345.678",
            "1763812345.678",
            "t=1763812345.678000",
            "1763812345678",
            "t=1763812345678",
            "1763812345678.000",
            "t=1763812345678000",
            "1763812345.678000000999",
        ] {
            let time = time_since_epoch(text.as_bytes());
            assert_eq!(
                time,
                Some(Duration::from_millis(1_763_812_345_678)),
                "{text}"
            );
        }
        let whole = time_since_epoch(b"1763812345");
        assert_eq!(whole, Some(Duration::from_secs(1_763_812_345)));
    }

    #[test]
    fn nonsense_is_no_time() {
        for text in [
            "",
            "t=",
            "t=.5",
            "t=1.",
            "t=x",
            "-5",
            "+5",
            "1e9",
            "1763812345,678",
            " 1763812345",
            "t=1763812345.67x",
            "t=t=1763812345",
            "1763812345678000000",
            "99999999999999999999",
            "1763812345678.x",
        ] {
            assert_eq!(time_since_epoch(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn only_the_last_day_is_believed() {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        let age = |seconds: i64| {
            let start = now.as_secs().checked_add_signed(-seconds).unwrap();
            let text = format!("t={start}.000");
            asked(&[("HTTP_X_REQUEST_START", &text)]).front_end_age()
        };
        let seen = age(90).unwrap();
        assert!(
            seen >= Duration::from_secs(90) && seen < Duration::from_secs(92),
            "{seen:?}"
        );
        assert_eq!(age(-60), None, "the future");
        assert_eq!(age(90_000), None, "more than a day ago");
        assert_eq!(asked(&[("A", "b")]).front_end_age(), None);
    }

    #[test]
    fn last_of_repeated_variables_counts_and_the_path_stands_in_for_the_uri() {
        let asked = asked(&[
            ("REQUEST_METHOD", "GET"),
            ("PATH_INFO", "/path"),
            ("REQUEST_METHOD", "HEAD"),
        ]);
        assert_eq!(asked.kind(), Method::Head);
        assert_eq!(asked.label(b"").uri, b"/path");
    }
}
