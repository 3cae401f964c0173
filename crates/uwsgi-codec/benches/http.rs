//! What a gateway and an adapter pay for one request: nginx's packet for a browser's GET as a
//! request of HTTP and back, and the head of its reply.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use uwsgi_codec::http::{
    BodyLength, ConnectionInfo, ReplyHead, ReplyLimits, RequestMapping, from_vars,
};
use uwsgi_codec::{Limits, PacketBuilder, PacketRef};

const WIRE: &[u8] = include_bytes!("../tests/fixtures/get.bin");

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    X-Frame-Options: DENY\r\n\
    Vary: Cookie\r\n\
    Content-Length: 12034\r\n\
    X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: same-origin\r\n\
    Cross-Origin-Opener-Policy: same-origin\r\n\
    Set-Cookie: csrftoken=Xn9W1kYpGQ0hbXkzM1dAQe5Zt0sYVb3K; Path=/; SameSite=Lax\r\n\
    \r\n";

fn request(c: &mut Criterion) {
    let packet = PacketRef::decode(WIRE, &Limits::default())
        .expect("captured from nginx")
        .expect("captured whole");
    let vars = packet.vars.to_owned();
    let (parts, _) = from_vars(&vars).expect("captured from nginx");
    let mapping = RequestMapping::new();
    let connection = ConnectionInfo::new().with_server_name("example.com");

    let mut group = c.benchmark_group("request");
    group.bench_function("to vars", |b| {
        let mut packet = PacketBuilder::new();
        b.iter(|| {
            packet.clear();
            mapping.to_vars(
                black_box(&parts),
                &connection,
                BodyLength::Absent,
                &mut packet,
            )
        });
    });
    group.bench_function("from vars", |b| b.iter(|| from_vars(black_box(&vars))));
    group.finish();
}

fn reply(c: &mut Criterion) {
    let limits = ReplyLimits::default();
    let head = ReplyHead::parse(HEAD, &Method::GET, &limits);
    let (head, _) = head.expect("written by hand").expect("written whole");

    let mut group = c.benchmark_group("reply");
    group.bench_function("parse", |b| {
        b.iter(|| ReplyHead::parse(black_box(HEAD), &Method::GET, &limits));
    });
    group.bench_function("parse, one byte missing", |b| {
        let part = &HEAD[..HEAD.len() - 1];
        b.iter(|| ReplyHead::parse(black_box(part), &Method::GET, &limits));
    });
    group.bench_function("make", |b| {
        b.iter(|| {
            ReplyHead::new(
                head.status(),
                black_box(head.headers()).clone(),
                &Method::GET,
            )
        });
    });
    group.bench_function("write", |b| {
        let mut out = Vec::with_capacity(1_024);
        b.iter(|| {
            out.clear();
            black_box(&head).encode(&mut out)
        });
    });
    group.finish();
}

criterion_group!(benches, request, reply);
criterion_main!(benches);
