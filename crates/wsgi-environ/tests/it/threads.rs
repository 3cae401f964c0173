//! Applications that hand the objects of a request to threads of their own.

use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict};
use wsgi_environ::{
    Body, Completed, Exchange, Input, Method, ObjectCache, Persistence, RemainingBody, RequestId,
    ResponseEnd, ScriptName, Transport, respond,
};

use crate::harness::{Log, builder, module, packet};

/// A client that neither gives nor takes anything until it is told to.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    open: bool,
    closed: bool,
    waiting: bool,
    sent: Vec<u8>,
}

impl Gate {
    fn open(&self) {
        self.lock().open = true;
        self.changed.notify_all();
    }

    /// Returns once a thread waits for the client.
    fn until_waited_for(&self) {
        let state = self.lock();
        drop(
            self.changed
                .wait_while(state, |state| !state.waiting)
                .unwrap(),
        );
    }

    fn wait(&self) -> MutexGuard<'_, GateState> {
        let mut state = self.lock();
        state.waiting = true;
        self.changed.notify_all();
        self.changed
            .wait_while(state, |state| !state.open && !state.closed)
            .unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap()
    }
}

impl Transport for Gate {
    fn try_send(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        if !state.open {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = state.sent.len();
        for part in parts {
            state.sent.extend_from_slice(part);
        }
        Ok(state.sent.len() - before)
    }

    fn wait_writable(&self) -> io::Result<()> {
        drop(self.wait());
        Ok(())
    }

    fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let state = self.wait();
        if state.closed {
            return Ok(0);
        }
        buf.fill(b'x');
        Ok(buf.len())
    }

    fn interrupt(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

/// Starts a thread that reads 5 bytes, and returns once it waits for them.
fn read_in_thread(gate: &Arc<Gate>) -> (Py<Input>, thread::JoinHandle<PyResult<Vec<u8>>>) {
    let body = Body::streamed(Bytes::new(), 5, Arc::clone(gate) as Arc<dyn Transport>);
    let input = Python::attach(|py| Input::new(py, body).unwrap().unbind());
    let reader = Python::attach(|py| input.clone_ref(py));
    let reading = thread::spawn(move || {
        Python::attach(|py| reader.bind(py).call_method1("read", (5,))?.extract())
    });
    gate.until_waited_for();
    (input, reading)
}

#[test]
fn two_threads_cannot_read_at_once() {
    let gate = Arc::new(Gate::default());
    let (input, reading) = read_in_thread(&gate);
    Python::attach(|py| {
        let error = input.bind(py).call_method0("readline").unwrap_err();
        assert!(error.is_instance_of::<PyRuntimeError>(py));
        assert_eq!(
            error.value(py).to_string(),
            "wsgi.input is being read by another thread"
        );
    });
    gate.open();
    assert_eq!(reading.join().unwrap().unwrap(), b"xxxxx");
    Python::attach(|py| {
        let rest: Vec<u8> = input
            .bind(py)
            .call_method0("read")
            .unwrap()
            .extract()
            .unwrap();
        assert_eq!(rest, b"");
    });
}

#[test]
fn request_ends_although_a_thread_reads_on() {
    let gate = Arc::new(Gate::default());
    let (input, reading) = read_in_thread(&gate);
    let end = input.get().finish();
    assert!(end.busy);
    assert!(!input.get().finish().busy);

    gate.interrupt();
    let error = reading.join().unwrap().unwrap_err();
    Python::attach(|py| {
        assert!(error.is_instance_of::<PyValueError>(py));
        assert_eq!(
            error.value(py).to_string(),
            "wsgi.input: the request is over"
        );
    });
    assert_eq!(Arc::strong_count(&gate), 1, "the connection is let go");
}

/// Runs an application that may call `until_waited_for()` and `open_soon()`.
fn respond_over(gate: &Arc<Gate>, source: &str) -> (Completed, String) {
    Python::attach(|py| {
        let module = module(py, source);
        let waiter = Arc::clone(gate);
        let until_waited_for = PyCFunction::new_closure(py, None, None, move |args, _| {
            args.py().detach(|| waiter.until_waited_for());
        });
        let opener = Arc::clone(gate);
        let open_soon = PyCFunction::new_closure(py, None, None, move |_, _| {
            let opener = Arc::clone(&opener);
            thread::spawn(move || opener.open());
        });
        module
            .add("until_waited_for", until_waited_for.unwrap())
            .unwrap();
        module.add("open_soon", open_soon.unwrap()).unwrap();

        let errors = Bound::new(py, Log::default().errors()).unwrap();
        let input = Input::new(py, Body::empty()).unwrap();
        let packet = packet::<&str, &str>(&[]);
        let environ = builder(py, &errors)
            .build(
                py,
                packet.vars.as_ref(),
                ScriptName::AsSent,
                RequestId::Sent,
                &input,
            )
            .unwrap();
        let exchange = Exchange {
            environ,
            input,
            errors,
            transport: Arc::clone(gate) as Arc<dyn Transport>,
            method: Method::Other,
            persistence: Persistence::Close,
            on_return: |_, _| {},
            out: Vec::new(),
            object_cache: &mut ObjectCache::default(),
        };
        let completed = respond(&module.getattr("application").unwrap(), exchange);
        (completed, module.getattr("seen").unwrap().to_string())
    })
}

#[test]
fn response_waits_for_a_thread_that_writes() {
    let gate = Arc::new(Gate::default());
    let (completed, seen) = respond_over(
        &gate,
        "
import threading
seen = []
def application(environ, start_response):
    write = start_response('200 OK', [])
    threading.Thread(target=write, args=(b'from a thread, ',)).start()
    until_waited_for()
    for call in [lambda: write(b'at once'), lambda: start_response('200 OK', [])]:
        try:
            call()
        except RuntimeError as e:
            seen.append(str(e))
    open_soon()
    return [b'from the list']
",
    );
    assert_eq!(
        seen,
        "['write() called while another thread is sending', \
         'start_response() called while another thread is sending']"
    );
    assert_eq!(completed.end, ResponseEnd::Complete);
    assert_eq!(gate.lock().sent, b"HTTP/1.1 200 OK\r\n\r\nfrom a thread, ");
    assert_eq!(completed.tail.out, b"from the list");
    assert!(matches!(completed.tail.body, RemainingBody::Nothing));
}

#[test]
fn thread_that_writes_for_ever_cannot_tear_the_response() {
    let gate = Arc::new(Gate::default());
    gate.open();
    let (completed, seen) = respond_over(
        &gate,
        "
import threading
seen = None
written = threading.Event()
def work(write):
    global seen
    while True:
        try:
            write(b'x')
            written.set()
        except RuntimeError as e:
            if 'after the end' in str(e):
                seen = 'stopped'
                done.set()
                return
def application(environ, start_response):
    global done
    done = threading.Event()
    write = start_response('200 OK', [])
    threading.Thread(target=work, args=(write,)).start()
    written.wait()
    return Result([b'end'])
class Result(list):
    def close(self):
        done.wait()
",
    );
    assert_eq!(seen, "stopped");
    assert_eq!(completed.end, ResponseEnd::Complete);
    assert!(completed.failures.is_empty());
    let sent = String::from_utf8(gate.lock().sent.clone()).unwrap();
    let (_, body) = sent.split_once("\r\n\r\n").unwrap();
    // A list that is a class of its own is sent as it is iterated over.
    assert_eq!(body.matches("end").count(), 1);
    assert_eq!(body.len() as u64, completed.body_bytes);
}

#[test]
fn request_that_is_over_ends_writes_however_fast_they_follow() {
    for result in ["[b'end']", "iter([b'end'])", "(b'e', b'nd' * 50_000)"] {
        let gate = Arc::new(Gate::default());
        gate.open();
        // Parts of this size are sent without the GIL: the thread is back in write() before
        // anybody else has come to run.
        let (completed, _) = respond_over(
            &gate,
            &format!(
                "
import threading
seen = None
written = threading.Event()
def work(write):
    for n in range(2_000):
        try:
            write(b'x' * 100_000)
            written.set()
        except RuntimeError as e:
            if 'after the end' in str(e):
                return
def application(environ, start_response):
    write = start_response('200 OK', [])
    threading.Thread(target=work, args=(write,)).start()
    written.wait()
    return {result}
"
            ),
        );
        assert_eq!(completed.end, ResponseEnd::Complete, "{result}");
        assert!(completed.failures.is_empty(), "{result}");
        let sent = gate.lock().sent.len();
        assert!(sent < 100_000_000, "{result}: {sent} bytes");
    }
}

#[test]
fn other_threads_run_while_one_waits_for_its_client() {
    let gate = Arc::new(Gate::default());
    let (completed, seen) = respond_over(
        &gate,
        "
import threading
seen = []
def meanwhile():
    until_waited_for()
    seen.append('ran')
    open_soon()
def application(environ, start_response):
    thread = threading.Thread(target=meanwhile)
    thread.start()
    start_response('200 OK', [])
    yield b'x'
    thread.join()
",
    );
    assert_eq!(seen, "['ran']");
    assert_eq!(completed.end, ResponseEnd::Complete);
    assert_eq!(gate.lock().sent, b"HTTP/1.1 200 OK\r\n\r\nx");
}

#[test]
fn log_takes_lines_of_many_threads_whole() {
    let log = Log::default();
    Python::attach(|py| {
        let names = PyDict::new(py);
        names
            .set_item("errors", Bound::new(py, log.errors()).unwrap())
            .unwrap();
        py.run(
            c"
import threading
def work(name):
    for n in range(200):
        errors.write('%s says %d\\n' % (name, n))
threads = [threading.Thread(target=work, args=(name,)) for name in 'abcd']
for thread in threads: thread.start()
for thread in threads: thread.join()
",
            Some(&names),
            None,
        )
        .unwrap();
    });
    let text = log.text();
    assert_eq!(text.lines().count(), 800);
    assert!(
        text.lines().all(|line| line[1..].starts_with(" says ")),
        "{text}"
    );
}
