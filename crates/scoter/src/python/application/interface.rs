//! How an object can be called, as far as that can be known without calling it, and whether
//! that makes it a WSGI application.
//!
//! `inspect.signature()` returns what an object claims to be (`__wrapped__`, `__signature__`);
//! what matters here is what the interpreter will do. When in doubt, the object is accepted.

use pyo3::prelude::*;
use pyo3::types::{PyCode, PyDict, PyFunction, PyTuple, PyType};

use super::Kind;

/// How an object may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    form: Form,
    result: Outcome,
    /// The names of the parameters that may be given by position.
    parameters: Vec<String>,
    /// How many of them must be given.
    required: usize,
    /// `*args`: there may be more.
    variadic: bool,
    /// Whether there are parameters that must be given by name.
    keywords: bool,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Function,
    /// Its type has `__call__`.
    Object,
    /// It makes instances, which can be iterated over or not.
    Class {
        iterable: bool,
    },
}

/// What the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// A result.
    Value,
    /// A coroutine or an asynchronous generator, which needs an event loop.
    Asynchronous,
}

/// Why an object cannot be what the configuration calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It is an ASGI application.
    Asgi { parameters: String },
    /// It has WSGI's parameters, but has to be awaited.
    Asynchronous,
    /// It seems to be a factory.
    Factory { parameters: String },
    /// It is a class, whose instances may be applications.
    Class,
    /// It has other parameters.
    Parameters { parameters: String },
    /// A factory that has to be awaited.
    AsynchronousFactory,
    /// An application that is configured as a factory.
    NoFactory { parameters: String },
    /// A factory that needs arguments.
    FactoryParameters { parameters: String },
}

impl Misfit {
    /// Describes it, to follow its name.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Asgi { parameters } => {
                format!("takes {parameters}: that is ASGI, and scoter serves WSGI")
            }
            Self::Asynchronous => "is an async def: calling it returns a coroutine, which WSGI \
                                   cannot await, and not a response"
                .to_owned(),
            Self::Factory { parameters } => format!(
                "takes {parameters}: a WSGI application is called with two, environ and \
                 start_response"
            ),
            Self::Class => "is a class, and calling it returns an instance, which is not a \
                            response: it is not iterable"
                .to_owned(),
            Self::Parameters { parameters } => format!(
                "takes {parameters}: a WSGI application is called with two, environ and \
                 start_response"
            ),
            Self::AsynchronousFactory => {
                "is an async def, but a factory must return the application itself".to_owned()
            }
            Self::NoFactory { parameters } => {
                format!("takes {parameters}: it is the application, not a factory")
            }
            Self::FactoryParameters { parameters } => {
                format!("takes {parameters}: a factory is called without arguments")
            }
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Asgi { .. } => {
                "name the WSGI application, in Django mysite.wsgi; an ASGI application needs an \
                 ASGI server, such as uvicorn or hypercorn"
            }
            Self::Asynchronous => {
                "use def, with asyncio.run() inside for what must be awaited; an ASGI application \
                 needs an ASGI server, such as uvicorn or hypercorn"
            }
            Self::Factory { .. } => "if it creates the application, use --factory",
            Self::Class => {
                "name an instance of it, or use --factory if calling the class once, without \
                 arguments, returns the application"
            }
            Self::Parameters { .. } => "name the WSGI application after a colon: module:callable",
            Self::AsynchronousFactory => "use def, with asyncio.run() inside",
            Self::NoFactory { .. } => "remove --factory",
            Self::FactoryParameters { .. } => {
                "name a function without parameters that calls this one"
            }
        }
    }
}

/// Why an object with this interface cannot be what the configuration calls it; `None` if it can.
pub(super) fn judge(interface: &Interface, kind: Kind) -> Option<Misfit> {
    let parameters = interface.describe_parameters();
    let is_asynchronous = interface.result == Outcome::Asynchronous;
    match kind {
        Kind::Application => {
            if interface.is_asgi() {
                return Some(Misfit::Asgi { parameters });
            }
            if is_asynchronous {
                return Some(Misfit::Asynchronous);
            }
            if interface.takes(2) {
                let is_useless = interface.form == Form::Class { iterable: false };
                return is_useless.then_some(Misfit::Class);
            }
            Some(match interface.form {
                Form::Class { .. } if interface.takes(0) => Misfit::Class,
                _ if interface.takes(0) => Misfit::Factory { parameters },
                _ => Misfit::Parameters { parameters },
            })
        }
        Kind::Factory => {
            if interface.takes(0) {
                return is_asynchronous.then_some(Misfit::AsynchronousFactory);
            }
            Some(if interface.is_asgi() {
                Misfit::Asgi { parameters }
            } else if interface.takes(2) && interface.required == 2 {
                Misfit::NoFactory { parameters }
            } else {
                Misfit::FactoryParameters { parameters }
            })
        }
    }
}

impl Interface {
    /// Determines it; `None` if only a call would show it.
    pub(super) fn of(object: &Bound<'_, PyAny>) -> Option<Self> {
        if let Ok(function) = object.cast_exact::<PyFunction>() {
            return Self::of_function(function.as_any(), 0, Form::Function);
        }
        if let Ok(class) = object.cast::<PyType>() {
            return Self::of_class(class);
        }
        if object.get_type().fully_qualified_name().ok()? == "method" {
            return Self::of_bound(&object.getattr("__func__").ok()?, Form::Function);
        }
        let call = attribute_of_type(&object.get_type(), "__call__").ok()??;
        Self::of_bound(&call, Form::Object)
    }

    /// Whether it is an object whose class defines how it is called.
    pub(super) fn is_object(&self) -> bool {
        self.form == Form::Object
    }

    /// The interface of a function whose first argument is bound.
    fn of_bound(function: &Bound<'_, PyAny>, form: Form) -> Option<Self> {
        let function = function.cast_exact::<PyFunction>().ok()?;
        Self::of_function(function.as_any(), 1, form)
    }

    fn of_function(function: &Bound<'_, PyAny>, given: usize, form: Form) -> Option<Self> {
        let code = function.getattr("__code__").ok()?;
        let code = code.cast::<PyCode>().ok()?;
        let number = |name| code.getattr(name).ok()?.extract::<usize>().ok();
        let flags = number("co_flags")?;
        let (positional, by_name) = (number("co_argcount")?, number("co_kwonlyargcount")?);
        let names: Vec<String> = code.getattr("co_varnames").ok()?.extract().ok()?;
        let defaults = function.getattr("__defaults__").ok()?;
        let defaults = defaults.cast::<PyTuple>().map_or(0, |tuple| tuple.len());
        let given_by_name = function.getattr("__kwdefaults__").ok()?;
        let given_by_name = given_by_name.cast::<PyDict>().ok();
        let has_default = |name: &String| {
            given_by_name.is_some_and(|defaults| defaults.contains(name).unwrap_or(true))
        };
        let variadic = flags & CO_VARARGS != 0;
        if given > positional && !variadic {
            return None;
        }
        Some(Self {
            form,
            result: if flags & (CO_COROUTINE | CO_ASYNC_GENERATOR) != 0 {
                Outcome::Asynchronous
            } else {
                Outcome::Value
            },
            parameters: names.get(given.min(positional)..positional)?.to_vec(),
            required: positional.saturating_sub(defaults).saturating_sub(given),
            variadic,
            keywords: !names
                .get(positional..positional + by_name)?
                .iter()
                .all(has_default),
        })
    }

    /// The interface of a class that is called as `type.__call__` does: `__new__`, then `__init__`.
    fn of_class(class: &Bound<'_, PyType>) -> Option<Self> {
        let py = class.py();
        let metaclass = class.get_type();
        let usual = py.get_type::<PyType>();
        if !metaclass.is(&usual) && attribute_of_type(&metaclass, "__call__").ok()?.is_some() {
            return None;
        }
        // `__new__` need not return an instance.
        if let Some(new) = attribute_of_type(class, "__new__").ok()? {
            let function = new.getattr("__func__").ok()?;
            return Self::of_bound(&function, Form::Class { iterable: true });
        }
        let has = |name| Some(attribute_of_type(class, name).ok()?.is_some());
        let iterable = has("__iter__")? || has("__getitem__")?;
        let form = Form::Class { iterable };
        match attribute_of_type(class, "__init__").ok()? {
            Some(init) => Self::of_bound(&init, form),
            None => Some(Self {
                form,
                result: Outcome::Value,
                parameters: Vec::new(),
                required: 0,
                variadic: false,
                keywords: false,
            }),
        }
    }

    /// Whether it can be called with `count` positional arguments.
    fn takes(&self, count: usize) -> bool {
        let most = if self.variadic {
            usize::MAX
        } else {
            self.parameters.len()
        };
        (self.required..=most).contains(&count) && !self.keywords
    }

    /// The ASGI specification: `application(scope, receive, send)`, and before version 3
    /// `application(scope)`. Its parameters may have other names.
    fn is_asgi(&self) -> bool {
        let is_named_so = self.parameters.first().is_some_and(|name| name == "scope");
        let is_asynchronous = self.result == Outcome::Asynchronous;
        match (is_named_so, is_asynchronous) {
            (true, true) => true,
            (true, false) => !self.takes(2),
            (false, true) => self.takes(3) && !self.variadic,
            (false, false) => false,
        }
    }

    fn describe_parameters(&self) -> String {
        let names = self.parameters.join(", ");
        match (self.parameters.len(), self.variadic, self.keywords) {
            (0, false, false) => "no arguments".to_owned(),
            (_, _, true) => format!("keyword-only arguments in addition to ({names})"),
            _ => format!("({names})"),
        }
    }
}

/// Looks up a raw attribute in a class and its bases, except `object`.
fn attribute_of_type<'py>(
    class: &Bound<'py, PyType>,
    name: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = class.py();
    let (object, usual) = (py.get_type::<PyAny>(), py.get_type::<PyType>());
    for base in class.mro() {
        if base.is(&object) || base.is(&usual) {
            continue;
        }
        let attributes = base.getattr("__dict__")?;
        if attributes.contains(name)? {
            return attributes.get_item(name).map(Some);
        }
    }
    Ok(None)
}

/// Flags of code objects (`inspect.CO_…`).
const CO_VARARGS: usize = 0x4;
const CO_COROUTINE: usize = 0x80;
const CO_ASYNC_GENERATOR: usize = 0x200;

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    /// The misfit of `app` in the module `source`.
    fn judged(source: &str, kind: Kind) -> Option<Misfit> {
        Python::initialize();
        Python::attach(|py| {
            let source = CString::new(source).unwrap();
            let module = PyModule::from_code(py, &source, c"module.py", c"module").unwrap();
            let app = module.getattr("app").unwrap();
            Interface::of(&app).and_then(|interface| judge(&interface, kind))
        })
    }

    #[test]
    fn wsgi_applications_of_every_form_are_accepted() {
        for source in [
            "def app(environ, start_response): pass",
            "def app(e, s, /): pass",
            "def app(environ, start_response, debug=False, *, name='x'): pass",
            "def app(*args): pass",
            "def app(environ, *args, **kwargs): pass",
            "app = lambda e, s: []",
            "def app(environ, start_response): yield b''",
            // The wrapped function and the claimed signature take other arguments.
            "import functools\n\
             def view(request, a, b): pass\n\
             @functools.wraps(view)\n\
             def app(environ, start_response): pass",
            "import inspect\n\
             def app(environ, start_response): pass\n\
             app.__signature__ = inspect.Signature()",
            "import functools\n\
             def serve(config, environ, start_response): pass\n\
             app = functools.partial(serve, {})",
            "import functools\n\
             app = functools.partial(print, b'')",
            "app = print",
            "app = dict",
            "app = 'x'.join",
            "class App:\n    def __call__(self, environ, start_response): pass\napp = App()",
            "class App:\n    def __call__(*args): pass\napp = App()",
            "class App:\n    @staticmethod\n    def __call__(environ, start_response): pass\napp = App()",
            "class App:\n    @classmethod\n    def __call__(cls, environ, start_response): pass\napp = App()",
            "class App:\n    def serve(self, environ, start_response): pass\napp = App().serve",
            "class App:\n    @classmethod\n    def serve(cls, environ, start_response): pass\napp = App.serve",
            "class App:\n    @staticmethod\n    def serve(environ, start_response): pass\napp = App.serve",
            // The type counts, not the instance.
            "class App:\n    \
                 def __call__(self, environ, start_response): pass\n    \
                 def __getattr__(self, name): raise RuntimeError(name)\n\
             app = App()\n\
             app.__call__ = lambda: None",
            "class Lazy:\n    \
                 def __getattr__(self, name): return name\n    \
                 def __call__(self, *args, **kwargs): pass\n\
             app = Lazy()",
            "import unittest.mock\napp = unittest.mock.Mock()",
            "import unittest.mock\napp = unittest.mock.MagicMock()",
            "class Call:\n    \
                 def __get__(self, instance, owner): return lambda environ, start_response: []\n\
             class App:\n    __call__ = Call()\n\
             app = App()",
            // PEP 3333's class, and other uses of classes.
            "class app:\n    \
                 def __init__(self, environ, start_response): pass\n    \
                 def __iter__(self): yield b''",
            "class Base:\n    def __init__(self, environ, start_response): pass\n\
             class app(Base):\n    def __getitem__(self, index): raise IndexError",
            "class app:\n    def __new__(cls, environ, start_response): return [b'']",
            "class app:\n    \
                 def __new__(cls, *args): return [b'']\n    \
                 def __init__(self): pass",
            "class app(list):\n    def __init__(self, environ, start_response): pass",
            "class Meta(type):\n    def __call__(cls, environ, start_response): return []\n\
             class app(metaclass=Meta): pass",
            "import enum\nclass app(enum.Enum):\n    A = 1",
            // A generator that calls itself a coroutine can be iterated over.
            "import types\n\
             @types.coroutine\n\
             def app(environ, start_response): yield b''",
        ] {
            assert_eq!(judged(source, Kind::Application), None, "{source}");
        }
    }

    #[test]
    fn other_callables_are_distinguished() {
        let asgi = |parameters: &str| Misfit::Asgi {
            parameters: parameters.into(),
        };
        let factory = |parameters: &str| Misfit::Factory {
            parameters: parameters.into(),
        };
        let other = |parameters: &str| Misfit::Parameters {
            parameters: parameters.into(),
        };
        for (source, expected) in [
            // Starlette, FastAPI, Quart and Django look like this.
            (
                "class App:\n    async def __call__(self, scope, receive, send): pass\napp = App()",
                asgi("(scope, receive, send)"),
            ),
            (
                "class Base:\n    async def __call__(self, scope, receive, send): pass\n\
                 class App(Base): pass\n\
                 app = App()",
                asgi("(scope, receive, send)"),
            ),
            (
                "async def app(scope, receive, send): pass",
                asgi("(scope, receive, send)"),
            ),
            ("async def app(a, b, c): pass", asgi("(a, b, c)")),
            (
                "def app(scope, receive, send): pass",
                asgi("(scope, receive, send)"),
            ),
            (
                "class App:\n    async def serve(self, scope, receive, send): pass\napp = App().serve",
                asgi("(scope, receive, send)"),
            ),
            ("def app(scope): pass", asgi("(scope)")),
            (
                "class app:\n    def __init__(self, scope): pass",
                asgi("(scope)"),
            ),
            (
                "class app:\n    def __init__(self, scope, receive, send): pass",
                asgi("(scope, receive, send)"),
            ),
            (
                "async def app(environ, start_response): pass",
                Misfit::Asynchronous,
            ),
            ("async def app(*args): pass", Misfit::Asynchronous),
            ("async def app(): pass", Misfit::Asynchronous),
            (
                "async def app(environ, start_response): yield b''",
                Misfit::Asynchronous,
            ),
            ("def app(): pass", factory("no arguments")),
            ("def app(config=None): pass", factory("(config)")),
            (
                "class App:\n    def make(self): pass\napp = App().make",
                factory("no arguments"),
            ),
            (
                "class App:\n    def __call__(self): pass\napp = App()",
                factory("no arguments"),
            ),
            ("class app: pass", Misfit::Class),
            (
                "class app:\n    def __init__(self, config=None): pass",
                Misfit::Class,
            ),
            (
                "class app:\n    def __init__(self, config=None, debug=False): pass",
                Misfit::Class,
            ),
            ("def app(environ): pass", other("(environ)")),
            ("def app(a, b, c, d=1): pass", other("(a, b, c, d)")),
            ("def app(a, b, c, *rest): pass", other("(a, b, c)")),
            (
                "def app(environ, start_response, *, config): pass",
                other("keyword-only arguments in addition to (environ, start_response)"),
            ),
            (
                "class app:\n    def __init__(self, request): pass",
                other("(request)"),
            ),
        ] {
            assert_eq!(
                judged(source, Kind::Application),
                Some(expected),
                "{source}"
            );
        }
    }

    #[test]
    fn factories_take_no_arguments() {
        let no_factory = |parameters: &str| Misfit::NoFactory {
            parameters: parameters.into(),
        };
        let needs = |parameters: &str| Misfit::FactoryParameters {
            parameters: parameters.into(),
        };
        for (source, expected) in [
            ("def app(): pass", None),
            ("def app(config=None, debug=False): pass", None),
            ("def app(*args, **kwargs): pass", None),
            ("class app: pass", None),
            ("app = print", None),
            ("import functools\napp = functools.partial(int, '1')", None),
            ("async def app(): pass", Some(Misfit::AsynchronousFactory)),
            ("def app(config): pass", Some(needs("(config)"))),
            (
                "def app(config, debug=True): pass",
                Some(needs("(config, debug)")),
            ),
            (
                "def app(environ, start_response): pass",
                Some(no_factory("(environ, start_response)")),
            ),
            (
                "class App:\n    def __call__(self, environ, start_response): pass\napp = App()",
                Some(no_factory("(environ, start_response)")),
            ),
            (
                "async def app(scope, receive, send): pass",
                Some(Misfit::Asgi {
                    parameters: "(scope, receive, send)".into(),
                }),
            ),
        ] {
            assert_eq!(judged(source, Kind::Factory), expected, "{source}");
        }
    }
}
