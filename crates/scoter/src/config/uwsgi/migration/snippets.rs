//! Lines for the configurations of other programs.

use std::fmt::Write;

use super::NewFile;
use crate::config::directive::Directive;
use crate::config::uwsgi::configuration::UwsgiConfiguration;
use crate::config::uwsgi::translation::{Kind, Program, Snippet};
use crate::config::uwsgi::words::with_place;

/// The files that other programs need, each with the directives that it is for.
pub(super) fn files(configuration: &UwsgiConfiguration) -> Vec<NewFile> {
    let mut files: Vec<NewFile> = Vec::new();
    for note in &configuration.notes {
        let Kind::Elsewhere(snippets) = &note.kind else {
            continue;
        };
        for snippet in snippets {
            add(&mut files, snippet, &note.directives);
        }
    }
    files
}

fn add(files: &mut Vec<NewFile>, snippet: &Snippet, directives: &[Directive]) {
    let (name, heading) = match &snippet.program {
        Program::Nginx => ("nginx.conf", "# For the server block of the site.\n"),
        Program::Unit => (
            "service.conf",
            "# For the unit of the server: systemctl edit SERVICE\n\n[Service]\n",
        ),
        Program::OwnUnit(name) => (name.as_str(), ""),
    };
    let known = files.iter().position(|file| file.name == name);
    let index = known.unwrap_or_else(|| {
        files.push(NewFile {
            name: name.to_owned(),
            text: heading.to_owned(),
        });
        files.len() - 1
    });
    let text = &mut files[index].text;
    if !text.is_empty() {
        text.push('\n');
    }
    for directive in directives {
        let _ = writeln!(text, "# {}", with_place(directive));
    }
    let _ = writeln!(text, "{}", snippet.lines.trim_end());
}
