use std::fmt;

/// The head of a response, for a [`Transport`](crate::Transport) that does not send it as the
/// text of HTTP/1.1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    // A status line and lines of headers, each checked before it was written, without the empty
    // line.
    lines: &'a [u8],
    status: u16,
    content_length: Option<u64>,
}

impl<'a> ResponseHead<'a> {
    pub(crate) fn new(lines: &'a [u8], status: u16, content_length: Option<u64>) -> Self {
        Self {
            lines,
            status,
            content_length,
        }
    }

    /// Returns the status code, 101 or 200 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the reason: the application's, or the standard one if it gave none.
    #[must_use]
    pub fn reason(&self) -> &'a [u8] {
        let (status_line, _) = split(self.lines, b"\r\n");
        status_line.get(STATUS_AND_SPACE..).unwrap_or_default()
    }

    /// Returns names and values in the order of the application, duplicates included, and
    /// `Content-Length` if that was added. Names are tokens, values have no control characters
    /// but tabs.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let (_, mut lines) = split(self.lines, b"\r\n");
        std::iter::from_fn(move || {
            if lines.is_empty() {
                return None;
            }
            let (line, rest) = split(lines, b"\r\n");
            lines = rest;
            Some(split(line, b": "))
        })
    }

    /// Returns `Content-Length`. What is sent after the head is never more, and less only if the
    /// response ends as [`CutShort`](crate::ResponseEnd::CutShort) or without a body: one to
    /// `HEAD`, a 304.
    ///
    /// `None` if the application does not say how long its body is. It then ends where the
    /// response does.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }
}

impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("content_length", &self.content_length)
            .finish_non_exhaustive()
    }
}

/// Returns what is before and after the first separator.
fn split<'a>(text: &'a [u8], separator: &[u8; 2]) -> (&'a [u8], &'a [u8]) {
    let found = memchr::memmem::find(text, separator);
    let at = found.unwrap_or(text.len());
    (
        &text[..at],
        text.get(at + separator.len()..).unwrap_or_default(),
    )
}

/// `HTTP/1.1 200 `
const STATUS_AND_SPACE: usize = 13;
