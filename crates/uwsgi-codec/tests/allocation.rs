//! What decoding and encoding do without: an allocator that counts is the judge.

#![expect(unsafe_code, reason = "a global allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::BytesMut;
use uwsgi_codec::{DecodeError, Limits, Packet, PacketBuilder, PacketRef};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on to `System` as it came, and counting does not
// allocate: the thread-local is constant-initialised and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about `layout` is the one needed here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: `ptr` came from `System` with this `layout`, and the
        // caller's promise about `new_size` is the one needed here.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System` with this `layout`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// Counts the allocations of this thread while `run` runs.
fn allocations<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = ALLOCATIONS.get();
    let result = run();
    (ALLOCATIONS.get() - before, result)
}

#[test]
fn allocator_counts() {
    let (count, _) = allocations(|| Box::new(1_u8));

    assert_eq!(count, 1);
}

#[test]
fn borrowing_decoder_allocates_nothing() {
    let wire = include_bytes!("fixtures/get.bin");

    let (count, found) = allocations(|| {
        let packet = PacketRef::decode(wire, &Limits::default()).ok()??;
        let bytes: usize = packet.vars.iter().map(|(k, v)| k.len() + v.len()).sum();
        let host = packet.vars.get("HTTP_HOST")?;
        Some((packet.vars.len(), bytes, host))
    });

    assert_eq!(found, Some((24, 838 - 24 * 4, &b"example.com"[..])));
    assert_eq!(count, 0);
}

#[test]
fn owning_decoder_copies_no_var() {
    let mut received = BytesMut::from(&include_bytes!("fixtures/get.bin")[..]);

    let (count, packet) = allocations(|| Packet::decode(&mut received, &Limits::default()));

    assert!(matches!(packet, Ok(Some(packet)) if packet.vars.len() == 24));
    // The reference count that the packet and the buffer share from now on.
    assert_eq!(count, 1);
}

#[test]
fn refusing_allocates_nothing() {
    let limits = Limits::default().with_max_block(16).with_max_vars(1);
    let cases: &[(&str, &[u8], DecodeError)] = &[
        (
            "a header that announces too much",
            &[0, 17, 0, 0],
            DecodeError::BlockTooLarge {
                datasize: 17,
                limit: 16,
            },
        ),
        (
            "one var too many",
            b"\x00\x0a\x00\x00\x01\x00a\x00\x00\x01\x00b\x00\x00",
            DecodeError::TooManyVars { limit: 1 },
        ),
        ("HTTP", b"GET / HTTP/1.1", DecodeError::PlainHttp),
        (
            "a malformed block",
            b"\x00\x01\x00\x00\x00",
            DecodeError::TrailingByte { offset: 0 },
        ),
    ];
    for (name, wire, expected) in cases {
        let mut received = BytesMut::from(*wire);

        let (count, result) = allocations(|| Packet::decode(&mut received, &limits));

        assert_eq!(result, Err(expected.clone()), "{name}");
        assert_eq!(count, 0, "{name}");
    }
}

#[test]
fn encoding_allocates_once() {
    let mut builder = PacketBuilder::new();
    builder.var("HTTP_COOKIE", [b'c'; 4000]).unwrap();

    let mut wire = BytesMut::new();
    let (count, result) = allocations(|| builder.encode(&mut wire));
    assert_eq!((count, result), (1, Ok(())));

    let (count, wire) = allocations(|| builder.to_vec());
    assert_eq!(count, 1);
    assert!(wire.is_ok());
}
