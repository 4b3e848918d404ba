//! Packets and their bytes, for all packets and all bytes.

use bytes::Bytes;
use proptest::prelude::*;
use raw_ws::wire::{MalformedPacket, Packet, WireError};

fn payload() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..300).prop_map(Bytes::from)
}

fn packet() -> impl Strategy<Value = Packet> {
    let id = any::<u32>;
    prop_oneof![
        (any::<u16>(), id(), payload()).prop_map(|(operation, id, payload)| Packet::Request {
            operation,
            id,
            payload
        }),
        (id(), any::<bool>(), payload()).prop_map(|(id, more, payload)| Packet::Response {
            id,
            more,
            payload
        }),
        (id(), any::<u16>(), any::<String>()).prop_map(|(id, code, text)| Packet::Error {
            id,
            error: WireError::new(code, text)
        }),
        (id(), payload()).prop_map(|(topic, payload)| Packet::Event { topic, payload }),
        id().prop_map(|topic| Packet::Subscribe { topic }),
        id().prop_map(|topic| Packet::Unsubscribe { topic }),
        (id(), payload()).prop_map(|(topic, payload)| Packet::Publish { topic, payload }),
    ]
}

/// Bytes that are a packet more often than chance would have it.
fn nearly_a_packet() -> impl Strategy<Value = Bytes> {
    let (small, rest) = (0..10_u8, prop::collection::vec(any::<u8>(), 0..40));
    (small, 0..3_u8, 0..2_u8, 0..2_u8, rest).prop_map(|(kind, flags, high, low, rest)| {
        let mut bytes = vec![kind, flags, high, low];
        bytes.extend(rest);
        bytes.into()
    })
}

proptest! {
    #[test]
    fn row_92_decoding_what_was_encoded_gives_the_packet(packet in packet()) {
        prop_assert_eq!(Packet::parse(packet.encode()), Ok(packet));
    }

    #[test]
    fn row_92_encoding_what_was_decoded_gives_the_bytes(bytes in nearly_a_packet()) {
        if let Ok(packet) = Packet::parse(bytes.clone()) {
            prop_assert_eq!(packet.encode(), bytes);
        }
    }

    #[test]
    fn row_91_arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let bytes = Bytes::from(bytes);
        if let Ok(packet) = Packet::parse(bytes.clone()) {
            prop_assert_eq!(packet.encode(), bytes);
        }
    }

    #[test]
    fn row_81_every_prefix_of_a_header_is_truncated(packet in packet(), len in 0..8_usize) {
        let prefix = packet.encode().slice(..len);
        prop_assert_eq!(Packet::parse(prefix), Err(MalformedPacket::Truncated));
    }
}

/// Every first byte with every flag and a few codes: exactly the documented ones are packets.
#[test]
fn row_82_exactly_the_documented_headers_are_packets() {
    for kind in 0..=255_u8 {
        for flags in 0..=255_u8 {
            for code in [0_u16, 1, 0x100, u16::MAX] {
                for payload in [&b""[..], b"x"] {
                    let [high, low] = code.to_be_bytes();
                    let mut bytes = vec![kind, flags, high, low, 0, 0, 0, 1];
                    bytes.extend(payload);
                    let expected = if !(1..=7).contains(&kind) {
                        Some(MalformedPacket::UnknownKind(kind))
                    } else if flags > u8::from(kind == 2) {
                        Some(MalformedPacket::Flags)
                    } else if code != 0 && kind != 1 && kind != 3 {
                        Some(MalformedPacket::Code)
                    } else if !payload.is_empty() && (kind == 5 || kind == 6) {
                        Some(MalformedPacket::TrailingBytes)
                    } else {
                        None
                    };
                    assert_eq!(
                        Packet::parse(bytes.clone().into()).err(),
                        expected,
                        "{bytes:?}"
                    );
                }
            }
        }
    }
}
