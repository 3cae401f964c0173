//! What files become.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Context, Starter, translate};
use crate::config::directive::{Directive, Place};
use crate::config::origin::Origin;
use crate::config::uwsgi::translation::{Kind, Note, Translation};

mod application;
mod logging;
mod other_programs;
mod processes;
mod sockets;

/// The lines of a file, without a section: `key = value`, or `key`.
fn directives(lines: &str) -> Vec<Directive> {
    let lines = lines.lines().enumerate();
    let lines = lines.map(|(index, line)| (index + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty());
    lines
        .map(|(line, text)| {
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key.trim(), Some(value.trim().to_owned())),
                None => (text, None),
            };
            Directive {
                key: key.to_owned(),
                value,
                place: Place::File {
                    file: PathBuf::from("uwsgi.ini"),
                    line,
                },
            }
        })
        .collect()
}

fn translated(lines: &str) -> Translation {
    translated_for(lines, Starter::Root)
}

fn translated_for(lines: &str, starter: Starter) -> Translation {
    let placeholders = BTreeSet::from(["base".to_owned()]);
    let context = Context {
        placeholders: &placeholders,
        prefix: Some(Path::new("/srv/venv")),
        starter,
        glob: &|pattern| match pattern {
            "/srv/lib/*" => vec!["/srv/lib/a/".into(), "/srv/lib/b/".into()],
            _ => Vec::new(),
        },
    };
    translate(&directives(lines), &context)
}

/// The settings as `name = value`, several values joined by a comma. Those that are always there are left
/// out if they have uWSGI's default.
fn settings(translation: &Translation) -> Vec<String> {
    let given = translation.settings.iter().filter(|it| match it.opt.name {
        "workers" | "threads" | "preload" => it.origin != Origin::Uwsgi(Vec::new()),
        _ => true,
    });
    let mut lines: Vec<_> = given
        .map(|it| {
            let texts: Vec<_> = it.texts.iter().map(|text| text.to_string_lossy()).collect();
            format!("{} = {}", it.opt.name, texts.join(", "))
        })
        .collect();
    lines.sort();
    lines
}

/// The value of one option.
fn value(lines: &str, name: &str) -> Option<String> {
    let translation = translated(lines);
    let mut settings = translation.settings.iter();
    let setting = settings.find(|setting| setting.opt.name == name)?;
    let texts: Vec<_> = setting
        .texts
        .iter()
        .map(|it| it.to_string_lossy())
        .collect();
    Some(texts.join(", "))
}

/// The notes, without the one about TERM.
fn notes(translation: &Translation) -> Vec<&Note> {
    let notes = translation.notes.iter();
    notes.filter(|note| !note.directives.is_empty()).collect()
}

/// What is said about a file of one line.
fn kind_of(line: &str) -> Option<Kind> {
    let translation = translated(line);
    notes(&translation).first().map(|note| note.kind.clone())
}

#[test]
fn every_option_is_translated() {
    let mut forgotten = Vec::new();
    for (option, _) in crate::config::uwsgi::options::all() {
        for value in [
            None,
            Some("1"),
            Some("0"),
            Some("a b c"),
            Some("-1"),
            Some(""),
        ] {
            let line = match value {
                Some(value) => format!("{} = {value}", option.name),
                None => option.name.to_owned(),
            };
            let translation = translated(&line);
            let is_read = matches!(
                crate::config::uwsgi::options::find(option.name)
                    .unwrap()
                    .1
                    .fate,
                crate::config::uwsgi::options::Fate::Read(_)
            );
            let is_there = translation
                .settings
                .iter()
                .any(|it| it.origin.directive(0).is_some())
                || translation.notes.iter().any(|it| !it.directives.is_empty());
            if !(is_read || is_there) {
                forgotten.push(line);
            }
        }
    }
    assert_eq!(forgotten, [""; 0]);
}

#[test]
fn what_uwsgi_does_unless_told_otherwise_is_explicit() {
    let translation = translated("");
    let lines: Vec<_> = translation
        .settings
        .iter()
        .map(|it| (it.opt.name, it.texts[0].to_str().unwrap(), &it.origin))
        .collect();
    let default = Origin::Uwsgi(Vec::new());
    assert_eq!(
        lines,
        [
            ("workers", "1", &default),
            ("threads", "1", &default),
            ("preload", "false", &default),
        ]
    );
    let text = &translation.notes[0].text;
    assert!(text.contains("TERM"), "{text}");
}
