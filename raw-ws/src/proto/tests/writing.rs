//! What leaves, in which order, when the transport takes it in parts of any size.

use std::io::IoSlice;

use super::*;
use crate::proto::SLICES;

/// A server whose output is taken in parts.
struct Writing {
    end: End,
    now: Instant,
    wire: Vec<u8>,
}

impl Writing {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            end: End::new(Role::Server, Config::new(), now),
            now,
            wire: Vec::new(),
        }
    }

    /// Has the transport take up to `limit` bytes; gives how many it took.
    fn write(&mut self, limit: usize) -> usize {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.end.proto.poll_transmit(&mut slices);
        let mut left = limit;
        for slice in &slices[..count] {
            assert!(!slice.is_empty());
            let part = left.min(slice.len());
            self.wire.extend_from_slice(&slice[..part]);
            left -= part;
        }
        let written = limit - left;
        self.end.proto.handle_transmitted(written);
        written
    }

    fn write_all(&mut self) -> Vec<(OpCode, Bytes)> {
        while self.write(usize::MAX) > 0 {}
        assert_eq!(self.end.proto.unwritten(), 0);
        parse(&self.wire)
    }

    fn send(&mut self, len: usize, fill: u8) {
        self.end.proto.send(vec![fill; len].into()).unwrap();
    }

    fn pinged(&mut self) {
        self.end.take(&masked(OpCode::Ping, true, b"?"), self.now);
    }
}

/// Reproducible noise (an LCG, its upper bits).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn opcodes(frames: &[(OpCode, Bytes)]) -> Vec<OpCode> {
    frames.iter().map(|(opcode, _)| *opcode).collect()
}

#[test]
fn a_pong_goes_ahead_of_all_data_that_is_not_begun() {
    for len in [10, 10_000] {
        let mut writing = Writing::new();
        writing.send(len, 1);
        writing.send(len, 2);
        writing.pinged();
        assert_eq!(
            opcodes(&writing.write_all()),
            [OpCode::Pong, OpCode::Binary, OpCode::Binary]
        );
    }
}

#[test]
fn a_close_waits_for_the_data_before_it() {
    let mut writing = Writing::new();
    writing.send(10_000, 1);
    writing.send(10, 2);
    writing.end.proto.close(None, writing.now);
    assert_eq!(
        opcodes(&writing.write_all()),
        [OpCode::Binary, OpCode::Binary, OpCode::Close]
    );
}

#[test]
fn a_pong_never_lands_inside_a_frame_whatever_was_written_of_it() {
    // A small frame, a large one whose header and payload are pieces of their own, a small one.
    let total = 12 + 5_004 + 12;
    for written in 1..total {
        if (30..4_990).contains(&written) && written % 97 != 0 {
            continue;
        }
        let mut writing = Writing::new();
        writing.send(10, 1);
        writing.send(5_000, 2);
        writing.send(10, 3);
        writing.write(written);
        writing.pinged();
        let frames = writing.write_all();
        let data: Vec<_> = frames.iter().filter(|(op, _)| !op.is_control()).collect();
        assert_eq!((frames.len(), data.len()), (4, 3), "after {written} bytes");
        for ((_, payload), (len, fill)) in data.into_iter().zip([(10, 1), (5_000, 2), (10, 3)]) {
            assert_eq!(payload, &vec![fill; len], "after {written} bytes");
        }
    }
}

#[test]
fn partial_writes_change_nothing_but_the_place_of_control_frames() {
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let mut writing = Writing::new();
        let (mut data, mut pings) = (Vec::new(), Vec::new());
        let mut is_midway = false;
        for fill in 0..40 {
            match dice.roll(4) {
                0 => {
                    let ping = Bytes::from(vec![fill; dice.roll(126)]);
                    let frame = Frame::ping(ping.clone()).unwrap();
                    writing.end.proto.send_frame(&frame).unwrap();
                    pings.push((OpCode::Ping, ping));
                }
                1 | 2 => {
                    let len = [3, 200, 4_095, 4_096, 9_000][dice.roll(5)];
                    let payload = Bytes::from(vec![fill; len]);
                    let is_final = dice.roll(2) == 0;
                    let frame = if is_midway {
                        Frame::continuation(payload.clone(), is_final)
                    } else {
                        Frame::binary(payload.clone(), is_final)
                    };
                    writing.end.proto.send_frame(&frame).unwrap();
                    data.push((frame.opcode(), payload));
                    is_midway = !is_final;
                }
                _ => {
                    let limit = [1, 2, 5, 130, 4_096, 4_100, 20_000][dice.roll(7)];
                    writing.write(limit);
                }
            }
            let left = writing.end.proto.unwritten();
            let queued = |frames: &[(OpCode, Bytes)]| -> usize {
                let encoded =
                    |(op, payload): &(OpCode, Bytes)| encode(*op, true, false, None, payload).len();
                frames.iter().map(encoded).sum()
            };
            assert_eq!(writing.wire.len() + left, queued(&data) + queued(&pings));
        }
        let frames = writing.write_all();
        let (control, rest): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|(op, _)| op.is_control());
        assert!(rest == data, "seed {seed}");
        assert!(control == pings, "seed {seed}");
    }
}

#[test]
fn a_violation_is_answered_behind_what_was_sent_before_and_inside_no_frame() {
    // Three large frames; a header and a payload are pieces of their own.
    for written in (0..20).chain(4_990..5_030).chain(10_000..10_020) {
        let mut writing = Writing::new();
        for fill in 1..=3 {
            writing.send(5_000, fill);
        }
        writing.write(written);
        writing.pinged();
        writing.end.take(&[0x83], writing.now);
        writing
            .end
            .take(&masked(OpCode::Ping, true, b"too late"), writing.now);
        let frames = writing.write_all();
        let (last, rest) = frames.split_last().unwrap();
        assert_eq!(last.0, OpCode::Close, "after {written} bytes");
        assert_eq!(last.1[..2], 1002_u16.to_be_bytes());
        let (pongs, data): (Vec<_>, Vec<_>) = rest.iter().partition(|(op, _)| op.is_control());
        assert_eq!(pongs, [&(OpCode::Pong, Bytes::from("?"))]);
        assert_eq!(data.len(), 3, "after {written} bytes");
        for ((_, payload), fill) in data.into_iter().zip(1..) {
            assert_eq!(payload, &vec![fill; 5_000]);
        }
    }
}
