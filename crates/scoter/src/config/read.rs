//! Reading texts as the values of options.

use std::ffi::OsStr;
use std::ops::{Bound, RangeBounds};

use super::settings::{Setting, Settings};
use crate::config::error::{Problem, Written};
use crate::config::from_text::{FromText, Ranged};
use crate::config::opt::{Arity, OFF};

/// Parses options one by one, and collects their mistakes.
pub(in crate::config) struct Reader<'a> {
    settings: &'a Settings,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(in crate::config) fn new(settings: &'a Settings) -> Self {
        Self {
            settings,
            problems: Vec::new(),
        }
    }

    pub(in crate::config) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(in crate::config) fn one<T: FromText>(&mut self, name: &str, check: Check<T>) -> Option<T> {
        self.maybe(name, check)?
    }

    pub(in crate::config) fn flag<T: FromText>(
        &mut self,
        name: &str,
        check: Check<T>,
    ) -> Option<T> {
        self.maybe(name, check)?
    }

    pub(in crate::config) fn maybe<T: FromText>(
        &mut self,
        name: &str,
        check: Check<T>,
    ) -> Option<Option<T>> {
        let setting = self.settings.get(name);
        match setting.texts.first() {
            None => Some(None),
            Some(text) => self.read(setting, 0, text, check).map(Some),
        }
    }

    pub(in crate::config) fn off<T: FromText>(
        &mut self,
        name: &str,
        check: Check<T>,
    ) -> Option<Option<T>> {
        if self.settings.get(name).texts.iter().all(|text| text == OFF) {
            return Some(None);
        }
        self.maybe(name, check)
    }

    pub(in crate::config) fn many<T: FromText>(
        &mut self,
        name: &str,
        check: Check<T>,
    ) -> Option<Vec<T>> {
        let setting = self.settings.get(name);
        let values: Vec<_> = setting
            .texts
            .iter()
            .enumerate()
            .map(|(index, text)| self.read(setting, index, text, check))
            .collect();
        values.into_iter().collect()
    }

    pub(in crate::config) fn pairs<T: FromText>(
        &mut self,
        name: &str,
        check: Check<T>,
    ) -> Option<Vec<T>> {
        self.many(name, check)
    }

    fn read<T: FromText>(
        &mut self,
        setting: &Setting,
        index: usize,
        text: &OsStr,
        check: Check<T>,
    ) -> Option<T> {
        let value = check(T::from_text(text));
        value
            .map_err(|mut reason| {
                if setting.opt.arity == Arity::Off {
                    reason.push_str(", or ");
                    reason.push_str(OFF);
                }
                let written =
                    Written::new(setting.opt, index, &text.to_string_lossy(), &setting.origin);
                self.problems.push(Problem::Value { written, reason });
            })
            .ok()
    }
}

/// Checks whether an option accepts what was read.
pub(in crate::config) type Check<T> = fn(Result<T, String>) -> Result<T, String>;

/// Checks a value against the limits of its option. The error names them also where the text is no
/// value at all.
pub(in crate::config) fn within<T: Ranged>(
    range: &impl RangeBounds<T>,
    read: Result<T, String>,
) -> Result<T, String> {
    if let Some(value) = read.ok().filter(|value| range.contains(value)) {
        return Ok(value);
    }
    let least = match range.start_bound() {
        Bound::Included(least) if least.to_string() == "0" => " from 0 (off)".to_owned(),
        Bound::Included(least) => format!(" from {least}"),
        _ => String::new(),
    };
    let most = match range.end_bound() {
        Bound::Included(most) => format!(" to {most}"),
        _ => String::new(),
    };
    let (what, examples) = (T::WHAT, T::EXAMPLES);
    Err(format!("expected {what}{least}{most}{examples}"))
}
