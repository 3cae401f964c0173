//! What a worker itself reads of a request's variables.

use std::time::{Duration, SystemTime};

use uwsgi_codec::VarsRef;
use wsgi_environ::Method;

use crate::scoreboard::Label;

/// The variables that name a request to people, found in one pass.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Glance<'a> {
    pub(crate) method: &'a [u8],
    /// As the client wrote it, or else the path.
    pub(crate) uri: &'a [u8],
}

impl<'a> Glance<'a> {
    /// Looks at `vars`. Of repeated ones the last counts, as everywhere.
    pub(crate) fn of(vars: VarsRef<'a>) -> Self {
        let mut glance = Self::default();
        let mut path: &[u8] = b"";
        for (key, value) in vars.iter() {
            match key {
                b"REQUEST_METHOD" => glance.method = value,
                b"REQUEST_URI" => glance.uri = value,
                b"PATH_INFO" => path = value,
                _ => {}
            }
        }
        if glance.uri.is_empty() {
            glance.uri = path;
        }
        glance
    }

    /// What the method says about the response.
    pub(crate) fn kind(&self) -> Method {
        match self.method {
            b"HEAD" => Method::Head,
            _ => Method::Other,
        }
    }

    /// The same for the scoreboard.
    pub(crate) fn label(&self, request_id: &'a str) -> Label<'a> {
        Label {
            method: self.method,
            uri: self.uri,
            request_id: request_id.as_bytes(),
        }
    }
}

/// How long ago the front end handed the request over, if it says so in a way that can be
/// believed: `HTTP_X_REQUEST_START`, as nginx-conf sends it.
pub(crate) fn front_end_age(vars: VarsRef<'_>) -> Option<Duration> {
    let text = vars.get("HTTP_X_REQUEST_START")?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.ok()?
        .checked_sub(time_since_epoch(text)?)
        .filter(|age| *age <= LONGEST_AGE)
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
    use uwsgi_codec::{Packet, PacketBuilder};

    use super::*;

    fn packet(vars: &[(&str, &str)]) -> Packet {
        let mut builder = PacketBuilder::new();
        builder.vars(vars.iter().copied()).unwrap();
        builder.build().unwrap()
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
            let packet = packet(&[("HTTP_X_REQUEST_START", &text)]);
            front_end_age(packet.vars.as_ref())
        };
        let seen = age(90).unwrap();
        assert!(
            seen >= Duration::from_secs(90) && seen < Duration::from_secs(92),
            "{seen:?}"
        );
        assert_eq!(age(-60), None, "the future");
        assert_eq!(age(90_000), None, "more than a day ago");
        assert_eq!(front_end_age(packet(&[("A", "b")]).vars.as_ref()), None);
    }

    #[test]
    fn last_of_repeated_variables_counts_and_the_path_stands_in_for_the_uri() {
        let packet = packet(&[
            ("REQUEST_METHOD", "GET"),
            ("PATH_INFO", "/path"),
            ("REQUEST_METHOD", "HEAD"),
        ]);
        let glance = Glance::of(packet.vars.as_ref());
        assert_eq!(glance.kind(), Method::Head);
        assert_eq!(glance.uri, b"/path");
    }
}
