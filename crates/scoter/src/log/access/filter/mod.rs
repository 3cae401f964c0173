//! Which responses have a line: `--access-log-skip` and `--access-log-sample`.

mod pattern;
mod rule;
mod sample;

use std::time::Duration;

pub(crate) use rule::SkipRule;
pub(crate) use sample::SampleRate;

use super::entry::Entry;
use crate::request_head::Param;

/// Decides which responses have a line.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessLogFilter {
    rules: Vec<SkipRule>,
    sample: Option<SampleRate>,
}

/// How a response ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseOutcome {
    /// From the accept to the last byte of the response.
    pub(crate) elapsed: Duration,
    /// Bytes that could not be sent.
    pub(crate) unsent: u64,
    /// Whether it ended before it was complete, whoever ended it.
    pub(crate) is_cut: bool,
    /// Whether it took `--slow-request` or longer.
    pub(crate) is_slow: bool,
}

/// What a line is decided by.
#[derive(Debug, Clone, Copy)]
struct Facts<'a> {
    /// The path as the client sent it, without the query.
    path: &'a [u8],
    user_agent: &'a [u8],
    request_id: &'a [u8],
    status: u16,
    is_cut: bool,
    is_slow: bool,
}

/// Whether a response has a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    Skip,
    Write,
    /// It stands for others, which have none.
    Sampled(SampleRate),
}

impl AccessLogFilter {
    pub(crate) fn new(rules: Vec<SkipRule>, sample: Option<SampleRate>) -> Self {
        Self { rules, sample }
    }

    /// Decides about one response.
    #[inline]
    pub(super) fn verdict(&self, entry: &Entry, outcome: &ResponseOutcome) -> Verdict {
        if self.rules.is_empty() && self.sample.is_none() {
            return Verdict::Write;
        }
        if entry.said.as_ref().is_some_and(|said| said.is_wanted) {
            return Verdict::Write;
        }
        self.decide(&Facts::of(entry, outcome))
    }

    fn decide(&self, facts: &Facts<'_>) -> Verdict {
        if self.rules.iter().any(|rule| rule.skips(facts)) {
            return Verdict::Skip;
        }
        match self.sample {
            Some(rate) if !facts.is_noteworthy() => match rate.takes(facts.request_id) {
                true => Verdict::Sampled(rate),
                false => Verdict::Skip,
            },
            _ => Verdict::Write,
        }
    }
}

impl<'a> Facts<'a> {
    #[inline(never)]
    fn of(entry: &'a Entry, outcome: &ResponseOutcome) -> Self {
        let head = &entry.head;
        let uri = head.uri().unwrap_or_default();
        let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
        Self {
            path,
            user_agent: head.param(Param::UserAgent).unwrap_or_default(),
            request_id: head.request_id.as_bytes(),
            status: entry.status,
            is_cut: outcome.is_cut,
            is_slow: outcome.is_slow,
        }
    }

    /// Whether the response failed, or was slow. Refusals and timeouts have a status of 400 or more.
    fn is_noteworthy(&self) -> bool {
        self.is_error_status() || self.is_cut || self.is_slow
    }

    fn is_error_status(&self) -> bool {
        self.status >= 400
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts<'_> = Facts {
        path: b"/health",
        user_agent: b"kube-probe/1.29",
        request_id: b"0af7651916cd43dd8448eb211c80319c",
        status: 200,
        is_cut: false,
        is_slow: false,
    };

    fn filter(rules: &[&str], sample: Option<&str>) -> AccessLogFilter {
        let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        AccessLogFilter::new(rules, sample.map(|rate| rate.parse().unwrap()))
    }

    #[test]
    fn any_rule_skips_and_all_of_its_conditions_must_hold() {
        let others = Facts {
            path: b"/",
            user_agent: b"curl/8",
            ..FACTS
        };
        for (rules, facts, expected) in [
            (&[][..], FACTS, Verdict::Write),
            (&["path:/health"], FACTS, Verdict::Skip),
            (&["path:/health"], others, Verdict::Write),
            (&["path:/"], others, Verdict::Skip),
            (&["path:/"], FACTS, Verdict::Write),
            (&["path:/*"], FACTS, Verdict::Skip),
            (&["agent:kube-probe/*"], FACTS, Verdict::Skip),
            (&["agent:kube-probe/*"], others, Verdict::Write),
            (&["status:2xx"], FACTS, Verdict::Skip),
            (&["status:200"], FACTS, Verdict::Skip),
            (&["status:204"], FACTS, Verdict::Write),
            (&["status:3xx"], FACTS, Verdict::Write),
            (&["path:/health agent:kube-probe/*"], FACTS, Verdict::Skip),
            (&["path:/health agent:curl/*"], FACTS, Verdict::Write),
            (&["path:/x", "path:/y", "status:2xx"], FACTS, Verdict::Skip),
        ] {
            assert_eq!(filter(rules, None).decide(&facts), expected, "{rules:?}");
        }
    }

    #[test]
    fn failures_and_slow_responses_are_kept_unless_a_rule_names_them() {
        let failed = |status| Facts { status, ..FACTS };
        let cut = Facts {
            is_cut: true,
            ..FACTS
        };
        let slow = Facts {
            is_slow: true,
            ..FACTS
        };
        let slow_failure = Facts {
            is_slow: true,
            ..failed(503)
        };
        for (rule, facts, expected) in [
            ("path:/health", failed(399), Verdict::Skip),
            ("path:/health", failed(400), Verdict::Write),
            ("path:/health", failed(404), Verdict::Write),
            ("path:/health", failed(500), Verdict::Write),
            ("path:/health", failed(503), Verdict::Write),
            ("path:/health", cut, Verdict::Write),
            ("path:/health", slow, Verdict::Write),
            ("path:/health all", failed(404), Verdict::Skip),
            ("path:/health all", failed(503), Verdict::Skip),
            ("path:/health all", cut, Verdict::Skip),
            ("path:/health all", slow, Verdict::Skip),
            ("path:/other all", failed(503), Verdict::Write),
            ("status:4xx", failed(404), Verdict::Skip),
            ("status:404", failed(404), Verdict::Skip),
            ("status:404", failed(410), Verdict::Write),
            ("path:/health status:503", failed(503), Verdict::Skip),
            ("path:/health status:503", slow_failure, Verdict::Write),
            ("path:/health status:503 all", slow_failure, Verdict::Skip),
        ] {
            assert_eq!(filter(&[rule], None).decide(&facts), expected, "{rule}");
        }
    }

    #[test]
    fn only_successes_are_sampled() {
        let least = || filter(&[], Some("0.001%"));
        let rate = "100%".parse().unwrap();
        assert_eq!(
            filter(&[], Some("100%")).decide(&FACTS),
            Verdict::Sampled(rate)
        );
        assert_eq!(least().decide(&FACTS), Verdict::Skip);
        for status in [400, 404, 500, 504] {
            let facts = Facts { status, ..FACTS };
            assert_eq!(least().decide(&facts), Verdict::Write, "{status}");
        }
        let cut = Facts {
            is_cut: true,
            ..FACTS
        };
        assert_eq!(least().decide(&cut), Verdict::Write);
        let slow = Facts {
            is_slow: true,
            ..FACTS
        };
        assert_eq!(least().decide(&slow), Verdict::Write);
    }

    #[test]
    fn rules_come_before_sampling() {
        let both = filter(&["path:/health"], Some("100%"));
        assert_eq!(both.decide(&FACTS), Verdict::Skip);
    }
}
