use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::Frames;
use crate::protocol::{Protocol, ProtocolError};

use Protocol::{Json, MessagePack};

const TOO_LONG_32K: &str = "InvalidDataException: The maximum message size of 32768B was \
    exceeded. The message size can be configured in AddHubOptions.";
const OVER_2_GB: &str = "FormatException: Messages over 2GB in size are not supported.";

fn drain(
    frames: &mut Frames,
    protocol: Protocol,
    max: Option<usize>,
) -> Result<Vec<Bytes>, ProtocolError> {
    let mut records = Vec::new();
    while let Some(record) = frames.next(protocol, max)? {
        records.push(record);
    }
    Ok(records)
}

fn frame(protocol: Protocol, record: &[u8], out: &mut Vec<u8>) {
    if protocol == Json {
        out.extend_from_slice(record);
        out.push(0x1E);
        return;
    }
    let mut rest = record.len();
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(record);
}

/// What the first error says after `bytes`.
fn error(bytes: &[u8], protocol: Protocol, max: Option<usize>) -> Option<String> {
    let mut frames = Frames::default();
    frames.push(Bytes::copy_from_slice(bytes));
    drain(&mut frames, protocol, max)
        .err()
        .map(|error| error.to_string())
}

fn holds_nothing(frames: &Frames) -> bool {
    frames.is_empty() && frames.partial.capacity() == 0 && frames.ready.is_empty()
}

#[test]
fn f_01_f_02_records_at_every_split() {
    let records: [&[u8]; 5] = [b"{}", b"", &[b'x'; 127], &[b'y'; 128], b"z"];
    for protocol in Protocol::ALL {
        let mut stream = Vec::new();
        for record in records {
            frame(protocol, record, &mut stream);
        }
        for split in 0..=stream.len() {
            let mut frames = Frames::default();
            let (first, second) = stream.split_at(split);
            frames.push(Bytes::copy_from_slice(first));
            let mut got = drain(&mut frames, protocol, Some(130)).expect("a first half");
            frames.push(Bytes::copy_from_slice(second));
            got.extend(drain(&mut frames, protocol, Some(130)).expect("a second half"));
            assert_eq!(got, records, "{protocol:?} split at {split}");
            assert!(holds_nothing(&frames), "{protocol:?} split at {split}");
        }
    }
}

#[test]
fn f_01_whole_records_are_slices_of_what_was_pushed() {
    for protocol in Protocol::ALL {
        let mut stream = Vec::new();
        for record in [b"first", b"third"] {
            frame(protocol, record, &mut stream);
        }
        let pushed = Bytes::from(stream);
        let range = pushed.as_ptr_range();
        let mut frames = Frames::default();
        frames.push(pushed.clone());
        for record in drain(&mut frames, protocol, None).expect("two records") {
            assert!(range.contains(&record.as_ptr()), "{protocol:?}");
        }
        assert!(holds_nothing(&frames));
        assert!(pushed.is_unique(), "{protocol:?}");
    }
}

#[test]
fn f_04_a_few_bytes_do_not_keep_the_whole_read_buffer() {
    let pushed = Bytes::from([b"{}\x1e{".as_slice(), &[b' '; 10]].concat());
    let mut frames = Frames::default();
    frames.push(pushed.clone());
    assert_eq!(drain(&mut frames, Json, None).expect("one"), ["{}"]);
    assert!(pushed.is_unique());
    assert_eq!(frames.len(), 11);
}

#[test]
fn f_04_after_a_record_in_pieces_the_rest_are_slices_again() {
    let mut frames = Frames::default();
    frames.push(Bytes::from_static(b"{\"a\""));
    assert_eq!(frames.next(Json, None), Ok(None));
    let pushed = Bytes::from_static(b":1}\x1e{}\x1e");
    frames.push(pushed.clone());
    assert_eq!(frames.next(Json, None).unwrap().unwrap(), "{\"a\":1}");
    let second = frames.next(Json, None).unwrap().unwrap();
    assert_eq!(second.as_ptr(), pushed[4..].as_ptr());
    assert!(holds_nothing(&frames));
}

#[test]
fn f_04_pushes_that_were_not_drained_are_joined() {
    let mut frames = Frames::default();
    for piece in ["{}", "\u{1e}[", "]\u{1e}1\u{1e}", "2"] {
        frames.push(Bytes::from_static(piece.as_bytes()));
    }
    assert_eq!(
        drain(&mut frames, Json, Some(3)).unwrap(),
        ["{}", "[]", "1"]
    );
    assert_eq!(frames.len(), 1);
}

#[test]
fn f_04_the_stream_may_not_end_inside_a_record() {
    let mut frames = Frames::default();
    assert_eq!(frames.end(), Ok(()));
    frames.push(Bytes::from_static(&[0x10, 0x96]));
    assert_eq!(frames.next(MessagePack, None), Ok(None));
    let error = frames.end().expect_err("half a record");
    assert_eq!(
        error.to_string(),
        "InvalidDataException: Connection terminated while reading a message."
    );
}

#[test]
fn f_03_lengths_out_of_range() {
    let cases: [(&[u8], Option<&str>); 7] = [
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0x0F], Some(OVER_2_GB)),
        (&[0x80, 0x80, 0x80, 0x80, 0x08], Some(OVER_2_GB)),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x07], Some(OVER_2_GB)),
        (&[0x80, 0x80, 0x80, 0x80, 0x80], Some(OVER_2_GB)),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0x07], None),
        (&[0xFF, 0xFF, 0xFF, 0xFF], None),
        (&[0x83, 0x80, 0x00, 0x92, 0x06, 0xC0], None),
    ];
    for (bytes, expected) in cases {
        assert_eq!(
            error(bytes, MessagePack, None).as_deref(),
            expected,
            "{bytes:x?}"
        );
    }
}

#[test]
fn f_05_the_limit_counts_the_framed_record() {
    let text = TOO_LONG_32K.replace("32768", "200");
    for (protocol, fits) in [(Json, 199), (MessagePack, 198)] {
        for (length, expected) in [(fits, None), (fits + 1, Some(text.as_str()))] {
            let mut stream = Vec::new();
            frame(protocol, &vec![b'x'; length], &mut stream);
            let got = error(&stream, protocol, Some(200));
            assert_eq!(got.as_deref(), expected, "{protocol:?} of {length}");
        }
    }
}

#[test]
fn f_05_many_small_records_may_exceed_the_limit_together() {
    for protocol in Protocol::ALL {
        let mut stream = Vec::new();
        for _ in 0..1000 {
            frame(protocol, b"1234", &mut stream);
        }
        assert_eq!(error(&stream, protocol, Some(5)), None);
        assert!(error(&stream, protocol, Some(4)).is_some());
    }
}

#[test]
fn f_06_what_cannot_fit_is_refused_at_once() {
    let max = Some(32_768);
    let cases: [(&[u8], Option<&str>); 5] = [
        (&[0xFC, 0xFF, 0x01], None),
        (&[0xFD, 0xFF, 0x01], None),
        (&[0xFF, 0xFF, 0x7F, 0x91], Some(TOO_LONG_32K)),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 0x07], Some(TOO_LONG_32K)),
        // The longest that fits with its prefix is 32,765.
        (&[0xFE, 0xFF, 0x01], Some(TOO_LONG_32K)),
    ];
    for (bytes, expected) in cases {
        assert_eq!(
            error(bytes, MessagePack, max).as_deref(),
            expected,
            "{bytes:x?}"
        );
    }
    assert_eq!(error(&[b' '; 32_768], Json, max), None);
    assert_eq!(
        error(&[b' '; 32_769], Json, max).as_deref(),
        Some(TOO_LONG_32K)
    );
    assert!(error(&[0x80, 0x80, 0x80], MessagePack, Some(2)).is_some());
}

#[test]
fn f_06_an_announced_length_takes_no_memory() {
    let mut frames = Frames::default();
    frames.push(Bytes::from_static(&[0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0x91]));
    assert_eq!(frames.next(MessagePack, None), Ok(None));
    assert!(frames.partial.capacity() < 100);
}

#[test]
fn f_04_byte_by_byte_scans_each_byte_once() {
    let mut frames = Frames::default();
    for length in 1..=300_000 {
        frames.push(Bytes::from_static(b" "));
        assert_eq!(frames.next(Json, None), Ok(None));
        assert_eq!(frames.scanned, length);
    }
    frames.push(Bytes::from_static(b"\x1e"));
    let record = frames.next(Json, None).unwrap().unwrap();
    assert_eq!(record.len(), 300_000);
    assert!(holds_nothing(&frames));
}

#[test]
fn h_03_the_protocol_changes_within_one_push() {
    let mut frames = Frames::default();
    frames.push(Bytes::from_static(
        b"{\"protocol\":\"messagepack\",\"version\":1}",
    ));
    assert_eq!(frames.next(Json, Some(100)), Ok(None));
    frames.push(Bytes::from_static(b"\x1e\x02\x91\x06\x03\x92"));
    assert!(frames.next(Json, Some(100)).unwrap().is_some());
    assert_eq!(
        frames.next(MessagePack, Some(100)).unwrap().unwrap(),
        b"\x91\x06"[..]
    );
    assert_eq!(frames.next(MessagePack, Some(100)), Ok(None));
    frames.push(Bytes::from_static(b"\x06\xc0"));
    assert_eq!(
        frames.next(MessagePack, Some(100)).unwrap().unwrap(),
        b"\x92\x06\xc0"[..]
    );
    assert!(holds_nothing(&frames));
}

proptest! {
    #[test]
    fn f_04_pieces_of_any_size_give_the_same_records(
        lengths in prop::collection::vec(0_usize..300, 0..20),
        pieces in prop::collection::vec((1_usize..200, any::<bool>()), 1..20),
        json in any::<bool>(),
    ) {
        let protocol = if json { Json } else { MessagePack };
        let mut stream = Vec::new();
        for &length in &lengths {
            frame(protocol, &vec![b'a'; length], &mut stream);
        }
        let mut rest = BytesMut::from(&stream[..]).freeze();
        let mut frames = Frames::default();
        let mut got = Vec::new();
        for &(length, drained) in pieces.iter().cycle() {
            frames.push(rest.split_to(length.min(rest.len())));
            if drained || rest.is_empty() {
                got.extend(drain(&mut frames, protocol, Some(302)).unwrap());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(got.iter().map(Bytes::len).collect::<Vec<_>>(), lengths);
        prop_assert!(holds_nothing(&frames));
    }

    #[test]
    fn f_05_no_input_panics(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..20),
        max in prop::option::of(0_usize..50),
    ) {
        let mut frames = Frames::default();
        for (piece, json) in pieces {
            frames.push(piece.into());
            let protocol = if json { Json } else { MessagePack };
            if drain(&mut frames, protocol, max).is_err() {
                break;
            }
            prop_assert!(max.is_none_or(|max| frames.len() <= max));
        }
    }
}
