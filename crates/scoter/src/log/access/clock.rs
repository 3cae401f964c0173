//! The time of access log lines.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The local time, formatted once a second.
#[derive(Debug, Default)]
pub(super) struct Clock {
    zone: Option<TimeZone>,
    second: i64,
    common: String,
    date_time: String,
    offset: String,
}

/// A moment, as text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment<'a> {
    /// `22/Nov/2026:06:30:00 +0000`.
    pub(super) common: &'a str,
    /// `2026-11-22T06:30:00`.
    pub(super) date_time: &'a str,
    /// `+00:00`.
    pub(super) offset: &'a str,
    /// Milliseconds within the second.
    pub(super) millis: u16,
}

impl Clock {
    pub(super) fn now(&mut self) -> Moment<'_> {
        let now = Timestamp::now();
        if now.as_second() != self.second || self.common.is_empty() {
            self.second = now.as_second();
            self.format(now);
        }
        let millis = u16::try_from(now.subsec_millisecond()).unwrap_or_default();
        Moment {
            common: &self.common,
            date_time: &self.date_time,
            offset: &self.offset,
            millis,
        }
    }

    fn format(&mut self, now: Timestamp) {
        let zone = self.zone.get_or_insert_with(TimeZone::system);
        let local = Zoned::new(now, zone.clone());
        self.common = local.strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
        self.date_time = local.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        self.offset = local.strftime("%:z").to_string();
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    #[test]
    fn time_is_local() {
        let zone = TimeZone::fixed(Offset::from_seconds(5 * 3_600 + 30 * 60).unwrap());
        let mut clock = Clock {
            zone: Some(zone),
            ..Clock::default()
        };
        clock.format("2026-11-22T23:59:58.75Z".parse().unwrap());
        assert_eq!(clock.common, "23/Nov/2026:05:29:58 +0530");
        assert_eq!(clock.date_time, "2026-11-23T05:29:58");
        assert_eq!(clock.offset, "+05:30");
    }
}
