//! What a slot pays for one environ: the 24 variables that nginx sends for a
//! browser's GET, and 9 entries of the server's own. The dict is freed again in
//! the time that is measured.
//!
//! The yardstick is what a server in C does: make a string of every key and of
//! every value, and put them into a new dict.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use uwsgi_codec::{Limits, Packet, PacketBuilder, PacketRef, VarsRef};
use wsgi_environ::{
    Body, EnvironBuilder, Errors, ForwardedProto, Input, RequestId, ScriptName, ServerInfo,
};

const WIRE: &[u8] = include_bytes!("../../uwsgi-codec/tests/fixtures/get.bin");

fn build(c: &mut Criterion) {
    let get = PacketRef::decode(WIRE, &Limits::default())
        .expect("captured from nginx")
        .expect("captured whole")
        .vars;
    let changed = [
        "REQUEST_URI",
        "PATH_INFO",
        "QUERY_STRING",
        "REMOTE_PORT",
        "HTTP_REFERER",
    ];
    let next: Vec<_> = (0..64)
        .map(|n| {
            variant(get, |key, value, packet| {
                let mut value = value.to_vec();
                if changed.iter().any(|name| name.as_bytes() == key) {
                    value.extend_from_slice(format!("{n}").as_bytes());
                }
                add(packet, key, &value);
            })
        })
        .collect();
    let shapes: Vec<_> = (0..17)
        .map(|n| {
            variant(get, |key, value, packet| {
                if key == b"HTTP_DNT" {
                    add(packet, format!("HTTP_X_{n}").as_bytes(), value);
                } else {
                    add(packet, key, value);
                }
            })
        })
        .collect();
    let repeated = variant(get, |key, value, packet| {
        add(packet, key, value);
        if key == b"HTTP_COOKIE" {
            add(packet, key, b"theme=dark");
        }
    });
    let overridden = variant(get, |key, value, packet| {
        add(packet, key, value);
        if key == b"HTTP_DNT" {
            add(packet, b"HTTP_HOST", b"shop.example:8443");
        }
    });
    let mut pairs = PacketBuilder::new();
    for n in 0..490 {
        add(&mut pairs, format!("HTTP_X_{}", n % 245).as_bytes(), b"x");
    }
    let pairs = pairs.build().expect("small enough");

    let mut group = c.benchmark_group("environ");
    for (name, packets) in [
        ("the same request again", &next[..1]),
        ("the next request of a client", &next),
        ("sixteen kinds of request in turn", &shapes[..16]),
        (
            "seventeen kinds of request in turn, none remembered",
            &shapes,
        ),
        ("a repeated header, never remembered", &[repeated]),
        ("a header that a parameter overrides", &[overridden]),
        ("245 headers twice each", &[pairs]),
    ] {
        Python::attach(|py| {
            let errors = Py::new(py, Errors::new(|_| {})).expect("memory");
            let mut builder = EnvironBuilder::new(py, &server_info(), errors).expect("memory");
            let input = Input::new(py, Body::empty()).expect("memory");
            let mut packets = packets.iter().cycle();
            group.bench_function(name, |b| {
                b.iter(|| {
                    let vars = packets.next().map(|packet| packet.vars.as_ref());
                    builder.build(
                        py,
                        black_box(vars.unwrap_or_default()),
                        ScriptName::AsSent,
                        RequestId::Sent,
                        &input,
                    )
                });
            });
        });
    }
    Python::attach(|py| {
        let errors = Py::new(py, Errors::new(|_| {})).expect("memory");
        let mut builder = EnvironBuilder::new(py, &server_info(), errors).expect("memory");
        let input = Input::new(py, Body::empty()).expect("memory");
        let mut packets = next.iter().cycle();
        group.bench_function("the next request of a client, as pairs", |b| {
            b.iter(|| {
                let vars = packets.next().map(|packet| packet.vars.as_ref());
                let pairs = black_box(vars.unwrap_or_default()).iter();
                builder.build_from_pairs(py, pairs, ScriptName::AsSent, RequestId::Sent, &input)
            });
        });
    });
    Python::attach(|py| {
        let constants: Vec<_> = (0..9)
            .map(|n| {
                (
                    PyString::intern(py, &format!("wsgi.{n}")),
                    PyString::new(py, "constant"),
                )
            })
            .collect();
        let mut packets = next.iter().cycle();
        group.bench_function("yardstick: the next request, call by call in C", |b| {
            b.iter(|| {
                let vars = packets.next().map(|packet| packet.vars.as_ref());
                let environ = PyDict::new(py);
                for (key, value) in black_box(vars.unwrap_or_default()) {
                    decode_and_set(&environ, key, value);
                }
                for (name, value) in &constants {
                    environ.set_item(name, value).expect("memory");
                }
                environ
            });
        });
    });
    group.finish();
}

/// The calls of CPython's API that a server in C makes for a variable.
#[expect(unsafe_code, reason = "the functions as C calls them")]
fn decode_and_set(environ: &Bound<'_, PyDict>, key: &[u8], value: &[u8]) {
    let decode = |text: &[u8]| {
        let len = isize::try_from(text.len()).expect("a block has 65,535 bytes");
        // SAFETY: the interpreter is attached, and `len` bytes are there to be read.
        unsafe { ffi::PyUnicode_DecodeLatin1(text.as_ptr().cast(), len, std::ptr::null()) }
    };
    let (key, value) = (decode(key), decode(value));
    // SAFETY: both are new references, or null for want of memory, which they are checked
    // for before they are used; the dict takes references of its own.
    unsafe {
        assert!(!key.is_null() && !value.is_null(), "memory");
        let status = ffi::PyDict_SetItem(environ.as_ptr(), key, value);
        ffi::Py_DECREF(key);
        ffi::Py_DECREF(value);
        assert_eq!(status, 0, "memory");
    }
}

fn variant(vars: VarsRef<'_>, change: impl Fn(&[u8], &[u8], &mut PacketBuilder)) -> Packet {
    let mut builder = PacketBuilder::new();
    for (key, value) in vars {
        change(key, value, &mut builder);
    }
    builder.build().expect("small enough")
}

fn add(packet: &mut PacketBuilder, key: &[u8], value: &[u8]) {
    packet.var(key, value).expect("small enough");
}

fn server_info() -> ServerInfo {
    ServerInfo {
        multithread: true,
        multiprocess: false,
        server_name: "localhost".to_owned(),
        server_port: 80,
        forwarded_proto: ForwardedProto::Ignore,
    }
}

criterion_group!(benches, build);
criterion_main!(benches);
