//! What a server pays for one packet, as nginx sends it for a browser's GET:
//! 24 vars in 838 bytes.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use uwsgi_codec::{Limits, Packet, PacketBuilder, PacketRef};

const WIRE: &[u8] = include_bytes!("../tests/fixtures/get.bin");

fn decode(c: &mut Criterion) {
    let limits = Limits::default();
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(WIRE.len() as u64));

    group.bench_function("borrowed", |b| {
        b.iter(|| PacketRef::decode(black_box(WIRE), &limits));
    });
    group.bench_function("borrowed, then every pair", |b| {
        b.iter(|| {
            let packet = PacketRef::decode(black_box(WIRE), &limits);
            for pair in packet.iter().flatten().flat_map(|packet| packet.vars) {
                black_box(pair);
            }
        });
    });
    group.bench_function("borrowed, and where every value is", |b| {
        let mut places = [(0, 0); 24];
        b.iter(|| {
            let mut free = places.iter_mut();
            let packet = PacketRef::decode_with(black_box(WIRE), &limits, |var| {
                if let Some(place) = free.next() {
                    *place = (var.offset, var.value.len());
                }
            });
            black_box(&places);
            packet
        });
    });
    group.bench_function("owned", |b| {
        b.iter_batched_ref(
            || BytesMut::from(WIRE),
            |src| Packet::decode(src, &limits),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn get(c: &mut Criterion) {
    let packet = packet();
    let mut group = c.benchmark_group("get");
    for key in ["QUERY_STRING", "HTTP_COOKIE", "HTTPS"] {
        group.bench_function(key, |b| b.iter(|| packet.vars.get(black_box(key))));
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let packet = packet();
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Bytes(WIRE.len() as u64));

    group.bench_function("build from pairs", |b| {
        b.iter(|| {
            let mut builder = PacketBuilder::new();
            let built = builder.vars(black_box(packet.vars));
            built.and_then(|builder| builder.to_vec())
        });
    });
    group.bench_function("build again from pairs", |b| {
        let pairs: Vec<_> = packet.vars.iter().collect();
        let mut builder = PacketBuilder::new();
        b.iter(|| {
            let built = builder.clear().vars(black_box(&pairs[..]).iter().copied());
            built.map(|builder| builder.as_bytes().map(<[u8]>::len))
        });
    });
    group.bench_function("forward", |b| {
        let mut dst = BytesMut::with_capacity(WIRE.len());
        b.iter(|| {
            dst.clear();
            black_box(packet).encode(&mut dst)
        });
    });
    group.finish();
}

fn packet() -> PacketRef<'static> {
    PacketRef::decode(WIRE, &Limits::default())
        .expect("captured from nginx")
        .expect("captured whole")
}

criterion_group!(benches, decode, get, encode);
criterion_main!(benches);
