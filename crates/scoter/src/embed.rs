//! The `scoter` command as a program that embeds Python.
//!
//! Most installations use the wheel, where the application's own Python starts scoter. This
//! program is for distributions, containers and `cargo run`. It embeds the Python it was built
//! with, and looks in `VIRTUAL_ENV` for that Python's packages.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pyo3::{Python, ffi};
use thiserror::Error;

use crate::cli;
use crate::launcher;
use crate::program::{LAUNCHER, Program, by_name};

/// Runs the command with the process's arguments.
#[expect(
    clippy::print_stderr,
    reason = "nothing else is there yet to report with"
)]
pub fn main() -> ExitCode {
    let virtual_env = std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
    if let Err(error) = initialize(virtual_env.as_deref()) {
        eprintln!("scoter: {error}");
        return ExitCode::from(2);
    }
    let arguments: Vec<_> = std::env::args_os().collect();
    if arguments.get(1).is_some_and(|first| first == LAUNCHER) {
        return ExitCode::from(Python::attach(launcher::run));
    }
    let arguments = by_name(arguments);
    match Program::embedded(&arguments) {
        Ok(program) => ExitCode::from(Python::attach(|py| cli::run(py, program, &arguments))),
        Err(error) => {
            eprintln!("scoter: cannot find its own executable: {error}");
            ExitCode::from(1)
        }
    }
}

/// Why Python could not be started.
#[derive(Debug, Error)]
enum EmbedError {
    #[error(
        "VIRTUAL_ENV is {}, which has no packages for the built-in Python {version}\nhint: \
         install scoter into that environment with pip instead, or unset VIRTUAL_ENV",
        path.display()
    )]
    OtherPython { path: PathBuf, version: String },
    #[error("the path {} contains a NUL", path.display())]
    Path { path: PathBuf },
    #[error("Python could not be initialized: {message}")]
    Python { message: String },
}

/// Starts the interpreter as `python` of that environment would start.
fn initialize(virtual_env: Option<&Path>) -> Result<(), EmbedError> {
    let executable = virtual_env.map(python_of).transpose()?;
    #[expect(
        unsafe_code,
        reason = "PyO3 starts an interpreter, but does not configure one"
    )]
    // SAFETY: no interpreter and no other thread exists yet. `config` is initialised by
    // PyConfig_InitPythonConfig before anything else touches it, and cleared once, after its
    // last use. The thread state is released at the end, as PyO3 expects it.
    unsafe {
        let mut config = MaybeUninit::<ffi::PyConfig>::uninit();
        ffi::PyConfig_InitPythonConfig(config.as_mut_ptr());
        let config = config.assume_init_mut();
        // scoter parses the arguments, not Python.
        config.parse_argv = 0;
        let mut status = match &executable {
            // getpath.py finds pyvenv.cfg, and with it the environment, from here.
            Some(path) => {
                let place = &raw mut config.executable;
                ffi::PyConfig_SetBytesString(config, place, path.as_ptr())
            }
            None => ffi::PyStatus_Ok(),
        };
        if ffi::PyStatus_Exception(status) == 0 {
            status = ffi::Py_InitializeFromConfig(config);
        }
        ffi::PyConfig_Clear(config);
        if ffi::PyStatus_Exception(status) != 0 {
            return Err(EmbedError::Python {
                message: message_of(&status),
            });
        }
        ffi::PyEval_SaveThread();
    }
    Ok(())
}

fn python_of(virtual_env: &Path) -> Result<CString, EmbedError> {
    let version = built_in_version();
    let packages = virtual_env.join(format!("lib/python{version}/site-packages"));
    if !packages.is_dir() {
        return Err(EmbedError::OtherPython {
            path: virtual_env.to_owned(),
            version,
        });
    }
    let path = virtual_env.join("bin/python");
    CString::new(path.clone().into_os_string().into_vec()).map_err(|_| EmbedError::Path { path })
}

/// Major and minor version, as used in directory names.
fn built_in_version() -> String {
    let mut parts = Python::version_str().splitn(3, '.');
    let (major, minor) = (parts.next(), parts.next());
    format!("{}.{}", major.unwrap_or("3"), minor.unwrap_or_default())
}

#[expect(unsafe_code, reason = "the message is a C string")]
fn message_of(status: &ffi::PyStatus) -> String {
    if status.err_msg.is_null() {
        return "no reason was given".to_owned();
    }
    // SAFETY: CPython sets `err_msg` to a static, NUL-terminated string or to NULL.
    let message = unsafe { CStr::from_ptr(status.err_msg) };
    message.to_string_lossy().into_owned()
}
