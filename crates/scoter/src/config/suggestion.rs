//! "Did you mean": what to use in place of an option that there is not.

use super::opt::Opt;
use super::other_servers::{LONG, Row, SHORT, WITHOUT_COUNTERPART};
use super::table::TABLE;

/// What to use instead of an option that does not exist.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suggestion {
    /// The option that was probably meant.
    pub(super) opt: Option<&'static Opt>,
    /// Further advice: how values differ, or what to do if there is no such option.
    pub(super) note: Option<&'static str>,
}

impl Suggestion {
    /// The hint; `spelt` spells the option as in the source of the mistake.
    pub(super) fn hint(self, spelt: impl Fn(&'static Opt) -> String) -> String {
        let did_you_mean = self.opt.map(|opt| format!("did you mean {}?", spelt(opt)));
        let parts = [did_you_mean.as_deref(), self.note];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        parts.join(" ")
    }
}

/// Finds out what an unknown name means, in any spelling.
pub(super) fn suggest(name: &str) -> Option<Suggestion> {
    let name = name.to_lowercase().replace('_', "-");
    if let Some(known) = look_up(LONG, &name) {
        return Some(known);
    }
    if WITHOUT_COUNTERPART.contains(&&*name) {
        return None;
    }
    let similarity = |opt: &Opt| strsim::jaro(opt.name, &name);
    TABLE
        .iter()
        .map(|opt| (similarity(opt), opt))
        .filter(|(similarity, _)| *similarity > MIN_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, opt)| Suggestion {
            opt: Some(opt),
            note: None,
        })
}

/// Finds out what another server's option of one letter means, such as `-w`.
pub(super) fn suggest_for_letter(option: &str) -> Option<Suggestion> {
    look_up(SHORT, option)
}

fn look_up(rows: &[Row], name: &str) -> Option<Suggestion> {
    let &(_, ours, note) = rows.iter().find(|(theirs, ..)| *theirs == name)?;
    Some(Suggestion {
        opt: TABLE.iter().find(|opt| Some(opt.name) == ours),
        note: (!note.is_empty()).then_some(note),
    })
}

/// One letter too few or too many scores above 0.9. Most options of uWSGI and gunicorn that scoter
/// lacks ("plugins", "route", "queue") score below this.
const MIN_SIMILARITY: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_find_their_option() {
        for (name, expected) in [
            ("worker", Some("workers")),
            ("socket_mode", Some("socket-mode")),
            ("SOCKET_MODE", Some("socket-mode")),
            ("Request-Timeout", Some("request-timeout")),
            ("graceful-time-out", Some("graceful-timeout")),
            ("acess-log", Some("access-log")),
            ("harakiri", Some("request-timeout")),
            ("processes", Some("workers")),
            ("max-reqests", Some("max-requests")),
            ("bnd", Some("bind")),
            ("colour", None),
            ("plugins", None),
            // Options of uWSGI and gunicorn, for which the spelling alone would mislead.
            ("master", None),
            ("thread-stacksize", None),
            ("worker-class", None),
            ("post-buffering", Some("buffer-body")),
            ("reload", Some("reload-on-touch")),
            ("logformat", Some("access-log-format")),
            ("", None),
        ] {
            let found = suggest(name).and_then(|meant| meant.opt);
            assert_eq!(found.map(|opt| opt.name), expected, "{name}");
        }
    }

    #[test]
    fn names_of_other_servers_lead_to_options_that_exist() {
        for &(theirs, ours, note) in LONG.iter().chain(SHORT) {
            assert!(TABLE.iter().all(|opt| opt.name != theirs), "{theirs}");
            let found = match theirs.starts_with('-') {
                true => suggest_for_letter(theirs).unwrap(),
                false => suggest(theirs).unwrap(),
            };
            assert_eq!(found.opt.map(|opt| opt.name), ours, "{theirs}");
            assert!(ours.is_some() || !note.is_empty(), "{theirs}");
            for name in options_in(note) {
                let exists = TABLE.iter().any(|opt| opt.name == name);
                assert!(exists || NOT_IN_TABLE.contains(&name), "{theirs}: {name}");
            }
        }
        for name in WITHOUT_COUNTERPART {
            assert!(TABLE.iter().all(|opt| opt.name != name), "{name}");
        }
        for rows in [LONG, SHORT] {
            assert!(
                rows.is_sorted_by(|one, next| one.0 < next.0),
                "in order, each once"
            );
        }
    }

    /// Words with a dash, which are options.
    fn options_in(note: &str) -> impl Iterator<Item = &str> {
        let words = note.split(|it: char| !(it.is_ascii_lowercase() || it == '-' || it == '/'));
        let words = words.filter(|word| word.contains('-') && !word.contains('/'));
        words.map(|word| word.trim_start_matches("--"))
    }

    /// What is no option of the table, but exists, or is another server's.
    const NOT_IN_TABLE: [&str; 8] = [
        "config",
        "help",
        "ini",
        "json",
        "print-config",
        "yaml",
        "-p",
        "-w",
    ];

    #[test]
    fn options_in_notes_are_found() {
        let note = "see nginx-conf/site.conf; uWSGI's -w is --no-such, or body-timeout";
        let found: Vec<_> = options_in(note).collect();
        assert_eq!(found, ["-w", "no-such", "body-timeout"]);
    }

    #[test]
    fn hints_say_what_differs() {
        for (theirs, expected) in [
            (
                "post_buffering",
                "did you mean buffer-body? its value \"all\" has whole bodies received first, on \
                 disk beyond body-buffer",
            ),
            (
                "master",
                "leave it out: there is a master unless no-master is set",
            ),
            ("harakiri", "did you mean request-timeout?"),
        ] {
            let hint = suggest(theirs).unwrap().hint(|opt| opt.name.to_owned());
            assert_eq!(hint, expected);
        }
    }
}
