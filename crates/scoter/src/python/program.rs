//! The wheel's program: the running interpreter, and the files of the package.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use pyo3::prelude::*;

use super::search_path;
use crate::program::Program;

/// The wheel's program: the running interpreter with the same options, and files of the installed
/// package. The files are run by path, so that no additional directory gets onto `sys.path`.
///
/// # Errors
///
/// Those of Python, if the package is incomplete.
pub(crate) fn interpreter(py: Python<'_>, arguments: &[OsString]) -> PyResult<Program> {
    // Empty or None if Python does not know it.
    let executable = py.import("sys")?.getattr("executable")?;
    let executable = match executable.extract::<PathBuf>() {
        Ok(path) if path.is_absolute() => path,
        _ => std::env::current_exe()?,
    };
    let package: PathBuf = py
        .import("scoter")?
        .getattr("__file__")?
        .extract::<PathBuf>()?;
    let file = |name: &str| package.with_file_name(name).into_os_string();
    search_path::leave_out_command(py)?;
    Ok(Program {
        executable,
        launcher: file("launcher.py"),
        leading: interpreter_options(py)?
            .into_iter()
            .chain([file("__main__.py")])
            .collect(),
        arguments: arguments[1..].to_vec(),
        path: search_path::now(py)?,
    })
}

/// The options of the running interpreter; those in its environment are inherited.
fn interpreter_options(py: Python<'_>) -> PyResult<Vec<OsString>> {
    // Python 3.9 does not have it.
    let original = py.import("sys")?.getattr_opt("orig_argv")?;
    if let Some(original) = original {
        return Ok(options_of(&original.extract::<Vec<OsString>>()?));
    }
    // It knows most options, but importing it takes half as long as starting Python.
    let subprocess = py.import("subprocess")?;
    subprocess
        .call_method0("_args_from_interpreter_flags")?
        .extract()
}

/// The interpreter's options in a command, without those that concern the script. Arguments after
/// the script, `-m` or `-c` are the script's (`Python/getopt.c`, SHORT_OPTS).
fn options_of(original: &[OsString]) -> Vec<OsString> {
    let mut options = Vec::new();
    let mut words = original.iter().skip(1);
    while let Some(word) = words.next() {
        let bytes = word.as_encoded_bytes();
        if matches!(bytes, b"-" | b"--") || !bytes.starts_with(b"-") {
            break;
        }
        if bytes.starts_with(b"--") {
            options.push(word.clone());
            if bytes == b"--check-hash-based-pycs" {
                options.extend(words.next().cloned());
            }
            continue;
        }
        let is_special = |letter: &u8| b"cmWX".contains(letter);
        let special = bytes.iter().position(is_special);
        // The interpreter must not become interactive after the script (-i), nor skip its first
        // line (-x).
        let flags = &bytes[..special.unwrap_or(bytes.len())];
        let flags: Vec<u8> = flags
            .iter()
            .copied()
            .filter(|flag| !b"ixhV?".contains(flag))
            .collect();
        if flags.len() > 1 {
            options.push(OsString::from_vec(flags));
        }
        let Some(special) = special else { continue };
        let option = bytes[special];
        if matches!(option, b'c' | b'm') {
            break;
        }
        options.push(OsString::from_vec(vec![b'-', option]));
        match &bytes[special + 1..] {
            [] => options.extend(words.next().cloned()),
            argument => options.push(OsString::from_vec(argument.to_vec())),
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_the_interpreter_and_of_the_script_are_distinguished() {
        for (command, expected) in [
            (&["python", "/bin/scoter", "-h"][..], &[][..]),
            (&["python", "-m", "scoter", "-O"], &[]),
            (&["python", "-I", "/bin/scoter"], &["-I"]),
            (&["python", "-sE", "/bin/scoter", "-u"], &["-sE"]),
            (&["python", "-Wd", "-m", "scoter"], &["-W", "d"]),
            (
                &["python", "-W", "d", "-X", "dev", "x"],
                &["-W", "d", "-X", "dev"],
            ),
            (
                &["python", "-BXdev", "-OO", "x"],
                &["-B", "-X", "dev", "-OO"],
            ),
            (&["python", "-Im", "scoter"], &["-I"]),
            (&["python", "-mscoter", "-O"], &[]),
            (&["python", "-uc", "import scoter", "-O"], &["-u"]),
            (&["python", "-ix", "app.py"], &[]),
            (&["python", "-iu", "app.py"], &["-u"]),
            (
                &["python", "--check-hash-based-pycs", "always", "-s", "x"],
                &["--check-hash-based-pycs", "always", "-s"],
            ),
            (&["python", "-", "-O"], &[]),
            (&["python", "-X"], &["-X"]),
            (&["python"], &[]),
        ] {
            let original: Vec<_> = command.iter().map(OsString::from).collect();
            assert_eq!(options_of(&original), expected, "{command:?}");
        }
    }
}
