//! What changes, for people.

use std::fmt::Write;

use crate::config::uwsgi::configuration::UwsgiConfiguration;
use crate::config::uwsgi::tally::Tally;
use crate::config::uwsgi::translation::{Kind, Note};
use crate::config::uwsgi::words::{WIDTH, advice, one_line, source, with_place, wrapped};

impl UwsgiConfiguration {
    /// What becomes of it, grouped by what there is to do.
    pub(crate) fn report(&self) -> String {
        report(self)
    }
}

fn report(configuration: &UwsgiConfiguration) -> String {
    let mut text = format!("{}: {}\n", source(configuration), Tally::of(configuration));
    for warning in &configuration.warnings {
        let _ = writeln!(text, "warning: {}", one_line(warning));
    }
    for (heading, is_in) in GROUPS {
        let notes = configuration.notes.iter().filter(|note| is_in(&note.kind));
        let notes: Vec<_> = notes.collect();
        if !notes.is_empty() {
            let _ = writeln!(text, "\n{heading}:");
            notes.iter().for_each(|note| text += &entry(note));
        }
    }
    text
}

fn entry(note: &Note) -> String {
    let mut text = String::new();
    for directive in &note.directives {
        let _ = writeln!(text, "  {}", with_place(directive));
    }
    text + &wrapped(&advice(note), "      ", WIDTH)
}

type Group = (&'static str, fn(&Kind) -> bool);

/// Most urgent first.
const GROUPS: [Group; 6] = [
    ("Lost", |kind| matches!(kind, Kind::Lost)),
    ("Misspelt, and ignored by uWSGI", |kind| {
        matches!(kind, Kind::Misspelt(_))
    }),
    ("Unknown, and ignored by uWSGI", |kind| {
        matches!(kind, Kind::Unknown)
    }),
    ("To do elsewhere", |kind| matches!(kind, Kind::Elsewhere(_))),
    ("Differs", |kind| matches!(kind, Kind::Mapped)),
    ("Nothing to do", |kind| matches!(kind, Kind::NothingToDo)),
];
