//! Python's `signal.signal`, for the signals that scoter itself needs.
//!
//! An application or its libraries may install a handler at any time, during the import or in
//! a request. In place of scoter's, that handler could end the process in the middle of
//! requests, or keep it from stopping. So it is recorded instead, and runs in addition to
//! scoter's. `signal.getsignal` returns it, as if scoter were not there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::Signal as Number;
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use tracing::error;

use crate::python::signal_wakeups::signals_of;
use crate::python::traceback::traceback;
use crate::sys::disposition::Disposition;
use crate::sys::fork;
use crate::sys::signals::{ACTED_ON, Signal, name_of};

/// Makes scoter the only one to handle the signals: handlers installed before, by `sitecustomize`
/// for instance, never run.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn take(py: Python<'_>) -> PyResult<()> {
    let module = signals_of(py)?;
    let default = module.getattr("SIG_DFL")?;
    for signal in ACTED_ON {
        module.call_method1("signal", (signal as i32, &default))?;
    }
    Ok(())
}

/// Makes Python's handlers run in addition to scoter's. Call it in the main thread, each time
/// before scoter's handlers are installed.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn share(py: Python<'_>) -> PyResult<()> {
    let is_first = SHARING.get(py).is_none();
    let sharing = SHARING.get_or_try_init(py, || Sharing::begin(py))?;
    let mut signals = Vec::new();
    for signal in ACTED_ON {
        // A handler in C, such as faulthandler.register(), stays in place, and scoter's handler
        // calls it.
        let is_c_code = is_of_c_code(&Disposition::of(signal as i32))
            && !(is_first && sharing.is_python(py, signal)?);
        if !is_c_code {
            signals.push(signal as i32);
        }
    }
    sharing.install(py, &signals)
}

/// Restores the application's handlers in a child that it has forked, as if scoter were not there.
///
/// # Errors
///
/// Those of Python.
pub(crate) fn give_back(py: Python<'_>) -> PyResult<()> {
    let Some(sharing) = SHARING.get(py) else {
        return Ok(());
    };
    let module = signals_of(py)?;
    module.setattr("signal", &sharing.signal)?;
    module.setattr("getsignal", &sharing.getsignal)?;
    for given_back in [&sharing.handlers, &sharing.withheld] {
        for (number, handler) in given_back.bind(py) {
            let in_force = Disposition::of(number.extract()?);
            sharing.signal.call1(py, (number, handler))?;
            // Python did not know this handler before the server started either.
            if is_of_c_code(&in_force) {
                in_force.restore();
            }
        }
    }
    Ok(())
}

/// Whether it is a handler, but neither the server's nor CPython's.
fn is_of_c_code(disposition: &Disposition) -> bool {
    disposition.is_foreign() && disposition.handler() != OF_PYTHON.load(Ordering::Relaxed)
}

/// The address of CPython's own handler, once that is known.
static OF_PYTHON: AtomicUsize = AtomicUsize::new(0);

static SHARING: PyOnceLock<Sharing> = PyOnceLock::new();

struct Sharing {
    /// CPython's own functions.
    signal: Py<PyAny>,
    getsignal: Py<PyAny>,
    /// What the application has installed, by the number of the signal.
    handlers: Py<PyDict>,
    /// Python's default handlers, which children get unless the application has installed others.
    withheld: Py<PyDict>,
    /// Runs the application's handlers.
    run: Py<PyCFunction>,
}

impl Sharing {
    fn begin(py: Python<'_>) -> PyResult<Self> {
        let module = signals_of(py)?;
        let (handlers, withheld) = handlers_in_force(&module)?;
        let handlers = handlers.unbind();
        let noted = handlers.clone_ref(py);
        let run = PyCFunction::new_closure(py, None, None, move |args, _| {
            run_handler(noted.bind(args.py()), args)
        })?;
        let sharing = Self {
            signal: module.getattr("signal")?.unbind(),
            getsignal: module.getattr("getsignal")?.unbind(),
            handlers,
            withheld: withheld.unbind(),
            run: run.unbind(),
        };
        sharing.replace_functions(&module)?;
        Ok(sharing)
    }

    /// Makes Python call `run` for these signals.
    fn install(&self, py: Python<'_>, signals: &[i32]) -> PyResult<()> {
        fork::replace(signals, || {
            for signal in signals {
                self.signal.call1(py, (*signal, &self.run))?;
                let handler = Disposition::of(*signal).handler();
                OF_PYTHON.store(handler, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    /// Whether Python runs something for a signal.
    fn is_python(&self, py: Python<'_>, signal: Number) -> PyResult<bool> {
        let handler = self.getsignal.call1(py, (signal as i32,))?;
        Ok(handler.bind(py).is_callable())
    }

    /// Replaces the functions in `_signal`, which the module `signal` looks up at every call.
    fn replace_functions(&self, module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let main = thread::current().id();
        let handlers = self.handlers.clone_ref(py);
        let withheld = self.withheld.clone_ref(py);
        let original = self.signal.clone_ref(py);
        let signal = move |args: &Bound<'_, PyTuple>, keywords: Option<&Bound<'_, PyDict>>| {
            let py = args.py();
            let handlers = handlers.bind(py);
            let given = args.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>();
            let Ok((number, handler)) = given else {
                return original.call(py, args, keywords);
            };
            let Some(before) = handlers.get_item(&number)? else {
                return original.call(py, args, keywords);
            };
            if thread::current().id() != main {
                return Err(PyValueError::new_err(NOT_MAIN_THREAD));
            }
            if !handler.is_callable() && !is_disposition(&handler) {
                return Err(PyTypeError::new_err(NO_HANDLER));
            }
            handlers.set_item(&number, handler)?;
            withheld.bind(py).call_method1("pop", (number, py.None()))?;
            Ok(before.unbind())
        };
        let handlers = self.handlers.clone_ref(py);
        let original = self.getsignal.clone_ref(py);
        let getsignal = move |args: &Bound<'_, PyTuple>, keywords: Option<&Bound<'_, PyDict>>| {
            let py = args.py();
            let number = args.extract::<(Bound<'_, PyAny>,)>();
            match number.map(|(number,)| handlers.bind(py).get_item(number)) {
                Ok(Ok(Some(handler))) => Ok(handler.unbind()),
                _ => original.call(py, args, keywords),
            }
        };
        module.setattr(
            "signal",
            PyCFunction::new_closure(py, Some(c"signal"), None, signal)?,
        )?;
        module.setattr(
            "getsignal",
            PyCFunction::new_closure(py, Some(c"getsignal"), None, getsignal)?,
        )
    }
}

/// The handlers installed so far, and those of them that are withheld, by signal number.
fn handlers_in_force<'py>(
    module: &Bound<'py, PyModule>,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyDict>)> {
    let (handlers, withheld) = (PyDict::new(module.py()), PyDict::new(module.py()));
    let default = module.getattr("SIG_DFL")?;
    // KeyboardInterrupt would interrupt the running request.
    let interrupt = module.getattr("default_int_handler")?;
    for signal in ACTED_ON {
        let number = signal as i32;
        let mut handler = module.call_method1("getsignal", (number,))?;
        // None stands for a handler in C.
        if handler.is(&interrupt) {
            withheld.set_item(number, handler)?;
            handler = default.clone();
        } else if handler.is_none() {
            handler = default.clone();
        }
        handlers.set_item(number, handler)?;
    }
    Ok((handlers, withheld))
}

/// Runs the application's handler for a signal. It may interrupt a request in the main thread at
/// any point, so its exceptions must not propagate into that.
fn run_handler(handlers: &Bound<'_, PyDict>, args: &Bound<'_, PyTuple>) -> PyResult<()> {
    let py = args.py();
    let number = args.get_item(0)?;
    let Some(handler) = handlers.get_item(&number)?.filter(|h| h.is_callable()) else {
        return Ok(());
    };
    let Err(raised) = handler.call1(args) else {
        return Ok(());
    };
    // The handler has forked: in the child exceptions propagate as usual in Python.
    if fork::is_child() {
        return Err(raised);
    }
    let number = number.extract().unwrap_or_default();
    let is_stop = Signal::of_number(number).is_some_and(Signal::is_stop);
    let asks_for_an_end = raised.is_instance_of::<PySystemExit>(py)
        || raised.is_instance_of::<PyKeyboardInterrupt>(py);
    // The stop has already begun.
    if !(is_stop && asks_for_an_end) {
        let signal = name_of(number);
        let traceback = traceback(py, &raised);
        py.detach(|| {
            error!(signal, %traceback, "a signal handler of the application raised an exception");
        });
    }
    Ok(())
}

/// Whether it is SIG_DFL or SIG_IGN, which are numbers.
fn is_disposition(handler: &Bound<'_, PyAny>) -> bool {
    matches!(handler.extract(), Ok(0 | 1))
}

/// As in CPython's Modules/signalmodule.c.
const NOT_MAIN_THREAD: &str = "signal only works in main thread of the main interpreter";
const NO_HANDLER: &str =
    "signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object";
