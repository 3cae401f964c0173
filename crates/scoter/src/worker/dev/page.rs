//! The page that says why the application does not work. Everything in it may come from a client or
//! the application, and is escaped.

use std::fmt::Write;

use crate::python::exception_report::{ExceptionReport, Frame};
use crate::request_head::RequestHead;

/// Why the application does not work.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    /// What was asked for.
    request: Option<String>,
    /// What to know beside the title.
    note: &'static str,
    frames: Vec<Frame>,
    /// What Python prints.
    text: String,
    /// The name of the cookie by which a reader asks for what the code of before serves.
    cookie: Option<String>,
}

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Audience {
    reads_html: bool,
    /// Whether the client has named this machine: a page of another site can have a browser ask a
    /// name of its own that leads here (DNS rebinding).
    is_local: bool,
}

/// A response from the first byte to the last.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) head: String,
    pub(super) body: String,
}

impl Page {
    /// Inline style and script only, and nothing from anywhere.
    pub(super) const POLICY: &'static str =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

    pub(super) fn of_exception(report: ExceptionReport, head: &RequestHead) -> Self {
        Self {
            title: report.summary,
            request: Some(request(head)),
            note: "The application raised an exception.",
            frames: report.frames,
            text: report.traceback,
            cookie: None,
        }
    }

    pub(super) fn of_violation(violation: String, head: &RequestHead) -> Self {
        Self {
            title: violation,
            request: Some(request(head)),
            note: "The application broke PEP 3333, the rules of WSGI.",
            frames: Vec::new(),
            text: String::new(),
            cookie: None,
        }
    }

    /// There is no code that works.
    pub(super) fn of_broken_code(problem: String) -> Self {
        Self {
            title: "The application does not work yet".to_owned(),
            request: None,
            note: "It is loaded again when a file is saved. Then reload this page.",
            frames: Vec::new(),
            text: problem,
            cookie: None,
        }
    }

    /// There is other code that works.
    pub(super) fn of_new_code(problem: String) -> Self {
        Self {
            title: "What was saved last does not work".to_owned(),
            request: None,
            note: "The code of before still serves everything but this page. When what is wrong \
                   is mended and saved, reload this page.",
            frames: Vec::new(),
            cookie: Some(cookie(&problem)),
            text: problem,
        }
    }

    /// The type of the body, and the body.
    pub(super) fn body(&self, audience: Audience) -> (&'static str, String) {
        match audience {
            Audience {
                is_local: false, ..
            } => (
                "text/plain; charset=utf-8",
                "Internal Server Error\n\nThe reason is in the terminal: it is shown only to who \
                 asks for localhost, 127.0.0.1 or [::1].\n"
                    .to_owned(),
            ),
            Audience {
                reads_html: true, ..
            } => ("text/html; charset=utf-8", self.html()),
            Audience {
                reads_html: false, ..
            } => ("text/plain; charset=utf-8", self.plain()),
        }
    }

    pub(super) fn response(&self, audience: Audience) -> Response {
        let (kind, body) = self.body(audience);
        let (length, policy) = (body.len(), Self::POLICY);
        let head = format!(
            "HTTP/1.1 500 Internal Server Error\r\nContent-Type: {kind}\r\nContent-Length: \
             {length}\r\nCache-Control: no-store\r\nContent-Security-Policy: {policy}\r\n\r\n"
        );
        Response { head, body }
    }

    fn plain(&self) -> String {
        match self.text.is_empty() {
            true => format!("{}\n\n{}\n", self.title, self.note),
            false => format!("{}\n\n{}\n{}\n", self.title, self.note, self.text),
        }
    }

    fn html(&self) -> String {
        let mut html = String::with_capacity(16 * 1_024);
        let title = escaped(&self.title);
        let _ = write!(
            html,
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
             content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             <h1>{title}</h1>\n"
        );
        if let Some(request) = &self.request {
            let _ = writeln!(html, "<p><code>{}</code></p>", escaped(request));
        }
        let _ = writeln!(html, "<p>{}</p>", self.note);
        if let Some(cookie) = &self.cookie {
            // The name has letters and digits only.
            let _ = writeln!(
                html,
                "<p><button onclick=\"document.cookie='{cookie}=1; path=/; SameSite=Lax'; \
                 location.reload()\">Show what the code of before serves</button></p>"
            );
        }
        for frame in &self.frames {
            write_frame(&mut html, frame);
        }
        if !self.text.is_empty() {
            let summary = match self.frames.is_empty() {
                true => "",
                false => "<h2>As Python prints it</h2>\n",
            };
            let _ = writeln!(html, "{summary}<pre>{}</pre>", escaped(&self.text));
        }
        html.push_str("<footer>scoter dev shows this page on this machine only.</footer>\n");
        html
    }
}

fn write_frame(html: &mut String, frame: &Frame) {
    let is_open = if frame.is_in_library() { "" } else { " open" };
    let (file, line, function) = (escaped(&frame.file), frame.line, escaped(&frame.function));
    let _ = writeln!(
        html,
        "<details{is_open}><summary><code>{file}:{line}</code> in <b>{function}</b></summary>"
    );
    let _ = write!(html, "<pre>");
    for (number, text) in &frame.source {
        let tag = if *number == line { "mark" } else { "span" };
        let _ = writeln!(html, "<{tag}><i>{number:>5}</i> {}</{tag}>", escaped(text));
    }
    html.push_str("</pre></details>\n");
}

fn request(head: &RequestHead) -> String {
    format!("{} {}", head.method_text(), head.uri_text())
}

impl Audience {
    pub(super) fn new(accept: &str, host: &str) -> Self {
        Self {
            reads_html: accept.contains("text/html"),
            is_local: is_this_machine(host),
        }
    }

    pub(super) fn of(head: &RequestHead) -> Self {
        Self::new(
            &variable(head, b"HTTP_ACCEPT"),
            &variable(head, b"HTTP_HOST"),
        )
    }

    pub(super) fn is_at_this_machine(self) -> bool {
        self.is_local
    }

    /// Whether it is somebody who looks at a page in a browser, and has not asked for what the code
    /// of before serves. <https://www.w3.org/TR/fetch-metadata/>: a script's requests have another
    /// mode.
    pub(super) fn is_reader_of(self, problem: &str, head: &RequestHead) -> bool {
        let is_get = matches!(&*head.method_text(), "GET" | "HEAD");
        let navigates = variable(head, b"HTTP_SEC_FETCH_MODE") == "navigate";
        let asked = variable(head, b"HTTP_COOKIE").contains(&cookie(problem));
        self.is_local && self.reads_html && is_get && navigates && !asked
    }
}

/// The last value of a variable.
fn variable(head: &RequestHead, name: &[u8]) -> String {
    let values = head.vars().iter().filter(|(key, _)| *key == name);
    let last = values.last().map(|(_, value)| value);
    String::from_utf8_lossy(last.unwrap_or_default()).into_owned()
}

/// Whether a `Host` is a name of the loopback interface.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.');
    let address = name.parse::<std::net::IpAddr>();
    // RFC 6761, 6.3: names in localhost. lead to this machine, too.
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

/// A cookie's name that another failure does not have.
fn cookie(problem: &str) -> String {
    // FNV-1a: it only has to differ.
    let hash = problem
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("scoterdev{hash:016x}")
}

/// Text for an HTML element or a quoted attribute.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --mark: #ffd54f66 }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
h1 { color: #c62828; font-size: 1.5rem; overflow-wrap: anywhere; white-space: pre-wrap }
h2 { font-size: 1.1rem; margin-top: 2rem }
code, pre { font: 14px/1.5 ui-monospace, monospace }
code { overflow-wrap: anywhere }
pre { border: 1px solid var(--line); border-radius: 4px; overflow-x: auto; padding: .5rem }
details { margin: .75rem 0 }
summary { cursor: pointer }
mark { background: var(--mark); color: inherit; display: inline-block; min-width: 100% }
i { font-style: normal; opacity: .5; user-select: none }
button { font: inherit; padding: .25rem .75rem }
footer { margin-top: 2rem; opacity: .6 }
@media (prefers-color-scheme: dark) { h1 { color: #ff8a80 } }
";

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: Audience = Audience {
        reads_html: true,
        is_local: true,
    };

    fn head(vars: &[(&str, &str)]) -> std::sync::Arc<RequestHead> {
        RequestHead::of(vars.iter().copied())
    }

    fn hostile() -> Page {
        let report = ExceptionReport {
            summary: "ValueError: <script>alert(1)</script>".into(),
            frames: vec![Frame {
                file: "/srv/\"><b>.py".into(),
                line: 2,
                function: "<lambda>".into(),
                source: vec![(1, "a & b".into()), (2, "'<img onerror=x>'".into())],
            }],
            traceback: "Traceback\n</pre><script>".into(),
        };
        let head = head(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/?<script>")]);
        Page::of_exception(report, &head)
    }

    #[test]
    fn everything_in_the_page_is_escaped() {
        let (kind, html) = hostile().body(BROWSER);
        assert_eq!(kind, "text/html; charset=utf-8");
        for text in ["<script", "<img", "<lambda", "\"><b>", "</pre><"] {
            let ours = html.matches(text).count();
            assert_eq!(ours, usize::from(text == "</pre><"), "{text} in {html}");
        }
        assert!(html.contains("GET /?&lt;script&gt;"), "{html}");
        assert!(
            html.contains("<mark><i>    2</i> &#39;&lt;img onerror=x&gt;&#39;</mark>"),
            "{html}"
        );
        assert!(
            html.contains("<span><i>    1</i> a &amp; b</span>"),
            "{html}"
        );
    }

    #[test]
    fn programs_read_plain_text_and_other_machines_nothing() {
        for (accept, host, expected) in [
            ("*/*", "localhost:8000", Some("text/plain")),
            ("text/html,*/*", "127.0.0.1:8000", Some("text/html")),
            ("text/html", "[::1]:8000", Some("text/html")),
            ("text/html", "shop.localhost", Some("text/html")),
            ("text/html", "LOCALHOST.", Some("text/html")),
            ("text/html", "example.com", None),
            ("text/html", "localhost.example.com", None),
            ("text/html", "10.0.0.1", None),
            ("text/html", "", None),
        ] {
            let (kind, body) = hostile().body(Audience::new(accept, host));
            assert!(
                kind.starts_with(expected.unwrap_or("text/plain")),
                "{accept} {host}"
            );
            assert_eq!(
                body.contains("ValueError"),
                expected.is_some(),
                "{accept} {host}"
            );
        }
    }

    #[test]
    fn response_has_the_length_of_its_body() {
        let Response { head, body } = hostile().response(BROWSER);
        assert!(
            head.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{head}"
        );
        assert!(head.ends_with("\r\n\r\n"));
    }

    #[test]
    fn only_who_looks_at_a_page_is_told_of_a_failed_save() {
        let problem = "SyntaxError";
        let cookie = format!("a=b; {}=1", cookie(problem));
        for (method, accept, mode, cookies, expected) in [
            ("GET", "text/html", "navigate", "", true),
            ("HEAD", "text/html", "navigate", "", true),
            ("POST", "text/html", "navigate", "", false),
            ("GET", "text/html", "cors", "", false),
            ("GET", "text/html", "", "", false),
            ("GET", "*/*", "no-cors", "", false),
            ("GET", "text/html", "navigate", &*cookie, false),
            ("GET", "text/html", "navigate", "scoterdev0=1", true),
        ] {
            let head = head(&[
                ("REQUEST_METHOD", method),
                ("HTTP_HOST", "localhost:8000"),
                ("HTTP_ACCEPT", accept),
                ("HTTP_SEC_FETCH_MODE", mode),
                ("HTTP_COOKIE", cookies),
            ]);
            let told = Audience::of(&head).is_reader_of(problem, &head);
            assert_eq!(told, expected, "{method} {accept} {mode} {cookies}");
        }
    }
}
