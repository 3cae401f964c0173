//! Whether a request may be followed by another one on its connection.
//!
//! The protocol, and what each condition is for: `KEEPALIVE.md` of `uwsgi-codec`. Both sides go
//! by lengths alone, so that nothing of a body can ever be taken for a request.

use uwsgi_codec::modifier;
use wsgi_environ::{Method, Persistence};

use crate::request_head::{Param, RequestHead};

/// What the front end asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Nothing: the connection is closed, as ever.
    Nothing,
    /// That the connection is kept.
    KeepAlive,
    /// The same, but it is about to send another number of bytes than `CONTENT_LENGTH` says,
    /// or takes the method for another one.
    Contradiction,
}

/// What is known of a request before the application runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) ask: Ask,
    /// Whether the body has arrived to its last byte.
    pub(crate) body_has_arrived: bool,
    /// Whether anything has arrived behind it.
    pub(crate) overrun: bool,
    /// Requests on this connection before this one.
    pub(crate) served: u32,
    /// Whether the worker takes no more requests.
    pub(crate) leaving: bool,
}

impl Ask {
    /// Reads `UWSGI_KEEP_CONN`: how many bytes the front end sends behind the packet, as it has
    /// counted them itself, or `HEAD` where it takes the response to have no body.
    pub(crate) fn of(head: &RequestHead) -> Self {
        let Some(value) = head.param(Param::KeepConn) else {
            return Self::Nothing;
        };
        let is_head = value == b"HEAD";
        let sent = match is_head {
            true => Some(0),
            false => decimal(value),
        };
        let Some(sent) = sent.filter(|_| head.packet.header.modifier1 == modifier::WSGI) else {
            return Self::Nothing;
        };
        let agrees = is_head == (head.kind() == Method::Head)
            && head.content_length() == Ok(sent)
            && !head.contradicts_itself();
        if agrees {
            Self::KeepAlive
        } else {
            Self::Contradiction
        }
    }
}

impl Circumstances {
    /// What the head of the response may say, where a connection serves at most `limit` requests.
    pub(crate) fn persistence(&self, limit: u32) -> Persistence {
        let may_follow = self.ask == Ask::KeepAlive
            && self.body_has_arrived
            && !self.overrun
            && !self.leaving
            && self.served.saturating_add(1) < limit;
        match may_follow {
            true => Persistence::KeepAlive,
            false => Persistence::Close,
        }
    }

    /// Whether the front end and this server disagree about where the request ends.
    pub(crate) fn is_out_of_step(&self) -> bool {
        match self.ask {
            Ask::Nothing => self.served > 0 && self.overrun,
            Ask::KeepAlive => self.overrun,
            Ask::Contradiction => true,
        }
    }
}

/// The digits of the largest number that is asked with.
const MAX_DIGITS: usize = 19;

/// A number as `CONTENT_LENGTH` writes it: digits only.
fn decimal(text: &[u8]) -> Option<u64> {
    let is_plain = (1..=MAX_DIGITS).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_plain)?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn front_end_has_to_name_the_length_that_it_sends() {
        for (name, vars, expected) in [
            ("nothing", &[("REQUEST_METHOD", "GET")][..], Ask::Nothing),
            ("empty", &[("UWSGI_KEEP_CONN", "")], Ask::Nothing),
            ("no body", &[("UWSGI_KEEP_CONN", "0")], Ask::KeepAlive),
            (
                "empty length",
                &[("CONTENT_LENGTH", ""), ("UWSGI_KEEP_CONN", "0")],
                Ask::KeepAlive,
            ),
            (
                "body",
                &[("CONTENT_LENGTH", "12"), ("UWSGI_KEEP_CONN", "12")],
                Ask::KeepAlive,
            ),
            (
                "body that CONTENT_LENGTH hides",
                &[("CONTENT_LENGTH", ""), ("UWSGI_KEEP_CONN", "12")],
                Ask::Contradiction,
            ),
            (
                "body that is not sent",
                &[("CONTENT_LENGTH", "12"), ("UWSGI_KEEP_CONN", "0")],
                Ask::Contradiction,
            ),
            (
                "lengths that contradict each other",
                &[
                    ("CONTENT_LENGTH", "12"),
                    ("CONTENT_LENGTH", "13"),
                    ("UWSGI_KEEP_CONN", "13"),
                ],
                Ask::Contradiction,
            ),
            ("sign", &[("UWSGI_KEEP_CONN", "+0")], Ask::Nothing),
            ("word", &[("UWSGI_KEEP_CONN", "on")], Ask::Nothing),
            (
                "twenty digits",
                &[("UWSGI_KEEP_CONN", "00000000000000000000")],
                Ask::Nothing,
            ),
            (
                "the same twice",
                &[
                    ("REQUEST_METHOD", "GET"),
                    ("REQUEST_METHOD", "GET"),
                    ("UWSGI_KEEP_CONN", "0"),
                ],
                Ask::KeepAlive,
            ),
            (
                "two methods",
                &[
                    ("REQUEST_METHOD", "HEAD"),
                    ("REQUEST_METHOD", "GET"),
                    ("UWSGI_KEEP_CONN", "0"),
                ],
                Ask::Contradiction,
            ),
            (
                "two values",
                &[("UWSGI_KEEP_CONN", "12"), ("UWSGI_KEEP_CONN", "0")],
                Ask::Contradiction,
            ),
            (
                "head",
                &[("REQUEST_METHOD", "HEAD"), ("UWSGI_KEEP_CONN", "HEAD")],
                Ask::KeepAlive,
            ),
            (
                "head that the front end takes for a get",
                &[("REQUEST_METHOD", "HEAD"), ("UWSGI_KEEP_CONN", "0")],
                Ask::Contradiction,
            ),
            (
                "get that the front end takes for a head",
                &[("REQUEST_METHOD", "GET"), ("UWSGI_KEEP_CONN", "HEAD")],
                Ask::Contradiction,
            ),
            (
                "head with a body",
                &[
                    ("REQUEST_METHOD", "HEAD"),
                    ("CONTENT_LENGTH", "3"),
                    ("UWSGI_KEEP_CONN", "HEAD"),
                ],
                Ask::Contradiction,
            ),
        ] {
            let head = RequestHead::of(vars.iter().copied());
            assert_eq!(Ask::of(&head), expected, "{name}");
        }
    }

    const GOOD: Circumstances = Circumstances {
        ask: Ask::KeepAlive,
        body_has_arrived: true,
        overrun: false,
        served: 0,
        leaving: false,
    };

    #[test]
    fn each_condition_alone_closes() {
        assert_eq!(GOOD.persistence(2), Persistence::KeepAlive);
        for (name, circumstances) in [
            (
                "not asked",
                Circumstances {
                    ask: Ask::Nothing,
                    ..GOOD
                },
            ),
            (
                "contradiction",
                Circumstances {
                    ask: Ask::Contradiction,
                    ..GOOD
                },
            ),
            (
                "body",
                Circumstances {
                    body_has_arrived: false,
                    ..GOOD
                },
            ),
            (
                "overrun",
                Circumstances {
                    overrun: true,
                    ..GOOD
                },
            ),
            ("last request", Circumstances { served: 1, ..GOOD }),
            (
                "leaving",
                Circumstances {
                    leaving: true,
                    ..GOOD
                },
            ),
        ] {
            assert_eq!(circumstances.persistence(2), Persistence::Close, "{name}");
        }
        assert_eq!(GOOD.persistence(1), Persistence::Close, "one request each");
    }

    proptest! {
        #[test]
        fn connection_is_kept_only_if_all_conditions_hold(
            ask in prop_oneof![
                Just(Ask::Nothing), Just(Ask::KeepAlive), Just(Ask::Contradiction),
            ],
            (body_has_arrived, overrun, leaving) in any::<(bool, bool, bool)>(),
            served in any::<u32>(),
            limit in 1_u32..,
        ) {
            let circumstances =
                Circumstances { ask, body_has_arrived, overrun, served, leaving };
            if circumstances.persistence(limit) == Persistence::KeepAlive {
                prop_assert!(ask == Ask::KeepAlive && body_has_arrived);
                prop_assert!(!overrun && !leaving && served < limit - 1);
                prop_assert!(!circumstances.is_out_of_step());
            }
        }
    }
}
