//! What a slot pays to have an application called and its response made ready to be
//! sent. The applications do next to nothing; what the same Python code takes
//! without the server stands beside them.

use std::ffi::CStr;
use std::io::{self, IoSlice};
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};
use wsgi_environ::{Body, Errors, Exchange, Method, ObjectCache, Persistence, Transport, respond};

const APPLICATIONS: &CStr = c"
def hello(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '11')])
    return [b'Hello world']

def without_length(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'Hello world']

def many_headers(environ, start_response):
    start_response('200 OK', [
        ('Content-Type', 'text/html; charset=utf-8'), ('X-Frame-Options', 'DENY'),
        ('Vary', 'Accept-Language, Cookie'), ('Content-Language', 'en-us'),
        ('Content-Length', '11'), ('X-Content-Type-Options', 'nosniff'),
        ('Referrer-Policy', 'same-origin'), ('Cross-Origin-Opener-Policy', 'same-origin'),
        ('Set-Cookie', 'csrftoken=Xn9W1kYpGQ0hbXkzM1dAQe5Zt0sYVb3K; Path=/; SameSite=Lax')])
    return [b'Hello world']

def generator(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '11')])
    yield b'Hello world'

def start_response(status, headers, exc_info=None):
    pass

def without_server(application):
    for _ in application({}, start_response):
        pass
";

/// A client that takes everything at once.
struct Ready;

impl Transport for Ready {
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn wait_writable(&self) -> io::Result<()> {
        Ok(())
    }

    fn recv(&self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn interrupt(&self) {}
}

fn response(c: &mut Criterion) {
    let mut group = c.benchmark_group("respond");
    Python::attach(|py| {
        let module = PyModule::from_code(py, APPLICATIONS, c"applications.py", c"applications")
            .expect("it runs");
        let get = |name| module.getattr(name).expect("defined above");
        let errors = Bound::new(py, Errors::new(|_| {})).expect("memory");
        let transport: Arc<dyn Transport> = Arc::new(Ready);
        let environ = PyDict::new(py);

        for name in ["hello", "without_length", "many_headers", "generator"] {
            let application = get(name);
            let (mut out, mut object_cache) = (Vec::new(), ObjectCache::default());
            group.bench_function(name, |b| {
                b.iter(|| {
                    let exchange = Exchange {
                        environ: environ.clone(),
                        input: object_cache.input(py, Body::empty()).expect("memory"),
                        errors: errors.clone(),
                        transport: Arc::clone(&transport),
                        method: Method::Other,
                        persistence: Persistence::Close,
                        on_return: |_, _| {},
                        out: std::mem::take(&mut out),
                        object_cache: &mut object_cache,
                    };
                    let completed = respond(&application, exchange);
                    assert!(completed.failures.is_empty(), "{completed:?}");
                    out = completed.tail.out;
                });
            });
        }
        for name in ["hello", "generator"] {
            let application = get(name);
            let without_server = get("without_server");
            group.bench_function(format!("{name}, without the server"), |b| {
                b.iter(|| without_server.call1((&application,)));
            });
        }
    });
    group.finish();
}

criterion_group!(benches, response);
criterion_main!(benches);
