//! The `scoter.toml`.

use std::fmt::Write;
use std::path::Path;

use super::relative::relative_to;
use crate::config::origin::Origin;
use crate::config::print::assignments;
use crate::config::settings::{Setting, Settings};
use crate::config::uwsgi::configuration::UwsgiConfiguration;
use crate::config::uwsgi::translation::{Kind, Note};
use crate::config::uwsgi::words::{WIDTH, advice, source, with_place, wrapped};

/// The file, for this directory or for any.
pub(super) fn text(
    settings: &Settings,
    configuration: &UwsgiConfiguration,
    directory: Option<&Path>,
) -> String {
    let mut text = format!(
        "# Made of {} by scoter migrate. Paths are relative to this file.\n",
        source(configuration)
    );
    let mut said = Vec::new();
    let set = settings.all.iter();
    for setting in set.filter(|setting| setting.origin != Origin::Default) {
        text.push('\n');
        text += &comment(setting, configuration, &mut said);
        let written = match directory {
            Some(directory) => &relative_to(setting, directory),
            None => setting,
        };
        for assignment in assignments(written) {
            let _ = writeln!(text, "{assignment}");
        }
    }
    let remaining = configuration.notes.iter().filter(|note| matters(note));
    let remaining: Vec<_> = remaining.filter(|note| !said.contains(note)).collect();
    if !remaining.is_empty() {
        text += "\n# Not taken over:\n";
        for note in remaining {
            for directive in &note.directives {
                let _ = writeln!(text, "# {}", with_place(directive));
            }
            text += &wrapped(&advice(note), "#     ", WIDTH);
        }
    }
    text
}

/// Where a setting comes from, and what is to be known about it.
fn comment<'a>(
    setting: &Setting,
    configuration: &'a UwsgiConfiguration,
    said: &mut Vec<&'a Note>,
) -> String {
    let Origin::Uwsgi(directives) = &setting.origin else {
        return String::new();
    };
    let mut text = String::new();
    for directive in directives {
        let _ = writeln!(text, "# {}", with_place(directive));
    }
    if directives.is_empty() {
        text += match setting.opt.name {
            "uwsgi-module" => {
                "# For import uwsgi, also in libraries. If nothing imports it, leave this out.\n"
            }
            _ => "# uWSGI's default\n",
        };
    }
    for note in configuration
        .notes
        .iter()
        .filter(|note| note.kind == Kind::Mapped)
    {
        if note.directives.iter().any(|it| directives.contains(it)) && !said.contains(&note) {
            text += &wrapped(&advice(note), "# ", WIDTH);
            said.push(note);
        }
    }
    text
}

/// Whether a reader of the file wants to know.
fn matters(note: &Note) -> bool {
    !matches!(note.kind, Kind::NothingToDo)
}
