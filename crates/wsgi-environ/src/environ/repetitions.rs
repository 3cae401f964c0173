use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::VarsRef;

use super::repeated::Repeated;
use super::shape::Remembered;
use crate::text::from_latin1;

/// The variables that one packet has several times.
///
/// They are noted while the packet is walked, and settled in one walk more: it
/// may be all of them.
#[derive(Debug, Default)]
pub(super) struct Repetitions<'a, 'py> {
    by_key: HashMap<&'a [u8], Repetition<'py>>,
}

#[derive(Debug)]
enum Repetition<'py> {
    /// The last one wins; the place of the one before it.
    Last(Option<usize>),
    /// All of them are one entry.
    Joined {
        name: Bound<'py, PyString>,
        separator: &'static [u8],
        value: Option<Vec<u8>>,
    },
}

impl<'a, 'py> Repetitions<'a, 'py> {
    /// Takes note of a variable whose entry is there already.
    pub(super) fn note(&mut self, key: &'a [u8], name: &Bound<'py, PyString>) {
        self.by_key
            .entry(key)
            .or_insert_with(|| match Repeated::of(key) {
                Repeated::Last => Repetition::Last(None),
                Repeated::Joined(separator) => Repetition::Joined {
                    name: name.clone(),
                    separator,
                    value: None,
                },
            });
    }

    /// Says whether the entry of a variable is to be made in the end.
    pub(super) fn will_join(&self, key: &[u8]) -> bool {
        matches!(self.by_key.get(key), Some(Repetition::Joined { .. }))
    }

    /// Makes the entries of those that are joined, and says which of the others
    /// are of no account. What has joined entries is not remembered.
    pub(super) fn settle(
        mut self,
        vars: VarsRef<'_>,
        environ: &Bound<'py, PyDict>,
        remembered: &mut Option<Vec<Remembered>>,
    ) -> PyResult<()> {
        if self.by_key.is_empty() {
            return Ok(());
        }
        for (index, (key, value)) in vars.iter().enumerate() {
            match self.by_key.get_mut(key) {
                None => {}
                Some(Repetition::Last(before)) => {
                    let superseded = before.replace(index);
                    if let (Some(superseded), Some(remembered)) = (superseded, &mut *remembered) {
                        remembered[superseded].supersede();
                    }
                }
                Some(Repetition::Joined {
                    separator,
                    value: joined,
                    ..
                }) => match joined {
                    None => *joined = Some(value.to_vec()),
                    Some(joined) => {
                        joined.extend_from_slice(separator);
                        joined.extend_from_slice(value);
                    }
                },
            }
        }
        let py = environ.py();
        for repetition in self.by_key.into_values() {
            if let Repetition::Joined { name, value, .. } = repetition {
                environ.set_item(name, from_latin1(py, &value.unwrap_or_default())?)?;
                *remembered = None;
            }
        }
        Ok(())
    }
}
