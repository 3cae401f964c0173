use std::borrow::Cow;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use uwsgi_codec::{ContentLength, ContentLengthError};

use crate::Method;
use crate::reason::reason_phrase;
use crate::text::{quoted, to_latin1, type_name};

/// The arguments of `start_response`, checked and formatted.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) content_length: Option<u64>,
    /// Names of the headers that were left out, as the application spelled them.
    pub(crate) dropped: Vec<String>,
}

impl Head {
    /// Checks a status and a list of headers, and appends the lines they make to
    /// `out`, without the empty line that ends them: order, case and duplicates
    /// stay. After an error `out` may have some of them.
    ///
    /// Always `HTTP/1.1` and never the CGI form: what front ends require at
    /// least is a full status line, and none looks at the version.
    pub(crate) fn write(
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        out: &mut Vec<u8>,
    ) -> PyResult<Self> {
        let mut head = Self {
            status: write_status(status, out)?,
            content_length: None,
            dropped: Vec::new(),
        };
        // PEP 3333: "The headers argument is a list of (header_name,
        // header_value) tuples. It must be a Python list". The wording of the
        // type errors is uWSGI's, for those who search for it.
        let headers = headers.cast::<PyList>().map_err(|_| {
            PyTypeError::new_err(format!(
                "http headers must be in a python list, not {}",
                type_name(headers)
            ))
        })?;
        for header in headers {
            head.write_header(&header, out)?;
        }
        if head.ignores_length() {
            head.content_length = None;
        }
        Ok(head)
    }

    /// Returns whether a response to this request has a body.
    pub(crate) fn has_body(&self, method: Method) -> bool {
        method != Method::Head && !matches!(self.status, 204 | 205 | 304)
    }

    /// Says whether the end of the response to this request is known from its head
    /// (RFC 9112, 6.3). After a 101 the connection belongs to another protocol.
    pub(crate) fn is_delimited(&self, method: Method) -> bool {
        self.status != 101 && (self.content_length.is_some() || !self.has_body(method))
    }

    /// Returns whether a missing Content-Length may be added when the size of the body is known.
    pub(crate) fn may_add_length(&self) -> bool {
        // RFC 9110, 8.6: in a 304 it would be that of the response that is not sent.
        self.content_length.is_none() && !self.forbids_length() && self.status != 304
    }

    /// The one length that the response can have, whatever its body would have been. RFC 9110,
    /// 15.3.6: a 205 has no content, and RFC 7231, 6.3.6: it says so, for clients take it for
    /// a status like any other.
    pub(crate) fn only_length(&self) -> Option<u64> {
        (self.status == 205).then_some(0)
    }

    /// Whether a Content-Length of the application is left out.
    fn ignores_length(&self) -> bool {
        self.forbids_length() || self.only_length().is_some()
    }

    /// RFC 9110, 8.6: no Content-Length in a 1xx or 204.
    fn forbids_length(&self) -> bool {
        matches!(self.status, 100..=199 | 204)
    }

    fn write_header(&mut self, header: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<()> {
        let header = header.cast::<PyTuple>().map_err(|_| {
            PyTypeError::new_err(format!(
                "http header must be defined in a tuple, not {}",
                type_name(header)
            ))
        })?;
        let [name_object, value_object] = header.as_slice() else {
            return Err(PyTypeError::new_err(format!(
                "http header must be a 2-item tuple, not one of {}",
                header.len()
            )));
        };
        let name_text = name_object.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!(
                "http header key must be a string, not {}",
                type_name(name_object)
            ))
        })?;
        let value_text = value_object.cast::<PyString>().map_err(|_| {
            PyTypeError::new_err(format!(
                "http header value must be a string, not {}: {}",
                type_name(value_object),
                quoted(name_text)
            ))
        })?;

        let name = header_name(name_text)?;
        let value = header_value(name_text, value_text)?;
        match Kind::of(&name, self.status) {
            Kind::Ordinary => {}
            Kind::ContentLength => {
                let repeated = self.content_length.is_some();
                self.set_content_length(&value)?;
                if repeated || self.ignores_length() {
                    return Ok(());
                }
            }
            Kind::ServerManaged => {
                self.dropped.push(name_text.to_string_lossy().into_owned());
                return Ok(());
            }
        }
        out.extend_from_slice(&name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(&value);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Records a Content-Length. nginx responds with 502 to two of them, so equal ones are merged.
    fn set_content_length(&mut self, value: &[u8]) -> PyResult<()> {
        let length = ContentLength::parse(value).map_err(|error| {
            PyValueError::new_err(match error {
                ContentLengthError::TooLarge { .. } => {
                    "http header 'Content-Length' is larger than 2^63-1"
                }
                _ => "http header 'Content-Length' must be made of digits",
            })
        })?;
        match self.content_length {
            Some(first) if first != length => Err(PyValueError::new_err(format!(
                "http header 'Content-Length' is given as {first} and as {length}"
            ))),
            _ => {
                self.content_length = Some(length);
                Ok(())
            }
        }
    }
}

fn write_status(status: &Bound<'_, PyAny>, out: &mut Vec<u8>) -> PyResult<u16> {
    let text = status.cast::<PyString>().map_err(|_| {
        PyTypeError::new_err(format!(
            "http status must be a string, not {}",
            type_name(status)
        ))
    })?;
    let bytes = to_latin1(text).ok_or_else(|| {
        PyTypeError::new_err(format!(
            "http status string must be encodable in latin1: {}",
            quoted(text)
        ))
    })?;
    let Some(code) = status_code(&bytes) else {
        return Err(PyValueError::new_err(format!(
            "http status must be a code of three digits, a space and a reason, not {}",
            quoted(text)
        )));
    };
    if matches!(code, 100 | 102..=199) {
        // nginx takes a 1xx as the final response and the real one for its body.
        return Err(PyValueError::new_err(format!(
            "http status {code} is interim: start_response() takes the final status"
        )));
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    if bytes.len() > CODE_LEN + 1 {
        out.extend_from_slice(&bytes);
    } else {
        out.extend_from_slice(&bytes[..CODE_LEN]);
        out.push(b' ');
        out.extend_from_slice(reason_phrase(code).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(code)
}

/// Reads `404`, `404 ` or `404 Not Found`.
fn status_code(status: &[u8]) -> Option<u16> {
    let (code, reason) = status.split_at_checked(CODE_LEN)?;
    let code = code.iter().try_fold(0_u16, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        Some(sum * 10 + u16::from(digit))
    })?;
    let well_formed = code >= 100
        && matches!(reason.first(), None | Some(b' '))
        && !reason.iter().any(|&byte| is_control(byte));
    well_formed.then_some(code)
}

fn header_name<'a>(text: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    let name = to_latin1(text).ok_or_else(|| not_latin1(text))?;
    // RFC 9110, 5.1: a field name is a token.
    if name.is_empty() || !name.iter().all(|&byte| TOKEN[usize::from(byte)]) {
        return Err(PyValueError::new_err(format!(
            "http header key {} is not a token",
            quoted(text)
        )));
    }
    Ok(name)
}

fn header_value<'a>(
    name: &Bound<'_, PyString>,
    text: &'a Bound<'_, PyString>,
) -> PyResult<Cow<'a, [u8]>> {
    let value = to_latin1(text).ok_or_else(|| not_latin1(name))?;
    // PEP 3333: "header_value must not include any control characters, including
    // carriage returns or linefeeds". RFC 9110, 5.5 allows the tab. The value
    // may be a secret and is not quoted.
    // They are rare, and a search without an early exit is faster then.
    if value
        .iter()
        .fold(false, |any, &byte| any | is_control(byte))
    {
        let before = value.iter().take_while(|&&byte| !is_control(byte));
        let position = before.count();
        return Err(PyValueError::new_err(format!(
            "http header {} has the control character 0x{:02x} at position {position} of its value",
            quoted(name),
            value[position]
        )));
    }
    Ok(value)
}

fn not_latin1(name: &Bound<'_, PyString>) -> PyErr {
    PyTypeError::new_err(format!(
        "http header must be encodable in latin1: {}",
        quoted(name)
    ))
}

/// What a header means to the server.
enum Kind {
    Ordinary,
    ContentLength,
    ServerManaged,
}

impl Kind {
    fn of(name: &[u8], status: u16) -> Self {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        match name.len() {
            14 if is("Content-Length") => Self::ContentLength,
            // The handshake of a protocol switch is the application's business.
            7 | 10 if status == 101 && (is("Upgrade") || is("Connection")) => Self::Ordinary,
            // PEP 3333, "Other HTTP Features": applications are forbidden from
            // using hop-by-hop headers. RFC 2616, 13.5.1 and RFC 9110, 7.6.1.
            2 if is("TE") => Self::ServerManaged,
            7 if is("Upgrade") || is("Trailer") => Self::ServerManaged,
            8 if is("Trailers") => Self::ServerManaged,
            10 if is("Connection") || is("Keep-Alive") => Self::ServerManaged,
            16 if is("Proxy-Connection") => Self::ServerManaged,
            17 if is("Transfer-Encoding") => Self::ServerManaged,
            18 if is("Proxy-Authenticate") => Self::ServerManaged,
            19 if is("Proxy-Authorization") => Self::ServerManaged,
            // nginx forwards it; a CGI front end would act on it.
            6 if is("Status") => Self::ServerManaged,
            _ => Self::Ordinary,
        }
    }
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Which bytes a token may have: RFC 9110, 5.6.2.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut others = b"!#$%&'*+-.^_`|~".as_slice();
    while let [first, rest @ ..] = others {
        table[*first as usize] = true;
        others = rest;
    }
    table
};

const CODE_LEN: usize = 3;
