//! Reading texts as the values of options.

use std::ffi::OsStr;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

use super::settings::{Setting, Settings};
use crate::config::error::{APP, Problem, Written};
use crate::config::from_text::FromText;
use crate::config::opt::OFF;

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

    pub(in crate::config) fn required<T: FromText>(
        &mut self,
        name: &str,
        check: Check<T>,
    ) -> Option<T> {
        let value = self.maybe(name, check)?;
        if value.is_none() {
            debug_assert_eq!(name, APP);
            self.problems.push(Problem::NoApplication);
        }
        value
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
            Some(text) => self.read(setting, text, check).map(Some),
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
            .map(|text| self.read(setting, text, check))
            .collect();
        values.into_iter().collect()
    }

    fn read<T: FromText>(&mut self, setting: &Setting, text: &OsStr, check: Check<T>) -> Option<T> {
        let value = T::from_text(text).and_then(|value| check(&value).map(|()| value));
        value
            .map_err(|reason| {
                let written = Written::new(setting.opt, &text.to_string_lossy(), &setting.origin);
                self.problems.push(Problem::Value { written, reason });
            })
            .ok()
    }
}

/// Whether an option accepts a value of its type.
pub(in crate::config) type Check<T> = fn(&T) -> Result<(), String>;

/// Checks a value against the limits of its option.
pub(in crate::config) fn within<T: PartialOrd + Display>(
    range: &impl RangeBounds<T>,
    value: &T,
) -> Result<(), String> {
    if range.contains(value) {
        return Ok(());
    }
    Err(match (range.start_bound(), range.end_bound()) {
        (Bound::Included(least), Bound::Included(most)) => {
            format!("must be from {least} to {most}")
        }
        (Bound::Included(least), _) => format!("must be at least {least}"),
        (_, Bound::Included(most)) => format!("must be at most {most}"),
        _ => "out of range".to_owned(),
    })
}
