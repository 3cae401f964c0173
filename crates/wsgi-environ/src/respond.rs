use std::ops::ControlFlow;
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::file_wrapper::FileRange;
use crate::outcome::{complete, without_response};
use crate::response::{Response, SendError};
use crate::text::type_name;
use crate::{
    ApplicationStage, Completed, Errors, FailureCause, FileWrapper, Input, Method, ObjectCache,
    Persistence, RemainingBody, StartResponse, Transport, Violation,
};

/// What [`respond`] needs to know about one request.
pub struct Exchange<'a, 'py> {
    /// What [`EnvironBuilder::build`](crate::EnvironBuilder::build) returned.
    pub environ: Bound<'py, PyDict>,
    /// The `wsgi.input` of this request.
    pub input: Bound<'py, Input>,
    /// The `wsgi.errors` of this request.
    pub errors: Bound<'py, Errors>,
    /// The connection.
    pub transport: Arc<dyn Transport>,
    /// The method of the request.
    pub method: Method,
    /// What the head may say about the connection.
    /// [`KeepAlive`](Persistence::KeepAlive) only after a body that has arrived completely.
    /// The head then says `Connection: keep-alive` if the end of the response is known from
    /// it, and the client is quiet ([`Transport::is_quiet`]).
    pub persistence: Persistence,
    /// Called each time that application code has returned, with the exception it
    /// raised, if any, and before anything else happens. It may end the process:
    /// the application may have forked, and a child must not continue with the
    /// request.
    pub on_return: fn(Python<'_>, Option<&PyErr>),
    /// A buffer to build the head in; its contents are discarded. It is returned as
    /// [`ResponseTail::out`](crate::ResponseTail::out), to be reused.
    pub out: Vec<u8>,
    /// Objects of the previous request, to be reused.
    pub object_cache: &'a mut ObjectCache,
}

impl std::fmt::Debug for Exchange<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Calls the application for one request and iterates over what it returns.
///
/// A response of known size, such as a list or a file, is not sent but returned as
/// the tail, so that the server sends it detached from the interpreter. What an
/// iterator yields, and what is passed to `write`, is sent immediately. In both
/// cases `close()` has been called once when this returns, and objects that the
/// application may have kept are detached from the connection.
///
/// No exception is passed on, not even `SystemExit` or `KeyboardInterrupt`. Before
/// the head has been sent, an exception makes the response a 500, or a 400 or 408 if
/// the application could not read the request body; after that, it cuts the response
/// short.
pub fn respond<'py>(application: &Bound<'py, PyAny>, exchange: Exchange<'_, 'py>) -> Completed {
    let py = application.py();
    let Exchange {
        environ,
        input,
        errors,
        transport,
        method,
        persistence,
        on_return,
        out,
        object_cache,
    } = exchange;
    let hook = ReturnHook { py, on_return };
    let response = Response::new(transport, method, persistence, out);
    let start_response = match object_cache.start_response(py, response) {
        Ok(start_response) => start_response,
        Err(error) => {
            return without_response(
                Err(exception(ApplicationStage::Call, error)),
                None,
                input.get().finish(),
            );
        }
    };

    let mut driver = Driver {
        hook,
        start_response: &start_response,
        ended: None,
    };
    let (result, outcome) = match hook.checked(application.call1((environ, &start_response))) {
        Ok(result) => {
            let outcome = driver.send(&result);
            (Some(result), outcome)
        }
        Err(error) => (None, Err(exception(ApplicationStage::Call, error))),
    };
    let response = driver.into_response();
    let closing = result.and_then(|result| close(hook, &result).err());
    let ended = input.get().finish();
    errors.get().finish(py);
    object_cache.keep(input, start_response);

    match response {
        Some(response) => complete(response, outcome, closing, ended, method),
        None => without_response(outcome, closing, ended),
    }
}

/// Informs the server whenever application code has returned.
#[derive(Clone, Copy)]
struct ReturnHook<'py> {
    py: Python<'py>,
    on_return: fn(Python<'_>, Option<&PyErr>),
}

impl ReturnHook<'_> {
    fn checked<T>(self, result: PyResult<T>) -> PyResult<T> {
        (self.on_return)(self.py, result.as_ref().err());
        result
    }
}

/// Obtains the parts of the body from the application's result.
struct Driver<'a, 'py> {
    hook: ReturnHook<'py>,
    start_response: &'a Bound<'py, StartResponse>,
    /// The response, once the application is done with it.
    ended: Option<Response>,
}

impl<'py> Driver<'_, 'py> {
    fn py(&self) -> Python<'py> {
        self.hook.py
    }

    /// Sends the parts of an iterator, and returns the rest to send.
    fn send(&mut self, result: &Bound<'py, PyAny>) -> Result<RemainingBody, FailureCause> {
        if let Ok(list) = result.cast_exact::<PyList>() {
            return self.send_all(list.iter());
        }
        if let Ok(tuple) = result.cast_exact::<PyTuple>() {
            return self.send_all(tuple.iter());
        }
        if result.is_instance_of::<PyString>() {
            return Err(FailureCause::Violation(Violation::TextReturned));
        }
        // Iterating over it would give numbers. uWSGI sends it whole, and
        // applications rely on that.
        if result.is_instance_of::<PyBytes>() {
            return self.send_all(std::iter::once(result.clone()));
        }
        if let Ok(wrapper) = result.cast_exact::<FileWrapper>() {
            let range = self
                .hook
                .checked(wrapper.get().file_range(self.py()))
                .map_err(|error| exception(ApplicationStage::Iterate, error))?;
            if let Some(range) = range {
                return self.send_file(range);
            }
        }
        self.send_each(result)
    }

    /// Leaves parts that are already complete to the server.
    fn send_all(
        &mut self,
        mut items: impl ExactSizeIterator<Item = Bound<'py, PyAny>>,
    ) -> Result<RemainingBody, FailureCause> {
        // Most responses have one part, for which no list is needed.
        if items.len() == 1 {
            let part = items.next().map(|item| into_bytes(item, 0)).transpose()?;
            return self.queue(part.as_slice());
        }
        let mut parts = Vec::with_capacity(items.len());
        for (index, item) in (0..).zip(items) {
            parts.push(into_bytes(item, index)?);
        }
        self.queue(&parts)
    }

    fn queue(&mut self, parts: &[Bound<'py, PyBytes>]) -> Result<RemainingBody, FailureCause> {
        let py = self.py();
        let rest = self.end(|response| response.queue(py, parts))?;
        Ok(rest.unwrap_or(RemainingBody::Nothing))
    }

    fn send_file(&mut self, range: FileRange) -> Result<RemainingBody, FailureCause> {
        match self.end(|response| response.queue_file(range.len))? {
            None | Some(0) => Ok(RemainingBody::Nothing),
            Some(len) => Ok(RemainingBody::File {
                file: range.file,
                offset: range.offset,
                len,
            }),
        }
    }

    /// Sends each part before asking for the next one.
    ///
    /// PEP 3333: "WSGI servers, gateways, and middleware must not delay the
    /// transmission of any block".
    fn send_each(&mut self, result: &Bound<'py, PyAny>) -> Result<RemainingBody, FailureCause> {
        let items = self
            .hook
            .checked(result.try_iter())
            .map_err(|error| not_iterable(result, error))?;
        for (index, item) in (0..).zip(items) {
            let item = self
                .hook
                .checked(item)
                .map_err(|error| exception(ApplicationStage::Iterate, error))?;
            let part = into_bytes(item, index)?;
            let size = match index {
                0 => self.size_if_only(result, &part),
                _ => None,
            };
            match self.response(|response| response.send(self.py(), &part, size))? {
                Some(ControlFlow::Continue(())) => {}
                Some(ControlFlow::Break(())) | None => return Ok(RemainingBody::Nothing),
            }
        }
        self.end(Response::end)?;
        Ok(RemainingBody::Nothing)
    }

    /// Returns the size of the first part if it is the only one and the
    /// application left it to the server to say so.
    ///
    /// PEP 3333, "Handling the Content-Length Header": "if the iterable returned
    /// by the application has a length of 1, then the server can automatically
    /// determine Content-Length by taking the length of the first bytestring
    /// yielded".
    fn size_if_only(&self, result: &Bound<'py, PyAny>, part: &Bound<'py, PyBytes>) -> Option<u64> {
        let size = part.as_bytes().len() as u64;
        let lacks_length = |response: &mut Response| response.lacks_length();
        let asked = size > 0
            && self
                .start_response
                .get()
                .with_response(self.py(), lacks_length)?;
        // If __len__ raises an exception, there is no length.
        (asked && self.hook.checked(result.len()).is_ok_and(|len| len == 1)).then_some(size)
    }

    /// Works on the response. `None` if the client has disconnected, which is not an error but ends
    /// the work.
    fn response<R>(
        &self,
        work: impl FnOnce(&mut Response) -> Result<R, SendError>,
    ) -> Result<Option<R>, FailureCause> {
        unless_disconnected(self.start_response.get().with_response(self.py(), work))
    }

    /// Works on the response for the last time: the application is done with it.
    /// Whatever still runs of it, here or in a thread of its own, comes too late
    /// to change what is sent.
    fn end<R>(
        &mut self,
        work: impl FnOnce(&mut Response) -> Result<R, SendError>,
    ) -> Result<Option<R>, FailureCause> {
        self.ended = self.start_response.get().finish(self.py());
        unless_disconnected(self.ended.as_mut().map(work))
    }

    /// Ends the response if that has not been done. `None` if a panic has removed it.
    fn into_response(self) -> Option<Response> {
        let (py, start_response) = (self.py(), self.start_response);
        self.ended.or_else(|| start_response.get().finish(py))
    }
}

fn unless_disconnected<R>(result: Option<Result<R, SendError>>) -> Result<Option<R>, FailureCause> {
    match result {
        Some(Ok(result)) => Ok(Some(result)),
        Some(Err(SendError::NotStarted)) => {
            Err(FailureCause::Violation(Violation::NoStartResponse))
        }
        Some(Err(SendError::Peer(_))) | None => Ok(None),
    }
}

/// Calls the `close()` of what the application returned, if it has one.
///
/// PEP 3333: "the server or gateway must call that method upon completion of the
/// current request, whether the request was completed normally, or terminated
/// early".
fn close(hook: ReturnHook<'_>, result: &Bound<'_, PyAny>) -> Result<(), FailureCause> {
    let plain = result.is_exact_instance_of::<PyList>()
        || result.is_exact_instance_of::<PyTuple>()
        || result.is_exact_instance_of::<PyBytes>();
    if plain {
        return Ok(());
    }
    match hook.checked(result.getattr_opt(intern!(result.py(), "close"))) {
        Ok(Some(close)) => hook.checked(close.call0()).map(drop),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| exception(ApplicationStage::Close, error))
}

fn into_bytes<'py>(
    item: Bound<'py, PyAny>,
    index: u64,
) -> Result<Bound<'py, PyBytes>, FailureCause> {
    item.cast_into().map_err(|error| {
        FailureCause::Violation(Violation::ItemNotBytes {
            index,
            type_name: type_name(&error.into_inner()),
        })
    })
}

fn not_iterable(result: &Bound<'_, PyAny>, error: PyErr) -> FailureCause {
    let py = result.py();
    let has = |name| matches!(result.getattr_opt(name), Ok(Some(_)) | Err(_));
    if has(intern!(py, "__iter__")) || has(intern!(py, "__getitem__")) {
        return exception(ApplicationStage::Iterate, error);
    }
    FailureCause::Violation(Violation::NotIterable {
        type_name: type_name(result),
    })
}

fn exception(stage: ApplicationStage, error: PyErr) -> FailureCause {
    FailureCause::Exception { stage, error }
}
