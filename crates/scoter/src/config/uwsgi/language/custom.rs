//! Options that the configuration declares: `declare-option = app=module=$1;callable=app`.

use crate::config::uwsgi::options::Argument;

/// An option that stands for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Custom {
    pub(super) name: String,
    /// Options that are separated by semicolons, with `$1` for the first word of the value.
    template: String,
}

impl Custom {
    /// Reads `NAME=TEMPLATE`.
    pub(super) fn of(declaration: &str) -> Option<Self> {
        let (name, template) = declaration.split_once('=')?;
        Some(Self {
            name: name.to_owned(),
            template: template.to_owned(),
        })
    }

    /// uWSGI looks for the first three words only.
    pub(super) fn argument(&self) -> Argument {
        let words = ["$1", "$2", "$3"];
        match words.iter().any(|word| self.template.contains(word)) {
            true => Argument::Required,
            false => Argument::None,
        }
    }

    /// The options that it stands for. The first part without `=` ends them.
    pub(super) fn expand(&self, value: &str) -> Vec<(String, String)> {
        let places = value.matches(' ').count() + 1;
        let mut words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
        if value.is_empty() {
            words.push("");
        }
        // The ninth place is the last that has a digit of its own; uWSGI replaces $1 in $10 too.
        words.truncate(places.min(9));
        let parts = self.template.split(';').filter(|part| !part.is_empty());
        let parts = parts.map_while(|part| part.split_once('='));
        let filled = |text: &str| {
            let words = words.iter().enumerate();
            words.fold(text.to_owned(), |text, (index, word)| {
                text.replace(&format!("${}", index + 1), word)
            })
        };
        parts
            .map(|(key, value)| (filled(key), filled(value)))
            .collect()
    }

    /// How many bytes [`Custom::expand`] may return.
    pub(super) fn most(&self, value: &str) -> usize {
        let dollars = self.template.matches('$').count();
        self.template.len() + dollars.saturating_mul(value.len())
    }
}
