//! The four forms of an application that PEP 3333 knows.

use wsgi_environ::HeadState;

use crate::harness::{Answer, Request};

/// The four forms of an application, each of which does `{body}` before its first
/// chunk and yields or returns `{chunks}`.
const FORMS: [(&str, &str); 4] = [
    (
        "function",
        "
def application(environ, start_response):
    {body}
    return [{chunks}]
",
    ),
    (
        "class",
        "
class application:
    def __init__(self, environ, start_response):
        self.environ, self.start_response = environ, start_response
    def __iter__(self):
        environ, start_response = self.environ, self.start_response
        {body}
        return iter([{chunks}])
",
    ),
    (
        "instance",
        "
class Application:
    def __call__(self, environ, start_response):
        {body}
        return ({chunks},)
application = Application()
",
    ),
    (
        "generator",
        "
def application(environ, start_response):
    {body}
    for chunk in [{chunks}]:
        yield chunk
",
    ),
];

fn in_each_form(body: &str, chunks: &str) -> impl Iterator<Item = (&'static str, Answer)> {
    FORMS
        .map(|(form, source)| {
            let source = source.replace("{body}", body).replace("{chunks}", chunks);
            (form, Request::new().run(&source))
        })
        .into_iter()
}

#[test]
fn every_form_of_application_is_served() {
    let start = "start_response('202 Mine', [('A', 'b')])";
    for (form, answer) in in_each_form(start, "b'one ', b'two'") {
        println!("{form}");
        let length = match form {
            "function" | "instance" => "Content-Length: 7\r\n",
            _ => "",
        };
        answer.assert_wire(&format!("HTTP/1.1 202 Mine\r\nA: b\r\n{length}\r\none two"));
        assert_eq!(answer.completed.status, 202);
    }
}

#[test]
fn every_form_may_end_without_a_body() {
    for (form, answer) in in_each_form("start_response('200 OK', [])", "b'', b''") {
        println!("{form}");
        answer.assert_wire("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer.completed.head, HeadState::InTail);
    }
}

#[test]
fn every_form_that_forgets_start_response_is_a_500() {
    for chunks in ["b'x'", "b''"] {
        for (form, answer) in in_each_form("pass", chunks) {
            println!("{form}");
            answer.assert_500(
                "Violation application start_response() was not called before the first byte",
            );
        }
    }
}

#[test]
fn every_form_that_raises_before_its_head_left_is_a_500() {
    for raised in [
        "1 / 0",
        "start_response('200 OK', [('A', 'b')]); 1 / 0",
        "import sys; sys.exit(3)",
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "raise BaseException('base')",
        "start_response('200 OK', []); raise MemoryError",
    ] {
        for (form, answer) in in_each_form(raised, "b'x'") {
            println!("{form}: {raised}");
            let stage = match form {
                "function" | "instance" => "Call application ",
                _ => "Iterate application ",
            };
            answer.assert_500(stage);
        }
    }
}

#[test]
fn stop_iteration_in_the_call_is_an_exception_like_any_other() {
    Request::new()
        .run("def application(environ, start_response): raise StopIteration")
        .assert_500("Call application StopIteration()");
}
