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
        let found = self
            .shapes
            .iter()
            .position(|shape| shape.fits(vars, script_name))?;
        self.shapes[..=found].rotate_right(1);
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
    vars: Vec<Remembered>,
    template: Py<PyDict>,
}

/// A variable at its place in the packet.
#[derive(Debug)]
pub(super) struct Remembered {
    key: Box<[u8]>,
    value: Vec<u8>,
    role: Role,
    name: Py<PyString>,
}

impl Shape {
    pub(super) fn new(
        script_name: ScriptName,
        vars: Vec<Remembered>,
        template: Py<PyDict>,
    ) -> Self {
        Self {
            script_name,
            vars,
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
                .all(|(known, (key, _))| *known.key == *key)
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
        let (mut scheme_changed, mut paths_changed) = (false, false);
        for (known, (_, value)) in self.vars.iter_mut().zip(vars) {
            if *known.value == *value {
                continue;
            }
            match known.role {
                Role::Ignored | Role::TransferEncoding => continue,
                Role::ScriptName | Role::PathInfo => paths_changed = true,
                role => {
                    scheme_changed |= matches!(role, Role::Scheme | Role::SchemeHeader);
                    template.set_item(&known.name, constants.value(py, role, value))?;
                }
            }
            known.remember(value);
        }
        if scheme_changed || paths_changed {
            let mut sources = Sources::default();
            for known in &self.vars {
                sources.note(known.role, &known.key, &known.value);
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
    pub(super) fn new(key: &[u8], value: &[u8], role: Role, name: &Bound<'_, PyString>) -> Self {
        Self {
            key: key.into(),
            value: value.to_vec(),
            role,
            name: name.clone().unbind(),
        }
    }

    pub(super) fn is(&self, key: &[u8]) -> bool {
        *self.key == *key
    }

    /// Makes it of no account, because a later one takes its place.
    pub(super) fn ignore(&mut self) {
        self.role = Role::Ignored;
    }

    fn remember(&mut self, value: &[u8]) {
        if self.value.capacity() > KEPT_CAPACITY {
            self.value = value.to_vec();
        } else {
            self.value.clear();
            self.value.extend_from_slice(value);
        }
    }
}

/// How many shapes a slot remembers.
const SHAPES: usize = 8;

/// A value that was longer than this does not keep its memory once it is
/// replaced.
const KEPT_CAPACITY: usize = 1024;
