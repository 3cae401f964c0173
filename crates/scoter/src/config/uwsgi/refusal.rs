//! What keeps a server from being started from uWSGI's configuration.
//!
//! Most of what has no counterpart is only reported: who starts a server wants it to serve. A start is
//! refused if clients would not get what the configuration asks for: if nothing speaks to nginx, if
//! the application is in another language or needs another engine than threads, if the files of an
//! emperor would not be read, or if rules for routing, which may decide who gets in, would not apply.

use super::configuration::UwsgiConfiguration;
use super::directive::Directive;
use super::options;
use super::translation::Kind;
use super::words::with_place;

impl UwsgiConfiguration {
    /// What keeps a server from being started, besides what is wrong with its settings.
    pub(super) fn refusals(&self, sockets: Sockets) -> Vec<String> {
        let other_protocol = match sockets {
            Sockets::Some => None,
            Sockets::None => {
                let mut directives = self.directives.iter();
                directives.find(|it| speaks_other(it))
            }
        };
        let other_protocol = other_protocol
            .map(|directive| format!("{}: {ANOTHER_PROTOCOL}", with_place(directive)));
        let lost = self.notes.iter().filter_map(|note| {
            let subjects: &[_] = match note.kind {
                Kind::Lost => &SUBJECTS,
                // nginx can do that, and systemd, and need not do it yet.
                Kind::Elsewhere(_) => &[ROUTING, EMPEROR],
                _ => return None,
            };
            let mut directives = note.directives.iter();
            let directive =
                directives.find(|it| subjects.contains(&subject(it)) && !is_for_log(it))?;
            let directive = with_place(directive);
            Some(format!(
                "{directive}: scoter does not do that: {}",
                note.text
            ))
        });
        other_protocol.into_iter().chain(lost).collect()
    }
}

/// What the server listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Sockets {
    None,
    /// Addresses, or sockets that it inherits.
    Some,
}

/// Whether a directive makes uWSGI listen for something else than its own protocol.
pub(in crate::config) fn speaks_other(directive: &Directive) -> bool {
    OTHER_SOCKETS.contains(&directive.key.as_str())
}

fn subject(directive: &Directive) -> &'static str {
    options::subject_of(&directive.key).unwrap_or_default()
}

/// Whether a rule for routing only decides about a line of the log.
fn is_for_log(directive: &Directive) -> bool {
    let value = directive.value.as_deref().unwrap_or_default();
    value.contains("donotlog:") || value.contains(" log:")
}

/// The headings of the table under which whatever is lost is what clients see.
const SUBJECTS: [&str; 3] = [ROUTING, "Asynchronous loops", "Plugins and other languages"];

const ROUTING: &str = "Routing";

const EMPEROR: &str = "Emperor";

const ANOTHER_PROTOCOL: &str = "scoter speaks only the uwsgi protocol, and no socket is for that\n\
     hint: write socket = … in its place, for uwsgi_pass in nginx; for development, scoter dev APP \
     speaks HTTP";

const OTHER_SOCKETS: [&str; 15] = [
    "fastcgi-nph-socket",
    "fastcgi-socket",
    "http",
    "http-socket",
    "http11-socket",
    "httprouter",
    "https",
    "https-socket",
    "https2",
    "puwsgi-socket",
    "raw-socket",
    "scgi-nph-socket",
    "scgi-socket",
    "ssl-socket",
    "suwsgi-socket",
];

#[cfg(test)]
mod tests {
    use super::super::translation::Note;
    use super::*;
    use crate::config::directive::Place;

    fn refused(key: &str, kind: Kind, sockets: Sockets) -> bool {
        let directive = Directive {
            key: key.to_owned(),
            value: Some("x".to_owned()),
            place: Place::Argument,
        };
        let configuration = UwsgiConfiguration {
            directives: vec![directive.clone()],
            notes: vec![Note {
                directives: vec![directive],
                kind,
                text: "use threads".to_owned(),
            }],
            ..UwsgiConfiguration::default()
        };
        !configuration.refusals(sockets).is_empty()
    }

    #[test]
    fn subjects_are_headings_of_the_table() {
        for title in SUBJECTS.into_iter().chain([EMPEROR]) {
            let mut subjects = options::SUBJECTS.iter();
            assert!(subjects.any(|subject| subject.title == title), "{title}");
        }
        for name in OTHER_SOCKETS {
            assert!(options::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_clients_would_miss_is_refused() {
        for (key, kind, sockets, is_refused) in [
            ("gevent", Kind::Lost, Sockets::Some, true),
            ("route", Kind::Lost, Sockets::Some, true),
            ("psgi", Kind::Lost, Sockets::Some, true),
            ("mule", Kind::Lost, Sockets::Some, false),
            // Such as route = ^/health donotlog:
            ("route", Kind::Mapped, Sockets::Some, false),
            ("route", Kind::Elsewhere(Vec::new()), Sockets::Some, true),
            ("emperor", Kind::Elsewhere(Vec::new()), Sockets::Some, true),
            (
                "static-map",
                Kind::Elsewhere(Vec::new()),
                Sockets::Some,
                false,
            ),
            ("http-socket", Kind::NothingToDo, Sockets::Some, false),
            ("http-socket", Kind::NothingToDo, Sockets::None, true),
            ("socket", Kind::Mapped, Sockets::None, false),
        ] {
            assert_eq!(
                refused(key, kind.clone(), sockets),
                is_refused,
                "{key} {kind:?}"
            );
        }
    }
}
