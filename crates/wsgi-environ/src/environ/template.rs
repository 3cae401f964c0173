use std::mem;
use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::VarsRef;

use super::ScriptName;
use super::constants::Constants;
use super::derived_entries::DerivedEntries;
use super::path::PathHandling;
use super::role::Role;

/// A template for each of the last few requests with different variables.
#[derive(Debug, Default)]
pub(super) struct TemplateCache {
    /// The most recently used one comes first.
    templates: Vec<Template>,
}

impl TemplateCache {
    /// Finds the template of a packet and brings it to the front.
    pub(super) fn find(
        &mut self,
        vars: VarsRef<'_>,
        script_name: ScriptName<'_>,
    ) -> Option<&mut Template> {
        let handling = PathHandling::of(script_name);
        let fits = |template: &mut Template| template.fits(vars, handling);
        // Checked before the names are hashed, because clients often repeat requests.
        if !self.templates.first_mut().is_some_and(fits) {
            let sum = sum_of_keys(vars);
            let found = self
                .templates
                .iter_mut()
                .position(|template| template.sum == sum && fits(template))?;
            self.templates[..=found].rotate_right(1);
        }
        self.templates.first_mut()
    }

    /// Adds a template in place of the least recently used one.
    pub(super) fn add(&mut self, template: Template) {
        self.templates.truncate(MAX_TEMPLATES - 1);
        self.templates.insert(0, template);
    }

    pub(super) fn clear(&mut self) {
        self.templates.clear();
    }
}

/// An earlier request, for the next one with the same variables in the same
/// order: clients come back, and most of what they send is what they sent.
///
/// The next environ is a copy of this one's after the values that differ were
/// exchanged. Nothing else can be carried over, because all of the packet is
/// compared with the block that the dict was made of.
#[derive(Debug)]
pub(super) struct Template {
    /// `None` if the entries of the path are not made of the variables.
    path_handling: Option<PathHandling>,
    sum: u64,
    /// The variables that the dict was made of.
    block: Vec<u8>,
    vars: Vec<TemplateVar>,
    dict: Py<PyDict>,
    /// The differences of the last packet that matched.
    changes: Vec<Change>,
    /// The differences of the one before.
    expected: Vec<Change>,
}

/// A variable at its place in the packet.
#[derive(Debug)]
pub(super) struct TemplateVar {
    key_len: usize,
    /// Where the next one begins in the block.
    end: usize,
    role: Role,
    name: Py<PyString>,
}

/// A variable with a new value.
#[derive(Debug)]
struct Change {
    /// The index of the variable.
    index: usize,
    /// The position of the value in the new block.
    value: Range<usize>,
}

impl Template {
    pub(super) fn new(
        script_name: ScriptName<'_>,
        vars: VarsRef<'_>,
        template_vars: Vec<TemplateVar>,
        dict: Py<PyDict>,
    ) -> Self {
        Self {
            path_handling: PathHandling::of(script_name),
            sum: sum_of_keys(vars),
            block: vars.as_bytes().to_vec(),
            vars: template_vars,
            dict,
            changes: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// Returns whether a packet has these variables in this order, and records which values differ.
    fn fits(&mut self, vars: VarsRef<'_>, path_handling: Option<PathHandling>) -> bool {
        if self.vars.len() != vars.len() || self.path_handling != path_handling {
            return false;
        }
        mem::swap(&mut self.changes, &mut self.expected);
        let fits = self.compare(vars.as_bytes()).is_some();
        if !fits {
            // The differences of the last packet that matched are kept.
            mem::swap(&mut self.changes, &mut self.expected);
        }
        fits
    }

    /// Compares a block of as many variables with the known one; `None` if a
    /// name is different.
    ///
    /// Most of a block is the same as last time, and what differs are mostly the
    /// variables that differed then. So bytes are compared up to the next one of
    /// these, and a difference is searched for only where that fails.
    fn compare(&mut self, new: &[u8]) -> Option<()> {
        self.changes.clear();
        let mut expected = self.expected.iter().peekable();
        // The beginning of the variable `index` in both blocks.
        let (mut old_at, mut new_at) = (0, 0);
        let mut index = 0;
        while index < self.vars.len() {
            while expected.next_if(|change| change.index < index).is_some() {}
            let (likely, likely_end) = match expected.peek() {
                Some(change) => (change.index, self.key_end(change.index)),
                None => (self.vars.len(), self.block.len()),
            };
            let (old_left, new_left) = (&self.block[old_at..], &new[new_at..]);
            let hoped = likely_end - old_at;
            let (differs, same_end) = if new_left.get(..hoped) == Some(&old_left[..hoped]) {
                (likely, likely_end)
            } else {
                let same_end = old_at + common_prefix(old_left, new_left);
                let unchanged = |known: &TemplateVar| known.end <= same_end;
                let first = index + self.vars[index..].partition_point(unchanged);
                (first, same_end)
            };
            if differs > index {
                let end = self.vars[differs - 1].end;
                new_at += end - old_at;
                old_at = end;
            }
            let Some(known) = self.vars.get(differs) else {
                return Some(());
            };
            // uwsgi: a key, and then a value, is its length in two bytes, the
            // lower one first, and its bytes.
            let key_len = 2 + known.key_len;
            if same_end < old_at + key_len {
                return None;
            }
            let value_at = new_at + key_len;
            let value_len = u16::from_le_bytes(*new.get(value_at..)?.first_chunk()?);
            let start = value_at + 2;
            let value = start..start + usize::from(value_len);
            let known_value = &self.block[old_at + key_len..known.end];
            let changed = new.get(value_at..value.end)? != known_value;
            (old_at, new_at) = (known.end, value.end);
            if changed {
                self.changes.push(Change {
                    index: differs,
                    value,
                });
            }
            index = differs + 1;
        }
        Some(())
    }

    /// Returns where the key of a variable ends in the known block.
    fn key_end(&self, index: usize) -> usize {
        let start = match index.checked_sub(1) {
            Some(before) => self.vars[before].end,
            None => 0,
        };
        start + 2 + self.vars[index].key_len
    }

    /// Builds the environ of the packet that matched.
    ///
    /// After an error the template must not be used again.
    pub(super) fn build<'py>(
        &mut self,
        py: Python<'py>,
        vars: VarsRef<'_>,
        constants: &Constants,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = self.dict.bind(py);
        let (mut scheme_changed, mut paths_changed) = (false, false);
        for change in &self.changes {
            let known = &self.vars[change.index];
            let value = &vars.as_bytes()[change.value.clone()];
            match known.role {
                Role::Ignored | Role::TransferEncoding => continue,
                Role::ScriptName => {
                    paths_changed = true;
                    continue;
                }
                Role::PathInfo
                    if value.is_empty() || self.path_handling != Some(PathHandling::AsSent) =>
                {
                    paths_changed = true;
                    continue;
                }
                Role::Scheme => scheme_changed = true,
                Role::PathInfo | Role::Plain | Role::List | Role::RequestId | Role::Required(_) => {
                }
            }
            constants.set_var(dict, known.role, known.name.bind(py), value)?;
        }
        if scheme_changed || paths_changed {
            let mut derived = DerivedEntries::default();
            for (known, (key, value)) in self.vars.iter().zip(vars) {
                derived.note(known.role, key, value);
            }
            if scheme_changed {
                derived.set_scheme(dict)?;
            }
            if let (true, Some(handling)) = (paths_changed, self.path_handling) {
                derived.set_paths(dict, handling)?;
            }
        }
        let environ = dict.copy()?;
        self.keep(vars.as_bytes());
        Ok(environ)
    }

    /// Makes the new block the known one.
    fn keep(&mut self, block: &[u8]) {
        let Some(first) = self.changes.first() else {
            return;
        };
        let same = self.key_end(first.index);
        self.block.truncate(same);
        self.block.extend_from_slice(&block[same..]);

        let mut changes = self.changes.iter().peekable();
        while let Some(change) = changes.next() {
            // All variables up to the next change have moved by the same difference, which is
            // mostly none.
            let next = changes.peek().map_or(self.vars.len(), |next| next.index);
            let (old_end, new_end) = (self.vars[change.index].end, change.value.end);
            if new_end != old_end {
                for known in &mut self.vars[change.index..next] {
                    known.end = known.end - old_end + new_end;
                }
            }
        }
    }
}

impl TemplateVar {
    /// Takes a pair of `vars`.
    pub(super) fn new(
        vars: VarsRef<'_>,
        (key, value): (&[u8], &[u8]),
        role: Role,
        name: &Bound<'_, PyString>,
    ) -> Self {
        let value_at = value.as_ptr() as usize - vars.as_bytes().as_ptr() as usize;
        Self {
            key_len: key.len(),
            end: value_at + value.len(),
            role,
            name: name.clone().unbind(),
        }
    }

    /// Marks it as overridden by a later one with the same name: nginx sends both if a
    /// `uwsgi_param` follows an `include` that contains it.
    pub(super) fn supersede(&mut self) {
        self.role = Role::Ignored;
    }
}

/// Returns the length of the common prefix.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let (mut a_left, mut b_left) = (a, b);
    while let (Some((a_chunk, a_next)), Some((b_chunk, b_next))) = (
        a_left.split_first_chunk::<CHUNK>(),
        b_left.split_first_chunk::<CHUNK>(),
    ) {
        if a_chunk != b_chunk {
            break;
        }
        (a_left, b_left) = (a_next, b_next);
    }
    let rest = a_left.iter().zip(b_left).take_while(|(a, b)| a == b);
    a.len() - a_left.len() + rest.count()
}

/// Returns a hash that packets with the same variables share, and few others have.
fn sum_of_keys(vars: VarsRef<'_>) -> u64 {
    vars.iter().fold(0, |sum: u64, (key, _)| {
        let last = key.last().copied().map_or(0, u64::from);
        (sum.rotate_left(5) ^ (key.len() as u64) << 8 ^ last).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// Bytes that are compared at a time.
const CHUNK: usize = 32;

/// How many templates a builder keeps.
const MAX_TEMPLATES: usize = 16;
