use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use crate::fd;

/// `wsgi.file_wrapper`: an iterable over a file, in blocks.
///
/// If the application returns it and the file is a regular one with a true size,
/// opened by `open()` in binary mode or by `tempfile`, the kernel sends it from its
/// current position; anything else is read block by block. Raises `AttributeError`
/// for an object without `read`.
#[pyclass(frozen, module = "scoter")]
#[derive(Debug)]
pub struct FileWrapper {
    filelike: Py<PyAny>,
    blksize: i64,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize=8192))]
    fn new(filelike: &Bound<'_, PyAny>, blksize: i64) -> PyResult<Self> {
        filelike.getattr(intern!(filelike.py(), "read"))?;
        if blksize < 1 {
            return Err(PyValueError::new_err(format!(
                "file_wrapper() needs a block size of at least 1, not {blksize}"
            )));
        }
        Ok(Self {
            filelike: filelike.clone().unbind(),
            blksize,
        })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let block = self
            .filelike
            .bind(py)
            .call_method1(intern!(py, "read"), (self.blksize,))?;
        Ok(block.is_truthy()?.then_some(block))
    }

    /// The file belongs to the application, and may refer to the wrapper.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.filelike)
    }

    /// Closes the file, if it has a `close` method.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // PEP 3333: "if a file-like object has a close() method, the wrapper must
        // have one that invokes it".
        match self.filelike.bind(py).getattr_opt(intern!(py, "close"))? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}

/// A regular file from its current position to its end.
#[derive(Debug)]
pub(crate) struct FileRange {
    pub(crate) file: OwnedFd,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

impl FileWrapper {
    /// Returns the file behind the wrapper if its descriptor alone says what
    /// `read` would return.
    ///
    /// `None` for everything else: a compressed file, a member of an archive or
    /// a class of the application may have a `fileno` too, but other contents.
    pub(crate) fn file_range(&self, py: Python<'_>) -> PyResult<Option<FileRange>> {
        let Some(file) = plain_file(self.filelike.bind(py))? else {
            return Ok(None);
        };
        // If these are false, reading raises the exception that the application should see.
        if file.getattr(intern!(py, "closed"))?.is_truthy()?
            || !file.call_method0(intern!(py, "readable"))?.is_truthy()?
        {
            return Ok(None);
        }
        if file.call_method0(intern!(py, "writable"))?.is_truthy()? {
            file.call_method0(intern!(py, "flush"))?;
        }
        let number = file.call_method0(intern!(py, "fileno"))?.extract()?;
        let Ok(descriptor) = fd::duplicate(number) else {
            return Ok(None);
        };
        let descriptor = File::from(descriptor);
        let Some(size) = true_size(&descriptor) else {
            return Ok(None);
        };
        let offset: u64 = file.call_method0(intern!(py, "tell"))?.extract()?;
        Ok(Some(FileRange {
            file: descriptor.into(),
            offset,
            len: size.saturating_sub(offset),
        }))
    }
}

/// Returns the object itself, or what a temporary file wraps, if it is exactly
/// what `open()` returns for a binary file.
fn plain_file<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let file = if is_temporary(object)? {
        object.getattr(intern!(py, "file"))?
    } else {
        object.clone()
    };
    if file.is_exact_instance(file_io(py)?) {
        return Ok(Some(file));
    }
    let buffered = file.is_exact_instance(buffered_reader(py)?)
        || file.is_exact_instance(buffered_random(py)?);
    if buffered
        && file
            .getattr(intern!(py, "raw"))?
            .is_exact_instance(file_io(py)?)
    {
        return Ok(Some(file));
    }
    Ok(None)
}

/// Returns whether `tempfile.NamedTemporaryFile` made the object. An application that has one has
/// imported the module.
fn is_temporary(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = object.py();
    let modules = py
        .import(intern!(py, "sys"))?
        .getattr(intern!(py, "modules"))?;
    let Some(tempfile) = modules
        .cast::<PyDict>()?
        .get_item(intern!(py, "tempfile"))?
    else {
        return Ok(false);
    };
    let wrapper = tempfile.getattr_opt(intern!(py, "_TemporaryFileWrapper"))?;
    Ok(wrapper.is_some_and(|wrapper| object.is_exact_instance(&wrapper)))
}

fn file_io(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "io", "FileIO")
}

fn buffered_reader(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "io", "BufferedReader")
}

fn buffered_random(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    TYPE.import(py, "io", "BufferedRandom")
}

/// Returns how many bytes can be read from a regular file, if its size is reliable.
///
/// Files that the kernel generates have size 0 (/proc) or the size of a page whatever they contain
/// (/sys). The first are read like other files of size 0. The second, like all files with a size
/// but no disk blocks, are checked for ending where their size says.
fn true_size(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    let last = metadata.len().checked_sub(1)?;
    let has_byte = |at| file.read_at(&mut [0], at).is_ok_and(|count| count == 1);
    let is_true = metadata.is_file()
        && (metadata.blocks() > 0 || (has_byte(last) && !has_byte(metadata.len())));
    is_true.then_some(metadata.len())
}
