//! What is said about uWSGI's configuration.

use super::configuration::UwsgiConfiguration;
use super::refusal::Sockets;
use super::tally::Tally;
use super::translation::{Kind, Note};
use super::words::{advice, one_line, source, with_place};
use crate::config::commentary::Commentary;

impl UwsgiConfiguration {
    /// All that is said about it to a server that listens on these sockets.
    pub(in crate::config) fn commentary(&self, sockets: Sockets) -> Commentary {
        Commentary {
            summary: format!("{}: {}", source(self), Tally::of(self)),
            without_application: format!("{} {NO_APPLICATION}", source(self)),
            remarks: self.remarks(),
            refusals: self.refusals(sockets),
            report: self.report(),
        }
    }

    /// What does not happen, though the configuration asks for it.
    fn remarks(&self) -> Vec<String> {
        let warnings = self.warnings.iter().map(|warning| one_line(warning));
        let notes = self.notes.iter().filter_map(remark);
        warnings.chain(notes).collect()
    }
}

fn remark(note: &Note) -> Option<String> {
    let what = match note.kind {
        // What is unknown is there for the application more often than by mistake: in uwsgi.opt.
        Kind::NothingToDo | Kind::Mapped | Kind::Unknown => return None,
        Kind::Elsewhere(_) => "is not done by scoter: ",
        Kind::Lost => "has no counterpart in scoter: ",
        Kind::Misspelt(_) => "",
    };
    let directives: Vec<_> = note.directives.iter().map(with_place).collect();
    let place = match directives.is_empty() {
        true => String::new(),
        false => format!("{}: ", directives.join(", ")),
    };
    Some(format!("{place}{what}{}", advice(note)))
}

const NO_APPLICATION: &str = "names no application in its section [uwsgi]\nhint: write \
    module = package.module:callable, or wsgi-file = path/to/file.py";
