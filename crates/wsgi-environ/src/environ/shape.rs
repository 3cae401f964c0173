use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::VarsRef;

use super::ScriptName;
use super::constants::Constants;
use super::role::Role;
use super::sources::Sources;

/// The last few requests that differ in the variables they have.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// The one used last comes first.
    shapes: Vec<Shape>,
}

impl Shapes {
    /// Finds the shape of a packet and brings it to the front.
    pub(super) fn recall(
        &mut self,
        vars: VarsRef<'_>,
        script_name: ScriptName,
    ) -> Option<&mut Shape> {
        let fits = |shape: &Shape| shape.fits(vars, script_name);
        // A client that comes back is worth a look without counting anything.
        if !self.shapes.first().is_some_and(fits) {
            let sum = sum_of_keys(vars);
            let found = self
                .shapes
                .iter()
                .position(|shape| shape.sum == sum && fits(shape))?;
            self.shapes[..=found].rotate_right(1);
        }
        self.shapes.first_mut()
    }

    /// Adds a shape in the place of the one that was not used for longest.
    pub(super) fn add(&mut self, shape: Shape) {
        self.shapes.truncate(SHAPES - 1);
        self.shapes.insert(0, shape);
    }

    pub(super) fn forget(&mut self) {
        self.shapes.clear();
    }
}

/// An earlier request, for the next one with the same variables in the same
/// order: clients come back, and most of what they send is what they sent.
///
/// The next environ is a copy of this one's after the values that differ were
/// exchanged. Nothing else can be carried over, because every value of the packet
/// is compared with the one that the template was made of.
#[derive(Debug)]
pub(super) struct Shape {
    script_name: ScriptName,
    sum: u64,
    /// The variables that the template was made of.
    block: Vec<u8>,
    vars: Vec<Remembered>,
    template: Py<PyDict>,
}

/// A variable at its place in the packet.
#[derive(Debug)]
pub(super) struct Remembered {
    key: Range<usize>,
    value: Range<usize>,
    role: Role,
    name: Py<PyString>,
}

impl Shape {
    pub(super) fn new(
        script_name: ScriptName,
        vars: VarsRef<'_>,
        remembered: Vec<Remembered>,
        template: Py<PyDict>,
    ) -> Self {
        Self {
            script_name,
            sum: sum_of_keys(vars),
            block: vars.as_bytes().to_vec(),
            vars: remembered,
            template,
        }
    }

    /// Says whether a packet has these variables in this order.
    fn fits(&self, vars: VarsRef<'_>, script_name: ScriptName) -> bool {
        self.vars.len() == vars.len()
            && self.script_name == script_name
            && self
                .vars
                .iter()
                .zip(vars)
                .all(|(known, (key, _))| self.block[known.key.clone()] == *key)
    }

    /// Builds the environ of a packet that fits.
    ///
    /// After an error the shape must not be used again.
    pub(super) fn build<'py>(
        &mut self,
        py: Python<'py>,
        vars: VarsRef<'_>,
        constants: &Constants,
    ) -> PyResult<Bound<'py, PyDict>> {
        let template = self.template.bind(py);
        let (mut scheme_changed, mut paths_changed, mut changed) = (false, false, false);
        for (known, (_, value)) in self.vars.iter().zip(vars) {
            if self.block[known.value.clone()] == *value {
                continue;
            }
            changed = true;
            match known.role {
                Role::Ignored | Role::TransferEncoding => continue,
                Role::ScriptName => {
                    paths_changed = true;
                    continue;
                }
                Role::PathInfo if value.is_empty() || self.script_name != ScriptName::AsSent => {
                    paths_changed = true;
                    continue;
                }
                Role::Scheme | Role::SchemeHeader => scheme_changed = true,
                Role::PathInfo | Role::Plain | Role::Header | Role::Required(_) => {}
            }
            template.set_item(&known.name, constants.value(py, known.role, value)?)?;
        }
        if changed {
            self.block.clear();
            self.block.extend_from_slice(vars.as_bytes());
            for (known, (key, value)) in self.vars.iter_mut().zip(vars) {
                known.key = place(vars, key);
                known.value = place(vars, value);
            }
        }
        if scheme_changed || paths_changed {
            let mut sources = Sources::default();
            for (known, (key, value)) in self.vars.iter().zip(vars) {
                sources.note(known.role, key, value);
            }
            if scheme_changed {
                sources.set_scheme(template)?;
            }
            if paths_changed {
                sources.set_paths(template, self.script_name)?;
            }
        }
        template.copy()
    }
}

impl Remembered {
    pub(super) fn new(
        vars: VarsRef<'_>,
        (key, value): (&[u8], &[u8]),
        role: Role,
        name: &Bound<'_, PyString>,
    ) -> Self {
        Self {
            key: place(vars, key),
            value: place(vars, value),
            role,
            name: name.clone().unbind(),
        }
    }

    /// Makes it of no account if it has this name, because a later one takes its
    /// place: nginx sends both when a `uwsgi_param` follows an `include` that has
    /// it.
    pub(super) fn supersede(&mut self, vars: VarsRef<'_>, key: &[u8]) {
        if vars.as_bytes()[self.key.clone()] == *key {
            self.role = Role::Ignored;
        }
    }
}

/// Returns where a key or a value of a packet stands in its block.
fn place(vars: VarsRef<'_>, part: &[u8]) -> Range<usize> {
    let start = part.as_ptr() as usize - vars.as_bytes().as_ptr() as usize;
    start..start + part.len()
}

/// Returns a number that packets with the same variables have in common, and few
/// others.
fn sum_of_keys(vars: VarsRef<'_>) -> u64 {
    vars.iter().fold(0, |sum: u64, (key, _)| {
        let last = key.last().copied().map_or(0, u64::from);
        (sum.rotate_left(5) ^ (key.len() as u64) << 8 ^ last).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

/// How many shapes a slot remembers.
const SHAPES: usize = 16;
