//! Values: where they end, and what becomes of malformed ones.

use super::{call, completion, decode, decoded, hex, skip};
use crate::protocol::message::{Completion, HubMessage};

#[test]
fn m_07_bad_arguments_are_kept_and_no_error() {
    let deep = format!("{}c0", "91".repeat(65));
    for (items, arguments, behind, kept) in [
        ("94", "", "", ""),
        ("96", "80", "91 a173", "80"),
        ("96", "c0", "c0", "c0"),
        ("96", "05", "", "05"),
        ("95", "92 a178", "", "92 a178"),
        ("96", "91 c1", "90", "91 c1 90"),
        ("96", "c1", "90", "c1 90"),
        ("96", "ddffffffff", "90", "ddffffffff 90"),
        ("96", "91 dfffffffff", "90", "91 dfffffffff 90"),
        ("96", deep.as_str(), "", deep.as_str()),
    ] {
        let record = format!("{items} 01 80 a131 a45a65726f {arguments} {behind}");
        let HubMessage::Invocation(got) = decoded(&record) else {
            panic!("no invocation: {record}");
        };
        assert_eq!(got, call(Some("1"), "Zero", kept), "{record}");
    }
}

#[test]
fn up_06_bad_items_and_results_are_kept() {
    for (value, kept) in [
        ("", ""),
        ("c1 c0", "c1 c0"),
        ("a5 78", "a578"),
        ("01 02", "01"),
    ] {
        let item = HubMessage::StreamItem {
            invocation_id: "xyz".into(),
            item: hex(kept),
        };
        assert_eq!(decoded(&format!("93 02 80 a378797a {value}")), item);
        let record = format!("94 03 80 a378797a 03 {value}");
        if value.starts_with("c1") {
            let fault = decode(&hex(&record)).unwrap_err().to_string();
            let text = "MessagePackSerializationException: Unexpected msgpack code 193 ((never used)) encountered.";
            assert_eq!(fault, text);
        } else {
            let result = completion(Completion::Result(hex(kept)));
            assert_eq!(decoded(&record), result);
        }
    }
}

#[test]
fn m_07_values_are_nested_64_deep_at_most() {
    for (open, leaf) in [
        ("91", "00"),
        ("81 00", "00"),
        ("dc0001", "c0"),
        ("df0000000100", "c0"),
    ] {
        for (depth, accepted) in [
            (1, true),
            (63, true),
            (64, true),
            (65, false),
            (1000, false),
        ] {
            let value = hex(&format!("{}{leaf}", open.repeat(depth)));
            let expected = accepted.then_some(value.len());
            assert_eq!(end_of(&value), expected, "{depth} of {open}");
        }
    }
    // An empty array is a level too.
    assert_eq!(end_of(&hex(&format!("{}90", "91".repeat(63)))), Some(64));
    assert_eq!(end_of(&hex(&format!("{}90", "91".repeat(64)))), None);
    // Siblings are not.
    assert_eq!(
        end_of(&hex(&format!("dc0100{}", "9191c0".repeat(256)))),
        Some(771)
    );
}

#[test]
fn m_08_each_code_has_its_length() {
    for value in [
        "00",
        "7f",
        "e0",
        "ff",
        "c0",
        "c2",
        "c3",
        "cc00",
        "cd0000",
        "ce00000000",
        "cf0000000000000000",
        "d000",
        "d10000",
        "d200000000",
        "d30000000000000000",
        "ca00000000",
        "cb0000000000000000",
        "a0",
        "a161",
        "d900",
        "d90161",
        "da000161",
        "db0000000161",
        "c400",
        "c40161",
        "c5000161",
        "c60000000161",
        "d40100",
        "d5010000",
        "d60100000000",
        "d7010000000000000000",
        "d80100000000000000000000000000000000",
        "c70001",
        "c7010100",
        "c800010100",
        "c9000000010100",
        "90",
        "920102",
        "dc00020102",
        "dd000000020102",
        "80",
        "81a16101",
        "de0001a16101",
        "df00000001a16101",
        "9281a1619001",
    ] {
        let bytes = hex(value);
        assert_eq!(end_of(&bytes), Some(bytes.len()), "{value}");
        assert_eq!(
            end_of(&[&bytes[..], &[0xC1]].concat()),
            Some(bytes.len()),
            "{value}"
        );
        for length in 0..bytes.len() {
            assert_eq!(end_of(&bytes[..length]), None, "{length} bytes of {value}");
        }
    }
    assert_eq!(end_of(&[0xC1]), None);
}

#[test]
fn m_07_hostile_values_end_at_once() {
    let nested = vec![0x91; 5 << 20];
    assert_eq!(end_of(&nested), None);
    for bomb in ["ddffffffff", "dfffffffff", "dbffffffff", "c9ffffffff"] {
        let mut value = hex(bomb).to_vec();
        value.resize(5 << 20, 0xDF);
        assert_eq!(end_of(&value), None, "{bomb}");
        let record = [&hex("960180a131a45a65726f"), &value[..]].concat();
        assert!(decode(&record.into()).is_ok(), "{bomb}");
    }
    // Arrays that each announce all that is left.
    let mut value = Vec::new();
    while value.len() < 1 << 20 {
        value.extend_from_slice(&[0xDC, 0xFF, 0xFF]);
    }
    assert_eq!(end_of(&value), None);
}

fn end_of(bytes: &[u8]) -> Option<usize> {
    skip(bytes).ok()
}
