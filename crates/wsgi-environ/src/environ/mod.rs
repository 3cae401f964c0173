//! Builds the environ dict of PEP 3333 from the variables of a packet.

mod constants;
mod derived_entries;
mod interned_names;
mod path;
mod repeated_vars;
mod repetition_rules;
mod role;
mod scheme;
mod template;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use uwsgi_codec::{PacketBuilder, VarsRef};

use self::constants::{Constants, request_id_name};
use self::derived_entries::{DerivedEntries, set_paths};
use self::interned_names::InternedNames;
use self::path::PathHandling;
use self::repeated_vars::RepeatedVars;
use self::role::Role;
use self::template::{Template, TemplateCache, TemplateVar};
use crate::{BuildError, Errors, Input};

pub use self::repetition_rules::Repeated;
pub use self::scheme::url_scheme;

/// The part of an environ that does not depend on the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `wsgi.multithread`: whether another thread of this process may call the
    /// application at the same time.
    pub multithread: bool,
    /// `wsgi.multiprocess`: whether another process may do so.
    pub multiprocess: bool,
    /// `SERVER_NAME` if the front end sends none, or an empty one.
    pub server_name: String,
    /// `SERVER_PORT` if the front end sends none, or an empty one.
    pub server_port: u16,
    /// Whether `X-Forwarded-Proto` is trusted.
    pub forwarded_proto: ForwardedProto,
}

/// Whether `X-Forwarded-Proto` is trusted. Default: no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedProto {
    /// It is a header like any other: a client can send any value.
    #[default]
    Ignore,
    /// Its first element decides `wsgi.url_scheme` if it is `http` or `https`:
    /// every front end must set or remove it.
    Trust,
}

/// What to do with `SCRIPT_NAME`. Default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScriptName<'a> {
    /// It and `PATH_INFO` are passed on as sent: modifier1 0.
    #[default]
    AsSent,
    /// It is removed from the front of `PATH_INFO` if it is a prefix of whole
    /// segments: modifier1 30.
    Strip,
    /// It and `PATH_INFO` have these values, whatever was sent: those of
    /// [`Mounted`](crate::Mounted).
    Given {
        /// `SCRIPT_NAME`
        script_name: &'a [u8],
        /// `PATH_INFO`
        path_info: &'a [u8],
    },
}

/// Where the ID of a request (`scoter.request_id`) comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestId<'a> {
    /// The packet: it is the value of `HTTP_X_REQUEST_ID`, `None` if there is none.
    Sent,
    /// The server.
    Made(&'a str),
}

/// Builds the `environ` of each request of one slot.
///
/// Remembers the last few requests with different sets of variables, so that what
/// clients send repeatedly is created only once: names, values and the dict's
/// table. The dict itself is new each time.
#[derive(Debug)]
pub struct EnvironBuilder {
    constants: Constants,
    names: InternedNames,
    templates: TemplateCache,
    /// Made for the first pairs.
    packet: Option<PacketBuilder>,
}

impl EnvironBuilder {
    /// Creates a builder whose `environ`s have `errors` as their `wsgi.errors`.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub fn new(py: Python<'_>, server: &ServerInfo, errors: Py<Errors>) -> PyResult<Self> {
        Ok(Self {
            constants: Constants::new(py, server, errors)?,
            names: InternedNames::new(py, server.forwarded_proto),
            templates: TemplateCache::default(),
            packet: None,
        })
    }

    /// Builds the `environ` of one request: a plain dict of native strings, which
    /// the application may keep or change.
    ///
    /// # Errors
    ///
    /// `MemoryError`.
    pub fn build<'py>(
        &mut self,
        py: Python<'py>,
        vars: VarsRef<'_>,
        script_name: ScriptName<'_>,
        request_id: RequestId<'_>,
        input: &Bound<'py, Input>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = match self.templates.find(vars, script_name) {
            Some(template) => {
                let environ = template.build(py, vars, &self.constants);
                if environ.is_err() {
                    self.templates.clear();
                }
                environ?
            }
            None => self.build_anew(py, vars, script_name)?,
        };
        environ.set_item(intern!(py, "wsgi.input"), input)?;
        if let ScriptName::Given {
            script_name,
            path_info,
        } = script_name
        {
            set_paths(&environ, script_name, path_info)?;
        }
        if let RequestId::Made(id) = request_id {
            environ.set_item(request_id_name(py), id)?;
        }
        Ok(environ)
    }

    /// Builds the `environ` of one request as [`build`](Self::build) does, from variables that
    /// did not come in a packet: those of a server's own parser of HTTP, or of a test.
    ///
    /// They are written to a packet first, so that what clients send repeatedly is created only
    /// once here too.
    ///
    /// # Errors
    ///
    /// [`BuildError::Pairs`] if no packet holds them, [`BuildError::Python`] for want of memory.
    ///
    /// # Examples
    ///
    /// `examples/gateway.rs` is a server of HTTP/1.1.
    pub fn build_from_pairs<'py, K, V>(
        &mut self,
        py: Python<'py>,
        pairs: impl IntoIterator<Item = (K, V)>,
        script_name: ScriptName<'_>,
        request_id: RequestId<'_>,
        input: &Bound<'py, Input>,
    ) -> Result<Bound<'py, PyDict>, BuildError>
    where
        K: AsRef<[u8]>,
        V: AsRef<[u8]>,
    {
        let mut packet = self.packet.take().unwrap_or_default();
        let filled = packet.clear().vars(pairs).map(drop);
        let vars = filled.and_then(|()| Ok(packet.as_packet()?.vars));
        let environ = match vars {
            Ok(vars) => self
                .build(py, vars, script_name, request_id, input)
                .map_err(BuildError::from),
            Err(error) => Err(error.into()),
        };
        self.packet = Some(packet);
        environ
    }

    /// Builds an environ without its input, and keeps it as a template if it is
    /// suitable.
    fn build_anew<'py>(
        &mut self,
        py: Python<'py>,
        vars: VarsRef<'_>,
        script_name: ScriptName<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.constants.base(py)?;
        let mut derived = DerivedEntries::default();
        let mut repeated_vars = RepeatedVars::default();
        let mut template_vars: Option<Vec<TemplateVar>> =
            (vars.as_bytes().len() <= MAX_TEMPLATE_BYTES).then(|| Vec::with_capacity(vars.len()));
        let mut has_length = None;

        for pair @ (key, value) in vars {
            let (name, role) = match self.names.get(py, key)? {
                (name, Role::TransferEncoding) => {
                    // The next packet with these variables may differ there.
                    template_vars = None;
                    let length = || vars.get("CONTENT_LENGTH").unwrap_or_default();
                    if *has_length.get_or_insert_with(|| !length().is_empty()) {
                        (name, Role::Ignored)
                    } else {
                        (name, Role::List)
                    }
                }
                known => known,
            };
            derived.note(role, key, value);
            if role != Role::Ignored && !repeated_vars.will_join(key) {
                let entries = environ.len();
                self.constants.set_var(&environ, role, &name, value)?;
                // A variable never has the name of one of the server's own entries, so this one is
                // repeated.
                if environ.len() == entries {
                    repeated_vars.note(key, &name);
                }
            }
            if let Some(template_vars) = &mut template_vars {
                template_vars.push(TemplateVar::new(vars, pair, role, &name));
            }
        }
        repeated_vars.settle(vars, &environ, &mut template_vars)?;
        derived.set_scheme(&environ)?;
        if let Some(handling) = PathHandling::of(script_name) {
            derived.set_paths(&environ, handling)?;
        }
        self.constants.set_defaults(&environ)?;

        if let Some(template_vars) = template_vars {
            let template = environ.copy()?.unbind();
            self.templates
                .add(Template::new(script_name, vars, template_vars, template));
        }
        Ok(environ)
    }
}

/// The largest block of variables that is kept as a template. A larger one has a cookie or a
/// query that the next request will not have.
const MAX_TEMPLATE_BYTES: usize = 16 * 1024;
