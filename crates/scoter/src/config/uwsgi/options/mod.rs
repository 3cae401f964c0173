//! Every option of uWSGI 2.0.31, and what becomes of it: one table.
//!
//! [`translate`](super::translate) follows it, `docs/uwsgi-options.md` is written from it, and the tips
//! for mistyped options come from it. Options of plugins that the usual builds leave out are in it
//! too.

mod application;
mod background;
mod caching;
mod clustering;
mod commands;
mod concurrency;
mod configuration;
#[cfg(test)]
mod document;
mod emperor;
mod family;
mod fate;
mod hooks;
mod http;
mod isolation;
mod languages;
mod logging;
mod processes;
mod reasons;
mod recycling;
mod requests;
mod routing;
mod sockets;
mod static_files;
mod statistics;

pub(crate) use family::{Argument, Family, TheirOption, Value};
pub(crate) use fate::{Conversion, Fate};

/// Families about one matter.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) title: &'static str,
    pub(crate) families: &'static [Family],
}

/// The table. Frequent matters, and the frequent families of each, come first.
pub(crate) static SUBJECTS: &[Subject] = &[
    subject("Sockets", sockets::FAMILIES),
    subject("The application", application::FAMILIES),
    subject("Processes and threads", processes::FAMILIES),
    subject("Requests and responses", requests::FAMILIES),
    subject("Recycling, reloading, stopping", recycling::FAMILIES),
    subject("Logging", logging::FAMILIES),
    subject("Statistics and alarms", statistics::FAMILIES),
    subject("The language of the files", configuration::FAMILIES),
    subject("Static files", static_files::FAMILIES),
    subject("HTTP and TLS", http::FAMILIES),
    subject("Routing", routing::FAMILIES),
    subject("Background work", background::FAMILIES),
    subject("Caches, queues and locks", caching::FAMILIES),
    subject("Asynchronous loops", concurrency::FAMILIES),
    subject("Hooks", hooks::FAMILIES),
    subject("Isolation and limits", isolation::FAMILIES),
    subject("Emperor", emperor::FAMILIES),
    subject("Clusters and routers", clustering::FAMILIES),
    subject("Plugins and other languages", languages::FAMILIES),
    subject("Commands", commands::FAMILIES),
];

const fn subject(title: &'static str, families: &'static [Family]) -> Subject {
    Subject { title, families }
}

/// Finds an option by its name, and its family.
pub(crate) fn find(name: &str) -> Option<(&'static TheirOption, &'static Family)> {
    all().find(|(option, _)| option.name == name)
}

/// Finds an option by its letter on the command line. Of several names for it, this is the first.
pub(crate) fn find_letter(letter: char) -> Option<(&'static TheirOption, &'static Family)> {
    all().find(|(option, _)| option.letter == Some(letter))
}

/// The title of the subject that an option belongs to.
pub(crate) fn subject_of(name: &str) -> Option<&'static str> {
    let subject = SUBJECTS.iter().find(|subject| {
        let mut options = subject.families.iter().flat_map(|family| family.options);
        options.any(|option| option.name == name)
    });
    subject.map(|subject| subject.title)
}

/// All options.
pub(crate) fn all() -> impl Iterator<Item = (&'static TheirOption, &'static Family)> {
    let families = SUBJECTS.iter().flat_map(|subject| subject.families);
    families.flat_map(|family| family.options.iter().map(move |option| (option, family)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_option_is_there_once() {
        let mut names = BTreeSet::new();
        for (option, _) in all() {
            assert!(names.insert(option.name), "{}", option.name);
        }
        // 1015 in `uwsgi --help` of 2.0.31, and those that its usual builds leave out.
        assert_eq!(names.len(), 1261);
    }

    #[test]
    fn names_arguments_and_letters_are_those_of_uwsgi() {
        for (name, letter, argument, value) in [
            ("socket", Some('s'), Argument::Required, Value::List),
            ("processes", Some('p'), Argument::Required, Value::Number),
            ("module", Some('w'), Argument::Required, Value::Text),
            ("master", Some('M'), Argument::None, Value::Flag),
            ("chmod-socket", Some('C'), Argument::Optional, Value::Text),
            ("need-app", None, Argument::Optional, Value::Flag),
            ("endif", None, Argument::Optional, Value::Text),
            ("http-quiet", None, Argument::Required, Value::Flag),
            ("so-send-timeout", None, Argument::None, Value::Number),
            ("gevent", None, Argument::Required, Value::Text),
        ] {
            let (option, _) = find(name).unwrap();
            assert_eq!(option.letter, letter, "{name}");
            assert_eq!(option.argument, argument, "{name}");
            assert_eq!(option.value, value, "{name}");
        }
        assert_eq!(find_letter('w').unwrap().0.name, "module");
        assert_eq!(find_letter('H').unwrap().0.name, "home");
        assert!(find("vaccum").is_none());
        assert!(find_letter('Z').is_none());
    }

    /// Every option that a letter stands for takes the same argument.
    #[test]
    fn letters_are_not_ambiguous() {
        for (option, _) in all() {
            if let Some(letter) = option.letter {
                let (first, _) = find_letter(letter).unwrap();
                assert_eq!(first.argument, option.argument, "-{letter}");
            }
        }
    }
}
