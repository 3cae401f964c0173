//! A translation in the making.

use std::ffi::OsString;
use std::path::Path;

use super::read::{Number, is_on, number};
use crate::config::directive::Directive;
use crate::config::origin::Origin;
use crate::config::settings::Setting;
use crate::config::table::TABLE;
use crate::config::uwsgi::options::{Value, find};
use crate::config::uwsgi::translation::{Kind, Note, Snippet, Translation};

/// A translation in the making: the directives that nobody has translated yet, and what became of the others.
pub(super) struct Draft<'a> {
    pending: Vec<&'a Directive>,
    translation: Translation,
}

impl<'a> Draft<'a> {
    pub(super) fn new(directives: &'a [Directive]) -> Self {
        Self {
            pending: directives.iter().collect(),
            translation: Translation::default(),
        }
    }

    pub(super) fn finish(self) -> Translation {
        debug_assert!(self.pending.is_empty(), "{:?}", self.pending);
        self.translation
    }

    /// The first directive that is left.
    pub(super) fn next(&mut self) -> Option<&'a Directive> {
        (!self.pending.is_empty()).then(|| self.pending.remove(0))
    }

    /// Takes the directives of an option and of those in its family.
    pub(super) fn take(&mut self, name: &str) -> Vec<&'a Directive> {
        let (_, family) = find(name).expect("the table has every option that code names");
        self.take_where(|key| family.options.iter().any(|option| option.name == key))
    }

    /// Takes the directives of one option alone.
    pub(super) fn take_only(&mut self, name: &str) -> Vec<&'a Directive> {
        self.take_where(|key| key == name)
    }

    /// Takes one that was looked at.
    pub(super) fn remove(&mut self, directive: &Directive) {
        self.pending.retain(|it| !std::ptr::eq(*it, directive));
    }

    /// Takes the directives that no option of uWSGI reads.
    pub(super) fn take_unknown(&mut self) -> Vec<&'a Directive> {
        self.take_where(|key| find(key).is_none())
    }

    fn take_where(&mut self, is_meant: impl Fn(&str) -> bool) -> Vec<&'a Directive> {
        let (taken, left) = self.pending.iter().partition(|it| is_meant(&it.key));
        self.pending = left;
        taken
    }

    /// Takes the directives of an option and of those in its family, of which the last counts.
    pub(super) fn last(&mut self, name: &str) -> Option<&'a Directive> {
        let taken = self.take(name);
        self.last_of(&taken)
    }

    /// The last directive of an option and of those in its family, which stays.
    pub(super) fn peek(&self, name: &str) -> Option<&'a Directive> {
        self.peek_all(name).pop()
    }

    /// The directives of an option and of those in its family, which stay.
    pub(super) fn peek_all(&self, name: &str) -> Vec<&'a Directive> {
        let (_, family) = find(name).expect("the table has every option that code names");
        let is_meant = |it: &&&Directive| family.options.iter().any(|option| option.name == it.key);
        self.pending.iter().filter(is_meant).copied().collect()
    }

    /// A path of uWSGI that is relative to the directory that it has changed to.
    pub(super) fn below_chdir(&self, path: &str) -> String {
        let chdir = self.peek("chdir").and_then(|it| it.value.as_deref());
        match chdir {
            Some(chdir) if !path.starts_with('/') => {
                Path::new(chdir).join(path).to_string_lossy().into_owned()
            }
            _ => path.to_owned(),
        }
    }

    /// The last directive, which counts. If others say something else, a note tells that.
    pub(super) fn last_of(&mut self, taken: &[&'a Directive]) -> Option<&'a Directive> {
        let last = *taken.last()?;
        if taken.iter().any(|it| it.value != last.value) {
            let text = format!(
                "{} counts: uWSGI takes the last one",
                match &last.value {
                    Some(value) => format!("{} = {value}", last.key),
                    None => last.key.clone(),
                }
            );
            self.note(Kind::Mapped, taken, text);
        }
        Some(last)
    }

    /// Takes a family of flags, and returns what turns it on.
    pub(super) fn flag(&mut self, name: &str) -> Option<&'a Directive> {
        let last = self.last(name)?;
        if is_on(last.value.as_deref()) {
            return Some(last);
        }
        self.nothing_to_do(&[last], "it is off");
        None
    }

    /// The number that uWSGI reads. A note tells if it is less than what was written.
    pub(super) fn number(&mut self, directive: &Directive) -> Number {
        let read = number(directive.value.as_deref());
        let value = directive.value.as_deref().unwrap_or_default();
        match &read {
            Number::Cut { value: found, rest } => {
                let text = format!("uWSGI reads {found} and ignores {rest:?}");
                self.note(Kind::Mapped, &[directive], text);
            }
            Number::None => {
                let text = format!("{value:?} is no number: uWSGI reads 0");
                self.note(Kind::Mapped, &[directive], text);
            }
            Number::Whole(_) | Number::Negative => {}
        }
        read
    }

    /// Gives one of our options a value.
    pub(super) fn set(&mut self, name: &str, text: impl Into<OsString>, from: &[&Directive]) {
        self.set_all(name, vec![text.into()], from);
    }

    /// Gives one of our options values.
    pub(super) fn set_all(&mut self, name: &str, texts: Vec<OsString>, from: &[&Directive]) {
        let opt = TABLE.iter().find(|opt| opt.name == name);
        let opt =
            opt.expect("the names are those of options: tests translate every option of uWSGI");
        let origin = Origin::Uwsgi(from.iter().map(|it| (*it).clone()).collect());
        let settings = &mut self.translation.settings;
        settings.retain(|setting| setting.opt != opt);
        settings.push(Setting { opt, texts, origin });
    }

    /// The texts that one of our options has got.
    pub(super) fn get(&self, name: &str) -> Option<&[OsString]> {
        let mut settings = self.translation.settings.iter();
        let setting = settings.find(|setting| setting.opt.name == name)?;
        Some(&setting.texts)
    }

    /// Says something about directives. What is said in the same words about others joins it.
    pub(super) fn note(&mut self, kind: Kind, about: &[&Directive], text: impl Into<String>) {
        let text = text.into();
        let about = about.iter().map(|it| (*it).clone());
        let notes = &mut self.translation.notes;
        let same = notes
            .iter_mut()
            .find(|note| note.kind == kind && note.text == text && !note.directives.is_empty());
        match same {
            Some(note) => note.directives.extend(about),
            None => notes.push(Note {
                directives: about.collect(),
                kind,
                text,
            }),
        }
    }

    pub(super) fn nothing_to_do(&mut self, about: &[&Directive], text: impl Into<String>) {
        if !about.is_empty() {
            self.note(Kind::NothingToDo, about, text);
        }
    }

    pub(super) fn elsewhere(
        &mut self,
        about: &[&Directive],
        text: impl Into<String>,
        snippet: Option<Snippet>,
    ) {
        self.note(Kind::Elsewhere(snippet.into_iter().collect()), about, text);
    }

    /// The same with lines for several files.
    pub(super) fn elsewhere_in_files(
        &mut self,
        about: &[&Directive],
        text: impl Into<String>,
        snippets: Vec<Snippet>,
    ) {
        self.note(Kind::Elsewhere(snippets), about, text);
    }

    pub(super) fn lost(&mut self, about: &[&Directive], text: impl Into<String>) {
        self.note(Kind::Lost, about, text);
    }

    /// Puts a note before all others.
    pub(super) fn put_first(&mut self, kind: Kind, about: &[&Directive], text: impl Into<String>) {
        let note = Note {
            directives: about.iter().map(|it| (*it).clone()).collect(),
            kind,
            text: text.into(),
        };
        self.translation.notes.insert(0, note);
    }
}

/// Whether a directive turns its option off, so that nothing is lost without it.
pub(super) fn is_off(directive: &Directive) -> bool {
    match find(&directive.key).map(|(option, _)| option.value) {
        Some(Value::Flag) => !is_on(directive.value.as_deref()),
        Some(Value::Number) => matches!(
            number(directive.value.as_deref()),
            Number::Whole(0) | Number::None
        ),
        Some(Value::Text | Value::List) | None => false,
    }
}
