use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::VarsRef;

use super::repetition_rules::Repeated;
use super::template::TemplateVar;
use crate::text::from_latin1;

/// The variables that one packet has several times.
///
/// They are recorded during the first pass over the packet, and resolved in one more pass, because
/// there may be many.
#[derive(Debug, Default)]
pub(super) struct RepeatedVars<'a, 'py> {
    by_key: HashMap<&'a [u8], RepeatedVar<'py>>,
}

#[derive(Debug)]
enum RepeatedVar<'py> {
    /// The last one wins; this is the position of the previous one.
    Last(Option<usize>),
    /// All of them are joined into one entry.
    Joined {
        name: Bound<'py, PyString>,
        separator: &'static [u8],
        value: Option<Vec<u8>>,
    },
}

impl<'a, 'py> RepeatedVars<'a, 'py> {
    /// Records a variable whose entry already exists.
    pub(super) fn note(&mut self, key: &'a [u8], name: &Bound<'py, PyString>) {
        self.by_key
            .entry(key)
            .or_insert_with(|| match Repeated::of(key) {
                Repeated::Last => RepeatedVar::Last(None),
                Repeated::Joined(separator) => RepeatedVar::Joined {
                    name: name.clone(),
                    separator,
                    value: None,
                },
            });
    }

    /// Returns whether the entry of a variable is made at the end.
    pub(super) fn will_join(&self, key: &[u8]) -> bool {
        matches!(self.by_key.get(key), Some(RepeatedVar::Joined { .. }))
    }

    /// Makes the joined entries, and marks which of the others are overridden. An environ with
    /// joined entries cannot be a template.
    pub(super) fn settle(
        mut self,
        vars: VarsRef<'_>,
        environ: &Bound<'py, PyDict>,
        template_vars: &mut Option<Vec<TemplateVar>>,
    ) -> PyResult<()> {
        if self.by_key.is_empty() {
            return Ok(());
        }
        for (index, (key, value)) in vars.iter().enumerate() {
            match self.by_key.get_mut(key) {
                None => {}
                Some(RepeatedVar::Last(before)) => {
                    let superseded = before.replace(index);
                    if let (Some(superseded), Some(template_vars)) =
                        (superseded, &mut *template_vars)
                    {
                        template_vars[superseded].supersede();
                    }
                }
                Some(RepeatedVar::Joined {
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
        for repeated_var in self.by_key.into_values() {
            if let RepeatedVar::Joined { name, value, .. } = repeated_var {
                environ.set_item(name, from_latin1(py, &value.unwrap_or_default())?)?;
                *template_vars = None;
            }
        }
        Ok(())
    }
}
