//! What a message costs in memory: in proportion to its size, whatever lengths it claims. A process of its own, so that
//! the peak that the system recorded is that of the codec.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "all of it is a test")]

use tfplugin_schema::{Type, Value, json, msgpack};

#[test]
fn memory_is_bounded_by_the_message_and_not_by_what_it_claims() {
    let before = peak_kib();
    // Each level claims four billion elements, or as many as there are bytes.
    let nested = (0..100).fold(Type::Bool, |inner, _| Type::list(inner));
    for claim in [b"\xdd\xff\xff\xff\xff".as_slice(), b"\xdd\x00\x0f\xff\xff"] {
        let mut wire = claim.repeat(100);
        wire.resize(1 << 20, 0xc0);
        assert!(msgpack::decode(&wire, &nested).is_err());
        assert!(msgpack::decode(&wire, &Type::list(Type::map(Type::Dynamic))).is_err());
    }
    let mut dynamic = b"\x92\xc6\xff\xff\xff\xff".repeat(100);
    dynamic.resize(1 << 20, b' ');
    assert!(msgpack::decode(&dynamic, &Type::Dynamic).is_err());
    assert!(json::decode(&vec![b'['; 1 << 20], &nested).is_err());
    assert!(json::decode_state(&vec![b'['; 1 << 20], &Type::Number).is_err());
    assert!(Type::from_json(&vec![b'['; 1 << 20]).is_err());
    let lies = peak_kib() - before;
    assert!(lies < 64 << 10, "{lies} KiB for messages of 1 MiB that lie");

    // The worst of honest messages: a value for each byte.
    let mut wire = b"\xdd\x00\x10\x00\x00".to_vec();
    wire.resize(wire.len() + (1 << 20), 0xc0);
    let value = msgpack::decode(&wire, &Type::list(Type::Bool)).unwrap();
    assert_eq!(value.as_elements().map(<[Value]>::len), Some(1 << 20));
    let honest = peak_kib() - before;
    assert!(honest < 160 << 10, "{honest} KiB for a message of 1 MiB");
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
