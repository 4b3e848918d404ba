//! The hub protocols alone: one message of each type read from its record, and written.
//!
//! The arguments of an invocation, and the names, are those of ASP.NET Core's `HubProtocolBenchmark`:
//! none, few (3), many (8), and large (two of 10 KiB). The limit, `memcpy`, copies the record; beside
//! it, for an invocation in JSON, stands what serde makes of a struct for its members.

mod support {
    pub(crate) mod settings;
}

use std::{hint::black_box, time::Duration};

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use hub::{
    Completion, HubMessage, Invocation, Protocol,
    protocol::{Encoding, Frames, Names},
};
use serde::Deserialize;
use serde_json::value::RawValue;

fn main() {
    let mut criterion = support::settings::criterion(50, Duration::from_millis(500));
    for protocol in [Protocol::MessagePack, Protocol::Json] {
        read(&mut criterion, protocol);
        write(&mut criterion, protocol);
    }
    criterion.final_summary();
}

fn read(criterion: &mut Criterion, protocol: Protocol) {
    let mut group = criterion.benchmark_group(format!("protocol-{}-read", protocol.name()));
    for (name, message) in messages(protocol) {
        let record = written(protocol, &message);
        memcpy(&mut group, name, &record);
        let read = |record: &Bytes| {
            let mut frames = Frames::default();
            frames.push(record.clone());
            let record = frames.next(protocol, None).expect(VALID).expect(VALID);
            protocol.decode(&record).expect(VALID).expect(VALID)
        };
        assert_eq!(read(&record), message);
        group.bench_function(BenchmarkId::new("hub", name), |b| {
            b.iter(|| read(black_box(&record)));
        });
        if protocol == Protocol::Json && matches!(message, HubMessage::Invocation(_)) {
            let read = |record: &[u8]| -> usize {
                let record = record.strip_suffix(b"\x1e").expect(VALID);
                let members: Members<'_> = serde_json::from_slice(record).expect(VALID);
                members.arguments.get().len() + members.target.len() + usize::from(members.kind)
            };
            group.bench_function(BenchmarkId::new("serde_json", name), |b| {
                b.iter(|| read(black_box(&record)));
            });
        }
    }
}

fn write(criterion: &mut Criterion, protocol: Protocol) {
    let mut group = criterion.benchmark_group(format!("protocol-{}-write", protocol.name()));
    for (name, message) in messages(protocol) {
        let record = written(protocol, &message);
        memcpy(&mut group, name, &record);
        let mut out = BytesMut::with_capacity(record.len());
        group.bench_function(BenchmarkId::new("hub", name), |b| {
            b.iter(|| {
                out.clear();
                protocol.encode(black_box(&message), &mut out);
            });
        });
    }
}

fn memcpy(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, record: &[u8]) {
    group.throughput(Throughput::Bytes(record.len() as u64));
    let mut out = vec![0; record.len()];
    group.bench_function(BenchmarkId::new("memcpy", name), |b| {
        b.iter(|| black_box(&mut out[..]).copy_from_slice(black_box(record)));
    });
}

fn written(protocol: Protocol, message: &HubMessage) -> Bytes {
    let mut out = BytesMut::new();
    protocol.encode(message, &mut out);
    out.freeze()
}

/// One of each type, and of an invocation one of each kind of arguments.
fn messages(protocol: Protocol) -> Vec<(&'static str, HubMessage)> {
    let encoding = Encoding {
        protocol,
        names: Names::AsDeclared,
    };
    let id = || "123".into();
    let invocation = |arguments: Bytes| {
        HubMessage::Invocation(Invocation {
            invocation_id: None,
            target: "Target".into(),
            arguments,
            stream_ids: Vec::new(),
        })
    };
    let arguments = |kind: &str| {
        let arguments = match kind {
            "NoArguments" => encoding.encode_arguments(&()),
            "FewArguments" => encoding.encode_arguments(&(1, "Foo", 2.0_f32)),
            "ManyArguments" => encoding.encode_arguments(&(
                1,
                "string",
                2.0_f32,
                true,
                9_u8,
                hub::Binary::from(vec![5, 4, 3, 2, 1]),
                'c',
                123_456_789_101_112_i64,
            )),
            _ => encoding
                .encode_arguments(&("F".repeat(10 * 1024), hub::Binary::from(vec![0; 10 * 1024]))),
        };
        arguments.expect(VALID)
    };
    let value = || encoding.encode("value").expect(VALID);
    let sequence_id = 123_456;
    let kinds = [
        "NoArguments",
        "FewArguments",
        "ManyArguments",
        "LargeArguments",
    ];
    let invocations = kinds.map(|kind| (kind, invocation(arguments(kind))));
    let others = [
        (
            "StreamInvocation",
            HubMessage::StreamInvocation(Invocation {
                invocation_id: Some(id()),
                target: "Target".into(),
                arguments: arguments("FewArguments"),
                stream_ids: Vec::new(),
            }),
        ),
        (
            "StreamItem",
            HubMessage::StreamItem {
                invocation_id: id(),
                item: value(),
            },
        ),
        (
            "Completion",
            HubMessage::Completion {
                invocation_id: id(),
                completion: Completion::Result(value()),
            },
        ),
        (
            "CancelInvocation",
            HubMessage::CancelInvocation {
                invocation_id: id(),
            },
        ),
        ("Ping", HubMessage::Ping),
        (
            "Close",
            HubMessage::Close {
                error: Some("error".into()),
                allow_reconnect: true,
            },
        ),
        ("Ack", HubMessage::Ack { sequence_id }),
        ("Sequence", HubMessage::Sequence { sequence_id }),
    ];
    invocations.into_iter().chain(others).collect()
}

/// What serde reads of an invocation.
#[derive(Deserialize)]
struct Members<'a> {
    #[serde(rename = "type")]
    kind: u8,
    target: &'a str,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

const VALID: &str = "the messages are valid";
